//! A CEL expression of a provider: compiled once, held against any number of tokens.

use std::sync::Arc;

use crate::expression::{Dialect, Expression, Given, Variables, Wanted};

/// An expression, as it was written, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    /// As it was written.
    pub(super) source: String,
    compiled: Result<Arc<Expression>, Strange>,
}

/// Why an expression is not evaluated.
#[derive(Clone, Debug)]
enum Strange {
    /// It gives something that IAM does not take here: what.
    Other(&'static str),
    /// It is not understood here: why.
    Unknown(String),
}

/// What a mapping gives.
pub(super) enum Mapped {
    /// A text.
    Text(String),
    /// Nothing: the claim is not there, or the like.
    Failed(String),
    /// Something else than a text: what.
    Other(&'static str),
    /// The expression is not understood here.
    Strange(String),
}

impl Formula {
    /// A mapping.
    pub(super) fn mapping(source: &str) -> Self {
        let compiled = match compiled(source, Wanted::Texts) {
            // It is understood, but is no text: IAM says so only when a token comes.
            Err(_) if compiled(source, Wanted::Bool).is_ok() => {
                Err(Strange::Other("true or false"))
            }
            Err(why) => Err(Strange::Unknown(why)),
            Ok(expression) => Ok(Arc::new(expression)),
        };
        Self {
            source: source.to_owned(),
            compiled,
        }
    }

    /// A condition.
    pub(super) fn condition(source: &str) -> Self {
        let compiled = compiled(source, Wanted::Bool);
        Self {
            source: source.to_owned(),
            compiled: compiled.map(Arc::new).map_err(Strange::Unknown),
        }
    }

    /// What the mapping makes of the claims.
    pub(super) fn map(&self, assertion: &Variables) -> Mapped {
        let expression = match &self.compiled {
            Ok(expression) => expression,
            Err(Strange::Other(what)) => return Mapped::Other(what),
            Err(Strange::Unknown(why)) => return Mapped::Strange(why.clone()),
        };
        match expression.given(assertion) {
            Ok(Given::Text(text)) => Mapped::Text(text),
            Ok(Given::Other(what)) => Mapped::Other(what),
            Err(why) => Mapped::Failed(plain(&why)),
        }
    }

    /// The texts that the mapping makes of the claims, or why it makes none.
    pub(super) fn texts(&self, assertion: &Variables) -> Result<Vec<String>, String> {
        match &self.compiled {
            Ok(expression) => expression.texts(assertion).map_err(|why| plain(&why)),
            Err(Strange::Other(what)) => Err(format!("it gives {what}")),
            Err(Strange::Unknown(why)) => Err(why.clone()),
        }
    }

    /// Whether the condition holds, or why that is not said; nothing if it is not understood here.
    pub(super) fn holds(&self, variables: &Variables) -> Option<Result<bool, String>> {
        let expression = self.compiled.as_ref().ok()?;
        Some(expression.holds(variables).map_err(|why| plain(&why)))
    }

    /// Why it is not understood here; nothing if it is.
    pub(super) fn strangeness(&self) -> Option<String> {
        match &self.compiled {
            Ok(_) => None,
            Err(Strange::Other(what)) => Some(format!("it gives {what}")),
            Err(Strange::Unknown(why)) => Some(why.clone()),
        }
    }
}

fn compiled(source: &str, wanted: Wanted) -> Result<Expression, String> {
    Expression::compile("expression", source, Dialect::Gcp, wanted)
        .map_err(|error| format!("it cannot be evaluated here: it {}", error.rule))
}

/// What the evaluation says, in the words of this module.
fn plain(why: &str) -> String {
    match why.strip_prefix("No such key: ") {
        Some(name) => format!("the token has no `{name}`"),
        None => why.to_owned(),
    }
}
