//! The smallest change with which a trust policy admits a token.
//!
//! What is asked for exactly gets the token's value beside it. Where a statement cannot be widened so (it
//! is for others, it keeps someone out, it asks for what no token has, it would let a subject in with
//! another's audience), another is added for this run. A Deny is meant, and what cannot be known here is
//! not taken out.

use serde_json::{Value, json};

use super::super::Presented;
use super::super::verdict::{Change, Outcome, Part};
use super::Policy;
use super::condition::{Condition, Over, Test, Text};
use super::context::{ClaimKey, Request};
use super::evaluate::{Judged, judge, nearest};
use super::statement::{Actions, ProviderArn, Statement};

pub(super) fn admitting(policy: &Policy, presented: &Presented) -> Option<(Change, Policy)> {
    let verdict = policy.evaluate(presented);
    let is_denied = verdict.checks.iter().any(|check| check.operator == "Deny");
    if verdict.admits() || is_denied {
        return None;
    }
    let request = policy.request(presented);
    let mut draft = Draft {
        policy: policy.clone(),
        changes: Vec::new(),
    };
    draft.mend_provider(&request);
    if let Some(done) = draft.clone().finished(presented) {
        return Some(done);
    }
    let judged = judge(policy, &request);
    let best = nearest(&judged);
    if let Some(best) = best.filter(|best| best.is_for_the_issuer()) {
        let is_unknown = |(_, check): (_, &super::super::Check)| check.outcome == Outcome::Unknown;
        if best.conditions().any(is_unknown) {
            return None;
        }
        let mut draft = draft.clone();
        if draft.widen(best, &request).is_some()
            && let Some(done) = draft.finished(presented)
        {
            return Some(done);
        }
    }
    draft.add_statement(&request)?;
    draft.finished(presented)
}

/// A policy in the making, and what was done to it.
#[derive(Clone)]
struct Draft {
    policy: Policy,
    changes: Vec<Change>,
}

impl Draft {
    /// What was done, as one change; nothing if it was nothing, or not enough.
    fn finished(self, presented: &Presented) -> Option<(Change, Policy)> {
        let Self { policy, changes } = self;
        let Policy {
            document,
            role_arn,
            provider,
            ..
        } = policy;
        let policy = Policy::of(document, role_arn, provider).ok()?;
        if !policy.evaluate(presented).admits() {
            return None;
        }
        Some((together(changes)?, policy))
    }

    fn mend_provider(&mut self, request: &Request) {
        let Some(provider) = &mut self.policy.provider else {
            return;
        };
        if let Ok(url) = request.provider()
            && url != provider.url
        {
            self.changes.push(Change {
                place: "Url".to_owned(),
                what: format!(
                    "create a provider for `https://{url}`; the URL of one that is there cannot be changed"
                ),
                before: Some(provider.url.clone()),
                after: url.to_owned(),
            });
            url.clone_into(&mut provider.url);
        }
        if let Ok(audience) = request.audience()
            && !provider.client_ids.iter().any(|id| id == audience)
        {
            let before = json!(provider.client_ids).to_string();
            provider.client_ids.push(audience.to_owned());
            self.changes.push(Change {
                place: "ClientIDList".to_owned(),
                what: format!(
                    "add `{audience}` (`aws iam add-client-id-to-open-id-connect-provider`)"
                ),
                before: Some(before),
                after: json!(provider.client_ids).to_string(),
            });
        }
    }

    /// Lets the token into a statement that is for its issuer; nothing if that is not a matter of values.
    fn widen(&mut self, judged: &Judged, request: &Request) -> Option<()> {
        let statement = judged.statement;
        let missing = &judged.missing_actions;
        // A statement without this action lets nobody in yet.
        let opens = missing.contains(&"sts:AssumeRoleWithWebIdentity");
        let (mut widens_audience, mut widens_subject) = (opens, opens);
        if opens && statement.principals.federated().len() > 1 {
            return None;
        }
        if !missing.is_empty() {
            if matches!(statement.actions, Actions::AllBut(_)) {
                return None;
            }
            let place = format!("{}.Action", statement.place);
            let list = format!("`{}`", missing.join("` and `"));
            let actions = self.at(&statement.place)?.get_mut("Action")?;
            let change = add(actions, missing, place, format!("add {list}"));
            self.changes.push(change);
        }
        let failing = judged
            .conditions()
            .filter(|(_, check)| check.outcome == Outcome::Fails);
        for (condition, check) in failing {
            if !condition.operator.asks_for_text() {
                return None;
            }
            let claim = match check.part {
                Part::Audience => "aud",
                Part::Subject => "sub",
                _ => return None,
            };
            widens_audience |= claim == "aud";
            widens_subject |= claim == "sub";
            let value = value_of(claim, request)?;
            let written = written(&value, self.policy.variables, condition)?;
            if !ClaimKey::parse(&condition.key).is(request.provider().ok()?, claim) {
                self.rename_key(statement, condition, claim, &written, request)?;
                continue;
            }
            let name = &condition.key;
            let place = format!(
                "{}.Condition.{}[\"{name}\"]",
                statement.place, condition.operator.name
            );
            let what = format!("add `{value}`");
            let values = self.condition(&statement.place, condition)?.get_mut(name)?;
            let change = add(values, &[written.as_str()], place, what);
            self.changes.push(change);
        }
        // Each subject of a statement goes with each of its audiences.
        let is_safe = (!widens_subject || self.asks_only_for("aud", &statement.place, request)?)
            && (!widens_audience || self.asks_only_for("sub", &statement.place, request)?);
        is_safe.then_some(())
    }

    /// Gives a condition the key of the token's issuer, and the token's value only: the values of a key
    /// that the issuer never had may be those of another. Nothing if the statement is for others too.
    fn rename_key(
        &mut self,
        statement: &Statement,
        condition: &Condition,
        claim: &str,
        value: &str,
        request: &Request,
    ) -> Option<()> {
        if statement.principals.federated().len() != 1 {
            return None;
        }
        let key = format!("{}:{claim}", request.provider().ok()?);
        let keys = self
            .condition(&statement.place, condition)?
            .as_object_mut()?;
        if keys.keys().any(|other| other.eq_ignore_ascii_case(&key)) {
            return None;
        }
        let before = keys.remove(&condition.key)?;
        keys.insert(key.clone(), json!(value));
        self.changes.push(Change {
            place: format!("{}.Condition.{}", statement.place, condition.operator.name),
            what: format!(
                "name the key `{key}` instead of `{}`, with this run's value",
                condition.key
            ),
            before: Some(json!({ &condition.key: before }).to_string()),
            after: json!({ key: value }).to_string(),
        });
        Some(())
    }

    /// Whether a statement, as it is now, asks for the token's value of a claim and lets no other in.
    fn asks_only_for(&self, claim: &str, place: &str, request: &Request) -> Option<bool> {
        let value = value_of(claim, request)?;
        let provider = request.provider().ok()?;
        let statements = Statement::read_all(&self.policy.document).ok()?;
        let statement = statements.iter().find(|one| one.place == place)?;
        Some(statement.conditions.iter().any(|condition| {
            let written = written(&value, self.policy.variables, condition);
            ClaimKey::parse(&condition.key).is(provider, claim)
                && condition.operator.asks_for_text()
                && condition.operator.over != Over::All
                && written.is_some_and(|written| condition.wanted.iter().all(|w| *w == written))
        }))
    }

    /// Adds a statement for exactly this run.
    fn add_statement(&mut self, request: &Request) -> Option<()> {
        let provider = request.provider().ok()?;
        let arn = self.arn_for(provider, request)?;
        let exactly = |claim| {
            let value = value_of(claim, request)?;
            Some(if self.policy.variables {
                value.replace("${", "${$}{")
            } else {
                value
            })
        };
        let actions = request.actions();
        let statement = json!({
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": match actions.as_slice() {
                [only] => json!(only),
                several => json!(several),
            },
            "Condition": {"StringEquals": {
                format!("{provider}:aud"): exactly("aud")?,
                format!("{provider}:sub"): exactly("sub")?,
            }},
        });
        let statements = self.policy.document.get_mut("Statement")?;
        if !statements.is_array() {
            *statements = Value::Array(vec![statements.take()]);
        }
        let statements = statements.as_array_mut()?;
        self.changes.push(Change {
            place: format!("Statement[{}]", statements.len()),
            what: "add a statement for exactly this run".to_owned(),
            before: None,
            after: format!("{statement:#}"),
        });
        statements.push(statement);
        Some(())
    }

    /// The ARN of the issuer's provider in the role's account.
    fn arn_for(&self, provider: &str, request: &Request) -> Option<String> {
        let named = self.policy.statements.iter();
        let named = named
            .flat_map(|statement| statement.principals.federated())
            .filter_map(|arn| ProviderArn::parse(arn))
            .map(|arn| (arn.partition, arn.account));
        let role = request.role_arn.and_then(|arn| {
            let mut parts = arn.split(':').skip(1);
            Some((parts.next()?, parts.nth(2)?))
        });
        let (partition, account) = role.into_iter().chain(named).next()?;
        Some(format!(
            "arn:{partition}:iam::{account}:oidc-provider/{provider}"
        ))
    }

    fn at(&mut self, place: &str) -> Option<&mut Value> {
        let index = place.strip_prefix("Statement[")?.strip_suffix(']')?;
        let index: usize = index.parse().ok()?;
        match self.policy.document.get_mut("Statement")? {
            Value::Array(items) => items.get_mut(index),
            one => Some(one),
        }
    }

    fn condition(&mut self, place: &str, condition: &Condition) -> Option<&mut Value> {
        let block = self.at(place)?.get_mut("Condition")?;
        block.get_mut(&condition.operator.name)
    }
}

/// The token's own, as AWS sees it.
fn value_of(claim: &str, request: &Request) -> Option<String> {
    let value = match claim {
        "aud" => request.audience().ok(),
        _ => return request.subject(),
    };
    value.map(str::to_owned)
}

/// A value as it is written where it is compared, so that it fits itself only: its own wildcards are no
/// wildcards. Nothing if that cannot be written.
fn written(value: &str, variables: bool, condition: &Condition) -> Option<String> {
    let escaped = if variables {
        value.replace("${", "${$}{")
    } else {
        value.to_owned()
    };
    match condition.operator.test {
        Test::Text(Text::Equals) => Some(escaped),
        Test::Text(Text::Like) if variables => {
            Some(escaped.replace('*', "${*}").replace('?', "${?}"))
        }
        Test::Text(Text::Like) => (!value.contains(['*', '?'])).then_some(escaped),
        _ => None,
    }
}

/// Adds values to a text or a list of texts.
fn add(to: &mut Value, values: &[&str], place: String, what: String) -> Change {
    let before = to.to_string();
    if !to.is_array() {
        *to = Value::Array(vec![to.take()]);
    }
    if let Some(list) = to.as_array_mut() {
        list.extend(values.iter().map(|value| json!(value)));
    }
    Change {
        place,
        what,
        before: Some(before),
        after: to.to_string(),
    }
}

/// Several changes as one.
fn together(mut changes: Vec<Change>) -> Option<Change> {
    if changes.len() < 2 {
        return changes.pop();
    }
    let named = changes.iter().map(|change| Change {
        what: format!("at `{}` {}", change.place, change.what),
        ..change.clone()
    });
    Change::together(&named.collect::<Vec<_>>())
}
