//! Names of organizations, projects, workspaces, stacks, deployments and modules.
//!
//! Parsed once at the edge, then safe: no name can hold a `:` (the separator of a subject), a `*`
//! or a `?` (wildcards in AWS and Vault policies), so a subject always reads back as it was meant.

use std::fmt;

use serde::Serialize;

use super::InvalidField;

/// The longest name, in bytes: what HCP Terraform recommends at most for a workspace. The length
/// of the whole subject is checked on top of it (see [`super::subject::Subject::check_length`]).
pub const MAX_LENGTH: usize = 90;

/// A name of letters, digits, `-` and `_`: everything but a project.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Takes `value` as the name in `field`.
    ///
    /// # Errors
    /// Names the field and the rule that it broke.
    pub fn parse(field: &str, value: &str) -> Result<Self, InvalidField> {
        check(field, value, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
        })?;
        Ok(Self(value.to_owned()))
    }

    /// The name as it was given; case is kept, because every relying party compares it so.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A project's name: as [`Name`], and spaces inside it (`Default Project`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ProjectName(String);

impl ProjectName {
    /// Takes `value` as the project name in `field`.
    ///
    /// # Errors
    /// Names the field and the rule that it broke.
    pub fn parse(field: &str, value: &str) -> Result<Self, InvalidField> {
        if value.starts_with(' ') || value.ends_with(' ') {
            return Err(InvalidField::new(
                field,
                "may not start or end with a space; remove it",
            ));
        }
        check(field, value, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' ')
        })?;
        Ok(Self(value.to_owned()))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(field: &str, value: &str, allowed: fn(u8) -> bool) -> Result<(), InvalidField> {
    if value.is_empty() {
        return Err(InvalidField::new(field, "may not be empty"));
    }
    if value.len() > MAX_LENGTH {
        return Err(InvalidField::new(
            field,
            format!(
                "is {} bytes long; at most {MAX_LENGTH} are allowed",
                value.len()
            ),
        ));
    }
    let Some(wrong) = value.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed)) else {
        return Ok(());
    };
    let allowed_too = if allowed(b' ') { ", spaces inside" } else { "" };
    Err(InvalidField::new(
        field,
        format!("holds {wrong:?}; allowed are letters, digits, `-`, `_`{allowed_too}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_field_and_the_rule() {
        for value in ["", "a:b", "a*", "a?", "a/b", "a b", "ä", "a\n", "a\0", "٣"] {
            let refusal = Name::parse("workspace", value).unwrap_err();
            assert_eq!(refusal.field, "workspace", "{value:?}");
            assert!(!refusal.rule.is_empty());
        }
        assert!(Name::parse("workspace", &"a".repeat(90)).is_ok());
        assert!(Name::parse("workspace", &"a".repeat(91)).is_err());
    }

    #[test]
    fn a_project_may_have_spaces_inside() {
        assert!(ProjectName::parse("project", "Default Project").is_ok());
        for value in ["", " ", " a", "a ", "a:b", "a\tb", "a\u{a0}b"] {
            assert!(ProjectName::parse("project", value).is_err(), "{value:?}");
        }
    }
}
