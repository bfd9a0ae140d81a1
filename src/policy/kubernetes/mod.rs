//! Kubernetes: the API server's `AuthenticationConfiguration` says who a token becomes, and RBAC, where
//! it is given too, what that may do.

mod authenticator;
mod change;
mod configuration;
mod fields;
mod formula;
mod rbac;
mod scan;
#[cfg(test)]
mod tests;
mod weakness;

use serde_json::Value;

pub(super) use self::authenticator::{required, shown, text_of, texts_of, unverified};
pub(super) use self::change::together;
use self::configuration::Configuration;
pub(super) use self::configuration::check_url;
pub(super) use self::fields::{Fields, difference};
pub(super) use self::rbac::{MASTERS, Rbac, is_rbac};
pub(super) use self::scan::tests_only;
use super::{BadPolicy, Check, Document, Part, Presented, Verdict};

/// Who is let in, and what is bound.
#[derive(Clone, Debug)]
pub struct Policy {
    configuration: Configuration,
    rbac: Rbac,
}

/// Who a token becomes.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

/// A condition, and what to change so that it holds.
struct Step {
    site: Site,
    check: Check,
}

/// What a condition hangs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Site {
    Audience,
    Binding,
    Extra(usize),
    Groups,
    Issuer,
    Rule(usize),
    Uid,
    UserRule(usize),
    Username,
}

/// Whether a document is one of these.
pub fn recognizes(document: &Value) -> bool {
    is_rbac(document) || is_configuration(document)
}

fn is_configuration(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str) == Some("AuthenticationConfiguration")
}

/// The documents in which kubectl's lists are unpacked: each item is one.
pub(super) fn unpacked(documents: &[Document]) -> Vec<Document> {
    let unpack = |document: &Document| -> Vec<Document> {
        let kind = document.value.get("kind").and_then(Value::as_str);
        let kind = kind.and_then(|kind| kind.strip_suffix("List"));
        let items = document.value.get("items").and_then(Value::as_array);
        match (kind, items) {
            (Some(kind), Some(items)) if !items.is_empty() => items
                .iter()
                .enumerate()
                .map(|(index, item)| Document {
                    name: format!("{} (item {})", document.name, index + 1),
                    value: typed(item, kind, document.value.get("apiVersion")),
                })
                .collect(),
            _ => vec![document.clone()],
        }
    };
    documents.iter().flat_map(unpack).collect()
}

/// The items of a `RoleBindingList` do not say what they are.
fn typed(item: &Value, kind: &str, version: Option<&Value>) -> Value {
    let mut item = item.clone();
    if let Some(members) = item.as_object_mut()
        && !kind.is_empty()
        && !members.contains_key("kind")
    {
        members.insert("kind".to_owned(), kind.into());
        members.extend(version.map(|version| ("apiVersion".to_owned(), version.clone())));
    }
    item
}

impl Policy {
    /// Reads the documents.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let mut configurations = documents
            .iter()
            .filter(|document| is_configuration(&document.value));
        let configuration = match (configurations.next(), configurations.next()) {
            (Some(only), None) => Configuration::read(&only.value)?,
            (Some(_), Some(second)) => {
                return Err(BadPolicy::at(
                    &second.name,
                    "is a second AuthenticationConfiguration; an API server reads one, with an entry of \
                     `jwt` for each issuer",
                ));
            }
            (None, _) => {
                let name = documents
                    .first()
                    .map_or("nothing", |document| &document.name);
                return Err(BadPolicy::at(
                    name,
                    "binds names only; give what makes a name of the token as well: the \
                     AuthenticationConfiguration, or for EKS the identity provider's configuration, \
                     aws-auth or access entries",
                ));
            }
        };
        Ok(Self {
            configuration,
            rbac: Rbac::read(documents)?,
        })
    }

    /// What it says about a token.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        let (steps, user) = self.steps(presented);
        let mut verdict = Verdict::of(steps.into_iter().map(|step| step.check).collect());
        let entries = self.configuration.jwt.iter().enumerate();
        let own = self.entry(presented);
        for (index, entry) in entries {
            let user = user.as_ref().filter(|_| own == Some(index));
            verdict
                .weaknesses
                .extend(entry.weaknesses(&place(index), user));
        }
        verdict
            .weaknesses
            .extend(self.rbac.weaknesses(user.as_ref()));
        if verdict.admits() {
            let unseen = user.and_then(|user| self.rbac.not_looked_at(&user));
            verdict.weaknesses.extend(unseen);
        }
        verdict
    }

    /// The conditions of the entry for the token's issuer, or of the one that seems to be meant for it.
    fn steps(&self, presented: &Presented) -> (Vec<Step>, Option<User>) {
        let Some(index) = self.entry(presented) else {
            let issuers = self.configuration.jwt.iter().map(|entry| &entry.issuer);
            let why = "no entry is for the token's issuer, so that the API server passes the token over; its \
                       log says no more than `invalid bearer token`";
            let check = Check::new("jwt", Part::Issuer, "equals", false, why);
            let check = check.wanting(issuers).finding(presented.text("iss"));
            return (vec![Step::new(Site::Issuer, check)], None);
        };
        let login = self.configuration.jwt[index].login(&place(index), presented);
        let mut steps = login.steps;
        let bound = match &login.user {
            Some(user) => self.rbac.checks(user),
            None => self.rbac.unknown("what the user is called is not known"),
        };
        steps.extend(
            bound
                .into_iter()
                .map(|check| Step::new(Site::Binding, check)),
        );
        (steps, login.user)
    }

    /// The entry for the token's issuer; else one whose URL is the same but for case or a slash.
    fn entry(&self, presented: &Presented) -> Option<usize> {
        let issuer = presented.text("iss")?;
        let find = |is: &dyn Fn(&str) -> bool| {
            let mut entries = self.configuration.jwt.iter();
            entries.position(|entry| is(&entry.issuer))
        };
        let bare = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
        find(&|url| url == issuer).or_else(|| find(&|url| bare(url) == bare(issuer)))
    }
}

impl Step {
    fn new(site: Site, check: Check) -> Self {
        Self { site, check }
    }
}

impl User {
    pub(super) fn new(name: String, groups: Vec<String>) -> Self {
        Self { name, groups }
    }
}

fn place(entry: usize) -> String {
    format!("jwt[{entry}]")
}
