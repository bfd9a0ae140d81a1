//! `AuthenticationConfiguration`: read, and held against the rules by which the API server refuses one
//! (apiserver's `ValidateAuthenticationConfiguration`, Kubernetes 1.34).

use serde_json::Value;
use url::Url;

use super::super::BadPolicy;
use super::fields::Fields;
use super::formula::Formula;
use super::scan;
use crate::expression::Wanted;

/// The API server takes at most so many entries.
const MOST_ENTRIES: usize = 64;

/// Who is let in.
#[derive(Clone, Debug, Default)]
pub(super) struct Configuration {
    pub(super) jwt: Vec<Authenticator>,
}

/// One issuer, and what its tokens become.
#[derive(Clone, Debug)]
pub(super) struct Authenticator {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) rules: Vec<ClaimRule>,
    pub(super) username: Mapping,
    pub(super) groups: Option<Mapping>,
    pub(super) uid: Option<Mapping>,
    pub(super) extra: Vec<Extra>,
    pub(super) user_rules: Vec<Condition>,
}

/// What claims must be.
#[derive(Clone, Debug)]
pub(super) enum ClaimRule {
    /// A text, equal to this one.
    Equals { claim: String, value: String },
    /// An expression that must be true.
    Holds(Condition),
}

/// An expression that must be true, and what the log says if it is not.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) expression: Formula,
    pub(super) message: String,
}

/// Where a name comes from.
#[derive(Clone, Debug)]
pub(super) enum Mapping {
    /// From a claim, with this before it.
    Claim { claim: String, prefix: String },
    /// From an expression.
    Expression(Formula),
}

/// What else is known of a user.
#[derive(Clone, Debug)]
pub(super) struct Extra {
    pub(super) key: String,
    pub(super) expression: Formula,
}

impl Configuration {
    /// Reads a document.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place at which the API server would refuse it.
    pub(super) fn read(document: &Value) -> Result<Self, BadPolicy> {
        let fields = Fields::of("", document)?.only(&["apiVersion", "kind", "jwt", "anonymous"])?;
        let version = fields.required("apiVersion")?;
        let versions = ["v1", "v1beta1", "v1alpha1"];
        if !versions.contains(&version.trim_start_matches("apiserver.config.k8s.io/")) {
            return Err(BadPolicy::at(
                "apiVersion",
                "must be `apiserver.config.k8s.io/v1` (Kubernetes 1.34 and later), `…/v1beta1` or \
                 `…/v1alpha1`",
            ));
        }
        let entries = fields.list("jwt")?;
        if entries.len() > MOST_ENTRIES {
            return Err(BadPolicy::at("jwt", "may have 64 entries at most"));
        }
        let mut issuers = Vec::new();
        let mut discovery_urls = Vec::new();
        let mut jwt = Vec::new();
        for entry in entries {
            let entry = entry.only(&[
                "issuer",
                "claimValidationRules",
                "claimMappings",
                "userValidationRules",
            ])?;
            let (authenticator, discovery_url) = Authenticator::read(&entry)?;
            unique(&mut issuers, &authenticator.issuer, || {
                entry.place("issuer.url")
            })?;
            if let Some(url) = discovery_url {
                unique(&mut discovery_urls, &url, || {
                    entry.place("issuer.discoveryURL")
                })?;
            }
            jwt.push(authenticator);
        }
        Ok(Self { jwt })
    }
}

impl Authenticator {
    fn read(entry: &Fields<'_>) -> Result<(Self, Option<String>), BadPolicy> {
        let missing = |name: &str| BadPolicy::at(entry.place(name), "is required");
        let issuer = entry.object("issuer")?.ok_or_else(|| missing("issuer"))?;
        let issuer = issuer.only(&[
            "url",
            "discoveryURL",
            "certificateAuthority",
            "audiences",
            "audienceMatchPolicy",
            "egressSelectorType",
        ])?;
        let url = issuer.required("url")?;
        check_url(&url, || issuer.place("url"))?;
        let discovery_url = issuer.some_text("discoveryURL")?;
        if let Some(discovery_url) = &discovery_url {
            let place = || issuer.place("discoveryURL");
            check_url(discovery_url, place)?;
            if discovery_url.trim_end_matches('/') == url.trim_end_matches('/') {
                return Err(BadPolicy::at(
                    place(),
                    "must differ from `url`; it is the whole URL of the discovery document, and is left \
                     out where that is below the issuer",
                ));
            }
        }
        issuer.some_text("certificateAuthority")?;
        issuer.some_text("egressSelectorType")?;
        let audiences = read_audiences(&issuer)?;
        let mappings = entry.object("claimMappings")?;
        let mappings = mappings.ok_or_else(|| missing("claimMappings.username"))?;
        let mappings = mappings.only(&["username", "groups", "uid", "extra"])?;
        let username = Mapping::read(&mappings, "username", Wanted::Text)?
            .ok_or_else(|| missing("claimMappings.username"))?;
        let read = Self {
            issuer: url,
            audiences,
            rules: read_rules(entry)?,
            username,
            groups: Mapping::read(&mappings, "groups", Wanted::Texts)?,
            uid: Mapping::read_uid(&mappings)?,
            extra: read_extra(&mappings)?,
            user_rules: read_user_rules(entry)?,
        };
        read.check_email(&mappings)?;
        Ok((read, discovery_url))
    }

    /// An address that nobody has verified is anybody's.
    fn check_email(&self, mappings: &Fields<'_>) -> Result<(), BadPolicy> {
        let Mapping::Expression(username) = &self.username else {
            return Ok(());
        };
        let names = |expression: &str, claim: &str| {
            scan::claims_named(expression)
                .iter()
                .any(|name| name == claim)
        };
        let rules = self.rules.iter().filter_map(|rule| match rule {
            ClaimRule::Holds(condition) => Some(condition.expression.text()),
            ClaimRule::Equals { .. } => None,
        });
        let extra = self.extra.iter().map(|extra| extra.expression.text());
        let mut looked_at = std::iter::once(username.text()).chain(rules).chain(extra);
        if names(username.text(), "email") && !looked_at.any(|text| names(text, "email_verified")) {
            return Err(BadPolicy::at(
                mappings.place("username.expression"),
                "reads `claims.email`, so that `claims.email_verified` must be read as well, here, in \
                 `extra` or in an expression of `claimValidationRules`",
            ));
        }
        Ok(())
    }
}

impl Mapping {
    fn read(mappings: &Fields<'_>, name: &str, wanted: Wanted) -> Result<Option<Self>, BadPolicy> {
        let Some(fields) = mappings.object(name)? else {
            return Ok(None);
        };
        let fields = fields.only(&["claim", "prefix", "expression"])?;
        let prefix = fields.text("prefix")?;
        match (fields.some_text("claim")?, fields.some_text("expression")?) {
            (None, None) => Err(BadPolicy::at(
                mappings.place(name),
                "needs `claim` and `prefix`, or `expression`",
            )),
            (Some(_), Some(_)) => Err(both(mappings.place(name))),
            (None, Some(_)) if prefix.is_some() => Err(BadPolicy::at(
                fields.place("prefix"),
                "goes with `claim` only; write it into the expression",
            )),
            (None, Some(text)) => Ok(Some(Self::Expression(Formula::new(text, wanted)))),
            (Some(claim), None) => match prefix {
                Some(prefix) => Ok(Some(Self::Claim { claim, prefix })),
                None => Err(BadPolicy::at(
                    fields.place("prefix"),
                    "is required where `claim` is set; `\"\"` for none",
                )),
            },
        }
    }

    fn read_uid(mappings: &Fields<'_>) -> Result<Option<Self>, BadPolicy> {
        let Some(fields) = mappings.object("uid")? else {
            return Ok(None);
        };
        let fields = fields.only(&["claim", "expression"])?;
        match (fields.some_text("claim")?, fields.some_text("expression")?) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(both(mappings.place("uid"))),
            (None, Some(text)) => Ok(Some(Self::Expression(Formula::new(text, Wanted::Text)))),
            (Some(claim), None) => Ok(Some(Self::Claim {
                claim,
                prefix: String::new(),
            })),
        }
    }
}

fn both(place: String) -> BadPolicy {
    BadPolicy::at(
        place,
        "may have `claim` or `expression`, not both; remove one",
    )
}

fn read_audiences(issuer: &Fields<'_>) -> Result<Vec<String>, BadPolicy> {
    let audiences = issuer.texts("audiences")?;
    if audiences.is_empty() {
        return Err(BadPolicy::at(
            issuer.place("audiences"),
            "needs one audience at least",
        ));
    }
    let mut seen = Vec::new();
    for (index, audience) in audiences.iter().enumerate() {
        let place = || format!("{}[{index}]", issuer.place("audiences"));
        if audience.is_empty() {
            return Err(BadPolicy::at(place(), "may not be empty"));
        }
        unique(&mut seen, audience, place)?;
    }
    let policy = issuer.some_text("audienceMatchPolicy")?;
    match policy.as_deref() {
        Some("MatchAny") => Ok(audiences),
        None if audiences.len() == 1 => Ok(audiences),
        _ => Err(BadPolicy::at(
            issuer.place("audienceMatchPolicy"),
            "must be `MatchAny` where there are several audiences, and that or nothing for one",
        )),
    }
}

fn read_rules(entry: &Fields<'_>) -> Result<Vec<ClaimRule>, BadPolicy> {
    let mut claims = Vec::new();
    let mut expressions = Vec::new();
    let rules = entry.list("claimValidationRules")?.into_iter();
    let rules = rules.map(|rule| {
        let rule = rule.only(&["claim", "requiredValue", "expression", "message"])?;
        let value = rule.text("requiredValue")?.unwrap_or_default();
        let message = rule.text("message")?.unwrap_or_default();
        match (rule.some_text("claim")?, rule.some_text("expression")?) {
            (None, None) => Err(BadPolicy::at(
                rule.place("claim"),
                "or `expression` is required",
            )),
            (Some(_), Some(_)) => Err(both(rule.place("claim"))),
            (Some(_), None) if !message.is_empty() => Err(BadPolicy::at(
                rule.place("message"),
                "goes with `expression` only; remove it",
            )),
            (None, Some(_)) if !value.is_empty() => Err(BadPolicy::at(
                rule.place("requiredValue"),
                "goes with `claim` only; remove it",
            )),
            (Some(claim), None) => {
                unique(&mut claims, &claim, || rule.place("claim"))?;
                Ok(ClaimRule::Equals { claim, value })
            }
            (None, Some(expression)) => {
                unique(&mut expressions, &expression, || rule.place("expression"))?;
                Ok(ClaimRule::Holds(Condition {
                    expression: Formula::new(expression, Wanted::Bool),
                    message,
                }))
            }
        }
    });
    rules.collect()
}

fn read_user_rules(entry: &Fields<'_>) -> Result<Vec<Condition>, BadPolicy> {
    let mut expressions = Vec::new();
    let rules = entry.list("userValidationRules")?.into_iter();
    let rules = rules.map(|rule| {
        let rule = rule.only(&["expression", "message"])?;
        let expression = rule.required("expression")?;
        unique(&mut expressions, &expression, || rule.place("expression"))?;
        Ok(Condition {
            expression: Formula::new(expression, Wanted::Bool),
            message: rule.text("message")?.unwrap_or_default(),
        })
    });
    rules.collect()
}

fn read_extra(mappings: &Fields<'_>) -> Result<Vec<Extra>, BadPolicy> {
    let mut keys = Vec::new();
    let extra = mappings.list("extra")?.into_iter();
    let extra = extra.map(|extra| {
        let extra = extra.only(&["key", "valueExpression"])?;
        let key = extra.required("key")?;
        let refuse = |what: &str| Err(BadPolicy::at(extra.place("key"), what));
        let domain = match key.split_once('/') {
            Some((domain, path)) if !domain.is_empty() && !path.is_empty() => domain,
            _ => return refuse("must begin with a domain, e.g. `ci.example.com/run`"),
        };
        if key.chars().any(|c| c.is_ascii_uppercase()) {
            return refuse("must be in lower case");
        }
        let is_reserved = |own: &str| domain == own || domain.ends_with(&format!(".{own}"));
        if is_reserved("k8s.io") || is_reserved("kubernetes.io") {
            return refuse(
                "may not be below `k8s.io` or `kubernetes.io`, which are Kubernetes' own",
            );
        }
        unique(&mut keys, &key, || extra.place("key"))?;
        let expression = Formula::new(extra.required("valueExpression")?, Wanted::Texts);
        Ok(Extra { key, expression })
    });
    extra.collect()
}

fn unique(
    seen: &mut Vec<String>,
    value: &str,
    place: impl FnOnce() -> String,
) -> Result<(), BadPolicy> {
    if seen.iter().any(|other| other == value) {
        return Err(BadPolicy::at(
            place(),
            format!("is `{value}`, which stands there already; remove one"),
        ));
    }
    seen.push(value.to_owned());
    Ok(())
}

/// What the API server asks of both URLs.
pub(in crate::policy) fn check_url(
    url: &str,
    place: impl FnOnce() -> String,
) -> Result<(), BadPolicy> {
    let parsed = Url::parse(url);
    let wrong = match &parsed {
        Err(_) => "must be a URL",
        Ok(parsed) if parsed.scheme() != "https" => "must begin with `https://`",
        Ok(parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            "may not hold a user name or a password"
        }
        Ok(parsed) if parsed.query().is_some_and(|query| !query.is_empty()) => {
            "may not have a query"
        }
        Ok(parsed)
            if parsed
                .fragment()
                .is_some_and(|fragment| !fragment.is_empty()) =>
        {
            "may not have a fragment"
        }
        Ok(_) => return Ok(()),
    };
    Err(BadPolicy::at(place(), wrong))
}
