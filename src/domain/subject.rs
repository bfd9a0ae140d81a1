//! The subject: who a run is, as a relying party reads it in `sub`.
//!
//! Four forms, all of HCP Terraform's. Names cannot hold a `:`, so the text splits back into the
//! very same value and no two runs can share a subject by accident or on purpose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;
use super::name::{Name, ProjectName};
use super::phase::Phase;

/// Who a run is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// The form before projects existed, which older trust policies still hold.
    Legacy {
        /// The organization.
        organization: Name,
        /// The workspace.
        workspace: Name,
        /// What the run does.
        phase: Phase,
    },
    /// A test of a registry module; its phase is always plan.
    ModuleTest {
        /// The organization.
        organization: Name,
        /// The module.
        module: Name,
    },
    /// A deployment of a stack.
    Stack {
        /// The organization.
        organization: Name,
        /// The project.
        project: ProjectName,
        /// The stack.
        stack: Name,
        /// The stack's deployment.
        deployment: Name,
        /// What the run does, called the operation here.
        phase: Phase,
    },
    /// A run of a workspace: the usual form.
    Workspace {
        /// The organization.
        organization: Name,
        /// The project.
        project: ProjectName,
        /// The workspace.
        workspace: Name,
        /// What the run does.
        phase: Phase,
    },
}

/// Which of the four forms a subject has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectForm {
    /// `organization:O:workspace:W:run_phase:P`
    Legacy,
    /// `organization:O:module:M:operation:test_run`
    ModuleTest,
    /// `organization:O:project:P:stack:S:deployment:D:operation:plan`
    Stack,
    /// `organization:O:project:P:workspace:W:run_phase:plan`
    #[default]
    Workspace,
}

impl SubjectForm {
    /// As requests and grants write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::ModuleTest => "module_test",
            Self::Stack => "stack",
            Self::Workspace => "workspace",
        }
    }
}

/// OpenID Connect Core 1.0 section 2 and AWS both end here, in bytes.
pub const MAX_LENGTH: usize = 255;

/// GCP refuses a longer `google.subject`, in bytes.
pub const MAX_GCP_LENGTH: usize = 127;

impl Subject {
    /// The subject's form.
    pub fn form(&self) -> SubjectForm {
        match self {
            Self::Legacy { .. } => SubjectForm::Legacy,
            Self::ModuleTest { .. } => SubjectForm::ModuleTest,
            Self::Stack { .. } => SubjectForm::Stack,
            Self::Workspace { .. } => SubjectForm::Workspace,
        }
    }

    /// The organization, which every form has.
    pub fn organization(&self) -> &Name {
        match self {
            Self::Legacy { organization, .. }
            | Self::ModuleTest { organization, .. }
            | Self::Stack { organization, .. }
            | Self::Workspace { organization, .. } => organization,
        }
    }

    /// The project, where the form has one.
    pub fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::Stack { project, .. } | Self::Workspace { project, .. } => Some(project),
            Self::Legacy { .. } | Self::ModuleTest { .. } => None,
        }
    }

    /// What the run works on: the name of its workspace, stack or module.
    pub fn target(&self) -> &Name {
        match self {
            Self::Legacy { workspace, .. } | Self::Workspace { workspace, .. } => workspace,
            Self::ModuleTest { module, .. } => module,
            Self::Stack { stack, .. } => stack,
        }
    }

    /// The deployment, which a stack's run has.
    pub fn deployment(&self) -> Option<&Name> {
        match self {
            Self::Stack { deployment, .. } => Some(deployment),
            Self::Legacy { .. } | Self::ModuleTest { .. } | Self::Workspace { .. } => None,
        }
    }

    /// The field of a request that names the [`target`](Self::target).
    pub fn target_field(&self) -> &'static str {
        match self {
            Self::Legacy { .. } | Self::Workspace { .. } => "workspace",
            Self::ModuleTest { .. } => "module",
            Self::Stack { .. } => "stack",
        }
    }

    /// What the run does.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Legacy { phase, .. }
            | Self::Stack { phase, .. }
            | Self::Workspace { phase, .. } => *phase,
            Self::ModuleTest { .. } => Phase::Plan,
        }
    }

    /// Refuses a subject that no relying party would take.
    ///
    /// # Errors
    /// Names the target's field and the number of bytes that are too many.
    pub fn check_length(&self) -> Result<(), InvalidField> {
        let length = self.to_string().len();
        if length > MAX_LENGTH {
            return Err(InvalidField::new(
                self.target_field(),
                format!(
                    "makes the subject {length} bytes long, {} more than the {MAX_LENGTH} that AWS \
                     and OpenID Connect allow; shorten one of the names",
                    length - MAX_LENGTH
                ),
            ));
        }
        Ok(())
    }

    /// What a cloud will object to, said while there is time to change a name.
    pub fn warnings(&self) -> Vec<String> {
        let length = self.to_string().len();
        let mut warnings = Vec::new();
        if length > MAX_GCP_LENGTH {
            // Of names, which grants are about; ids are the client's word.
            let mapping = match self.form() {
                SubjectForm::Workspace => {
                    "assertion.terraform_organization_name + '/' + \
                     assertion.terraform_project_name + '/' + \
                     assertion.terraform_workspace_name + ':' + assertion.terraform_run_phase"
                }
                SubjectForm::Stack => {
                    "assertion.terraform_project_name + '/' + assertion.terraform_stack_name + '/' \
                     + assertion.terraform_stack_deployment_name + ':' + \
                     assertion.terraform_operation"
                }
                SubjectForm::Legacy | SubjectForm::ModuleTest => {
                    "assertion.terraform_organization_name + ':' + assertion.terraform_run_phase, \
                     with a condition on assertion.sub"
                }
            };
            warnings.push(format!(
                "the subject is {length} bytes long, over the {MAX_GCP_LENGTH} that GCP takes as \
                 google.subject: map names there, e.g. {mapping}"
            ));
        }
        warnings
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy {
                organization,
                workspace,
                phase,
            } => {
                write!(
                    f,
                    "organization:{organization}:workspace:{workspace}:run_phase:{phase}"
                )
            }
            Self::ModuleTest {
                organization,
                module,
            } => {
                write!(
                    f,
                    "organization:{organization}:module:{module}:operation:test_run"
                )
            }
            Self::Stack {
                organization,
                project,
                stack,
                deployment,
                phase,
            } => write!(
                f,
                "organization:{organization}:project:{project}:stack:{stack}\
                 :deployment:{deployment}:operation:{phase}"
            ),
            Self::Workspace {
                organization,
                project,
                workspace,
                phase,
            } => write!(
                f,
                "organization:{organization}:project:{project}:workspace:{workspace}\
                 :run_phase:{phase}"
            ),
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["organization", o, "workspace", w, "run_phase", p] => Ok(Self::Legacy {
                organization: Name::parse("organization", o)?,
                workspace: Name::parse("workspace", w)?,
                phase: Phase::parse("run_phase", p)?,
            }),
            ["organization", o, "module", m, "operation", "test_run"] => Ok(Self::ModuleTest {
                organization: Name::parse("organization", o)?,
                module: Name::parse("module", m)?,
            }),
            [
                "organization",
                o,
                "project",
                p,
                "stack",
                s,
                "deployment",
                d,
                "operation",
                phase,
            ] => Ok(Self::Stack {
                organization: Name::parse("organization", o)?,
                project: ProjectName::parse("project", p)?,
                stack: Name::parse("stack", s)?,
                deployment: Name::parse("deployment", d)?,
                phase: Phase::parse("operation", phase)?,
            }),
            [
                "organization",
                o,
                "project",
                p,
                "workspace",
                w,
                "run_phase",
                phase,
            ] => Ok(Self::Workspace {
                organization: Name::parse("organization", o)?,
                project: ProjectName::parse("project", p)?,
                workspace: Name::parse("workspace", w)?,
                phase: Phase::parse("run_phase", phase)?,
            }),
            _ => Err(InvalidField::new(
                "subject",
                "has none of the known forms, such as \
                 `organization:O:project:P:workspace:W:run_phase:plan`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_reads_back_as_it_was_written() {
        for text in [
            "organization:acme:workspace:net:run_phase:plan",
            "organization:acme:module:vpc:operation:test_run",
            "organization:acme:project:Default Project:stack:s:deployment:d:operation:apply",
            "organization:acme:project:Default Project:workspace:net:run_phase:apply",
        ] {
            assert_eq!(subject(text).to_string(), text);
        }
    }

    #[test]
    fn gcp_warns_from_128_bytes_and_255_is_the_end() {
        // 49 bytes are fixed in a workspace subject that applies.
        let of = |bytes: usize| {
            let (project, workspace) = ((bytes - 50).min(90), (bytes - 50).saturating_sub(90));
            let (workspace, organization) = (workspace.clamp(0, 90), workspace.saturating_sub(90));
            Subject::Workspace {
                organization: Name::parse("o", &"o".repeat(1 + organization)).unwrap(),
                project: ProjectName::parse("p", &"p".repeat(project)).unwrap(),
                workspace: Name::parse("w", &"w".repeat(workspace.max(1))).unwrap(),
                phase: Phase::Apply,
            }
        };
        let exactly = |bytes: usize| {
            (bytes - 4..=bytes + 4)
                .map(of)
                .find(|subject| subject.to_string().len() == bytes)
                .unwrap()
        };
        assert!(exactly(127).warnings().is_empty());
        assert_eq!(exactly(128).warnings().len(), 1);
        assert!(exactly(255).check_length().is_ok());
        assert_eq!(exactly(256).check_length().unwrap_err().field, "workspace");
    }

    #[test]
    fn other_texts_are_no_subjects() {
        for text in [
            "",
            "organization:acme",
            "organization:acme:project:p:workspace:w:run_phase:destroy",
            "organization:acme:project:p:workspace:w:run_phase:plan:",
            "organization:acme:project:p:workspace:w:x:run_phase:plan",
            "organization:acme:project:*:workspace:w:run_phase:plan",
            "Organization:acme:workspace:w:run_phase:plan",
        ] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
