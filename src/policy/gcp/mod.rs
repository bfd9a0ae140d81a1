//! GCP: a workload identity pool's OIDC provider, and where it is given a service account's IAM policy.
//!
//! The security token service looks at the provider that the caller names (does it exist, is it enabled),
//! at the token's issuer and audience, maps its claims to attributes, and asks the condition. Whoever gets
//! through is a principal of the pool; what that principal may do is in the bindings.

mod admitting;
mod bindings;
mod condition;
mod formula;
mod mapping;
mod provider;
#[cfg(test)]
mod tests;
mod weaknesses;

use serde_json::Value;

use self::bindings::Bindings;
use self::provider::Provider;
use super::{BadPolicy, Change, Decision, Document, Outcome, Presented, Verdict, Weakness};

/// Providers, and who may act as a service account.
#[derive(Clone, Debug)]
pub struct Policy {
    providers: Vec<Provider>,
    bindings: Option<Bindings>,
}

/// Whether a document is a provider, a list of them, or an IAM policy, as `gcloud` prints them.
pub fn recognizes(document: &Value) -> bool {
    match document {
        Value::Array(items) => !items.is_empty() && items.iter().all(provider::recognizes),
        other => provider::recognizes(other) || bindings::recognizes(other),
    }
}

impl Policy {
    /// Reads the documents: at least one provider, at most one IAM policy.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let mut providers = Vec::new();
        let mut found: Option<Bindings> = None;
        for document in documents {
            match &document.value {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        providers.push(Provider::read(&format!("[{index}]."), item)?);
                    }
                }
                value if bindings::recognizes(value) => {
                    if found.is_some() {
                        return Err(BadPolicy::at(
                            &document.name,
                            "is a second IAM policy; give that of one service account at a time",
                        ));
                    }
                    found = Some(Bindings::read(value)?);
                }
                value => providers.push(Provider::read("", value)?),
            }
        }
        if providers.is_empty() {
            return Err(BadPolicy::at(
                "bindings",
                "says who may act as a service account, not which tokens are taken; give the provider \
                 as well: `gcloud iam workload-identity-pools providers describe … --format json`",
            ));
        }
        Ok(Self {
            providers,
            bindings: found,
        })
    }

    /// What it says about a token. Of several providers, the caller names one: the verdict is that of
    /// the one that comes nearest.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        let (_, mut verdict) = self.nearest(presented);
        verdict.weaknesses = self.weaknesses();
        if verdict.admits() && self.bindings.is_none() {
            verdict.weaknesses.push(Weakness {
                place: "bindings".to_owned(),
                what: "not looked at: whether this principal may act as a service account, if the run is \
                       to; give what `gcloud iam service-accounts get-iam-policy EMAIL --format json` \
                       prints as a further `--policy`"
                    .to_owned(),
            });
        }
        verdict
    }

    /// The smallest change with which it admits the token, and the policy after it.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        let (index, verdict) = self.nearest(presented);
        if verdict.admits() {
            return None;
        }
        let mut changed = self.clone();
        let provider = changed.providers.get_mut(index)?;
        let mut changes = provider.admit(presented)?;
        let (identity, _) = provider.identity(presented);
        if let Some(bindings) = &mut changed.bindings {
            changes.extend(bindings.admit(provider, &identity)?);
        }
        let change = admitting::joined(changes)?;
        changed
            .nearest(presented)
            .1
            .admits()
            .then_some((change, changed))
    }

    fn nearest(&self, presented: &Presented) -> (usize, Verdict) {
        let verdicts = self.providers.iter().map(|provider| {
            let mut checks = provider.checks(presented);
            let (identity, mapped) = provider.identity(presented);
            checks.extend(mapped);
            checks.extend(provider.condition_check(presented, &identity));
            if let Some(bindings) = &self.bindings {
                checks.push(bindings.check(provider, &identity));
            }
            Verdict::of(checks)
        });
        verdicts
            .enumerate()
            .min_by_key(|(_, verdict)| distance(verdict))
            .unwrap_or_else(|| (0, Verdict::of(Vec::new())))
    }

    fn weaknesses(&self) -> Vec<Weakness> {
        let mut found: Vec<_> = self
            .providers
            .iter()
            .flat_map(Provider::weaknesses)
            .collect();
        if let Some(bindings) = &self.bindings {
            found.extend(bindings.weaknesses(&self.providers));
        }
        found
    }
}

/// How far a verdict is from letting the token in.
fn distance(verdict: &Verdict) -> (u8, usize) {
    let fails = |check: &&super::Check| check.outcome == Outcome::Fails;
    match verdict.decision {
        Decision::Admitted => (0, 0),
        Decision::Undecided => (1, 0),
        Decision::Refused => (2, verdict.checks.iter().filter(fails).count()),
    }
}
