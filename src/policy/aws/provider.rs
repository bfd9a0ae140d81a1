//! What STS looks at before any policy: the token itself, and the IAM OIDC provider of its issuer.
//!
//! IAM user guide: "Create an OpenID Connect (OIDC) identity provider in IAM"; several audiences, a
//! missing subject and the list of roles were measured against AWS STS. STS refuses a token without `iat`
//! or `exp` as well: times are no matter of a policy, and `runmint doctor token` looks at them.

use serde_json::Value;

use super::super::BadPolicy;
use super::super::verdict::{Check, Part};
use super::context::{self, Request};
use super::pattern::{common_start, difference};

/// An IAM OIDC provider.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    /// Without `https://`, as `aws iam get-open-id-connect-provider` prints it.
    pub(super) url: String,
    pub(super) client_ids: Vec<String>,
}

impl Provider {
    /// As `aws iam get-open-id-connect-provider` prints it.
    pub(super) fn read(value: &Value) -> Result<Self, BadPolicy> {
        let Some(url) = value.get("Url").and_then(Value::as_str) else {
            return Err(BadPolicy::at("Url", "must be the issuer's URL"));
        };
        let ids = value.get("ClientIDList").and_then(Value::as_array);
        let ids = ids.map(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)));
        let Some(client_ids) = ids.and_then(Iterator::collect) else {
            return Err(BadPolicy::at("ClientIDList", "must be a list of audiences"));
        };
        Ok(Self {
            url: url.strip_prefix("https://").unwrap_or(url).to_owned(),
            client_ids,
        })
    }

    /// Whether a document is one.
    pub(super) fn recognizes(document: &Value) -> bool {
        document.get("Url").is_some() && document.get("ClientIDList").is_some()
    }

    /// Whether it is the issuer's, and knows the audience.
    pub(super) fn checks(&self, request: &Request) -> Vec<Check> {
        let issuer = match request.provider() {
            Ok(provider) => Check::new(
                "Url",
                Part::Issuer,
                "equals",
                self.url == provider,
                format!(
                    "the provider is for another issuer: {}",
                    difference(&self.url, provider, false)
                ),
            )
            .finding([provider]),
            Err(why) => Check::new("Url", Part::Issuer, "equals", false, why)
                .finding(request.presented.text("iss")),
        };
        let mut checks = vec![issuer.wanting([&self.url])];
        if let Ok(audience) = request.audience() {
            let ids = &self.client_ids;
            let nearest = ids.iter().max_by_key(|id| common_start(id, audience));
            let why = match nearest {
                Some(id) => format!(
                    "the provider does not know the token's audience: {}",
                    difference(id, audience, false)
                ),
                None => "the provider knows no audience at all".to_owned(),
            };
            let is_known = ids.iter().any(|id| id == audience);
            checks.push(
                Check::new("ClientIDList", Part::Audience, "contains", is_known, why)
                    .wanting(ids)
                    .finding([audience]),
            );
        }
        checks
    }
}

/// What STS refuses before it looks at a policy.
pub(super) fn token_checks(request: &Request) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(why) = request.audience() {
        let found = request.presented.texts("aud");
        let check = Check::new("aud", Part::Audience, "one", false, why);
        checks.push(check.finding(found));
    }
    let subject = request.presented.claims.get("sub");
    match subject.filter(|subject| !subject.is_null()) {
        None => checks.push(Check::new(
            "sub",
            Part::Subject,
            "one",
            false,
            "the token has no `sub`, and AWS refuses it whatever the policy says",
        )),
        Some(_) if request.subject().is_none() => checks.push(Check::unknown(
            "sub",
            Part::Subject,
            "one",
            "the token's `sub` is neither a text nor a number; what AWS makes of it is not documented",
        )),
        Some(_) => {}
    }
    if request
        .presented
        .claims
        .get(context::ROLES)
        .is_some_and(|roles| !roles.is_null())
    {
        let part = || Part::Claim(context::ROLES.to_owned());
        let check = match request.names_role() {
            Some(names) => Check::new(
                context::ROLES,
                part(),
                "contains",
                names,
                "the token names the roles it may have, and this one is not among them",
            ),
            None => Check::unknown(
                context::ROLES,
                part(),
                "contains",
                "the token names the roles it may have, and which role is asked for is not known; \
                 give the output of `aws iam get-role`",
            ),
        };
        checks.push(
            check
                .wanting(request.role_arn)
                .finding(request.presented.texts(context::ROLES)),
        );
    }
    checks
}
