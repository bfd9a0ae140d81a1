//! `CloudTrail` events of `AssumeRoleWithWebIdentity`, and the token that was shown.

use serde_json::Value;

use super::{Event, Log, of_token};
use crate::doctor::kinds::explain as kinds;
use crate::doctor::{Finding, Report};
use crate::domain::time::Timestamp;
use crate::runner::cloud::session_name;

/// STS forgives five minutes on `iat` and `exp` (AWS IAM user guide), so the clocks of AWS and of the
/// issuer may be as far apart.
const SKEW: i64 = 300;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it was made, by AWS' clock.
    pub at: Timestamp,
    /// The token's subject, if the event tells it.
    pub subject: Option<String>,
    audience: Option<String>,
    /// The ARN of the IAM provider.
    provider: String,
    role: Option<String>,
    session: Option<String>,
    /// The error's code, and its message.
    error: Option<(String, String)>,
}

/// Why a file holds no call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTrail {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Json(String),
    /// None of its events is one.
    #[error(
        "it has no event `AssumeRoleWithWebIdentity`; `aws cloudtrail lookup-events --lookup-attributes \
         AttributeKey=EventName,AttributeValue=AssumeRoleWithWebIdentity` prints them"
    )]
    NoCall,
    /// A member is missing.
    #[error("event {number} has no `{member}`")]
    Member {
        /// Which one, from 1.
        number: usize,
        /// What is missing.
        member: &'static str,
    },
}

/// The calls of a file: one event, a log file's `Records`, or what `aws cloudtrail lookup-events` prints.
///
/// # Errors
/// [`BadTrail`]
pub fn calls(text: &str) -> Result<Vec<Call>, BadTrail> {
    let json = |error: serde_json::Error| BadTrail::Json(error.to_string());
    let value: Value = serde_json::from_str(text).map_err(json)?;
    let mut events = Vec::new();
    for item in items(&value) {
        // What `lookup-events` prints has the event as a text.
        match item["CloudTrailEvent"].as_str() {
            Some(text) => events.push(serde_json::from_str(text).map_err(json)?),
            None => events.push(item.clone()),
        }
    }
    let calls = events.iter().enumerate();
    let calls: Vec<Call> = calls
        .filter(|(_, event)| event["eventName"] == "AssumeRoleWithWebIdentity")
        .map(|(index, event)| Call::read(index + 1, event))
        .collect::<Result<_, _>>()?;
    if calls.is_empty() {
        return Err(BadTrail::NoCall);
    }
    Ok(calls)
}

fn items(value: &Value) -> Vec<&Value> {
    let list = [value, &value["Records"], &value["Events"]];
    match list.into_iter().find_map(Value::as_array) {
        Some(items) => items.iter().collect(),
        None => vec![value],
    }
}

impl Call {
    fn read(number: usize, event: &Value) -> Result<Self, BadTrail> {
        let missing = |member| BadTrail::Member { number, member };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (identity, answer) = (&event["userIdentity"], &event["responseElements"]);
        let at = event["eventTime"].as_str().and_then(Timestamp::parse);
        let provider = text(&identity["identityProvider"])
            .or_else(|| text(&answer["provider"]))
            .ok_or_else(|| missing("userIdentity.identityProvider"))?;
        let subject =
            text(&answer["subjectFromWebIdentityToken"]).or_else(|| text(&identity["userName"]));
        let audience = text(&answer["audience"]).or_else(|| {
            // `<provider>:<audience>:<subject>`; each of them may hold a `:`.
            let rest = identity["principalId"].as_str()?.strip_prefix(&provider)?;
            let rest = rest.strip_suffix(subject.as_deref()?)?;
            text(&rest.strip_prefix(':')?.strip_suffix(':')?.into())
        });
        let message = || text(&event["errorMessage"]).unwrap_or_default();
        Ok(Self {
            at: at.ok_or_else(|| missing("eventTime"))?,
            subject,
            audience,
            provider,
            role: text(&event["requestParameters"]["roleArn"]),
            session: text(&event["requestParameters"]["roleSessionName"]),
            error: text(&event["errorCode"]).map(|code| (code, message())),
        })
    }

    /// From when on a token may have been minted that was shown, if it lived for `longest` seconds.
    pub fn since(&self, longest: i64) -> Timestamp {
        Timestamp(self.at.0.saturating_sub(longest + SKEW))
    }

    /// Until when, exclusively.
    pub fn until(&self) -> Timestamp {
        Timestamp(self.at.0.saturating_add(SKEW + 1))
    }

    /// The issuer of the provider, without a scheme: `arn:aws:iam::1:oidc-provider/ci.example.com`.
    fn issuer(&self) -> &str {
        let (_, issuer) = self
            .provider
            .split_once("oidc-provider/")
            .unwrap_or_default();
        issuer
    }

    /// The tokens that may have been shown, newest first.
    fn candidates<'a>(&self, log: &'a Log) -> Vec<&'a Event> {
        let fits = |event: &&Event| {
            let audience = self.audience.as_ref();
            event.subject == self.subject
                && audience.is_none_or(|wanted| event.audience.as_ref() == Some(wanted))
                && event.at < self.until()
                && event
                    .expires_at
                    .is_some_and(|end| end.0 + SKEW >= self.at.0)
        };
        log.minted().filter(fits).collect()
    }
}

/// What there is to say about a call, the log being that of its subject. The record of the token that was
/// shown comes with it, if there is one.
pub fn call<'a>(
    call: &Call,
    log: &'a Log,
    issuer: &str,
    now: Timestamp,
) -> (Report, Option<&'a Event>) {
    let mut report = facts(call);
    let of_ours = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    if !of_ours.is_empty() && call.issuer() != of_ours {
        let what = format!(
            "the provider is `{}`, this issuer `{of_ours}`",
            call.provider
        );
        report.add(Finding::new(&kinds::OTHER_ISSUER, what));
        return (report, None);
    }
    if let Some((code, message)) = &call.error {
        let what = format!("AWS answered `{code}`: {message}");
        report.add(Finding::new(&kinds::CALL_FAILED, what));
    }
    let all = call.candidates(log);
    let session = call.session.as_deref().unwrap_or_default();
    let of_session = |event: &&&Event| {
        let run = event.run_id.as_deref();
        run.is_some_and(|run| session_name(run) == session)
    };
    let named: Vec<&Event> = all.iter().filter(of_session).copied().collect();
    let is_certain = !named.is_empty();
    let candidates = if is_certain { named } else { all };
    let Some(event) = nearest(&candidates, call.at) else {
        let subject = call.subject.as_deref().unwrap_or("unknown");
        let what = format!(
            "no token of `{subject}` that lived at {} is on record",
            call.at
        );
        report.add(Finding::new(&kinds::UNKNOWN_TOKEN, what));
        return (report, None);
    };
    let sure = match (is_certain, candidates.len()) {
        (true, 1) => "certain: the session is named after the token's run".to_owned(),
        (true, many) => {
            format!("the run is certain, by the session's name; the token is the latest of {many}")
        }
        (false, 1) => "likely: the only token of this subject and audience at that time".to_owned(),
        (false, many) => format!("a guess: the latest of {many}"),
    };
    report.fact("match", sure);
    if !is_certain && session.starts_with("terraform-") {
        let what = format!(
            "the session is `{session}`; the token that fits is of run `{}`",
            event.run_id.as_deref().unwrap_or("unknown")
        );
        report.add(Finding::new(&kinds::OTHER_RUN, what));
    }
    if !is_certain && candidates.len() > 1 {
        let what = format!("{} tokens fit", candidates.len());
        let shown = candidates.iter().map(|event| {
            let jti = event.jti.as_deref().unwrap_or_default();
            let run = event.run_id.as_deref().unwrap_or_default();
            format!("{jti}, minted {}, run {run}", event.at)
        });
        report.add(Finding::new(&kinds::AMBIGUOUS, what).showing(shown));
    }
    report.append(of_token(event, log, now));
    let run = log.run_of(event);
    let ended = run.map(|run| run.closed_at.unwrap_or(run.expires_at));
    if let Some(ended) = ended.filter(|ended| *ended < call.at) {
        let what = format!(
            "the call was made at {}, the run had ended at {ended}",
            call.at
        );
        report.add(Finding::new(&kinds::USED_AFTER_END, what));
    }
    (report, Some(event))
}

fn facts(call: &Call) -> Report {
    let mut report = Report::default();
    report.fact("call", call.at.to_string());
    let members = [
        ("role", &call.role),
        ("session", &call.session),
        ("call's subject", &call.subject),
        ("call's audience", &call.audience),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            report.fact(name, value);
        }
    }
    report
}

/// The last one before the call; if AWS' clock is behind, the first after it.
fn nearest<'a>(newest_first: &[&'a Event], at: Timestamp) -> Option<&'a Event> {
    let before = newest_first.iter().find(|event| event.at <= at);
    before.or(newest_first.last()).copied()
}
