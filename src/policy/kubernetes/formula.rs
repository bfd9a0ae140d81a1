//! An expression of a configuration: compiled once, when it is read.

use std::sync::Arc;

use crate::expression::{Dialect, Expression, Wanted};

/// Its text, and what it was compiled to.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    text: String,
    compiled: Arc<Result<Expression, String>>,
}

impl Formula {
    /// Compiles a text. One that is not understood here is kept: the API server may know more.
    pub(super) fn new(text: String, wanted: Wanted) -> Self {
        let compiled = Expression::compile("expression", &text, Dialect::Kubernetes, wanted)
            .map_err(|error| format!("it is not understood here: it {}", error.rule));
        Self {
            text,
            compiled: Arc::new(compiled),
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// To be evaluated.
    ///
    /// # Errors
    /// Why it is not understood here.
    pub(super) fn compiled(&self) -> Result<&Expression, String> {
        self.compiled.as_ref().as_ref().map_err(Clone::clone)
    }
}
