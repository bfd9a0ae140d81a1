//! AWS: a role's trust policy, and the IAM OIDC provider beside it.
//!
//! Evaluated as AWS STS does at `AssumeRoleWithWebIdentity`: first the provider (issuer and audience), then
//! the statements of the trust policy. The rules are those of the IAM user guide; each file names its pages.

mod change;
mod condition;
mod context;
mod evaluate;
mod pattern;
mod provider;
mod statement;
#[cfg(test)]
mod tests;
mod weakness;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use self::provider::Provider;
use self::statement::Statement;
use super::{BadPolicy, Change, Document, Presented, Verdict};

/// A role's trust policy, with its provider where that is given.
#[derive(Clone, Debug)]
pub struct Policy {
    /// As it was given, but for what is around it.
    document: Value,
    statements: Vec<Statement>,
    /// Whether its version knows policy variables.
    variables: bool,
    /// The role, from the output of `aws iam get-role`.
    role_arn: Option<String>,
    provider: Option<Provider>,
}

/// Whether a document is a trust policy, a role, or an IAM OIDC provider.
pub fn recognizes(document: &Value) -> bool {
    Provider::recognizes(document)
        || document.get("Statement").is_some()
        || role(document).is_some()
}

impl Policy {
    /// Reads a trust policy, bare or as `aws iam get-role` prints it, and optionally the provider as
    /// `aws iam get-open-id-connect-provider` prints it.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let (mut policy, mut provider): (Option<Self>, Option<Provider>) = (None, None);
        for Document { name, value } in documents {
            if Provider::recognizes(value) {
                if provider.is_some() {
                    return Err(BadPolicy::at(name, "is a second provider; give one"));
                }
                provider = Some(Provider::read(value)?);
                continue;
            }
            if policy.is_some() {
                return Err(BadPolicy::at(name, "is a second trust policy; give one"));
            }
            policy = Some(Self::read_role(value)?);
        }
        let Some(policy) = policy else {
            return Err(BadPolicy::at(
                "the provider",
                "is not enough; give the role's trust policy as well (`aws iam get-role`)",
            ));
        };
        Ok(Self { provider, ..policy })
    }

    fn read_role(value: &Value) -> Result<Self, BadPolicy> {
        let Some(role) = role(value) else {
            return Self::of(value.clone(), None, None);
        };
        let document = match role.get("AssumeRolePolicyDocument") {
            // As the API gives it: JSON, URL-encoded (RFC 3986).
            Some(Value::String(text)) => {
                let json = percent_decode_str(text).decode_utf8_lossy();
                serde_json::from_str(&json).map_err(|error| {
                    BadPolicy::at("AssumeRolePolicyDocument", format!("is no JSON: {error}"))
                })?
            }
            Some(document) => document.clone(),
            None => Value::Null,
        };
        let arn = role.get("Arn").and_then(Value::as_str);
        Self::of(document, arn.map(str::to_owned), None)
    }

    fn of(
        document: Value,
        role_arn: Option<String>,
        provider: Option<Provider>,
    ) -> Result<Self, BadPolicy> {
        let variables = match document.get("Version").map(Value::as_str) {
            Some(Some("2012-10-17")) => true,
            None | Some(Some("2008-10-17")) => false,
            Some(_) => {
                return Err(BadPolicy::at(
                    "Version",
                    "must be `2012-10-17`: it is the version of the language, not of the policy",
                ));
            }
        };
        let size = weakness::size(&document);
        if size > weakness::LARGEST_RAISED {
            let what = format!(
                "must be shorter: the policy has {size} characters, and AWS takes {} at most; use `*` \
                 for a part, or a role for each workspace",
                weakness::LARGEST_RAISED
            );
            return Err(BadPolicy::at("Statement", what));
        }
        Ok(Self {
            statements: Statement::read_all(&document)?,
            document,
            variables,
            role_arn,
            provider,
        })
    }

    /// The trust policy itself, as `aws iam update-assume-role-policy` takes it.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What it says about a token.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        Verdict {
            weaknesses: weakness::all(self),
            ..evaluate::verdict(self, presented)
        }
    }

    /// The smallest change with which it admits the token, and the policy after it.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        change::admitting(self, presented)
    }
}

/// The role in what `aws iam get-role` prints, with or without `--query Role`.
fn role(document: &Value) -> Option<&Value> {
    let role = document.get("Role").unwrap_or(document);
    role.get("AssumeRolePolicyDocument").map(|_| role)
}
