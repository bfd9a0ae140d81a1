//! The cluster's OIDC identity provider. It compares claims for equality only and computes no groups, so
//! that a part that is any must be any for the whole provider.

use serde_json::{Map, Value as Json, json};

use super::super::hcl::{Block, Value};
use super::super::kubernetes::{self, Binding, PREFIX, Subject};
use super::super::{Bundle, Form, Order, Part, Phases, TrustError};
use super::{Options, document, documents, pretty, shell_quoted};
use crate::domain::phase::Phase;

/// What stands before the groups, which are `plan` and `apply`.
const GROUPS_PREFIX: &str = "runmint:phase:";

/// What EKS is told of the issuer.
struct Provider {
    issuer: String,
    audience: String,
    /// Claims that must have a value.
    required: Vec<(&'static str, String)>,
    /// Whether runs are in a group for their phase.
    has_groups: bool,
}

pub(super) fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    let provider = Provider::of(order)?;
    let apart = order.scope.phases == Phases::Apart;
    let groups = order.scope.groups().into_iter();
    let bindings: Vec<Binding> = groups
        .map(|(phase, patterns)| {
            let subjects = if provider.has_groups {
                phase_groups(phase)
            } else {
                kubernetes::subjects(&patterns)
            };
            options.rbac.binding(&order.scope, phase, apart, subjects)
        })
        .collect();
    let request = json!({"clusterName": options.cluster, "oidc": provider.to_json()});
    let commands = format!(
        "# The cluster's identity provider; it takes some minutes until its status is ACTIVE.\n\
         aws eks associate-identity-provider-config \\\n  --cluster-name {} \\\n  --oidc {}\n",
        shell_quoted(&options.cluster),
        shell_quoted(&provider.to_json().to_string()),
    );
    let mut all = documents(
        vec![provider.to_terraform(&options.cluster)],
        &commands,
        &bindings,
    );
    all.push(document(
        "identity-provider.json",
        Form::Json,
        "for `aws eks associate-identity-provider-config --cli-input-json file://identity-provider.json`",
        pretty(&request),
    ));
    let mut warnings = vec![
        "a cluster has one OIDC identity provider: another one, also of another scope, must be \
         disassociated first, and its runs are let in no more"
            .to_owned(),
        "EKS fetches discovery and keys from the internet, and trusts certificates of public CAs only"
            .to_owned(),
    ];
    if provider.has_groups {
        warnings.push(format!(
            "EKS makes no groups of several claims: the groups `{GROUPS_PREFIX}plan` and \
             `{GROUPS_PREFIX}apply` hold every run that the provider lets in"
        ));
    }
    Ok(Bundle {
        documents: all,
        warnings,
    })
}

fn phase_groups(phase: Option<Phase>) -> Vec<Subject> {
    let phases = phase.map_or_else(|| Phase::ALL.to_vec(), |phase| vec![phase]);
    let phases = phases.into_iter();
    phases
        .map(|phase| Subject::Group(format!("{GROUPS_PREFIX}{phase}")))
        .collect()
}

impl Provider {
    /// Requires what is one name for all runs of the scope.
    fn of(order: &Order) -> Result<Self, TrustError> {
        let scope = &order.scope;
        let has_groups = !kubernetes::is_exact(order);
        let workspace = match scope.workspaces.as_slice() {
            all if all.contains(&Part::Any) => None,
            [only] => only.exact(),
            _ if has_groups => {
                return Err(TrustError::new(
                    "--workspace",
                    "may be given once where `--organization` or `--project` is `*`: EKS requires one value \
                     of a claim",
                ));
            }
            _ => None,
        };
        let phase = match scope.phases {
            Phases::Only(phase) => Some(phase),
            Phases::Apart | Phases::Both => None,
        };
        let organization = scope.organization.exact();
        let required = [
            (
                "terraform_organization_name",
                organization.map(ToString::to_string),
            ),
            (
                "terraform_project_name",
                scope.project.exact().map(ToString::to_string),
            ),
            (
                "terraform_workspace_name",
                workspace.map(ToString::to_string),
            ),
            ("terraform_run_phase", phase.map(|phase| phase.to_string())),
        ];
        let required = required.into_iter();
        Ok(Self {
            issuer: order.issuer.as_str().to_owned(),
            audience: order.audience.as_str().to_owned(),
            required: required
                .filter_map(|(claim, value)| Some((claim, value?)))
                .collect(),
            has_groups,
        })
    }

    fn to_json(&self) -> Json {
        let mut oidc = json!({
            "identityProviderConfigName": "runmint",
            "issuerUrl": self.issuer,
            "clientId": self.audience,
            "usernameClaim": "sub",
            "usernamePrefix": PREFIX,
        });
        if self.has_groups {
            oidc["groupsClaim"] = "terraform_run_phase".into();
            oidc["groupsPrefix"] = GROUPS_PREFIX.into();
        }
        if !self.required.is_empty() {
            let required = self.required.iter();
            let required: Map<String, Json> = required
                .map(|(claim, value)| ((*claim).to_owned(), value.as_str().into()))
                .collect();
            oidc["requiredClaims"] = required.into();
        }
        oidc
    }

    fn to_terraform(&self, cluster: &str) -> Block {
        let mut oidc = Block::new("oidc")
            .with("identity_provider_config_name", "runmint")
            .with("issuer_url", self.issuer.as_str())
            .with("client_id", self.audience.as_str())
            .with("username_claim", "sub")
            .with("username_prefix", PREFIX);
        if self.has_groups {
            oidc = oidc
                .with("groups_claim", "terraform_run_phase")
                .with("groups_prefix", GROUPS_PREFIX);
        }
        if !self.required.is_empty() {
            let required = self.required.iter();
            let required = required
                .map(|(claim, value)| ((*claim).to_owned(), Value::from(value.as_str())))
                .collect();
            oidc = oidc.with("required_claims", Value::Object(required));
        }
        Block::new(r#"resource "aws_eks_identity_provider_config" "runmint""#)
            .with("cluster_name", cluster)
            .inside(oidc)
    }
}
