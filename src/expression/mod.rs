//! One CEL expression over a token's claims: compiled, type-checked, evaluated. The only user of
//! `cel`, which parses and evaluates but does not check types.
//!
//! Who wrote it decides what it may name and do: a rule of a trusted issuer is bounded, since strangers'
//! tokens are held against it; a relying party's policy is held against one token, at somebody's desk.

mod check;
mod functions;
mod kind;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value};

use self::check::{Fault, check};
use self::functions::{add_extract, add_re2, re2_macros};
use self::kind::{Kind, kind_of};
pub use self::pattern::re2;
use crate::domain::InvalidField;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
    program: Program,
}

/// Whose expression it is: which variables it sees, and whether it is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// GCP's attribute mappings and conditions: `assertion`, and in conditions `google` and `attribute`
    /// (IAM's reference, "workload identity pool providers").
    Gcp,
    /// The API server's claim mappings and rules: `claims`, and `user` in rules about users
    /// (Kubernetes' documentation, "Authenticating", structured configuration).
    Kubernetes,
    /// Our own rules of trusted issuers: `claims`; nothing whose cost grows faster than the token.
    Rule,
}

/// What an expression must give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// True or false.
    Bool,
    /// A text.
    Text,
    /// A text or a list of them.
    Texts,
}

/// What an expression gives where a text is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Given {
    /// Something else: what, in words.
    Other(&'static str),
    /// A text.
    Text(String),
}

/// What expressions see: a token's claims under a name, and what else a dialect has.
pub struct Variables(Context<'static, 'static>);

/// In bytes; only what is used of it takes memory.
const STACK: usize = 1 << 28;

/// The standard functions, CEL's extension library of text functions (`split`, `replace`, …), and IAM's
/// `extract`. Which of them an expression may call is checked when it is compiled.
static ENVIRONMENT: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(environment().with_optional_support(false)));

/// The same, with RE2's regular expressions.
static WITH_RE2: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(with_re2(environment()).with_optional_support(false)));

/// The same, with the syntax of optional values: `claims.?x.orValue('')`.
static WITH_OPTIONALS: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(with_re2(environment())));

fn environment() -> Env {
    let mut env = Env::stdlib();
    // It fails only for a function that is declared already; without it, the unit tests fail.
    let _ = env.add_extension(cel::extensions::strings);
    let _ = env.add_extension(add_extract);
    let _ = env.add_extension(add_re2);
    env
}

fn with_re2(mut env: Env) -> Env {
    for re2 in re2_macros() {
        let _ = env.add_macro(re2);
    }
    env
}

impl Expression {
    /// Parses an expression and checks names, functions and types.
    ///
    /// # Errors
    /// Names `field` and the place in the text.
    pub fn compile(
        field: &str,
        source: &str,
        dialect: Dialect,
        wanted: Wanted,
    ) -> Result<Self, InvalidField> {
        let refuse = |rule: String| InvalidField::new(field, rule);
        let longest = dialect.longest();
        if source.len() > longest {
            return Err(refuse(format!("is longer than {longest} bytes")));
        }
        let program = on_a_large_stack(|| compile(source, dialect, wanted)).map_err(refuse)?;
        Ok(Self {
            source: source.to_owned(),
            program,
        })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// Why it could not be said, e.g. a claim that is not there.
    pub fn holds(&self, variables: &Variables) -> Result<bool, String> {
        match self.program.execute(&variables.0) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!(
                "it gives {}, not true or false",
                kind_of(&other).name()
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text that it gives.
    ///
    /// # Errors
    /// Why it gives none.
    pub fn text(&self, variables: &Variables) -> Result<String, String> {
        match self.given(variables)? {
            Given::Text(text) => Ok(text),
            Given::Other(what) => Err(format!(
                "it gives {what}, not a text; `string(…)` makes one of a number"
            )),
        }
    }

    /// What it gives where a text is wanted.
    ///
    /// # Errors
    /// Why it gives nothing, e.g. a claim that is not there.
    pub fn given(&self, variables: &Variables) -> Result<Given, String> {
        match self.program.execute(&variables.0) {
            Ok(Value::String(text)) => Ok(Given::Text(text.as_str().to_owned())),
            Ok(other) => Ok(Given::Other(kind_of(&other).name())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The texts that it gives: one, or a list of them.
    ///
    /// # Errors
    /// Why it gives none.
    pub fn texts(&self, variables: &Variables) -> Result<Vec<String>, String> {
        let not_text = |found: &Value| format!("it gives {}, not a text", kind_of(found).name());
        match self.program.execute(&variables.0) {
            Ok(Value::String(text)) => Ok(vec![text.as_str().to_owned()]),
            Ok(Value::List(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text.as_str().to_owned()),
                    other => Err(not_text(other)),
                })
                .collect(),
            Ok(Value::Null) => Ok(Vec::new()),
            Ok(other) => Err(not_text(&other)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Dialect {
    /// The longest expression, in bytes. Ours: longer ones are programs, not conditions. GCP takes
    /// 4,096 (IAM's reference, `attributeCondition`).
    fn longest(self) -> usize {
        match self {
            Self::Gcp => 4_096,
            Self::Kubernetes => 16_384,
            Self::Rule => 2_048,
        }
    }

    fn environment(self) -> &'static Env {
        match self {
            Self::Gcp => &WITH_RE2,
            Self::Kubernetes => &WITH_OPTIONALS,
            Self::Rule => &ENVIRONMENT,
        }
    }

    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Gcp => &["assertion", "attribute", "google"],
            Self::Kubernetes => &["claims", "user"],
            Self::Rule => &["claims"],
        }
    }
}

impl Variables {
    /// One variable, a JSON object: the payload of a token as `claims` or `assertion`.
    pub fn new(name: &'static str, payload: &serde_json::Value) -> Self {
        let context = Context::with_env(Arc::clone(&ENVIRONMENT));
        Self(context).with(name, payload)
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &serde_json::Value) -> Self {
        self.0.add_variable_from_value(name, value_of(value));
        self
    }
}

/// The parser takes some hundred kilobytes of stack for each level of nesting, and a stack that
/// overflows would take the server down.
fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let running = thread.spawn_scoped(scope, work);
        let running = running.map_err(|error| format!("cannot be compiled now: {error}"))?;
        let panicked = |_| Err("cannot be compiled: the compiler panicked".to_owned());
        running.join().unwrap_or_else(panicked)
    })
}

fn compile(source: &str, dialect: Dialect, wanted: Wanted) -> Result<Program, String> {
    let program = dialect.environment().compile(source).map_err(|errors| {
        errors.errors.first().map_or_else(
            || "is no CEL expression".to_owned(),
            |error| {
                let (line, column) = (error.pos.0.max(1), error.pos.1.max(1));
                // Some of the parser's messages hold its innards.
                let message = error.msg.split(": OtherError").next().unwrap_or_default();
                format!("is no CEL expression: line {line}, column {column}: {message}")
            },
        )
    })?;
    let found = check(program.expression(), dialect);
    let found = found.map_err(|Fault { id, message }| {
        let offset = program.source_info().offset_for(id);
        let (line, column) = place(source, offset.map_or(0, |(start, _)| start as usize));
        format!("is wrong at line {line}, column {column}: {message}")
    })?;
    let (fits, wanted) = match wanted {
        Wanted::Bool => (found.may_be(Kind::Bool), "true or false"),
        Wanted::Text => (found.may_be(Kind::Text), "a text"),
        Wanted::Texts => (
            found.may_be(Kind::Text) || found == Kind::List,
            "a text or a list of texts",
        ),
    };
    if fits {
        Ok(program)
    } else {
        Err(format!("gives {}; it must give {wanted}", found.name()))
    }
}

/// Whole numbers are `int` in CEL, as Kubernetes has it.
fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            let int = number.as_i64().map(Value::Int);
            let uint = || number.as_u64().map(Value::UInt);
            let float = || number.as_f64().map(Value::Float);
            int.or_else(uint).or_else(float).unwrap_or(Value::Null)
        }
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => {
            Value::from(items.iter().map(value_of).collect::<Vec<_>>())
        }
        serde_json::Value::Object(members) => Value::from(
            members
                .iter()
                .map(|(name, value)| (name.clone(), value_of(value)))
                .collect::<HashMap<String, Value>>(),
        ),
    }
}

/// Line and column of a character, both from 1.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before: String = source.chars().take(offset).collect();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count())
        + 1;
    (line, column)
}
