//! All kinds of findings, but for the known errors in `doctor::errors`. An id is never given to another kind.

pub mod environment;
pub mod error;
pub mod explain;
pub mod issuer;
pub mod policy;
pub mod token;

use super::Kind;

/// All of them, in the order of their modules.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    [
        environment::ALL,
        error::ALL,
        explain::ALL,
        issuer::ALL,
        policy::ALL,
        token::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_an_id_of_its_own_and_says_what_to_do() {
        let mut ids = BTreeSet::new();
        for kind in all() {
            assert!(ids.insert(kind.id), "{} is there twice", kind.id);
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(kind.id.chars().all(is_plain), "{}", kind.id);
            for text in [kind.title, kind.why, kind.fix, kind.source] {
                assert!(!text.is_empty(), "{}", kind.id);
            }
            assert!(!kind.title.ends_with('.'), "{}", kind.id);
        }
    }
}
