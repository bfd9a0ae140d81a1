//! What a trust policy says about a token.
//!
//! IAM user guide: "Policy evaluation logic": a Deny that applies wins; else something must allow; what is
//! not allowed is denied.

use super::super::Presented;
use super::super::verdict::{Check, Outcome, Part, Verdict};
use super::condition::Condition;
use super::context::{self, Found, Request};
use super::pattern::{common_start, difference};
use super::statement::{Actions, Effect, Principals, ProviderArn, Statement};
use super::{Policy, provider};

/// A statement and how it stands to a request.
pub(super) struct Judged<'a> {
    pub(super) statement: &'a Statement,
    /// Whom it is for; what it asks for, in the order of its conditions.
    principal: Check,
    conditions: Vec<Check>,
    /// Of all of these.
    outcome: Outcome,
    /// The actions asked for that it does not contain.
    pub(super) missing_actions: Vec<&'static str>,
    /// How much of the subject fits at most.
    near: usize,
}

pub(super) fn verdict(policy: &Policy, presented: &Presented) -> Verdict {
    let request = policy.request(presented);
    let mut checks = provider::token_checks(&request);
    if let Some(provider) = &policy.provider {
        checks.extend(provider.checks(&request));
    }
    let judged = judge(policy, &request);
    let actions = request.actions();
    let denies = judged.iter().filter(|judged| {
        judged.statement.effect == Effect::Deny
            && judged.outcome != Outcome::Fails
            && judged.missing_actions.len() < actions.len()
    });
    let (denied, perhaps): (Vec<_>, Vec<_>) =
        denies.partition(|judged| judged.outcome == Outcome::Holds);
    if let Some(deny) = denied.first() {
        checks.push(deny.as_denial());
        return Verdict::of(checks);
    }
    match nearest(&judged) {
        Some(nearest) => checks.extend(nearest.checks(&actions, &judged)),
        None => checks.push(Check::new(
            "Statement",
            Part::Action,
            "Allow",
            false,
            "no statement allows anything",
        )),
    }
    checks.extend(perhaps.iter().map(|deny| deny.as_denial()));
    Verdict::of(checks)
}

/// All statements against a request.
pub(super) fn judge<'a>(policy: &'a Policy, request: &Request) -> Vec<Judged<'a>> {
    let statements = policy.statements.iter();
    statements
        .map(|statement| Judged::new(statement, request, policy.variables))
        .collect()
}

/// Of those that allow, the one that comes nearest to allowing all.
pub(super) fn nearest<'j, 'a>(judged: &'j [Judged<'a>]) -> Option<&'j Judged<'a>> {
    let allowing = judged
        .iter()
        .filter(|judged| judged.statement.effect == Effect::Allow);
    allowing.min_by_key(|judged| {
        let count = |outcome| {
            let all = judged.conditions.iter();
            all.filter(|check| check.outcome == outcome).count()
        };
        let lacks_action = judged
            .missing_actions
            .contains(&"sts:AssumeRoleWithWebIdentity");
        // One that holds decides, and one that perhaps holds leaves it open, whatever the others say.
        let standing = match judged.outcome {
            Outcome::Holds if !lacks_action => 0,
            Outcome::Unknown if !lacks_action => 1,
            _ => 2,
        };
        (
            standing,
            judged.principal.outcome == Outcome::Fails,
            judged.principal.outcome != Outcome::Holds,
            lacks_action,
            count(Outcome::Fails),
            count(Outcome::Unknown),
            judged.missing_actions.len(),
            usize::MAX - judged.near,
        )
    })
}

impl Policy {
    pub(super) fn request<'a>(&'a self, presented: &'a Presented) -> Request<'a> {
        let role_arn = self.role_arn.as_deref().or(presented.role_arn.as_deref());
        Request {
            presented,
            role_arn,
        }
    }
}

impl<'a> Judged<'a> {
    fn new(statement: &'a Statement, request: &Request, variables: bool) -> Self {
        let (principal, arn) = check_principal(statement, request);
        let arn = arn.as_deref();
        let judge = |condition| check_condition(statement, condition, request, arn, variables);
        let conditions: Vec<Check> = statement.conditions.iter().map(judge).collect();
        let all = || conditions.iter().chain([&principal]);
        let outcome = if all().any(|check| check.outcome == Outcome::Fails) {
            Outcome::Fails
        } else if all().any(|check| check.outcome == Outcome::Unknown) {
            Outcome::Unknown
        } else {
            Outcome::Holds
        };
        let subject = request.subject().unwrap_or_default();
        let near = statement
            .conditions
            .iter()
            .filter(|condition| context::part(&condition.key) == Part::Subject)
            .filter_map(|condition| condition.nearest(&subject))
            .map(|wanted| common_start(wanted, &subject))
            .max();
        let missing = |action: &&'static str| !statement.actions.contain(action);
        Self {
            statement,
            outcome,
            principal,
            conditions,
            missing_actions: request.actions().into_iter().filter(missing).collect(),
            near: near.unwrap_or(0),
        }
    }

    /// Whether it is for the token's issuer.
    pub(super) fn is_for_the_issuer(&self) -> bool {
        self.principal.outcome == Outcome::Holds
    }

    /// Its conditions, with what became of them.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (&Condition, &Check)> {
        self.statement.conditions.iter().zip(&self.conditions)
    }

    /// What it comes to, in the order in which AWS looks. An action that this statement does not contain
    /// may be allowed by another that holds as well.
    fn checks(&self, actions: &[&'static str], all: &[Judged]) -> Vec<Check> {
        let mut checks = vec![self.principal.clone()];
        for action in actions {
            checks.push(self.check_action(action, all));
        }
        let mut conditions = self.conditions.clone();
        conditions.sort_by_key(|check| match check.part {
            Part::Audience => 0,
            Part::Subject => 1,
            _ => 2,
        });
        checks.extend(conditions);
        checks
    }

    fn check_action(&self, action: &'static str, all: &[Judged]) -> Check {
        let allows = |judged: &&Judged, outcome| {
            judged.statement.effect == Effect::Allow
                && judged.outcome == outcome
                && !judged.missing_actions.contains(&action)
        };
        let other = |outcome| all.iter().find(|judged| allows(judged, outcome));
        let statement = if self.missing_actions.contains(&action) {
            other(Outcome::Holds).map_or(self.statement, |judged| judged.statement)
        } else {
            self.statement
        };
        let element = statement.actions.element();
        let place = format!("{}.{element}", statement.place);
        let check = if statement.actions.contain(action) {
            Check::holds(place, Part::Action, element)
        } else if other(Outcome::Unknown).is_some() {
            let why =
                format!("a statement of which it is not known whether it holds allows `{action}`");
            Check::unknown(place, Part::Action, element, why)
        } else {
            Check::new(
                place,
                Part::Action,
                element,
                false,
                why_not(action, &statement.actions),
            )
        };
        check.wanting(statement.actions.names()).finding([action])
    }

    /// A Deny that applies, or perhaps does.
    fn as_denial(&self) -> Check {
        let place = self.statement.place.clone();
        let names: Vec<&str> = self
            .statement
            .conditions
            .iter()
            .map(|condition| condition.key.as_str())
            .collect();
        let asked = if names.is_empty() {
            "it has no condition".to_owned()
        } else {
            format!("its conditions on `{}` hold", names.join("`, `"))
        };
        if self.outcome == Outcome::Holds {
            let why = format!("this statement denies it, {asked}, and a Deny beats every Allow");
            return Check::new(place, Part::Action, "Deny", false, why);
        }
        let unknown = self.conditions.iter().chain([&self.principal]);
        let unknown = unknown.filter(|check| check.outcome == Outcome::Unknown);
        let whys: Vec<&str> = unknown.map(|check| check.why.as_str()).collect();
        let why = format!("this statement may deny it: {}", whys.join("; "));
        Check::unknown(place, Part::Action, "Deny", why)
    }
}

fn why_not(action: &str, actions: &Actions) -> String {
    if matches!(actions, Actions::AllBut(_)) {
        return format!("`NotAction` takes `{action}` out");
    }
    match action {
        "sts:TagSession" => {
            "the token carries session tags, so that every role it is used for must \
                             allow `sts:TagSession`"
                .to_owned()
        }
        "sts:SetSourceIdentity" => "the token carries a source identity, so that every role it is \
                                    used for must allow `sts:SetSourceIdentity`"
            .to_owned(),
        _ => format!("a web identity assumes a role with `{action}`, which is not among these"),
    }
}

/// Whether a statement is for the token's issuer, and its ARN there.
fn check_principal(statement: &Statement, request: &Request) -> (Check, Option<String>) {
    let federated = statement.principals.federated();
    let place = format!("{}.Principal", statement.place);
    let place = match &statement.principals {
        Principals::Named { aws, .. } if federated.is_empty() && !aws.is_empty() => {
            format!("{place}.AWS")
        }
        Principals::Named { .. } if !federated.is_empty() => format!("{place}.Federated"),
        _ => place,
    };
    let issuer = request.presented.text("iss");
    let finish = |check: Check| {
        let names: Vec<&str> = match &statement.principals {
            Principals::Everyone => vec!["*"],
            Principals::Named { aws, .. } if federated.is_empty() => {
                aws.iter().map(String::as_str).collect()
            }
            Principals::Named { federated, .. } => federated.iter().map(String::as_str).collect(),
        };
        check.wanting(names).finding(issuer)
    };
    let fails = |why: String| Check::new(&*place, Part::Issuer, "Federated", false, why);
    let provider = match request.provider() {
        Ok(provider) => provider,
        Err(why) => return (finish(fails(why)), None),
    };
    let role = request.role_arn;
    let whys: Vec<Result<&String, String>> = federated
        .iter()
        .map(|arn| why_other_provider(arn, provider, role).map_or(Ok(arn), Err))
        .collect();
    if let Some(Ok(arn)) = whys.iter().find(|why| why.is_ok()) {
        let check = Check::holds(&*place, Part::Issuer, "Federated");
        return (finish(check), Some((*arn).clone()));
    }
    if federated.iter().any(|name| name == "*") {
        let why = "what AWS makes of `*` here is not documented; name the provider's ARN";
        let check = Check::unknown(&*place, Part::Issuer, "Federated", why);
        return (finish(check), None);
    }
    if statement.principals.is_everyone() && statement.effect == Effect::Deny {
        let why = "whether `*` stands for a web identity in a Deny is not documented";
        let check = Check::unknown(&*place, Part::Issuer, "Federated", why);
        return (finish(check), None);
    }
    if statement.principals.is_everyone() {
        let why = "`*` does not let a web identity in; name the provider's ARN in `Federated`";
        return (finish(fails(why.to_owned())), None);
    }
    let why = whys.into_iter().find_map(Result::err);
    let why = why.unwrap_or_else(|| {
        "the statement is for others; a token's issuer is named by its provider's ARN in `Federated`"
            .to_owned()
    });
    (finish(fails(why)), None)
}

/// Why a federated principal is not the provider of this issuer; nothing if it is.
fn why_other_provider(arn: &str, provider: &str, role_arn: Option<&str>) -> Option<String> {
    let Some(named) = ProviderArn::parse(arn) else {
        return Some(format!(
            "`{arn}` is no ARN of an OIDC provider, which reads \
             `arn:aws:iam::<account>:oidc-provider/{provider}`"
        ));
    };
    if named.provider != provider {
        let path = provider.strip_prefix(named.provider);
        if path.is_some_and(|path| path.starts_with('/') && path != "/") {
            return Some(format!(
                "the statement is for the issuer's host alone, and the issuer has a path; write \
                 `oidc-provider/{provider}`"
            ));
        }
        return Some(format!(
            "the statement is for the provider of another issuer: {}",
            difference(named.provider, provider, false)
        ));
    }
    let account = named.account;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!("`{account}` is no account, which has 12 digits"));
    }
    let role_account = role_arn.and_then(|arn| arn.split(':').nth(4));
    role_account.filter(|role| *role != account).map(|role| {
        format!("the provider is of the account {account}, the role of {role}; it must be the role's own")
    })
}

fn check_condition(
    statement: &Statement,
    condition: &Condition,
    request: &Request,
    provider_arn: Option<&str>,
    variables: bool,
) -> Check {
    let found = request.find(&condition.key, provider_arn);
    let (outcome, why) = condition.hold(&found, variables);
    let place = statement.place_of(condition);
    let part = context::part(&condition.key);
    let operator = &condition.operator.name;
    let check = match outcome {
        Outcome::Holds => Check::holds(place, part, operator),
        Outcome::Fails => Check::new(place, part, operator, false, why),
        Outcome::Unknown => Check::unknown(place, part, operator, why),
    };
    let values = match found {
        Found::Values(values) => values,
        Found::Missing(_) | Found::Unknown(_) => Vec::new(),
    };
    check.wanting(&condition.wanted).finding(values)
}
