//! A place where variables are set, and the files that were looked at there.

use std::collections::{BTreeMap, BTreeSet};

use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Kind, Report};
use crate::runner::{Environment, SecretText};

/// Variables that are set somewhere. One that is set to nothing counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    known: Environment,
    hidden: BTreeSet<String>,
    is_open: bool,
}

impl Variables {
    /// All of a process.
    pub fn of_process(known: Environment) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    /// Those of a container: with a value, with one that is kept elsewhere (a Secret, a field), and
    /// whether there may be more (all of a `ConfigMap`).
    pub fn of_container(known: Environment, hidden: BTreeSet<String>, is_open: bool) -> Self {
        Self {
            known,
            hidden,
            is_open,
        }
    }

    /// The value, where it is known.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.known.find(name)
    }

    /// Whether it is set.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some() || self.hidden.contains(name)
    }

    /// Whether it is set, as far as can be seen.
    pub fn may_have(&self, name: &str) -> bool {
        self.is_open || self.has(name)
    }

    /// The first of several that is set.
    pub fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Whether it is set to what means yes.
    pub fn is_on(&self, name: &str) -> bool {
        let value = self.find(name).map(str::to_ascii_lowercase);
        matches!(value.as_deref(), Some("true" | "1" | "t"))
    }

    /// Those whose values are known, for rules that read them all.
    pub fn known(&self) -> &Environment {
        &self.known
    }
}

/// Files by the paths that variables name.
pub type Files = BTreeMap<String, File>;

/// A file that was looked at.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// What keeps its reader from reading it.
    pub barrier: Option<Barrier>,
    /// What is in it, where this process could read it. It may be a secret.
    pub text: Option<SecretText>,
}

/// What keeps a reader from reading a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Barrier {
    /// Whether the file, or a folder on the way, is not there.
    pub is_absent: bool,
    /// What is in the way, as a sentence with the path in it.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Barrier {
    /// The finding that a file is of no use to its reader; `by` is who names the file.
    pub(super) fn finding(&self, kind: &Kind, by: &str) -> Finding {
        let finding = Finding::new(kind, format!("{by}: {}", self.what));
        match &self.fix {
            Some(fix) => finding.to_fix(format!("{fix}.")),
            None => finding,
        }
    }
}

/// What a judge looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    pub(super) variables: &'a Variables,
    /// Nothing if files cannot be looked at: those of a container are elsewhere.
    files: Option<&'a Files>,
}

impl<'a> Here<'a> {
    pub(super) fn new(variables: &'a Variables, files: Option<&'a Files>) -> Self {
        Self { variables, files }
    }

    /// The file at `path`, if it was looked at.
    pub(super) fn file(&self, path: &str) -> Option<&'a File> {
        self.files?.get(path)
    }

    /// What is in the file at `path`.
    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.file(path)?.text.as_ref().map(SecretText::expose)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.variables.has(name)
    }

    pub(super) fn find(&self, name: &str) -> Option<&'a str> {
        self.variables.find(name)
    }

    /// Says that a credential does not end by itself.
    pub(super) fn static_credential(report: &mut Report, what: impl Into<String>) {
        report.add(Finding::new(&kinds::STATIC, what));
    }
}

/// Names of variables as messages write them: `` `A`, `B` ``.
pub(super) fn listed(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
