//! A workload: a subject and the ids behind its names. This is all that a token says about a run.

use super::InvalidField;
use super::subject::Subject;

/// Who a run is, by name and by id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Workload {
    /// By name.
    pub subject: Subject,
    /// By id.
    pub ids: Ids,
}

/// The ids of a workload: what the orchestrator sent, the rest derived from the names.
///
/// HCP Terraform's ids are a prefix and 16 letters and digits; ours are too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ids {
    /// `org-…`
    pub organization: String,
    /// `prj-…`; only where the subject has a project.
    pub project: Option<String>,
    /// `ws-…` of the workspace, `st-…` of the stack; nothing for a module test.
    pub target: Option<String>,
    /// `run-…`; `trun-…` for a module test.
    pub run: String,
}

/// Ids as the orchestrator sends them: any of them, or none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SentIds {
    /// For `terraform_organization_id`.
    pub organization: Option<String>,
    /// For `terraform_project_id`.
    pub project: Option<String>,
    /// For `terraform_workspace_id` or `terraform_stack_id`.
    pub target: Option<String>,
    /// For `terraform_run_id`.
    pub run: Option<String>,
}

/// The longest id, in bytes; `terraform-` and the run id must fit AWS's 64 of a role session name.
const MAX_ID_LENGTH: usize = 54;

impl Workload {
    /// Puts subject and ids together. `random` is used for a run id that was not sent: it is the
    /// only one that names alone cannot give, since each run has another.
    ///
    /// # Errors
    /// Names the id that is malformed, or that this form of subject does not have.
    pub fn new(subject: Subject, sent: SentIds, random: &[u8; 16]) -> Result<Self, InvalidField> {
        let organization = format!("organization:{}", subject.organization());
        let scope = match subject.project() {
            Some(project) => format!("{organization}:project:{project}"),
            None => organization.clone(),
        };
        let target = match &subject {
            Subject::Legacy { workspace, .. } | Subject::Workspace { workspace, .. } => Some((
                "workspace_id",
                "ws-",
                format!("{scope}:workspace:{workspace}"),
            )),
            Subject::Stack { stack, .. } => {
                Some(("stack_id", "st-", format!("{scope}:stack:{stack}")))
            }
            Subject::ModuleTest { .. } => None,
        };
        let run_prefix = match subject {
            Subject::ModuleTest { .. } => "trun-",
            _ => "run-",
        };
        let ids = Ids {
            organization: match sent.organization {
                Some(id) => check("organization_id", id)?,
                None => derive("org-", organization.as_bytes()),
            },
            project: match (subject.project(), sent.project) {
                (Some(_), Some(id)) => Some(check("project_id", id)?),
                (Some(_), None) => Some(derive("prj-", scope.as_bytes())),
                (None, Some(_)) => return Err(not_in_this_form("project_id")),
                (None, None) => None,
            },
            target: match (target, sent.target) {
                (Some((field, _, _)), Some(id)) => Some(check(field, id)?),
                (Some((_, prefix, path)), None) => Some(derive(prefix, path.as_bytes())),
                (None, Some(_)) => return Err(not_in_this_form("workspace_id")),
                (None, None) => None,
            },
            run: match sent.run {
                Some(id) => check("run_id", id)?,
                None => derive(run_prefix, random),
            },
        };
        Ok(Self { subject, ids })
    }

    /// `terraform_full_workspace`: the subject without its phase; workspace runs only.
    pub fn full_workspace(&self) -> Option<String> {
        match &self.subject {
            Subject::Legacy {
                organization,
                workspace,
                ..
            } => Some(format!("organization:{organization}:workspace:{workspace}")),
            Subject::Workspace {
                organization,
                project,
                workspace,
                ..
            } => Some(format!(
                "organization:{organization}:project:{project}:workspace:{workspace}"
            )),
            Subject::ModuleTest { .. } | Subject::Stack { .. } => None,
        }
    }
}

fn not_in_this_form(field: &str) -> InvalidField {
    InvalidField::new(
        field,
        "does not exist in this form of subject; leave it out",
    )
}

fn check(field: &str, id: String) -> Result<String, InvalidField> {
    if id.is_empty() || id.len() > MAX_ID_LENGTH {
        return Err(InvalidField::new(
            field,
            format!("must be 1 to {MAX_ID_LENGTH} characters long"),
        ));
    }
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        return Err(InvalidField::new(
            field,
            "may hold letters, digits, `-` and `_` only",
        ));
    }
    Ok(id)
}

/// A prefix and 16 letters and digits that depend on `seed` alone, so that every replica, today
/// and in a year, derives the same.
fn derive(prefix: &str, seed: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, seed);
    let mut number = digest
        .as_ref()
        .iter()
        .take(16)
        .fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    let mut id = String::with_capacity(prefix.len() + 16);
    id.push_str(prefix);
    for _ in 0..16 {
        let digit = usize::try_from(number % 58).unwrap_or_default();
        id.push(char::from(ALPHABET[digit]));
        number /= 58;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(subject: &str, sent: SentIds) -> Result<Workload, InvalidField> {
        Workload::new(subject.parse().unwrap(), sent, &[7; 16])
    }

    const WORKSPACE: &str =
        "organization:acme:project:Default Project:workspace:net:run_phase:plan";

    #[test]
    fn derived_ids_have_the_shape_of_hcp_and_never_change() {
        let ids = workload(WORKSPACE, SentIds::default()).unwrap().ids;
        assert_eq!(ids.organization, "org-XYokEkhmWpUm4bJz");
        assert_eq!(ids.project.as_deref(), Some("prj-6GjXMHMpLXzzfBrr"));
        assert_eq!(ids.target.as_deref(), Some("ws-XzNNYyC9spsE8ZyT"));
        assert_eq!(ids.run.len(), "run-".len() + 16);
    }

    #[test]
    fn plan_and_apply_of_a_workspace_share_its_ids() {
        let plan = workload(WORKSPACE, SentIds::default()).unwrap();
        let apply = workload(&WORKSPACE.replace("plan", "apply"), SentIds::default()).unwrap();
        assert_eq!(plan.ids, apply.ids);
    }

    #[test]
    fn sent_ids_win_and_are_checked() {
        let sent = |project: &str| SentIds {
            project: Some(project.to_owned()),
            ..SentIds::default()
        };
        let ids = workload(WORKSPACE, sent("prj-1")).unwrap().ids;
        assert_eq!(ids.project.as_deref(), Some("prj-1"));
        for wrong in ["", "prj 1", "prj:1", &"x".repeat(55)] {
            let refusal = workload(WORKSPACE, sent(wrong)).unwrap_err();
            assert_eq!(refusal.field, "project_id");
        }
        let legacy = "organization:acme:workspace:net:run_phase:plan";
        assert_eq!(
            workload(legacy, sent("prj-1")).unwrap_err().field,
            "project_id"
        );
    }

    #[test]
    fn a_module_test_has_a_run_id_of_its_own_kind() {
        let test = workload(
            "organization:a:module:m:operation:test_run",
            SentIds::default(),
        );
        let ids = test.unwrap().ids;
        assert!(ids.run.starts_with("trun-"));
        assert_eq!((ids.project, ids.target), (None, None));
    }
}
