//! Text that must not be seen: a token, a password, a key.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in the clear. It has no `Display`, its `Debug` says nothing, and it is wiped when
/// dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that sends it or writes it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}
