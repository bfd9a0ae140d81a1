//! What can go wrong at Vault, in words that a person can act on.

use super::call::Purpose;
use crate::runner::http;

/// Why Vault gave nothing. No message has a token in it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A variable has a value that cannot be used. It may have been set with a tag, or as
    /// `TFC_DEFAULT_…`.
    #[error("`{variable}` cannot be used: {reason}")]
    Setting {
        /// Its name without a tag; `…` stands for `RUN`, `PLAN` or `APPLY`.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
    /// It cannot be reached, after several attempts.
    #[error("Vault at {host} cannot be reached: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// Whoever answers does not prove to be it.
    #[error(
        "Vault at {host} is not trusted: {reason}; `TFC_VAULT_ENCODED_CACERT` names the CA of its \
         certificate (PEM in base64), and `TFC_VAULT_ADDR` must have a name that is in it"
    )]
    Untrusted {
        /// Scheme, host and port.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// It said no; the words are its own, and after them what usually helps.
    #[error("Vault at {host} answered {status} at `{path}`: {detail}{}", after(.hint.as_deref()))]
    Refused {
        /// Scheme, host and port.
        host: String,
        /// Of its API, without `/v1/`.
        path: String,
        /// The status code.
        status: u16,
        /// What it said.
        detail: String,
        /// What usually helps.
        hint: Option<String>,
    },
    /// It answered with something else than was asked for.
    #[error("Vault at {host} did not answer as it should at `{path}`: {reason}")]
    Answer {
        /// Scheme, host and port.
        host: String,
        /// Of its API, without `/v1/`.
        path: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl VaultError {
    /// Whether another attempt may go better: it cannot be reached, is sealed, has no active node,
    /// is overloaded, or a standby has not yet heard of the token (412).
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => is_passing(*status),
            Self::Setting { .. }
            | Self::Client(_)
            | Self::Untrusted { .. }
            | Self::Answer { .. } => false,
        }
    }
}

/// 412 is Vault's word for a node that lags behind: "required index state not present".
pub(super) fn is_passing(status: u16) -> bool {
    status == 412 || http::is_passing(status)
}

/// Whether Vault knows no such token ("Tokens", "Error responses"); older versions say "permission
/// denied" and no more, as they do about policies.
pub(super) fn is_about_no_token(detail: &str) -> bool {
    detail.contains("invalid token")
}

fn after(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("; {hint}"))
}

/// What usually helps when Vault refuses `path` in these words: those of vault-plugin-auth-jwt and
/// of its secrets engines, and of their copies in OpenBao.
pub(super) fn hint(purpose: &Purpose<'_>, path: &str, status: u16, detail: &str) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|words| detail.contains(words));
    let policy = |capability: &str| {
        format!(
            "the token's policies need `path \"{path}\" {{ capabilities = [\"{capability}\"] }}`"
        )
    };
    let hint = match (purpose, status) {
        (_, 300..400) => "`TFC_VAULT_ADDR` must be the address of Vault itself".to_owned(),
        (_, 503) if says(&["Vault is sealed"]) => "an operator must unseal it".to_owned(),
        (Purpose::Login { audience, subject }, _) => {
            return login_hint(status, &says, path, audience, subject);
        }
        (_, 403) if is_about_no_token(detail) => {
            "the Vault token has ended, or was revoked".to_owned()
        }
        (Purpose::Upkeep, 403) => policy("update"),
        (Purpose::Secret, 403) => policy("read"),
        (Purpose::Secret, 404) => format!(
            "is a secrets engine mounted there (`TFC_VAULT_BACKED_…_MOUNT_PATH`), {IN_NAMESPACE}?"
        ),
        (Purpose::Secret, _) if says(&["did not supply a role_arn"]) => {
            "Vault's role has several: set `TFC_VAULT_BACKED_AWS_…_ROLE_ARN`".to_owned()
        }
        (Purpose::Secret | Purpose::Upkeep, _) => return None,
    };
    Some(hint)
}

const IN_NAMESPACE: &str = "in the namespace of `TFC_VAULT_NAMESPACE`";

fn login_hint(
    status: u16,
    says: &impl Fn(&[&str]) -> bool,
    path: &str,
    audience: &str,
    subject: &str,
) -> Option<String> {
    let hint = if says(&["role_type is not allowed"]) {
        "the role needs `role_type` `jwt`; `oidc` is the default".to_owned()
    } else if says(&["(aud)", "aud claim", "no audiences bound"]) {
        format!("the role's `bound_audiences` must have `{audience}`")
    } else if says(&["bound claim values", "(sub)", "\" is missing"]) {
        format!(
            "the token's `sub` is `{subject}`: hold it against the role's `bound_claims` and \
             `bound_subject` (a `*` needs `bound_claims_type` `glob`)"
        )
    } else if says(&["not found in token", "could not be converted to string"]) {
        "the role's `user_claim` must be a claim of the token, as `terraform_full_workspace` is"
            .to_owned()
    } else if says(&["could not be found"]) {
        format!("`TFC_VAULT_…_ROLE` must name a role of this auth method, {IN_NAMESPACE}")
    } else if says(&["(iss)", "issuer"]) {
        "the auth method's `bound_issuer` and `oidc_discovery_url` must be the issuer, byte for byte"
            .to_owned()
    } else if says(&["(exp)", "(iat)", "(nbf)"]) {
        "compare the clocks of Vault and of the issuer".to_owned()
    } else if says(&["signature", "token validator", "fetching keys"]) {
        "Vault itself must reach the issuer's keys, and trust its certificate \
         (`oidc_discovery_ca_pem`)"
            .to_owned()
    } else if [403, 404].contains(&status)
        || says(&["no handler for route", "missing client token"])
    {
        // Vault asks for a token where no auth method is: it does not tell strangers what there is.
        let mount = path.trim_end_matches("/login");
        format!(
            "is a JWT auth method mounted at `{mount}` (`TFC_VAULT_AUTH_PATH`), {IN_NAMESPACE}, \
             and is this machine in the role's `token_bound_cidrs`?"
        )
    } else {
        return None;
    };
    Some(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Purpose<'_> = Purpose::Login {
        audience: "vault.workload.identity",
        subject: "organization:acme",
    };

    #[test]
    fn the_well_known_refusals_have_a_remedy() {
        for (purpose, status, detail, remedy) in [
            (
                LOGIN,
                400,
                r#"role "x" could not be found"#,
                "`TFC_VAULT_…_ROLE`",
            ),
            (
                LOGIN,
                400,
                "role with oidc role_type is not allowed",
                "`jwt`",
            ),
            (
                LOGIN,
                400,
                "error validating token: invalid audience (aud) claim: audience claim does not \
                 match any expected audience",
                "`vault.workload.identity`",
            ),
            (
                LOGIN,
                400,
                "audience claim found in JWT but no audiences bound to the role",
                "bound_audiences",
            ),
            (
                LOGIN,
                400,
                r#"error validating claims: claim "sub" does not match any associated bound claim values"#,
                "`organization:acme`",
            ),
            (
                LOGIN,
                400,
                r#"claim "terraform_full_workspace" not found in token"#,
                "user_claim",
            ),
            (
                LOGIN,
                400,
                "error validating token: invalid issuer (iss) claim",
                "bound_issuer",
            ),
            (
                LOGIN,
                400,
                "error validating token: invalid expiration time (exp) claim: token is expired",
                "clocks",
            ),
            (
                LOGIN,
                400,
                "error validating token: error verifying token signature: failed to verify id \
                 token signature",
                "reach",
            ),
            (LOGIN, 403, "permission denied", "`TFC_VAULT_AUTH_PATH`"),
            (LOGIN, 404, "no handler for route", "`TFC_VAULT_NAMESPACE`"),
            (LOGIN, 503, "Vault is sealed", "unseal"),
            (
                Purpose::Secret,
                403,
                "2 errors occurred: * permission denied * invalid token",
                "has ended",
            ),
            (LOGIN, 307, "it sends elsewhere", "`TFC_VAULT_ADDR`"),
            (
                Purpose::Secret,
                403,
                "permission denied",
                r#"`path "aws/sts/deploy" { capabilities = ["read"] }`"#,
            ),
            (Purpose::Secret, 404, "no handler for route", "MOUNT_PATH"),
            (
                Purpose::Secret,
                400,
                "did not supply a role_arn parameter",
                "ROLE_ARN",
            ),
            (Purpose::Upkeep, 403, "permission denied", r#"["update"]"#),
        ] {
            let path = match purpose {
                Purpose::Login { .. } => "auth/jwt/login",
                _ => "aws/sts/deploy",
            };
            let hint = hint(&purpose, path, status, detail);
            let hint = hint.unwrap_or_else(|| panic!("no remedy for {detail}"));
            assert!(hint.contains(remedy), "{detail}: {hint}");
        }
        assert_eq!(hint(&LOGIN, "auth/jwt/login", 400, "of late"), None);
        assert_eq!(
            hint(&Purpose::Secret, "aws/sts/deploy", 500, "of late"),
            None
        );
    }
}
