//! What a role says about a token, in the order in which Vault looks.

use serde_json::{Map, Value};

use super::{Config, Policy, Role, RoleType};
use crate::domain::pattern::Pattern;
use crate::policy::difference::difference;
use crate::policy::{Check, Part, Presented, Verdict, Weakness};

impl Policy {
    /// What it says about a token.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        let role = &self.role;
        let mut checks = vec![role.check_type()];
        checks.extend(role.check_cidrs());
        if let Some(config) = &self.config {
            checks.extend(config.checks(presented));
        }
        checks.extend(role.check_subject(presented));
        checks.push(role.check_audience(presented));
        checks.push(role.check_user(presented));
        checks.extend(role.check_mappings(presented));
        checks.extend(role.check_groups(presented));
        checks.extend(role.check_bound_claims(presented));
        let mut verdict = Verdict::of(checks);
        verdict.weaknesses = self.weaknesses();
        verdict
    }

    fn weaknesses(&self) -> Vec<Weakness> {
        let role = &self.role;
        let mut weaknesses = role.open_patterns();
        let names_a_run = role.bound_subject.is_some()
            || role.bound_claims.keys().any(|claim| {
                let claim = claim.trim_start_matches('/');
                claim == "sub" || claim.starts_with("terraform_")
            });
        if !names_a_run {
            weaknesses.push(Weakness {
                place: role.at("bound_claims"),
                what: "no condition is on `sub` or a `terraform_…` claim, so every run that the \
                       issuer serves is admitted; bind `sub`"
                    .to_owned(),
            });
        }
        match &self.config {
            None => weaknesses.push(Weakness {
                place: "config".to_owned(),
                what: "the mount's configuration was not given, so the issuer was not compared; \
                       add `vault read -format=json auth/jwt/config`"
                    .to_owned(),
            }),
            Some(config) if config.bound_issuer.is_none() => weaknesses.push(Weakness {
                place: config.at("bound_issuer"),
                what:
                    "is not set, so `iss` is not compared: whatever the keys have signed counts; \
                       set it to the issuer's URL"
                        .to_owned(),
            }),
            Some(_) => {}
        }
        weaknesses
    }
}

impl Config {
    /// The keys are those of the discovery URL's issuer; `iss` is compared with `bound_issuer`.
    fn checks(&self, presented: &Presented) -> Vec<Check> {
        let found = presented.text("iss");
        let check = |name: &str, operator: &str, wanted: &String, consequence: &str| {
            let why = match found {
                None => "the token has no `iss` that is a text".to_owned(),
                Some(found) if found == wanted => String::new(),
                Some(found) => format!("`iss` {}{consequence}", difference(wanted, found)),
            };
            Check::new(self.at(name), Part::Issuer, operator, why.is_empty(), why)
                .wanting([wanted])
                .finding(found)
        };
        let discovery = self.oidc_discovery_url.as_ref().map(|url| {
            check(
                "oidc_discovery_url",
                "is the issuer",
                url,
                ": Vault fetches the keys of the issuer at this URL, and that issuer must call \
                 itself so, byte for byte",
            )
        });
        let bound = self.bound_issuer.as_ref().map(|issuer| {
            check(
                "bound_issuer",
                "equals",
                issuer,
                " (Vault says `invalid issuer (iss) claim`)",
            )
        });
        discovery.into_iter().chain(bound).collect()
    }
}

impl Role {
    fn check_type(&self) -> Check {
        let (found, why) = match self.kind {
            RoleType::Jwt => ("jwt", ""),
            RoleType::Oidc => (
                "oidc",
                "a role of the type `oidc` is for people with a browser; a login with a token needs \
                 `jwt`",
            ),
            RoleType::Missing => (
                "oidc",
                "`role_type` is missing, which Vault takes for `oidc`; a login with a token needs \
                 `jwt`",
            ),
        };
        let place = self.at("role_type");
        Check::new(place, Part::Action, "equals", why.is_empty(), why)
            .wanting(["jwt"])
            .finding([found])
    }

    fn check_cidrs(&self) -> Option<Check> {
        let check = Check::unknown(
            self.at("token_bound_cidrs"),
            Part::Action,
            "is in",
            "it is not known here from which address the run logs in",
        );
        (!self.bound_cidrs.is_empty()).then(|| check.wanting(&self.bound_cidrs))
    }

    fn check_subject(&self, presented: &Presented) -> Option<Check> {
        let wanted = self.bound_subject.as_ref()?;
        let found = presented.text("sub");
        let why = match found {
            None => "the token has no `sub` that is a text".to_owned(),
            Some(found) if found == wanted => String::new(),
            Some(found) => format!("`sub` {}", difference(wanted, found)),
        };
        let place = self.at("bound_subject");
        let check = Check::new(place, Part::Subject, "equals", why.is_empty(), why);
        Some(check.wanting([wanted]).finding(found))
    }

    /// Since Vault 1.16.3 a token with `aud` needs a role with `bound_audiences`.
    fn check_audience(&self, presented: &Presented) -> Check {
        let found = presented.texts("aud");
        let wanted = &self.bound_audiences;
        let holds = match wanted.as_slice() {
            [] => found.is_empty(),
            _ => found.iter().any(|aud| wanted.iter().any(|one| one == aud)),
        };
        let why = match (wanted.as_slice(), found.as_slice()) {
            ([], _) => "the token has an `aud`, and no audience is bound to the role, which Vault \
                        refuses since 1.16.3"
                .to_owned(),
            (_, []) => "the token has no `aud` that is a text".to_owned(),
            ([wanted], [found]) => format!("`aud` {}", difference(wanted, found)),
            _ => "none of the audiences is the token's".to_owned(),
        };
        let place = self.at("bound_audiences");
        Check::new(place, Part::Audience, "any of", holds, why)
            .wanting(wanted)
            .finding(found)
    }

    fn check_user(&self, presented: &Presented) -> Check {
        let claim = &self.user_claim;
        let value = if self.user_claim_json_pointer {
            find(&presented.claims, claim)
        } else {
            presented.claims.get(claim).cloned()
        };
        let why = match &value {
            Some(Value::String(_)) => String::new(),
            None | Some(Value::Null) if claim.starts_with('/') && !self.user_claim_json_pointer => {
                format!(
                    "the token has no claim `{claim}`; it is taken for a path only with \
                     `user_claim_json_pointer`"
                )
            }
            None | Some(Value::Null) => format!("the token has no claim `{claim}`"),
            Some(_) => format!("the claim `{claim}` is no text"),
        };
        let place = self.at("user_claim");
        Check::new(place, Part::Identity, "is a text", why.is_empty(), why)
            .wanting([claim])
            .finding(value.as_ref().map(shown))
    }

    /// A claim that is missing is passed over; one that is there must be a text.
    fn check_mappings(&self, presented: &Presented) -> Vec<Check> {
        let check = |(claim, _): (&String, &String)| {
            let value = find(&presented.claims, claim).filter(|value| !value.is_null());
            let holds = value.as_ref().is_none_or(Value::is_string);
            Check::new(
                self.at(&format!("claim_mappings[\"{claim}\"]")),
                Part::Identity,
                "is a text, if it is there",
                holds,
                format!("the claim `{claim}` is no text, and only texts become metadata"),
            )
            .finding(value.as_ref().map(shown))
        };
        self.claim_mappings.iter().map(check).collect()
    }

    fn check_groups(&self, presented: &Presented) -> Option<Check> {
        let claim = self.groups_claim.as_ref()?;
        let value = find(&presented.claims, claim).filter(|value| !value.is_null());
        let why = match &value {
            None => format!("the token has no claim `{claim}`"),
            Some(Value::String(_)) => String::new(),
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => String::new(),
            Some(_) => format!("the claim `{claim}` is no list of texts"),
        };
        let place = self.at("groups_claim");
        let check = Check::new(
            place,
            Part::Identity,
            "is a list of texts",
            why.is_empty(),
            why,
        );
        Some(check.wanting([claim]).finding(value.as_ref().map(shown)))
    }

    fn check_bound_claims(&self, presented: &Presented) -> Vec<Check> {
        let check = |(claim, wanted): (&String, &Vec<Value>)| {
            let found = find(&presented.claims, claim);
            let part = match claim.as_str() {
                "sub" | "/sub" => Part::Subject,
                _ => Part::Claim(claim.clone()),
            };
            let operator = if self.is_glob { "glob" } else { "string" };
            let why = self.why_not(claim, wanted, found.as_ref());
            let found = found.as_ref().map_or_else(Vec::new, several);
            Check::new(
                self.at(&format!("bound_claims[\"{claim}\"]")),
                part,
                operator,
                why.is_empty(),
                why,
            )
            .wanting(wanted.iter().map(shown))
            .finding(found.iter().map(shown))
        };
        self.bound_claims.iter().map(check).collect()
    }

    /// Empty if one of the claim's values is one of those wanted.
    pub(super) fn why_not(&self, claim: &str, wanted: &[Value], found: Option<&Value>) -> String {
        let found = match found {
            None | Some(Value::Null) => return format!("the token has no claim `{claim}`"),
            Some(Value::Object(_)) => {
                return format!("the claim `{claim}` is no text, number, true or false, or list");
            }
            Some(found) => several(found),
        };
        let fits = |one: &Value, other: &Value| match (self.is_glob, one, other) {
            (true, Value::String(pattern), Value::String(text)) => {
                Pattern(pattern.clone()).matches(text)
            }
            (true, ..) => false,
            (false, ..) => one == other,
        };
        if wanted
            .iter()
            .any(|one| found.iter().any(|other| fits(one, other)))
        {
            return String::new();
        }
        let has = |text: &str| {
            let mut texts = wanted.iter().filter_map(Value::as_str);
            texts.any(|one| one.contains(text))
        };
        if !self.is_glob && has("*") {
            return format!(
                "`{claim}` is compared letter by letter: `*` is a wildcard only with \
                 `bound_claims_type` `glob`"
            );
        }
        if has(",") {
            return format!(
                "no value is the token's `{claim}`; a comma does not separate values here: write a \
                 list"
            );
        }
        match (wanted, found.as_slice()) {
            ([Value::String(one)], [Value::String(other)]) if self.is_glob => {
                let lower = |text: &str| text.to_ascii_lowercase();
                let but_case = Pattern(lower(one)).matches(&lower(other));
                let how = match (but_case, one.contains('*')) {
                    (true, _) => "differs only by letter case, which counts".to_owned(),
                    (false, true) => "does not match the pattern".to_owned(),
                    (false, false) => difference(one, other),
                };
                format!("`{claim}` {how}")
            }
            ([Value::String(one)], [Value::String(other)]) => {
                format!("`{claim}` {}", difference(one, other))
            }
            ([one], [other]) if shown(one) == shown(other) => format!(
                "`{claim}` is {other} in the token and {one} here: a text is no number and not true \
                 or false"
            ),
            _ => format!("no value is the token's `{claim}`"),
        }
    }

    /// Patterns over `sub` whose `*` reaches further than over one whole part.
    fn open_patterns(&self) -> Vec<Weakness> {
        if !self.is_glob {
            return Vec::new();
        }
        let subjects = ["sub", "/sub"].into_iter();
        let subjects = subjects.filter_map(|claim| Some((claim, self.bound_claims.get(claim)?)));
        let mut weaknesses = Vec::new();
        for (claim, patterns) in subjects {
            for pattern in patterns.iter().filter_map(Value::as_str) {
                let parts: Vec<&str> = pattern.split(':').collect();
                let half = parts
                    .iter()
                    .find(|part| part.contains('*') && **part != "*");
                let what = match half {
                    Some(part) => format!(
                        "`{part}` in `{pattern}` admits every name that fits, also those that are \
                         made later, and `*` reaches over `:` as well; write whole names"
                    ),
                    None if parts.len() < 8 && pattern.ends_with('*') => format!(
                        "the `*` at the end of `{pattern}` stands for all parts that follow; name \
                         each part, as in `organization:O:project:P:workspace:W:run_phase:*`"
                    ),
                    None => continue,
                };
                weaknesses.push(Weakness {
                    place: self.at(&format!("bound_claims[\"{claim}\"]")),
                    what,
                });
            }
        }
        weaknesses
    }
}

/// A claim by its name, or by a JSON pointer (RFC 6901) if that begins with `/`.
pub(super) fn find(claims: &Map<String, Value>, name: &str) -> Option<Value> {
    if name.starts_with('/') {
        return Value::Object(claims.clone()).pointer(name).cloned();
    }
    claims.get(name).cloned()
}

/// A claim that is a list counts as its items.
fn several(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
