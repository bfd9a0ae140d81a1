//! AWS: an IAM OIDC provider, and a role whose trust policy lets the runs in.
//!
//! `StringEquals` for the audience, and for the subjects where they are exact; else `StringLike` with
//! patterns that are closed. AWS tests no other claim of an issuer, so all that matters is in the subject.

mod cloudformation;
mod policy;
mod shell;
mod terraform;

use serde_json::{Value, json};

use super::{Bundle, Document, Form, Order, Part, Phases, TrustError};
use crate::domain::phase::Phase;

/// The longest name of a role (IAM API, `CreateRole`).
const MAX_ROLE_NAME: usize = 64;

/// How many characters a role's trust policy may have, white space not counted (IAM user guide, "IAM and
/// AWS STS quotas"). AWS raises it to 4,096 when asked to.
const MAX_TRUST_POLICY: usize = 2_048;

/// How many managed policies a role may have, unless AWS has raised it (the same page).
const MAX_POLICIES: usize = 10;

/// What AWS is told besides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The account of provider and role: 12 digits.
    pub account_id: String,
    /// The partition that the account is in.
    pub partition: Partition,
    /// The role's name, up to 64 characters; made of the workspace's when left out. Where the phases are
    /// apart, `-plan` and `-apply` are added.
    pub role_name: Option<String>,
    /// The ARNs of the policies that say what the role may do; of both roles where the phases are apart.
    pub policy_arns: Vec<String>,
    /// Those of the plan's role only.
    pub plan_policy_arns: Vec<String>,
    /// Those of the apply's role only.
    pub apply_policy_arns: Vec<String>,
    /// The longest session, in seconds: 900 to 43,200.
    pub max_session_duration: u32,
    /// Whether the tokens carry session tags, which the role must allow.
    pub session_tags: bool,
    /// The SHA-1 fingerprint of the top intermediate CA of the issuer's server, 40 hexadecimal digits.
    /// AWS needs it for certificates of a private CA only.
    pub thumbprint: Option<String>,
    /// Whether the account has a provider for the issuer; there can be one only.
    pub existing_provider: bool,
}

/// A partition: a group of regions with accounts of its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Partition {
    /// All but these.
    #[default]
    Aws,
    /// China.
    AwsCn,
    /// AWS `GovCloud` (US).
    AwsUsGov,
}

/// What all forms are written from.
struct Plan<'a> {
    options: &'a Options,
    /// The issuer.
    url: &'a str,
    audience: &'a str,
    provider_arn: String,
    /// One, or one for each phase.
    roles: Vec<Role>,
}

struct Role {
    /// Nothing where both phases have the same role.
    phase: Option<Phase>,
    name: String,
    trust_policy: Value,
    policy_arns: Vec<String>,
}

impl Partition {
    /// As in an ARN.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }
}

impl Options {
    /// The least: an account.
    pub fn new(account_id: impl Into<String>) -> Self {
        Self {
            account_id: account_id.into(),
            partition: Partition::default(),
            role_name: None,
            policy_arns: Vec::new(),
            plan_policy_arns: Vec::new(),
            apply_policy_arns: Vec::new(),
            max_session_duration: 3_600,
            session_tags: false,
            thumbprint: None,
            existing_provider: false,
        }
    }

    fn check(&self, phases: Phases) -> Result<(), TrustError> {
        if self.account_id.len() != 12 || !self.account_id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TrustError::new("--account-id", "must be 12 digits"));
        }
        if !(900..=43_200).contains(&self.max_session_duration) {
            return Err(TrustError::new(
                "--max-session-duration",
                "must be 900 to 43200 seconds",
            ));
        }
        let is_hex = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if self.thumbprint.as_deref().is_some_and(|text| !is_hex(text)) {
            return Err(TrustError::new(
                "--thumbprint",
                "must be a SHA-1 fingerprint: 40 hexadecimal digits without colons",
            ));
        }
        if self.thumbprint.is_some() && self.existing_provider {
            return Err(TrustError::new(
                "--thumbprint",
                "is of no use with `--existing-provider`; change it with `aws iam \
                 update-open-id-connect-provider-thumbprint`",
            ));
        }
        for (option, arns) in [
            ("--policy-arn", &self.policy_arns),
            ("--plan-policy-arn", &self.plan_policy_arns),
            ("--apply-policy-arn", &self.apply_policy_arns),
        ] {
            if option != "--policy-arn" && !arns.is_empty() && phases != Phases::Apart {
                return Err(TrustError::new(
                    option,
                    "goes with `--split-phases`, which gives each phase a role of its own",
                ));
            }
            for arn in arns {
                self.check_policy(option, arn)?;
            }
        }
        Ok(())
    }

    fn check_policy(&self, option: &'static str, arn: &str) -> Result<(), TrustError> {
        let partition = self.partition.as_str();
        let rest = arn.strip_prefix(&format!("arn:{partition}:iam::"));
        let name = rest.and_then(|rest| rest.split_once(":policy/"));
        let is_known = name.is_some_and(|(owner, name)| {
            let is_account = owner.len() == 12 && owner.bytes().all(|b| b.is_ascii_digit());
            (owner == "aws" || is_account) && !name.is_empty() && name.bytes().all(is_name_or_slash)
        });
        if is_known {
            return Ok(());
        }
        Err(TrustError::new(
            option,
            format!(
                "must be the ARN of a managed policy, such as `arn:{partition}:iam::aws:policy/ReadOnlyAccess`"
            ),
        ))
    }

    fn policy_arns(&self, phase: Option<Phase>) -> Vec<String> {
        let own = match phase {
            Some(Phase::Plan) => self.plan_policy_arns.as_slice(),
            Some(Phase::Apply) => &self.apply_policy_arns,
            None => &[],
        };
        let mut arns: Vec<String> = Vec::new();
        for arn in self.policy_arns.iter().chain(own) {
            if !arns.contains(arn) {
                arns.push(arn.clone());
            }
        }
        arns
    }
}

/// Provider and role in all forms.
///
/// # Errors
/// [`TrustError`] names the option that AWS cannot be told.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    options.check(order.scope.phases)?;
    let plan = Plan::new(order, options)?;
    let mut warnings = order.warnings();
    warnings.extend(plan.warnings());
    let mut documents = vec![
        terraform::document(&plan),
        cloudformation::document(&plan),
        shell::document(&plan),
    ];
    documents.extend(plan.json());
    Ok(Bundle {
        documents,
        warnings,
    })
}

impl<'a> Plan<'a> {
    fn new(order: &'a Order, options: &'a Options) -> Result<Self, TrustError> {
        let url = order.issuer.as_str();
        let Some(provider) = url.strip_prefix("https://") else {
            return Err(TrustError::new(
                "--issuer",
                "must start with `https://`: AWS takes no other",
            ));
        };
        let provider_arn = format!(
            "arn:{}:iam::{}:oidc-provider/{provider}",
            options.partition.as_str(),
            options.account_id
        );
        let name = role_name(order, options)?;
        let is_apart = order.scope.phases == Phases::Apart;
        let mut roles = Vec::new();
        for (phase, patterns) in order.scope.groups() {
            let suffix = phase.filter(|_| is_apart).map(Phase::as_str);
            roles.push(Role {
                phase: phase.filter(|_| is_apart),
                name: match suffix {
                    Some(suffix) => format!("{name}-{suffix}"),
                    None => name.clone(),
                },
                trust_policy: policy::trust_policy(
                    &provider_arn,
                    provider,
                    order.audience.as_str(),
                    &patterns,
                    options.session_tags,
                ),
                policy_arns: options.policy_arns(phase.filter(|_| is_apart)),
            });
        }
        Ok(Self {
            options,
            url,
            audience: order.audience.as_str(),
            provider_arn,
            roles,
        })
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for role in &self.roles {
            let name = &role.name;
            let size = size(&role.trust_policy);
            if size > MAX_TRUST_POLICY {
                warnings.push(format!(
                    "the trust policy of `{name}` has {size} characters, and AWS takes \
                     {MAX_TRUST_POLICY} unless its quota was raised; use `*` for a part, or a role for \
                     each workspace"
                ));
            }
            if role.policy_arns.is_empty() {
                warnings.push(format!(
                    "`{name}` may do nothing yet: say with `{}` what it needs",
                    role.policy_option()
                ));
            }
            if role.policy_arns.len() > MAX_POLICIES {
                warnings.push(format!(
                    "`{name}` has {} policies, and AWS takes {MAX_POLICIES} unless its quota was raised",
                    role.policy_arns.len()
                ));
            }
            let all = role.policy_arns.iter();
            for arn in all.filter(|arn| arn.ends_with(":policy/AdministratorAccess")) {
                warnings.push(format!(
                    "`{name}` may do everything in the account (`{arn}`); name what its runs need"
                ));
            }
        }
        warnings
    }

    /// What the API takes: a trust policy for each role, and the provider.
    fn json(&self) -> Vec<Document> {
        let mut documents = Vec::new();
        if !self.options.existing_provider {
            let mut provider = json!({"Url": self.url, "ClientIDList": [self.audience]});
            if let Some(thumbprint) = &self.options.thumbprint {
                provider["ThumbprintList"] = json!([thumbprint]);
            }
            documents.push(Document {
                name: "provider.json".to_owned(),
                form: Form::Json,
                about: "for `aws iam create-open-id-connect-provider --cli-input-json \
                        file://provider.json`"
                    .to_owned(),
                text: format!("{provider:#}\n"),
            });
        }
        for role in &self.roles {
            let suffix = role.suffix("-");
            let name = format!("trust-policy{suffix}.json");
            documents.push(Document {
                form: Form::Json,
                about: format!(
                    "the trust policy of `{}`, {} of {MAX_TRUST_POLICY} characters",
                    role.name,
                    size(&role.trust_policy)
                ),
                text: format!("{:#}\n", role.trust_policy),
                name,
            });
        }
        documents
    }

    /// What a reader of one document is told in its first line.
    fn about(&self) -> &'static str {
        if self.options.existing_provider {
            "a role for a provider that is there"
        } else {
            "an IAM OIDC provider and a role"
        }
    }
}

impl Role {
    /// Nothing, or the phase behind a separator.
    fn suffix(&self, separator: &str) -> String {
        self.phase
            .map_or_else(String::new, |phase| format!("{separator}{phase}"))
    }

    /// What a reader of a document is told about it, a line each.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = vec![format!(
            "The trust policy has {} characters; AWS takes {MAX_TRUST_POLICY}.",
            size(&self.trust_policy)
        )];
        if self.policy_arns.is_empty() {
            remarks
                .push("It may do nothing yet: attach a policy with what its runs need.".to_owned());
        }
        remarks
    }

    /// What gives it permissions.
    fn policy_option(&self) -> &'static str {
        match self.phase {
            Some(Phase::Plan) => "--plan-policy-arn",
            Some(Phase::Apply) => "--apply-policy-arn",
            None => "--policy-arn",
        }
    }
}

/// The role's name, or the part of it before the phase.
fn role_name(order: &Order, options: &Options) -> Result<String, TrustError> {
    let longest = match order.scope.phases {
        Phases::Apart => MAX_ROLE_NAME - "-apply".len(),
        Phases::Both | Phases::Only(_) => MAX_ROLE_NAME,
    };
    let name = match &options.role_name {
        Some(name) => name.clone(),
        None => derived_name(order, longest)?,
    };
    if name.is_empty() || name.len() > longest {
        return Err(TrustError::new(
            "--role-name",
            format!("must be 1 to {longest} characters long, and `{name}` is not"),
        ));
    }
    if !name.bytes().all(is_name) {
        return Err(TrustError::new(
            "--role-name",
            "may hold letters, digits and `+=,.@_-`",
        ));
    }
    Ok(name)
}

/// After the narrowest thing that is exact.
fn derived_name(order: &Order, longest: usize) -> Result<String, TrustError> {
    let scope = &order.scope;
    let workspace = match scope.workspaces.as_slice() {
        [Part::Exactly(name)] => Some(("workspace", name.to_string())),
        _ => None,
    };
    let project = || Some(("project", scope.project.exact()?.to_string()));
    let organization = || Some(("organization", scope.organization.exact()?.to_string()));
    let narrowest = workspace.or_else(project).or_else(organization);
    let (kind, name) = narrowest.unwrap_or_else(|| ("scope", "runs".to_owned()));
    let name = format!("runmint-{}", name.replace(' ', "-"));
    if name.len() > longest {
        return Err(TrustError::new(
            "--role-name",
            format!(
                "must be given: the name made of the {kind} is {} characters long, and AWS takes \
                 {longest}",
                name.len()
            ),
        ));
    }
    Ok(name)
}

fn size(policy: &Value) -> usize {
    let text = policy.to_string();
    text.chars().filter(|c| !c.is_whitespace()).count()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte)
}

fn is_name_or_slash(byte: u8) -> bool {
    is_name(byte) || byte == b'/'
}

#[cfg(test)]
mod tests;
