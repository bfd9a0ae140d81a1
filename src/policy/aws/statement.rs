//! Statements of a trust policy, as they are written.
//!
//! IAM user guide: "Grammar of the IAM JSON policy language", "Principal", "Action", "`NotAction`".

use serde_json::{Map, Value};

use super::super::BadPolicy;
use super::condition::Condition;
use super::pattern::Pattern;

/// One statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// Where it stands: `Statement[0]`.
    pub(super) place: String,
    pub(super) effect: Effect,
    /// Whom it is for.
    pub(super) principals: Principals,
    pub(super) actions: Actions,
    pub(super) conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug)]
pub(super) enum Principals {
    /// `"*"`
    Everyone,
    /// By kind.
    Named {
        /// ARNs of providers.
        federated: Vec<String>,
        /// Accounts, users, roles.
        aws: Vec<String>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Actions {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// The ARN of an IAM OIDC provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ProviderArn<'a> {
    pub(super) partition: &'a str,
    pub(super) account: &'a str,
    /// The issuer without `https://`, path included.
    pub(super) provider: &'a str,
}

const ELEMENTS: [&str; 7] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Condition",
];

impl Statement {
    /// All statements of a policy; one needs no list around it.
    pub(super) fn read_all(policy: &Value) -> Result<Vec<Self>, BadPolicy> {
        let statements = match policy.get("Statement") {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        if statements.is_empty() {
            return Err(BadPolicy::at("Statement", "must hold a statement at least"));
        }
        statements
            .into_iter()
            .enumerate()
            .map(|(index, value)| Self::read(format!("Statement[{index}]"), value))
            .collect()
    }

    fn read(place: String, value: &Value) -> Result<Self, BadPolicy> {
        let Some(value) = value.as_object() else {
            return Err(BadPolicy::at(place, "must be an object"));
        };
        refuse_what_no_role_has(&place, value)?;
        let effect = match value.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => {
                let place = format!("{place}.Effect");
                return Err(BadPolicy::at(place, "must be `Allow` or `Deny`"));
            }
        };
        let conditions = match value.get("Condition") {
            None => Vec::new(),
            Some(block) => Condition::read_all(&format!("{place}.Condition"), block)?,
        };
        Ok(Self {
            effect,
            principals: Principals::read(&place, value.get("Principal"))?,
            actions: Actions::read(&place, value)?,
            conditions,
            place,
        })
    }

    /// Where one of its conditions stands.
    pub(super) fn place_of(&self, condition: &Condition) -> String {
        let Condition { operator, key, .. } = condition;
        format!("{}.Condition.{}[\"{key}\"]", self.place, operator.name)
    }
}

/// What belongs into other policies, and what cannot be evaluated.
fn refuse_what_no_role_has(place: &str, value: &Map<String, Value>) -> Result<(), BadPolicy> {
    let at = |name: &str, what: &str| Err(BadPolicy::at(format!("{place}.{name}"), what));
    if value.contains_key("NotPrincipal") {
        return at(
            "NotPrincipal",
            "lets in everybody else, which no trust policy should; name the provider in `Principal`",
        );
    }
    for name in ["Resource", "NotResource"] {
        if value.contains_key(name) {
            return at(
                name,
                "has no place in a trust policy, whose resource is the role; if this is a \
                 permissions policy, give the role's trust policy instead (`aws iam get-role`)",
            );
        }
    }
    for name in value.keys() {
        if !ELEMENTS.contains(&name.as_str()) {
            let meant = ELEMENTS
                .iter()
                .find(|known| known.eq_ignore_ascii_case(name));
            let what = match meant {
                Some(meant) => format!("must be written `{meant}`"),
                None => "is no element of a statement".to_owned(),
            };
            return at(name, &what);
        }
    }
    Ok(())
}

impl Principals {
    fn read(place: &str, value: Option<&Value>) -> Result<Self, BadPolicy> {
        let place = format!("{place}.Principal");
        let map = match value {
            Some(Value::String(text)) if text == "*" => return Ok(Self::Everyone),
            Some(Value::Object(map)) => map,
            _ => {
                return Err(BadPolicy::at(
                    place,
                    "must name whom the role trusts: `{\"Federated\": \"<ARN of the provider>\"}`",
                ));
            }
        };
        let (mut federated, mut aws) = (Vec::new(), Vec::new());
        for (kind, value) in map {
            let place = format!("{place}.{kind}");
            let names = texts(&place, value)?;
            match kind.as_str() {
                "AWS" => aws = names,
                // "You cannot use it to specify part of a name or ARN."
                "Federated" => match names.iter().find(|n| n.contains('*') && *n != "*") {
                    Some(name) => {
                        let what = format!("may hold no `*`, and is `{name}`");
                        return Err(BadPolicy::at(place, what));
                    }
                    None => federated = names,
                },
                "CanonicalUser" | "Service" => {}
                _ => {
                    return Err(BadPolicy::at(
                        place,
                        "is no kind of principal; an OIDC provider is `Federated`",
                    ));
                }
            }
        }
        Ok(Self::Named { federated, aws })
    }

    /// The federated ones.
    pub(super) fn federated(&self) -> &[String] {
        match self {
            Self::Everyone => &[],
            Self::Named { federated, .. } => federated,
        }
    }

    /// Whether it stands for everybody.
    pub(super) fn is_everyone(&self) -> bool {
        match self {
            Self::Everyone => true,
            Self::Named { aws, .. } => aws.iter().any(|name| name == "*"),
        }
    }
}

impl Actions {
    fn read(place: &str, value: &Map<String, Value>) -> Result<Self, BadPolicy> {
        let list = |name: &str, value| texts(&format!("{place}.{name}"), value);
        match (value.get("Action"), value.get("NotAction")) {
            (Some(value), None) => list("Action", value).map(Self::Only),
            (None, Some(value)) => list("NotAction", value).map(Self::AllBut),
            _ => Err(BadPolicy::at(
                format!("{place}.Action"),
                "must be there, or `NotAction` in its place",
            )),
        }
    }

    /// Whether an action is one of them. Case is no matter, wildcards have their meaning.
    pub(super) fn contain(&self, action: &str) -> bool {
        let fits = |names: &[String]| {
            names.iter().any(|name| {
                Pattern::parse(&name.to_lowercase(), true, false)
                    .is_ok_and(|pattern| pattern.matches(&action.to_lowercase()))
            })
        };
        match self {
            Self::Only(names) => fits(names),
            Self::AllBut(names) => !fits(names),
        }
    }

    /// As they are written.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::Only(names) | Self::AllBut(names) => names,
        }
    }

    /// Which of the two elements it is.
    pub(super) fn element(&self) -> &'static str {
        match self {
            Self::Only(_) => "Action",
            Self::AllBut(_) => "NotAction",
        }
    }
}

impl<'a> ProviderArn<'a> {
    /// `arn:<partition>:iam::<account>:oidc-provider/<URL without https://>`
    pub(super) fn parse(arn: &'a str) -> Option<Self> {
        let (partition, rest) = arn.strip_prefix("arn:")?.split_once(':')?;
        let (account, rest) = rest.strip_prefix("iam::")?.split_once(':')?;
        Some(Self {
            partition,
            account,
            provider: rest.strip_prefix("oidc-provider/")?,
        })
    }
}

fn texts(place: &str, value: &Value) -> Result<Vec<String>, BadPolicy> {
    let texts: Option<Vec<String>> = match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    texts
        .filter(|texts| !texts.is_empty())
        .ok_or_else(|| BadPolicy::at(place, "must be a text or a list of texts"))
}
