//! Why no grant covers a request.

use std::fmt;

use super::subject::{Subject, SubjectForm};

/// Why a request was refused: the nearest grant and what about it did not fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// What did not fit.
    pub mismatch: Mismatch,
    /// The request's field that did not fit.
    pub field: &'static str,
    /// The value that did not fit.
    pub value: String,
}

/// What about the nearest grant did not fit, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Mismatch {
    /// The client has no grant at all.
    NoGrant,
    /// No grant for the organization.
    Organization,
    /// No grant for this form of subject.
    SubjectForm,
    /// No grant for the project.
    Project,
    /// No grant for the workspace, stack or module.
    Workspace,
    /// No grant for the deployment.
    Deployment,
    /// No grant for the phase.
    Phase,
    /// No grant for the audience.
    Audience,
}

impl Mismatch {
    /// The field of a request for `subject` that did not fit; always one that it has.
    pub(super) fn field(self, subject: &Subject) -> &'static str {
        match self {
            Self::NoGrant | Self::Organization => "organization",
            Self::SubjectForm => "subject_form",
            Self::Project if subject.project().is_none() => "subject_form",
            Self::Project => "project",
            Self::Deployment => "deployment",
            Self::Workspace => subject.target_field(),
            Self::Phase if subject.form() == SubjectForm::ModuleTest => "subject_form",
            Self::Phase => "run_phase",
            Self::Audience => "audiences",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mismatch {
            Mismatch::NoGrant => f.write_str("the client has no grant"),
            _ => write!(f, "no grant covers {} `{}`", self.field, self.value),
        }
    }
}
