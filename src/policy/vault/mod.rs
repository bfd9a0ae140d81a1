//! Vault and OpenBao: a role of the JWT auth method, and the configuration of its mount where it is
//! given.
//!
//! What is said here is what `vault-plugin-auth-jwt` does (`path_login.go`, `path_role.go`, `claims.go`);
//! OpenBao's method is the same in all of it.

mod admitting;
mod checks;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{BadPolicy, Document};

/// A role, and its mount's configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    role: Role,
    config: Option<Config>,
}

#[derive(Clone, Debug)]
struct Role {
    /// Before the names of its members: nothing, `data.`, with the document's name if there are two.
    place: String,
    kind: RoleType,
    bound_audiences: Vec<String>,
    bound_subject: Option<String>,
    /// Any one of the values must be there.
    bound_claims: BTreeMap<String, Vec<Value>>,
    /// Whether `*` in them stands for anything: `bound_claims_type` is `glob`.
    is_glob: bool,
    user_claim: String,
    user_claim_json_pointer: bool,
    groups_claim: Option<String>,
    claim_mappings: BTreeMap<String, String>,
    bound_cidrs: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RoleType {
    Jwt,
    Oidc,
    /// Not said, which Vault takes for `oidc`.
    Missing,
}

#[derive(Clone, Debug)]
struct Config {
    place: String,
    bound_issuer: Option<String>,
    oidc_discovery_url: Option<String>,
}

const OF_A_ROLE: [&str; 6] = [
    "role_type",
    "bound_audiences",
    "bound_subject",
    "bound_claims",
    "bound_claims_type",
    "user_claim",
];

/// Where the keys come from; a mount has exactly one of them.
const KEY_SOURCES: [&str; 4] = [
    "oidc_discovery_url",
    "jwks_url",
    "jwks_pairs",
    "jwt_validation_pubkeys",
];

/// Whether a document is one of these: what is written to `auth/jwt/role/…` or `auth/jwt/config`, or
/// what `vault read -format=json` prints of it.
pub fn recognizes(document: &Value) -> bool {
    let (members, _) = members(document);
    members.is_some_and(|members| is_role(members) || is_config(members))
}

/// What is inside `data`, or else the document itself.
fn members(document: &Value) -> (Option<&Map<String, Value>>, &'static str) {
    match document.get("data") {
        Some(Value::Object(data)) => (Some(data), "data."),
        _ => (document.as_object(), ""),
    }
}

fn is_role(members: &Map<String, Value>) -> bool {
    OF_A_ROLE.iter().any(|name| members.contains_key(*name))
}

fn is_config(members: &Map<String, Value>) -> bool {
    members.contains_key("bound_issuer")
        || KEY_SOURCES.iter().any(|name| members.contains_key(*name))
}

impl Policy {
    /// Reads the documents: one role, and at most one configuration.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place of what Vault would not take.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let (mut role, mut config) = (None, None);
        for document in documents {
            let (Some(members), inside) = members(&document.value) else {
                continue;
            };
            let place = match documents {
                [_] => inside.to_owned(),
                _ => format!("{}: {inside}", document.name),
            };
            let twice = |what: &str| {
                Err(BadPolicy::at(
                    &document.name,
                    format!("is a second {what}; give one role and its mount's configuration"),
                ))
            };
            if is_role(members) {
                if role.is_some() {
                    return twice("role");
                }
                role = Some(Role::read(&place, members)?);
            } else {
                if config.is_some() {
                    return twice("configuration");
                }
                config = Some(Config::read(&place, members)?);
            }
        }
        let role = role.ok_or_else(|| {
            BadPolicy::at(
                documents
                    .first()
                    .map_or_else(String::new, |d| d.name.clone()),
                "is the configuration of a mount; give a role as well: `vault read -format=json \
                 auth/jwt/role/NAME`",
            )
        })?;
        Ok(Self { role, config })
    }
}

impl Role {
    fn read(place: &str, members: &Map<String, Value>) -> Result<Self, BadPolicy> {
        let at = |name: &str| format!("{place}{name}");
        let role_type = match text(members, "role_type", place)?.as_deref() {
            Some("jwt") => RoleType::Jwt,
            Some("oidc") => RoleType::Oidc,
            None => RoleType::Missing,
            Some(other) => {
                return Err(BadPolicy::at(
                    at("role_type"),
                    format!("is `{other}`; there are `jwt` and `oidc`, and a token needs `jwt`"),
                ));
            }
        };
        let is_glob = match text(members, "bound_claims_type", place)?.as_deref() {
            None | Some("string") => false,
            Some("glob") => true,
            Some(other) => {
                return Err(BadPolicy::at(
                    at("bound_claims_type"),
                    format!("is `{other}`; there are `string` and `glob`"),
                ));
            }
        };
        let user_claim = text(members, "user_claim", place)?.ok_or_else(|| {
            BadPolicy::at(
                at("user_claim"),
                "is missing; a role needs one, such as `terraform_full_workspace`",
            )
        })?;
        let pointer = members.get("user_claim_json_pointer");
        let role = Self {
            kind: role_type,
            bound_audiences: texts(members, "bound_audiences", place)?,
            bound_subject: text(members, "bound_subject", place)?,
            bound_claims: bound_claims(members, is_glob, place)?,
            is_glob,
            user_claim,
            user_claim_json_pointer: pointer == Some(&Value::Bool(true)),
            groups_claim: text(members, "groups_claim", place)?,
            claim_mappings: claim_mappings(members, place)?,
            bound_cidrs: {
                let mut cidrs = texts(members, "token_bound_cidrs", place)?;
                cidrs.extend(texts(members, "bound_cidrs", place)?);
                cidrs.dedup();
                cidrs
            },
            place: place.to_owned(),
        };
        let is_bound = !role.bound_audiences.is_empty()
            || role.bound_subject.is_some()
            || !role.bound_claims.is_empty()
            || !role.bound_cidrs.is_empty();
        if role.kind == RoleType::Jwt && !is_bound {
            return Err(BadPolicy::at(
                at("bound_claims"),
                "is missing, and so is every other condition: a role needs at least one of \
                 `bound_audiences`, `bound_subject`, `bound_claims` and `token_bound_cidrs`",
            ));
        }
        Ok(role)
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }
}

impl Config {
    fn read(place: &str, members: &Map<String, Value>) -> Result<Self, BadPolicy> {
        let is_set = |name: &&str| match members.get(*name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        };
        let sources: Vec<&str> = KEY_SOURCES
            .iter()
            .filter(|name| is_set(name))
            .copied()
            .collect();
        if sources.len() != 1 {
            let found = match sources.as_slice() {
                [] => "none of them is".to_owned(),
                several => format!("`{}` are", several.join("` and `")),
            };
            return Err(BadPolicy::at(
                format!("{place}{}", sources.first().unwrap_or(&KEY_SOURCES[0])),
                format!(
                    "exactly one of `{}` must be set; {found}",
                    KEY_SOURCES.join("`, `")
                ),
            ));
        }
        let bound_issuer = text(members, "bound_issuer", place)?;
        if sources == ["jwks_pairs"] && bound_issuer.is_some() {
            return Err(BadPolicy::at(
                format!("{place}bound_issuer"),
                "cannot be set together with `jwks_pairs`",
            ));
        }
        let oidc_discovery_url = text(members, "oidc_discovery_url", place)?;
        if let Some(url) = &oidc_discovery_url
            && url.contains("/.well-known/")
        {
            return Err(BadPolicy::at(
                format!("{place}oidc_discovery_url"),
                "is the issuer's URL without `/.well-known/openid-configuration`, which Vault adds",
            ));
        }
        Ok(Self {
            place: place.to_owned(),
            bound_issuer,
            oidc_discovery_url,
        })
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }
}

/// A text; nothing if it is missing or empty, as Vault prints what is not set.
fn text(
    members: &Map<String, Value>,
    name: &str,
    place: &str,
) -> Result<Option<String>, BadPolicy> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(other) => Err(BadPolicy::at(
            format!("{place}{name}"),
            format!("is {other}; it must be a text"),
        )),
    }
}

/// A list of texts, or one text with commas between them.
fn texts(members: &Map<String, Value>, name: &str, place: &str) -> Result<Vec<String>, BadPolicy> {
    let wrong = |value: &Value| {
        BadPolicy::at(
            format!("{place}{name}"),
            format!("is {value}; it must be a list of texts"),
        )
    };
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(item)))
            .collect(),
        Some(other) => Err(wrong(other)),
    }
}

fn bound_claims(
    members: &Map<String, Value>,
    is_glob: bool,
    place: &str,
) -> Result<BTreeMap<String, Vec<Value>>, BadPolicy> {
    let claims = match members.get("bound_claims") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(claims)) => claims,
        Some(other) => {
            return Err(BadPolicy::at(
                format!("{place}bound_claims"),
                format!("is {other}; it must be an object of claims and their values"),
            ));
        }
    };
    let read = |(claim, value): (&String, &Value)| {
        let at = format!("{place}bound_claims[\"{claim}\"]");
        let values = match value {
            Value::Array(items) => items.clone(),
            Value::String(_) | Value::Bool(_) | Value::Number(_) => vec![value.clone()],
            Value::Null | Value::Object(_) => {
                return Err(BadPolicy::at(
                    at,
                    format!("is {value}; it must be a text, a number, true or false, or a list"),
                ));
            }
        };
        match values.iter().find(|value| is_glob && !value.is_string()) {
            Some(value) => Err(BadPolicy::at(
                at,
                format!("is {value}; with `bound_claims_type` `glob`, all values must be texts"),
            )),
            None => Ok((claim.clone(), values)),
        }
    };
    claims.iter().map(read).collect()
}

fn claim_mappings(
    members: &Map<String, Value>,
    place: &str,
) -> Result<BTreeMap<String, String>, BadPolicy> {
    let at = format!("{place}claim_mappings");
    let mappings = match members.get("claim_mappings") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(mappings)) => mappings,
        Some(other) => {
            return Err(BadPolicy::at(
                at,
                format!("is {other}; it must be an object of claims and names of metadata"),
            ));
        }
    };
    let mut names = BTreeSet::new();
    let mut read = BTreeMap::new();
    for (claim, name) in mappings {
        let Value::String(name) = name else {
            return Err(BadPolicy::at(
                at,
                format!("maps `{claim}` to {name}, no text"),
            ));
        };
        if name == "role" {
            return Err(BadPolicy::at(
                at,
                "may not map to `role`, which is reserved",
            ));
        }
        if !names.insert(name) {
            return Err(BadPolicy::at(at, format!("maps to `{name}` twice")));
        }
        read.insert(claim.clone(), name.clone());
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
