//! What AWS knows of a request when it looks at a trust policy: the condition keys and their values.
//!
//! IAM user guide: "Available keys for AWS web identity federation", "AWS global condition context keys";
//! what those leave open was measured against AWS STS.

use serde_json::Value;

use super::super::{Part, Presented};

/// The claim with session tags.
pub(super) const TAGS: &str = "https://aws.amazon.com/tags";

/// The claim with the source identity.
pub(super) const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

/// The claim with the roles that the issuer lets a token have.
pub(super) const ROLES: &str = "https://aws.amazon.com/roles";

/// What a request has under a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// No such key; why.
    Missing(String),
    /// It cannot be said here; why.
    Unknown(String),
    /// These values; several of a multivalued key.
    Values(Vec<String>),
}

/// A request to assume a role with a web identity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) presented: &'a Presented,
    /// The role, where it is known.
    pub(super) role_arn: Option<&'a str>,
}

/// A condition key of the form `<provider>:<claim>`.
pub(super) struct ClaimKey<'a> {
    pub(super) provider: &'a str,
    /// In lower case.
    pub(super) claim: String,
}

impl<'a> Request<'a> {
    /// The issuer as AWS names its provider: without `https://`.
    ///
    /// # Errors
    /// Why there can be no provider for it.
    pub(super) fn provider(&self) -> Result<&'a str, String> {
        let issuer = self.presented.text("iss");
        let issuer = issuer.ok_or_else(|| "the token has no `iss`".to_owned())?;
        issuer
            .strip_prefix("https://")
            .ok_or_else(|| format!("AWS takes issuers with `https://` only, not `{issuer}`"))
    }

    /// For whom the token is, as AWS sees it: `azp` where the token has one, else `aud`.
    ///
    /// # Errors
    /// Why AWS takes no such token.
    pub(super) fn audience(&self) -> Result<&'a str, String> {
        if let Some(party) = self.presented.text("azp") {
            return Ok(party);
        }
        match self.presented.texts("aud").as_slice() {
            [] => Err("the token has no `aud`".to_owned()),
            [audience] => Ok(audience),
            _ => Err("the token has several audiences and no `azp`, which AWS refuses".to_owned()),
        }
    }

    /// Whose the token is; AWS takes a number for its text.
    pub(super) fn subject(&self) -> Option<String> {
        match self.presented.claims.get("sub")? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// What must be allowed: assuming the role, and what the token asks for besides.
    pub(super) fn actions(&self) -> Vec<&'static str> {
        let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
        let has = |claim| {
            self.presented
                .claims
                .get(claim)
                .is_some_and(|v| !v.is_null())
        };
        if has(TAGS) {
            actions.push("sts:TagSession");
        }
        if has(SOURCE_IDENTITY) {
            actions.push("sts:SetSourceIdentity");
        }
        actions
    }

    /// What the request has under a key; `provider_arn` is the provider that the statement names for the
    /// token's issuer.
    pub(super) fn find(&self, key: &str, provider_arn: Option<&str>) -> Found {
        match key.to_ascii_lowercase().as_str() {
            "aws:principalaccount" => match provider_arn.and_then(|arn| arn.split(':').nth(4)) {
                Some(account) => one(account),
                None => unknown("the provider's account is not known"),
            },
            "aws:principalarn" => missing("a token has no `aws:PrincipalArn`"),
            "aws:principaltype" => one("User"),
            "aws:userid" => match provider_arn {
                Some(arn) => one(arn),
                None => unknown("the provider's ARN is not known"),
            },
            "aws:tagkeys" => Found::Values(self.tags().into_iter().map(|(key, _)| key).collect()),
            "sts:roleauthorizedbyidp" => match self.names_role() {
                Some(names) => one(if names { "true" } else { "false" }),
                None => unknown(
                    "the token names roles, and which role is asked for is not known; give the \
                     output of `aws iam get-role`",
                ),
            },
            "sts:rolesessionname" => unknown("the caller chooses the session's name"),
            "sts:sourceidentity" => match self.presented.text(SOURCE_IDENTITY) {
                Some(identity) => one(identity),
                None => missing("the token has no source identity"),
            },
            "sts:transitivetagkeys" => Found::Values(self.transitive_tags()),
            lower => {
                if let Some(name) = lower.strip_prefix("aws:requesttag/") {
                    let mut tags = self.tags().into_iter();
                    let tag = tags.find(|(key, _)| key.to_ascii_lowercase() == name);
                    return match tag {
                        Some((_, value)) => one(&value),
                        None => missing("the token has no such session tag"),
                    };
                }
                if lower.starts_with("aws:") || lower.starts_with("sts:") {
                    return unknown(
                        "AWS gives this key its value at the call; a token does not say it",
                    );
                }
                self.find_claim(&ClaimKey::parse(key))
            }
        }
    }

    fn find_claim(&self, key: &ClaimKey) -> Found {
        let provider = match self.provider() {
            Ok(provider) => provider,
            Err(why) => return Found::Missing(why),
        };
        if !key.provider.eq_ignore_ascii_case(provider) {
            return Found::Missing(why_no_key(key, provider));
        }
        let texts = |claim| match self.presented.texts(claim).as_slice() {
            [] => missing(format!("the token has no `{claim}`")),
            texts => Found::Values(texts.iter().map(|text| (*text).to_owned()).collect()),
        };
        let has_party = self.presented.text("azp").is_some();
        match key.claim.as_str() {
            "aud" if has_party => texts("azp"),
            "oaud" if has_party => texts("aud"),
            "sub" => match self.subject() {
                Some(subject) => one(&subject),
                None => missing("the token has no `sub`"),
            },
            "oaud" => unknown("`oaud` is documented for tokens with `azp` only"),
            claim @ ("amr" | "aud" | "azp") => texts(claim),
            "email" if self.presented.text("email").is_some() => {
                unknown("AWS reads `email` from some issuers only")
            }
            claim => missing(format!(
                "AWS reads `aud`, `sub`, `amr` and `azp` of an issuer, and no other claim: \
                 `{claim}` is never there"
            )),
        }
    }

    /// Whether the token's own list of roles, if it has one, names the role; nothing if it has one and
    /// the role is not known.
    pub(super) fn names_role(&self) -> Option<bool> {
        let roles: Vec<&str> = match self.presented.claims.get(ROLES) {
            None | Some(Value::Null) => return Some(false),
            Some(Value::String(text)) => text.split(';').map(str::trim).collect(),
            Some(_) => self.presented.texts(ROLES),
        };
        let role = self.role_arn?;
        Some(roles.iter().any(|named| named.trim() == role))
    }

    fn tags(&self) -> Vec<(String, String)> {
        let tags = self.presented.claims.get(TAGS);
        let tags = tags.and_then(|tags| tags.get("principal_tags"));
        let tags = tags.and_then(Value::as_object).into_iter().flatten();
        tags.filter_map(|(key, value)| {
            // One value each, in a list.
            let value = value.as_str().or_else(|| value.get(0)?.as_str())?;
            Some((key.clone(), value.to_owned()))
        })
        .collect()
    }

    fn transitive_tags(&self) -> Vec<String> {
        let tags = self.presented.claims.get(TAGS);
        let keys = tags.and_then(|tags| tags.get("transitive_tag_keys"));
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        keys.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

impl<'a> ClaimKey<'a> {
    pub(super) fn parse(key: &'a str) -> Self {
        let (provider, claim) = key.rsplit_once(':').unwrap_or(("", key));
        Self {
            provider,
            claim: claim.to_ascii_lowercase(),
        }
    }

    /// Whether it is about a claim of this provider.
    pub(super) fn is(&self, provider: &str, claim: &str) -> bool {
        self.claim == claim && self.provider.eq_ignore_ascii_case(provider)
    }
}

/// What a condition with this key is about.
pub(super) fn part(key: &str) -> Part {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with("aws:") || lower.starts_with("sts:") {
        return Part::Claim(key.to_owned());
    }
    let key = ClaimKey::parse(key);
    match key.claim.as_str() {
        "aud" => Part::Audience,
        "sub" => Part::Subject,
        _ => Part::Claim(key.claim),
    }
}

/// Why a key of another provider is not there.
fn why_no_key(key: &ClaimKey, provider: &str) -> String {
    let claim = &key.claim;
    let named = key.provider;
    let meant = format!("write `{provider}:{claim}`");
    if named.starts_with("https://") {
        return format!("keys have no `https://`; {meant}");
    }
    if named.trim_end_matches('/').eq_ignore_ascii_case(provider) {
        return format!("the key has a slash at the end that the issuer has not; {meant}");
    }
    if provider.trim_end_matches('/').eq_ignore_ascii_case(named) {
        return format!("the issuer has a slash at the end, and the key has not; {meant}");
    }
    let host = provider.split('/').next();
    if host.is_some_and(|host| named.eq_ignore_ascii_case(host)) {
        return format!("the issuer has a path, and the key has its host only; {meant}");
    }
    format!("the key is of another issuer, `{named}`; for this token's {meant}")
}

fn one(value: &str) -> Found {
    Found::Values(vec![value.to_owned()])
}

fn missing(why: impl Into<String>) -> Found {
    Found::Missing(why.into())
}

fn unknown(why: &str) -> Found {
    Found::Unknown(why.to_owned())
}
