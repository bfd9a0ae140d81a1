//! Tokens of trusted issuers: from a text that a stranger sent to a client or a workload.
//!
//! Cheap things first: the form, the issuer, the claims; then the key, then the signature, then the
//! rules. Whether the token was taken before is looked at where it is taken: in the transaction that
//! records what it was taken for.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use uuid::Uuid;

use super::issuer_keys::{IssuerKeys, KeysError};
use super::mapping::{Identity, Mapped, Mapping, Verdict};
use super::unverified::{Unverified, Validity, fingerprint_of, shown};
use crate::domain::InvalidField;
use crate::domain::name::Name;
use crate::domain::time::Timestamp;
use crate::domain::trusted_issuer::{Definition, TrustedIssuer};
use crate::store::{Store, StoreError, Take};

/// The trusted issuers, ready for use; it follows the database.
#[derive(Debug)]
pub struct Federation {
    store: Store,
    current: ArcSwap<Snapshot>,
}

#[derive(Debug, Default)]
struct Snapshot {
    revision: i64,
    by_issuer: HashMap<String, Arc<Accepted>>,
}

/// A trusted issuer with its rules compiled and its keys at hand.
#[derive(Debug)]
struct Accepted {
    issuer: TrustedIssuer,
    mapping: Mapping,
    keys: Arc<IssuerKeys>,
}

/// A token that claims to be of a trusted issuer, and alive, and for us. Nobody has looked at its
/// signature.
#[derive(Debug)]
pub struct Candidate<'a> {
    accepted: Arc<Accepted>,
    unverified: Unverified<'a>,
    described: String,
    validity: Validity,
}

/// A token that its issuer has signed, that is for us, and that is alive.
#[derive(Clone, Debug)]
pub struct ForeignToken {
    /// What we call its issuer.
    pub issuer: Name,
    /// The rule that it was mapped by.
    pub rule: String,
    /// What it says about itself, for the audit log.
    pub described: String,
    /// What makes sure that it is taken once.
    pub take: Take,
    /// When it expires at the latest.
    pub until: Timestamp,
    /// Whose it is, as a hash: by `iss` and `sub`.
    pub holder: String,
}

/// Why a foreign token is refused. The reason is for log and audit.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Whose token it claims to be, if that is one whom we trust.
    pub issuer: Option<Name>,
    /// Why.
    pub reason: String,
    /// Its issuer has signed it: it is not forged.
    pub is_genuine: bool,
    /// It may be accepted in a moment: its issuer's keys cannot be had now.
    pub is_passing: bool,
}

/// What an operator is told about a token.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Which issuer it was held against.
    pub issuer: Option<Name>,
    /// What was looked at, in this order, up to the first failure.
    pub checks: Vec<Check>,
    /// What each rule makes of it.
    pub rules: Vec<Verdict>,
    /// Who it stands for, if it is accepted.
    pub mapped: Option<Mapped>,
    /// What it says about itself.
    pub claims: Option<Value>,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// What is wrong; nothing if it is right.
    pub failure: Option<String>,
}

impl Accepted {
    fn new(issuer: TrustedIssuer) -> Result<Self, InvalidField> {
        issuer.definition.check()?;
        Ok(Self {
            mapping: Mapping::compile(&issuer.definition)?,
            keys: Arc::new(IssuerKeys::new(&issuer.definition)?),
            issuer,
        })
    }
}

/// Refuses a definition that could not be used, with the field and the place in it.
///
/// # Errors
/// As [`InvalidField`] says.
pub fn check(definition: &Definition) -> Result<(), InvalidField> {
    definition.check()?;
    Mapping::compile(definition)?;
    IssuerKeys::new(definition)?;
    Ok(())
}

impl Federation {
    /// Loads the trusted issuers for the first time.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(store: Store) -> Result<Self, StoreError> {
        let federation = Self {
            store,
            current: ArcSwap::default(),
        };
        federation.refresh().await?;
        Ok(federation)
    }

    /// Follows the database; whether anything has changed. Keys of issuers that have not are kept.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        let before = self.current.load_full();
        if self.store.federation_revision().await? == before.revision {
            return Ok(false);
        }
        let (revision, issuers) = self.store.trusted_issuers().await?;
        let mut by_issuer = HashMap::with_capacity(issuers.len());
        for issuer in issuers {
            let url = issuer.definition.issuer.clone();
            let same = |known: &&Arc<Accepted>| known.issuer == issuer;
            if let Some(known) = before.by_issuer.get(&url).filter(same) {
                by_issuer.insert(url, Arc::clone(known));
                continue;
            }
            let name = issuer.name.clone();
            match Accepted::new(issuer) {
                Ok(accepted) => drop(by_issuer.insert(url, Arc::new(accepted))),
                // It was checked when it was saved, by another version perhaps.
                Err(error) => tracing::error!(
                    issuer.name = name.as_str(),
                    %error,
                    "a trusted issuer cannot be used; its tokens are refused"
                ),
            }
        }
        self.current.store(Arc::new(Snapshot {
            revision,
            by_issuer,
        }));
        Ok(true)
    }

    /// Looks at a token as far as that costs next to nothing: its form, whose it claims to be, its
    /// claims. No key is touched.
    ///
    /// # Errors
    /// [`Refusal`] with the reason.
    pub fn consider<'a>(&self, token: &'a str, now: Timestamp) -> Result<Candidate<'a>, Refusal> {
        let refusal = |issuer: Option<&Name>, reason: String| Refusal {
            issuer: issuer.cloned(),
            reason,
            is_genuine: false,
            is_passing: false,
        };
        let unverified = Unverified::parse(token).map_err(|reason| {
            let about = fingerprint_of(token);
            refusal(None, format!("{reason} (fingerprint {about})"))
        })?;
        let described = unverified.described();
        let snapshot = self.current.load();
        let accepted = snapshot.by_issuer.get(&unverified.issuer).ok_or_else(|| {
            let issuer = shown(&unverified.issuer);
            let reason = format!("its `iss` {issuer} is no trusted issuer; {described}");
            refusal(None, reason)
        })?;
        let issuer = &accepted.issuer;
        let validity = unverified
            .check(&issuer.definition, now)
            .map_err(|reason| refusal(Some(&issuer.name), format!("{reason}; {described}")))?;
        Ok(Candidate {
            accepted: Arc::clone(accepted),
            unverified,
            described,
            validity,
        })
    }

    /// Says what would become of a token, and takes nothing. With a `draft`, it is held against that.
    ///
    /// # Errors
    /// The draft cannot be used.
    pub async fn explain(
        &self,
        token: &str,
        draft: Option<Definition>,
        now: Timestamp,
    ) -> Result<Explanation, InvalidField> {
        let draft = draft.map(|definition| {
            Accepted::new(TrustedIssuer {
                name: Name::parse("name", "draft")?,
                definition,
                revision: 0,
                created_at: now,
            })
        });
        let draft = draft.transpose()?.map(Arc::new);
        let mut explanation = Explanation {
            issuer: None,
            checks: Vec::new(),
            rules: Vec::new(),
            mapped: None,
            claims: None,
        };
        // Each step ends the matter at its first failure; what was found so far stands.
        let _ = self.steps(&mut explanation, token.trim(), draft, now).await;
        Ok(explanation)
    }

    async fn steps(
        &self,
        explanation: &mut Explanation,
        token: &str,
        draft: Option<Arc<Accepted>>,
        now: Timestamp,
    ) -> Option<()> {
        let unverified = explanation.step("form", Unverified::parse(token))?;
        let accepted = match draft {
            Some(draft) if draft.issuer.definition.issuer == unverified.issuer => Ok(draft),
            Some(draft) => Err(format!(
                "its `iss` {} is not the draft's {}, byte for byte",
                shown(&unverified.issuer),
                shown(&draft.issuer.definition.issuer)
            )),
            None => self.find(&unverified.issuer),
        };
        let accepted = explanation.step("issuer", accepted)?;
        explanation.issuer = Some(accepted.issuer.name.clone());
        let validity = unverified.check(&accepted.issuer.definition, now);
        explanation.step("algorithm, audience and times", validity)?;
        let keys = accepted
            .keys
            .find(&unverified.kid, unverified.algorithm, now)
            .await
            .map_err(|error| error.to_string());
        let keys = explanation.step("key", keys)?;
        let signed = unverified.is_signed_by(&keys);
        let signed = signed.then_some(()).ok_or_else(|| {
            "the signature is not that of the issuer's key with this `kid`".to_owned()
        });
        explanation.step("signature", signed)?;
        let taken = match self.store.is_taken(&unverified.fingerprint()).await {
            Ok(false) => Ok(()),
            Ok(true) => Err("it was taken before; a token is taken once".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        explanation.step("taken once", taken)?;
        let claims = unverified.into_claims();
        let random = Uuid::new_v4();
        explanation.rules = accepted.mapping.explain(&claims, random.as_bytes());
        let mapped = accepted.mapping.map(&claims, random.as_bytes());
        explanation.claims = Some(claims);
        let mapped = explanation.step("rules", mapped)?;
        if let Identity::Client(name) = &mapped.identity {
            let client = match self.store.find_client(name.as_str()).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(format!("there is no client `{name}`")),
                Err(error) => Err(error.to_string()),
            };
            explanation.step("client", client)?;
        }
        explanation.mapped = Some(mapped);
        Some(())
    }

    fn find(&self, issuer: &str) -> Result<Arc<Accepted>, String> {
        let snapshot = self.current.load();
        if let Some(accepted) = snapshot.by_issuer.get(issuer) {
            return Ok(Arc::clone(accepted));
        }
        let near = |known: &&String| known.trim_end_matches('/') == issuer.trim_end_matches('/');
        let hint = snapshot
            .by_issuer
            .keys()
            .find(near)
            .map_or_else(String::new, |near| {
                format!("; {} differs from it by a slash", shown(near))
            });
        Err(format!(
            "its `iss` {} is no trusted issuer{hint}",
            shown(issuer)
        ))
    }
}

impl Candidate<'_> {
    /// Whose it claims to be, as a hash: by `iss` and `sub`.
    pub fn holder(&self) -> String {
        self.unverified.holder()
    }

    /// Verifies it and finds who it stands for. It is not taken yet.
    ///
    /// # Errors
    /// [`Refusal`] with the reason.
    pub async fn verify(self, now: Timestamp) -> Result<(ForeignToken, Identity), Refusal> {
        let Self {
            accepted,
            unverified,
            described,
            validity,
        } = self;
        let issuer = &accepted.issuer;
        let refused = |reason: String| Refusal {
            issuer: Some(issuer.name.clone()),
            reason: format!("{reason}; {described}"),
            is_genuine: false,
            is_passing: false,
        };
        let keys = accepted
            .keys
            .find(&unverified.kid, unverified.algorithm, now)
            .await
            .map_err(|error| Refusal {
                is_passing: matches!(error, KeysError::Busy | KeysError::Fetch(_)),
                ..refused(error.to_string())
            })?;
        if !unverified.is_signed_by(&keys) {
            return Err(refused(
                "its signature is not that of its issuer's key".to_owned(),
            ));
        }
        let take = Take {
            id: unverified.fingerprint(),
            by: Uuid::new_v4().to_string(),
            until: validity.forget_at,
            issuer: issuer.name.to_string(),
            revision: issuer.revision,
        };
        let holder = unverified.holder();
        let claims = unverified.into_claims();
        let mapped = accepted.mapping.map(&claims, Uuid::new_v4().as_bytes());
        let Mapped { rule, identity } = mapped.map_err(|reason| Refusal {
            is_genuine: true,
            ..refused(reason)
        })?;
        let foreign = ForeignToken {
            issuer: issuer.name.clone(),
            rule,
            described,
            take,
            until: validity.until,
            holder,
        };
        Ok((foreign, identity))
    }
}

impl Explanation {
    fn step<T>(&mut self, name: &'static str, result: Result<T, String>) -> Option<T> {
        let (value, failure) = match result {
            Ok(value) => (Some(value), None),
            Err(failure) => (None, Some(failure)),
        };
        self.checks.push(Check { name, failure });
        value
    }
}
