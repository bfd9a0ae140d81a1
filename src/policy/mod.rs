//! What a relying party makes of a token: its policy, evaluated here as it is evaluated there. Pure: a
//! policy is a document, a token is its claims; whether its signature and its times are right is another
//! question.
//!
//! Each relying party's file has the same shape: what it recognizes, how it is read, what it says about
//! a token, and the smallest change with which it would admit it.

pub mod aws;
pub mod azure;
mod difference;
mod document;
pub mod eks;
pub mod gcp;
pub mod hcp;
pub mod kubernetes;
pub mod vault;
mod verdict;

use serde_json::{Map, Value};

pub use self::document::{Document, NoDocument};
pub use self::verdict::{Change, Check, Decision, Outcome, Part, Verdict, Weakness};

/// Who asks: a token, by its claims, and what a relying party knows besides.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The payload of the token.
    pub claims: Map<String, Value>,
    /// The AWS role that the token became: an EKS cluster sees that, not the token.
    pub role_arn: Option<String>,
}

impl Presented {
    /// A claim that is a text; nothing if it is missing or something else.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// A claim that is a text or a list of texts, as `aud` may be (RFC 7519 section 4.1.3).
    pub fn texts(&self, claim: &str) -> Vec<&str> {
        match self.claims.get(claim) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// A relying party's policy.
#[derive(Clone, Debug)]
pub enum Policy {
    /// A role's trust policy, and the IAM provider where it is given.
    Aws(aws::Policy),
    /// Federated identity credentials.
    Azure(azure::Policy),
    /// Who may enter an EKS cluster.
    Eks(eks::Policy),
    /// A workload identity pool provider, and bindings where they are given.
    Gcp(gcp::Policy),
    /// An HCP workload identity provider.
    Hcp(hcp::Policy),
    /// An API server's authentication configuration, and RBAC bindings where they are given.
    Kubernetes(kubernetes::Policy),
    /// A role of the JWT auth method, and its configuration where it is given.
    Vault(vault::Policy),
}

/// Why documents are no policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPolicy {
    /// Something in it is not as the relying party would take it.
    #[error("{place}: {what}")]
    Malformed {
        /// Where, e.g. `Statement[0].Condition`.
        place: String,
        /// What is wrong and what to write.
        what: String,
    },
    /// It is not known whose policy it is.
    #[error(
        "it is not known whose policy {name} is; there are AWS trust policies, federated identity \
         credentials of Azure, workload identity providers of GCP, roles of Vault's JWT auth method, \
         AuthenticationConfiguration, EKS' aws-auth, access entries and identity provider \
         configurations, and workload identity providers of HCP"
    )]
    Unknown {
        /// The document.
        name: String,
    },
    /// They belong to several relying parties.
    #[error(
        "{first} is for {one}, {second} for {other}; give those of one relying party at a time"
    )]
    Mixed {
        /// A document.
        first: String,
        /// Whose it is.
        one: &'static str,
        /// Another.
        second: String,
        /// Whose that is.
        other: &'static str,
    },
}

impl BadPolicy {
    /// What is wrong at a place of a document.
    pub fn at(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed {
            place: place.into(),
            what: what.into(),
        }
    }
}

type Recognizes = fn(&Value) -> bool;
type Reads = fn(&[Document]) -> Result<Policy, BadPolicy>;

/// Whose documents are recognized by what; the first that fits.
const READERS: [(&str, Recognizes, Reads); 7] = [
    ("AWS", aws::recognizes, |all| {
        aws::Policy::read(all).map(Policy::Aws)
    }),
    ("Azure", azure::recognizes, |all| {
        azure::Policy::read(all).map(Policy::Azure)
    }),
    ("EKS", eks::recognizes, |all| {
        eks::Policy::read(all).map(Policy::Eks)
    }),
    ("Kubernetes", kubernetes::recognizes, |all| {
        kubernetes::Policy::read(all).map(Policy::Kubernetes)
    }),
    ("GCP", gcp::recognizes, |all| {
        gcp::Policy::read(all).map(Policy::Gcp)
    }),
    ("HCP", hcp::recognizes, |all| {
        hcp::Policy::read(all).map(Policy::Hcp)
    }),
    ("Vault", vault::recognizes, |all| {
        vault::Policy::read(all).map(Policy::Vault)
    }),
];

impl Policy {
    /// Reads the documents of one relying party; whose they are is seen from their form. RBAC is
    /// Kubernetes' own, and goes with what lets somebody into an EKS cluster as well.
    ///
    /// # Errors
    /// [`BadPolicy`] names the document and the place in it.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let documents = kubernetes::unpacked(documents);
        let is_rbac = |document: &&Document| kubernetes::is_rbac(&document.value);
        let (rbac, own): (Vec<_>, Vec<_>) = documents.iter().partition(is_rbac);
        let mut found: Option<(&str, &str, Reads)> = None;
        for document in own.into_iter().chain(rbac) {
            let reader = READERS
                .iter()
                .find(|(_, recognizes, _)| recognizes(&document.value));
            let Some((party, _, reads)) = reader else {
                return Err(BadPolicy::Unknown {
                    name: document.name.clone(),
                });
            };
            match found {
                None => found = Some((&document.name, party, *reads)),
                Some((_, "EKS", _)) if is_rbac(&document) => {}
                Some((first, one, _)) if one != *party => {
                    return Err(BadPolicy::Mixed {
                        first: first.to_owned(),
                        one,
                        second: document.name.clone(),
                        other: party,
                    });
                }
                Some(_) => {}
            }
        }
        let Some((_, _, reads)) = found else {
            return Err(BadPolicy::Unknown {
                name: "nothing".to_owned(),
            });
        };
        reads(&documents)
    }

    /// Whose it is.
    pub fn relying_party(&self) -> &'static str {
        match self {
            Self::Aws(_) => "AWS",
            Self::Azure(_) => "Azure",
            Self::Eks(_) => "EKS",
            Self::Gcp(_) => "GCP",
            Self::Hcp(_) => "HCP",
            Self::Kubernetes(_) => "Kubernetes",
            Self::Vault(_) => "Vault",
        }
    }

    /// What it says about a token.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        match self {
            Self::Aws(policy) => policy.evaluate(presented),
            Self::Azure(policy) => policy.evaluate(presented),
            Self::Eks(policy) => policy.evaluate(presented),
            Self::Gcp(policy) => policy.evaluate(presented),
            Self::Hcp(policy) => policy.evaluate(presented),
            Self::Kubernetes(policy) => policy.evaluate(presented),
            Self::Vault(policy) => policy.evaluate(presented),
        }
    }

    /// The smallest change with which it admits the token, and the policy after it. Nothing if it
    /// admits it already, or if no change of this policy can.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        match self {
            Self::Aws(policy) => policy.admitting(presented).map(|(c, p)| (c, Self::Aws(p))),
            Self::Azure(policy) => policy
                .admitting(presented)
                .map(|(c, p)| (c, Self::Azure(p))),
            Self::Eks(policy) => policy.admitting(presented).map(|(c, p)| (c, Self::Eks(p))),
            Self::Gcp(policy) => policy.admitting(presented).map(|(c, p)| (c, Self::Gcp(p))),
            Self::Hcp(policy) => policy.admitting(presented).map(|(c, p)| (c, Self::Hcp(p))),
            Self::Kubernetes(policy) => policy
                .admitting(presented)
                .map(|(c, p)| (c, Self::Kubernetes(p))),
            Self::Vault(policy) => policy
                .admitting(presented)
                .map(|(c, p)| (c, Self::Vault(p))),
        }
    }
}
