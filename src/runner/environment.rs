//! Environment variables, as they were when the program started.

use std::collections::BTreeMap;

/// Variables by their names. One that is set to nothing counts as not set: CI systems export the
/// variables that nobody filled in.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variable's value, if it has one.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The first of several variables that has a value: its name and value.
    pub fn first<const N: usize>(&self, names: [&'static str; N]) -> Option<(&'static str, &str)> {
        names
            .into_iter()
            .find_map(|name| Some((name, self.find(name)?)))
    }

    /// The names of all variables that have a value, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, _)| name.as_str())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// The names only: a value may be a secret.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
