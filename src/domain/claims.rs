//! What goes into a token, and in which order.
//!
//! The shape is HCP Terraform's ("Workload identity" page), so that whatever trusts HCP Terraform
//! trusts runmint after one change: the issuer URL.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;
use super::subject::{Subject, SubjectForm};
use super::time::Timestamp;
use super::workload::Workload;

/// `nbf` is this much before `iat`: a relying party whose clock is slow still takes a fresh token.
/// More would widen the window in which a stolen signing key could be used unseen.
const NOT_BEFORE: Duration = Duration::from_secs(5);

/// The same for module tests, which HCP Terraform dates back further.
const NOT_BEFORE_MODULE_TEST: Duration = Duration::from_secs(30);

/// The claims that a token may have, for the discovery document.
pub const CLAIM_NAMES: &[&str] = &[
    "sub",
    "aud",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "terraform_run_phase",
    "terraform_workspace_id",
    "terraform_workspace_name",
    "terraform_organization_id",
    "terraform_organization_name",
    "terraform_project_id",
    "terraform_project_name",
    "terraform_run_id",
    "terraform_full_workspace",
];

/// Who a token is for; one string, never a list (Azure and AWS compare one).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(min_length = 1, max_length = 255, pattern = "^[!-)+-~]+$")]
pub struct Audience(String);

impl Audience {
    /// Takes `value` as the audience in `field`.
    ///
    /// # Errors
    /// Names the field: 1 to 255 bytes (AWS) of printable ASCII without a space or a `*`, which is
    /// kept for grants.
    pub fn parse(field: &str, value: &str) -> Result<Self, InvalidField> {
        if value.is_empty() || value.len() > 255 {
            return Err(InvalidField::new(field, "must be 1 to 255 bytes long"));
        }
        if !value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'*')
        {
            return Err(InvalidField::new(
                field,
                "may hold printable ASCII characters only, without spaces and `*`",
            ));
        }
        Ok(Self(value.to_owned()))
    }

    /// The audience as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The claims of one token; serialized in this order, which is HCP Terraform's.
#[derive(Debug, Serialize)]
pub struct Claims<'a> {
    jti: &'a str,
    iss: &'a str,
    aud: &'a str,
    iat: Timestamp,
    nbf: Timestamp,
    exp: Timestamp,
    sub: &'a str,
    terraform_organization_id: &'a str,
    terraform_organization_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    terraform_project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terraform_project_name: Option<&'a str>,
    #[serde(flatten)]
    target: Target<'a>,
    #[serde(
        rename = "https://aws.amazon.com/tags",
        skip_serializing_if = "Option::is_none"
    )]
    aws_tags: Option<AwsTags<'a>>,
}

/// The claims that differ between the forms of a subject.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Target<'a> {
    ModuleTest {
        terraform_run_id: &'a str,
        terraform_run_phase: &'static str,
    },
    Stack {
        terraform_stack_id: Option<&'a str>,
        terraform_stack_name: &'a str,
        terraform_stack_deployment_name: &'a str,
        terraform_operation: &'static str,
        terraform_plan_id: &'a str,
    },
    Workspace {
        terraform_workspace_id: Option<&'a str>,
        terraform_workspace_name: &'a str,
        terraform_full_workspace: Option<String>,
        terraform_run_id: &'a str,
        terraform_run_phase: &'static str,
    },
}

/// AWS session tags (IAM user guide, "Passing session tags using `AssumeRoleWithWebIdentity`").
#[derive(Debug, Serialize)]
struct AwsTags<'a> {
    principal_tags: PrincipalTags<'a>,
}

#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the names of the claims that they repeat"
)]
struct PrincipalTags<'a> {
    terraform_organization_name: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    terraform_project_name: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terraform_workspace_name: Option<[&'a str; 1]>,
    terraform_run_phase: [&'a str; 1],
}

/// What a token is made from, besides its workload.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The token's own id, a UUID.
    pub jti: &'a str,
    /// The issuer string.
    pub issuer: &'a str,
    /// The rendered subject.
    pub subject: &'a str,
    /// The audience.
    pub audience: &'a Audience,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
    /// Whether to add the AWS session tags.
    pub aws_session_tags: bool,
}

impl<'a> Claims<'a> {
    /// The claims of `workload` under this stamp.
    pub fn new(workload: &'a Workload, stamp: Stamp<'a>) -> Self {
        let subject = &workload.subject;
        let ids = &workload.ids;
        let phase = subject.phase().as_str();
        let (target, workspace_name) = match subject {
            Subject::Legacy { workspace, .. } | Subject::Workspace { workspace, .. } => (
                Target::Workspace {
                    terraform_workspace_id: ids.target.as_deref(),
                    terraform_workspace_name: workspace.as_str(),
                    terraform_full_workspace: workload.full_workspace(),
                    terraform_run_id: &ids.run,
                    terraform_run_phase: phase,
                },
                Some([workspace.as_str()]),
            ),
            Subject::ModuleTest { .. } => (
                Target::ModuleTest {
                    terraform_run_id: &ids.run,
                    terraform_run_phase: phase,
                },
                None,
            ),
            Subject::Stack {
                stack, deployment, ..
            } => (
                Target::Stack {
                    terraform_stack_id: ids.target.as_deref(),
                    terraform_stack_name: stack.as_str(),
                    terraform_stack_deployment_name: deployment.as_str(),
                    terraform_operation: phase,
                    terraform_plan_id: &ids.run,
                },
                None,
            ),
        };
        let not_before = match subject.form() {
            SubjectForm::ModuleTest => NOT_BEFORE_MODULE_TEST,
            _ => NOT_BEFORE,
        };
        let project_name = subject.project().map(super::name::ProjectName::as_str);
        Self {
            jti: stamp.jti,
            iss: stamp.issuer,
            aud: stamp.audience.as_str(),
            iat: stamp.issued_at,
            nbf: stamp.issued_at - not_before,
            exp: stamp.expires_at,
            sub: stamp.subject,
            terraform_organization_id: &ids.organization,
            terraform_organization_name: subject.organization().as_str(),
            terraform_project_id: ids.project.as_deref(),
            terraform_project_name: project_name,
            target,
            aws_tags: stamp.aws_session_tags.then(|| AwsTags {
                principal_tags: PrincipalTags {
                    terraform_organization_name: [subject.organization().as_str()],
                    terraform_project_name: project_name.map(|name| [name]),
                    terraform_workspace_name: workspace_name,
                    terraform_run_phase: [phase],
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workload::SentIds;

    fn payload(subject: &str, aws_session_tags: bool) -> String {
        let sent = SentIds {
            organization: Some("org-GRNbCjYNpBB6NEBH".to_owned()),
            run: Some("run-CKuwsxMGgMd3W7Ui".to_owned()),
            ..SentIds::default()
        };
        let workload = Workload::new(subject.parse().unwrap(), sent, &[0; 16]).unwrap();
        let audience = Audience::parse("audience", "aws.workload.identity").unwrap();
        let claims = Claims::new(
            &workload,
            Stamp {
                jti: "f81d4fae-7dec-41d0-a765-00a0c91e6bf6",
                issuer: "https://ci.example.com",
                subject,
                audience: &audience,
                issued_at: Timestamp(1_650_486_122),
                expires_at: Timestamp(1_650_486_422),
                aws_session_tags,
            },
        );
        serde_json::to_string(&claims).unwrap()
    }

    #[test]
    fn a_workspace_token_is_byte_for_byte_in_the_shape_of_hcp() {
        let payload = payload(
            "organization:acme:project:Default Project:workspace:net:run_phase:apply",
            false,
        );
        assert_eq!(
            payload,
            concat!(
                r#"{"jti":"f81d4fae-7dec-41d0-a765-00a0c91e6bf6","iss":"https://ci.example.com","#,
                r#""aud":"aws.workload.identity","iat":1650486122,"nbf":1650486117,"#,
                r#""exp":1650486422,"#,
                r#""sub":"organization:acme:project:Default Project:workspace:net:run_phase:apply","#,
                r#""terraform_organization_id":"org-GRNbCjYNpBB6NEBH","#,
                r#""terraform_organization_name":"acme","#,
                r#""terraform_project_id":"prj-6GjXMHMpLXzzfBrr","#,
                r#""terraform_project_name":"Default Project","#,
                r#""terraform_workspace_id":"ws-XzNNYyC9spsE8ZyT","#,
                r#""terraform_workspace_name":"net","#,
                r#""terraform_full_workspace":"organization:acme:project:Default Project:workspace:net","#,
                r#""terraform_run_id":"run-CKuwsxMGgMd3W7Ui","terraform_run_phase":"apply"}"#,
            )
        );
    }

    #[test]
    fn the_old_form_has_no_project_claims() {
        let payload = payload("organization:acme:workspace:net:run_phase:plan", false);
        assert!(!payload.contains("terraform_project"));
        assert!(
            payload.contains(r#""terraform_full_workspace":"organization:acme:workspace:net""#)
        );
    }

    #[test]
    fn a_module_test_is_dated_back_thirty_seconds() {
        let payload = payload("organization:acme:module:vpc:operation:test_run", false);
        assert!(payload.contains(r#""iat":1650486122,"nbf":1650486092"#));
        assert!(payload.ends_with(
            r#""terraform_run_id":"run-CKuwsxMGgMd3W7Ui","terraform_run_phase":"plan"}"#
        ));
    }

    #[test]
    fn a_stack_token_names_its_deployment() {
        let payload = payload(
            "organization:acme:project:p:stack:s:deployment:d:operation:apply",
            false,
        );
        assert!(payload.contains(r#""terraform_stack_deployment_name":"d""#));
        assert!(payload.contains(r#""terraform_operation":"apply""#));
        assert!(!payload.contains("workspace"));
    }

    #[test]
    fn session_tags_are_there_only_when_the_client_chose_them() {
        let subject = "organization:acme:project:p:workspace:w:run_phase:plan";
        assert!(!payload(subject, false).contains("aws.amazon.com"));
        assert!(payload(subject, true).ends_with(concat!(
            r#""https://aws.amazon.com/tags":{"principal_tags":{"#,
            r#""terraform_organization_name":["acme"],"terraform_project_name":["p"],"#,
            r#""terraform_workspace_name":["w"],"terraform_run_phase":["plan"]}}}"#
        )));
    }

    #[test]
    fn an_audience_is_one_plain_string() {
        for audience in [
            "aws.workload.identity",
            "api://AzureADTokenExchange",
            "//iam/x?y=1",
        ] {
            assert!(Audience::parse("audience", audience).is_ok());
        }
        for audience in ["", "a b", "a*", "ä", "a\n", &"a".repeat(256)] {
            let refusal = Audience::parse("audience", audience).unwrap_err();
            assert_eq!(refusal.field, "audience");
        }
    }
}
