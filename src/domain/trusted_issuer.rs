//! Trusted issuers: whose tokens are accepted from workloads, and what runmint makes of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;
use super::grant::Grant;
use super::name::Name;
use super::time::Timestamp;

/// An OIDC issuer (a Kubernetes cluster, GitHub, GitLab, another runmint) whose tokens are accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedIssuer {
    /// What operators and the audit log call it.
    pub name: Name,
    /// What is trusted, and what it is mapped to.
    pub definition: Definition,
    /// Grows with every change of any trusted issuer.
    pub revision: i64,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What an operator says about an issuer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "issuer": "https://token.actions.githubusercontent.com",
    "audiences": ["https://ci.example.com"],
    "rules": [{
        "name": "runners",
        "conditions": [{"expression": "claims.repository_owner == 'acme'"}],
        "workload": {
            "organization": "'acme'",
            "project": "'Default Project'",
            "workspace": "claims.repository.split('/')[1]",
            "run_phase": "claims.ref == 'refs/heads/main' ? 'apply' : 'plan'"
        },
        "grants": [{"organization": "acme", "audiences": ["aws.workload.identity"]}]
    }]
}))]
pub struct Definition {
    /// The `iss` of its tokens, byte for byte.
    #[schema(
        example = "https://token.actions.githubusercontent.com",
        max_length = 512,
        pattern = "^https?://"
    )]
    pub issuer: String,
    /// The whole URL of its discovery document, where that is not under `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, pattern = "^https?://")]
    pub discovery_url: Option<String>,
    /// Its key set (RFC 7517), where it cannot be reached. Nothing is fetched then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<serde_json::Value>,
    /// Certificates in PEM that its TLS certificate is checked against, in place of public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
    /// Whether it may be at a private address, and without TLS.
    #[serde(default)]
    pub private_network: bool,
    /// What a token's `aud` must name one of.
    #[schema(example = json!(["https://ci.example.com"]), min_items = 1, max_items = 16)]
    pub audiences: Vec<String>,
    /// The algorithms that its tokens may be signed with; `RS256` and `ES256` when left out.
    #[serde(default = "default_algorithms")]
    #[schema(min_items = 1)]
    pub algorithms: Vec<TokenAlgorithm>,
    /// How old a token may be, in seconds since its `iat`; a day when left out.
    #[serde(default = "default_max_age")]
    #[schema(minimum = 60, maximum = 86400)]
    pub max_token_age: i64,
    /// What its tokens are mapped to. The first rule whose conditions all hold is taken.
    #[schema(min_items = 1, max_items = 64)]
    pub rules: Vec<Rule>,
}

/// An asymmetric algorithm of a foreign token (RFC 7518 section 3.1, RFC 8037). `none` and the
/// symmetric ones are not among them, so they cannot be allowed by mistake.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub enum TokenAlgorithm {
    /// RSASSA-PKCS1-v1_5, SHA-256
    RS256,
    /// RSASSA-PKCS1-v1_5, SHA-384
    RS384,
    /// RSASSA-PKCS1-v1_5, SHA-512
    RS512,
    /// RSASSA-PSS, SHA-256
    PS256,
    /// RSASSA-PSS, SHA-384
    PS384,
    /// RSASSA-PSS, SHA-512
    PS512,
    /// ECDSA, P-256
    ES256,
    /// ECDSA, P-384
    ES384,
    /// Ed25519
    EdDSA,
}

/// Who a token stands for, if its claims fulfil the conditions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the audit log calls it.
    #[schema(
        example = "runners",
        min_length = 1,
        max_length = 90,
        pattern = "^[A-Za-z0-9_-]+$"
    )]
    pub name: String,
    /// CEL over `claims`, each of them true or false; all must be true.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub conditions: Vec<Condition>,
    /// The workload that the token is exchanged for. Either this or `client`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadMapping>,
    /// CEL that gives the name of the client that the token authenticates. Either this or `workload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "'atlantis'", min_length = 1, max_length = 2048)]
    pub client: Option<String>,
    /// What the workload may ask for, as with clients; a mapping that goes astray ends here. A
    /// client has grants of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
}

/// A condition over a token's claims.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// CEL that gives true or false.
    #[schema(
        example = "claims.repository_owner == 'acme'",
        min_length = 1,
        max_length = 2048
    )]
    pub expression: String,
    /// What the audit log says when it is false; the expression itself when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub message: Option<String>,
}

/// CEL expressions, each of which gives a text: a name, or an id.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadMapping {
    /// The organization.
    #[schema(example = "'acme'")]
    pub organization: String,
    /// The project.
    #[schema(example = "'Default Project'")]
    pub project: String,
    /// The workspace.
    #[schema(example = "claims.repository.split('/')[1]")]
    pub workspace: String,
    /// `plan` or `apply`.
    #[schema(example = "claims.ref == 'refs/heads/main' ? 'apply' : 'plan'")]
    pub run_phase: String,
    /// For `terraform_run_id`; made when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "'run-' + claims.run_id")]
    pub run_id: Option<String>,
    /// For `terraform_organization_id`; derived from the name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// For `terraform_project_id`; derived from the names when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// For `terraform_workspace_id`; derived from the names when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
}

/// The longest that a foreign token may live on: what was taken is remembered for as long.
pub const LONGEST_TOKEN_AGE: i64 = 24 * 3_600;

const MAX_RULES: usize = 64;
const MAX_CONDITIONS: usize = 32;
const MAX_AUDIENCES: usize = 16;
const MAX_URL: usize = 512;
const MAX_MESSAGE: usize = 200;

fn default_algorithms() -> Vec<TokenAlgorithm> {
    vec![TokenAlgorithm::RS256, TokenAlgorithm::ES256]
}

fn default_max_age() -> i64 {
    LONGEST_TOKEN_AGE
}

impl TokenAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// Its name in a token's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm that a token's header names.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl Definition {
    /// Refuses what cannot work or says something else than it seems to. The CEL in it is looked at
    /// elsewhere (`auth::mapping`).
    ///
    /// # Errors
    /// Names the field, e.g. `rules[1].grants[0].audiences`.
    pub fn check(&self) -> Result<(), InvalidField> {
        let refuse = |field: &str, rule: &str| Err(InvalidField::new(field, rule));
        self.check_url("issuer", &self.issuer)?;
        if let Some(url) = &self.discovery_url {
            self.check_url("discovery_url", url)?;
            if self.jwks.is_some() {
                return refuse("discovery_url", "and `jwks` are both given; keep one");
            }
        }
        if self.ca_certificates.is_some() && self.jwks.is_some() {
            return refuse(
                "ca_certificates",
                "serves nothing beside `jwks`, since nothing is fetched; leave it out",
            );
        }
        if self.audiences.is_empty() || self.audiences.len() > MAX_AUDIENCES {
            return refuse(
                "audiences",
                "must name from 1 to 16 audiences: a token that was meant for somebody else is none for us",
            );
        }
        for (index, audience) in self.audiences.iter().enumerate() {
            if audience.is_empty() || audience.len() > MAX_URL {
                return refuse(
                    &format!("audiences[{index}]"),
                    "must have 1 to 512 bytes, and is compared byte for byte",
                );
            }
        }
        if self.algorithms.is_empty() {
            return refuse("algorithms", "is empty; leave it out for RS256 and ES256");
        }
        if !(60..=LONGEST_TOKEN_AGE).contains(&self.max_token_age) {
            return refuse("max_token_age", "must be from 60 to 86400 seconds");
        }
        if self.rules.is_empty() || self.rules.len() > MAX_RULES {
            return refuse("rules", "must hold from 1 to 64 rules");
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|InvalidField { field, rule }| {
                InvalidField::new(format!("rules[{index}].{field}"), rule)
            })?;
            if rule.conditions.is_empty() && self.jwks.is_none() {
                return refuse(
                    &format!("rules[{index}].conditions"),
                    "is empty, so whoever has a token of this issuer would be let in; say whose \
                     tokens are meant, or write `true` if it is all of them",
                );
            }
            let same = |other: &Rule| other.name == rule.name;
            if self.rules.iter().take(index).any(same) {
                return refuse(
                    &format!("rules[{index}].name"),
                    "is the name of another rule; the audit log tells rules by their names",
                );
            }
        }
        Ok(())
    }

    fn check_url(&self, field: &str, url: &str) -> Result<(), InvalidField> {
        let refuse = |rule: &str| Err(InvalidField::new(field, rule));
        let Some(rest) = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
        else {
            return refuse("must start with `https://`");
        };
        if url.starts_with("http://") && !self.private_network {
            return refuse(
                "must start with `https://`; `http://` is for trials, with `private_network`",
            );
        }
        if url.len() > MAX_URL || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("must be at most 512 ASCII characters without spaces");
        }
        if url.contains(['?', '#', '@', '\\']) || rest.is_empty() || rest.starts_with('/') {
            return refuse("must be a URL with a host, and without user, query or fragment");
        }
        Ok(())
    }
}

impl Rule {
    fn check(&self) -> Result<(), InvalidField> {
        Name::parse("name", &self.name)?;
        if self.conditions.len() > MAX_CONDITIONS {
            return Err(InvalidField::new(
                "conditions",
                "must hold at most 32 conditions",
            ));
        }
        for (index, condition) in self.conditions.iter().enumerate() {
            let too_long = |message: &String| message.len() > MAX_MESSAGE;
            if condition.message.as_ref().is_some_and(too_long) {
                return Err(InvalidField::new(
                    format!("conditions[{index}].message"),
                    "must have at most 200 bytes",
                ));
            }
        }
        match (&self.workload, &self.client) {
            (Some(_), None) if self.grants.is_empty() => {
                return Err(InvalidField::new(
                    "grants",
                    "is empty, so the workload could ask for nothing; say what it may ask for",
                ));
            }
            (Some(_), None) => {}
            (None, Some(_)) if self.grants.is_empty() => {}
            (None, Some(_)) => {
                return Err(InvalidField::new(
                    "grants",
                    "are the client's own; leave them out here (`runmint clients update`)",
                ));
            }
            (None, None) => {
                return Err(InvalidField::new(
                    "workload",
                    "is missing; a rule maps a token to a `workload` or to a `client`",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(InvalidField::new(
                    "client",
                    "and `workload` are both given; keep one",
                ));
            }
        }
        self.grants
            .iter()
            .enumerate()
            .try_for_each(|(index, grant)| grant.check(index))
    }
}
