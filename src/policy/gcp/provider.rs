//! A provider: how it is read, and what it asks of a token before it looks at the claims.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::formula::Formula;
use crate::policy::difference::{difference, nearest};
use crate::policy::{BadPolicy, Check, Part, Presented};

/// A provider of a workload identity pool (IAM's REST reference,
/// `projects.locations.workloadIdentityPools.providers`).
#[derive(Clone, Debug)]
pub(super) struct Provider {
    /// What stands before a place of it, where it is one of a list: `[1].`.
    pub(super) at: String,
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub(super) name: Option<String>,
    /// `oidc.issuerUri`.
    pub(super) issuer: String,
    /// `oidc.allowedAudiences`.
    pub(super) audiences: Vec<String>,
    /// `attributeMapping`: an attribute and its CEL expression.
    pub(super) mapping: BTreeMap<String, Formula>,
    /// `attributeCondition`; nothing if there is none.
    pub(super) condition: Option<Formula>,
    /// `disabled`.
    pub(super) is_disabled: bool,
    /// `state` is `DELETED`: it can be brought back for 30 days.
    pub(super) is_deleted: bool,
}

/// Whether a document is a provider, of whatever kind.
pub(super) fn recognizes(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    let name = document.get("name").and_then(Value::as_str).unwrap_or("");
    let is_named = name.contains("/workloadIdentityPools/") && name.contains("/providers/");
    let has_issuer = document.pointer("/oidc/issuerUri").is_some();
    is_named || has_issuer || (has("attributeMapping") && has("oidc"))
}

impl Provider {
    /// Reads one; `at` stands before its places.
    pub(super) fn read(at: &str, value: &Value) -> Result<Self, BadPolicy> {
        let bad = |place: &str, what: &str| BadPolicy::at(format!("{at}{place}"), what);
        let Some(members) = value.as_object() else {
            return Err(bad("provider", "must be an object"));
        };
        for other in ["aws", "saml", "x509"] {
            if members.contains_key(other) {
                return Err(bad(
                    other,
                    "is no provider for OIDC tokens; give one with `oidc`",
                ));
            }
        }
        let reader = Reader { at, members };
        let Some(Value::Object(oidc)) = members.get("oidc") else {
            return Err(bad("oidc", "must be an object with `issuerUri`"));
        };
        let oidc = Reader {
            at: &format!("{at}oidc."),
            members: oidc,
        };
        let Some(issuer) = oidc.text("issuerUri")? else {
            return Err(bad("oidc.issuerUri", "must be the issuer's URL"));
        };
        let mapping = match members.get("attributeMapping") {
            None => BTreeMap::new(),
            Some(Value::Object(mapping)) => {
                let formulas = mapping.iter().map(|(name, source)| {
                    let formula = source.as_str().map(Formula::mapping);
                    formula
                        .map(|formula| (name.clone(), formula))
                        .ok_or_else(|| {
                            bad(&mapping_place(name), "must be a CEL expression, in a text")
                        })
                });
                formulas.collect::<Result<_, _>>()?
            }
            Some(_) => return Err(bad("attributeMapping", "must be an object of texts")),
        };
        let condition = reader.text("attributeCondition")?;
        Ok(Self {
            at: at.to_owned(),
            name: reader.text("name")?,
            issuer,
            audiences: oidc.texts("allowedAudiences")?,
            mapping,
            condition: condition
                .filter(|source| !source.trim().is_empty())
                .map(|source| Formula::condition(&source)),
            is_disabled: reader.flag("disabled")?,
            is_deleted: reader.text("state")?.as_deref() == Some("DELETED"),
        })
    }

    /// A place in it.
    pub(super) fn place(&self, of: &str) -> String {
        format!("{}{of}", self.at)
    }

    /// The pool: `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
    pub(super) fn pool(&self) -> Option<&str> {
        self.numbered().ok()?.split_once("/providers/").map(|n| n.0)
    }

    /// The name as IAM writes it in audiences and principals, with the project's number; or why it is not
    /// known, in words that follow "the provider's full name".
    pub(super) fn numbered(&self) -> Result<&str, &'static str> {
        let Some(name) = self.name.as_deref() else {
            return Err("is not given; add `name` as `gcloud … providers describe` prints it");
        };
        let project = name.strip_prefix("projects/");
        let project = project.and_then(|rest| rest.split('/').next());
        let is_number = |project: &str| {
            !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !project.is_some_and(is_number) {
            return Err(
                "has the project's number, which `name` has not; write it as `gcloud … providers \
                 describe` prints it, `projects/NUMBER/locations/global/…`",
            );
        }
        Ok(name)
    }

    /// The audiences that it takes, and whether those are the ones it takes when none are listed.
    pub(super) fn audiences(&self) -> Option<(Vec<String>, bool)> {
        if !self.audiences.is_empty() {
            return Some((self.audiences.clone(), false));
        }
        let name = self.numbered().ok()?;
        Some((
            vec![
                format!("//iam.googleapis.com/{name}"),
                format!("https://iam.googleapis.com/{name}"),
            ],
            true,
        ))
    }

    /// What it asks before it looks at the other claims.
    pub(super) fn checks(&self, presented: &Presented) -> Vec<Check> {
        vec![
            self.state_check(),
            self.issuer_check(presented),
            self.audience_check(presented),
        ]
    }

    fn state_check(&self) -> Check {
        let (place, why) = if self.is_deleted {
            (
                "state",
                "the provider is deleted; for 30 days it can be brought back",
            )
        } else {
            ("disabled", "the provider is disabled")
        };
        let found = if self.is_deleted {
            "DELETED"
        } else if self.is_disabled {
            "disabled"
        } else {
            "ACTIVE"
        };
        let is_active = !self.is_deleted && !self.is_disabled;
        Check::new(self.place(place), Part::Issuer, "is", is_active, why)
            .wanting(["ACTIVE"])
            .finding([found])
    }

    fn issuer_check(&self, presented: &Presented) -> Check {
        let found = presented.text("iss");
        let why = found.map_or_else(
            || "the token has no `iss`".to_owned(),
            |found| format!("`iss` {}", difference(&self.issuer, found)),
        );
        let holds = found == Some(self.issuer.as_str());
        Check::new(
            self.place("oidc.issuerUri"),
            Part::Issuer,
            "equals",
            holds,
            why,
        )
        .wanting([&self.issuer])
        .finding(found)
    }

    fn audience_check(&self, presented: &Presented) -> Check {
        let place = self.place("oidc.allowedAudiences");
        let found = presented.texts("aud");
        let Some((wanted, is_default)) = self.audiences() else {
            let why = format!(
                "no audience is listed, so that it is the provider's full name, and that {}",
                self.numbered().err().unwrap_or_default()
            );
            return Check::unknown(place, Part::Audience, "is one of", why).finding(found);
        };
        let holds = found.iter().any(|found| wanted.iter().any(|w| w == found));
        let mut why = match found.as_slice() {
            [] => "the token has no `aud`".to_owned(),
            [found] => match nearest(&wanted, found) {
                Some(near) => format!("`aud` {}", difference(near, found)),
                None => format!("`{found}` is none of them"),
            },
            _ => "none of the token's audiences is listed".to_owned(),
        };
        if is_default && !found.is_empty() {
            why.push_str("; no audience is listed, so that it must be the provider's full name");
        } else if found.iter().any(|found| self.is_own_name(found)) {
            why.push_str("; once audiences are listed, the provider's full name is taken no more");
        }
        Check::new(place, Part::Audience, "is one of", holds, why)
            .wanting(wanted)
            .finding(found)
    }

    fn is_own_name(&self, audience: &str) -> bool {
        let name = audience.trim_start_matches("https:");
        let name = name.strip_prefix("//iam.googleapis.com/");
        name.is_some() && name == self.name.as_deref()
    }
}

/// The place of a mapping: `attributeMapping["google.subject"]`.
pub(super) fn mapping_place(attribute: &str) -> String {
    format!("attributeMapping[\"{attribute}\"]")
}

/// The members of an object that must be of a type.
struct Reader<'a> {
    at: &'a str,
    members: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Result<Option<String>, BadPolicy> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.bad(name, "must be a text")),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, BadPolicy> {
        let bad = || self.bad(name, "must be a list of texts");
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or_else(bad)
            }
            Some(_) => Err(bad()),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, BadPolicy> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.bad(name, "must be true or false")),
        }
    }

    fn bad(&self, name: &str, what: &str) -> BadPolicy {
        BadPolicy::at(format!("{}{name}", self.at), what)
    }
}
