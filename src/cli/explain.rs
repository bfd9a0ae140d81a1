//! `runmint explain`: what was minted, by which key, for whom, and why it was refused.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::doctor::input::read;
use super::doctor::policy::policy_in;
use super::doctor::report;
use super::operator::{Operator, OperatorError};
use super::output::Printer;
use super::{CliError, Common};
use crate::clock::Clock;
use crate::doctor::Report;
use crate::doctor::explain::{self, Call, Log, calls};
use crate::policy::Policy;

/// As many events are read in one go, and as many times.
const PAGE: usize = 1_000;
const PAGES: usize = 20;

/// As many runs are looked up; a `terraform_run_id` may be that of several.
const RUNS: usize = 50;

/// The longest life of a token, in seconds, with room to spare: the settings allow a day at most.
const LONGEST_LIFE: i64 = 2 * 24 * 60 * 60;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    about: About,
    /// The policy that refused the token; several times where it takes several documents.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// This server's issuer URL, where the settings here do not name it.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct About {
    /// The token with this id (`jti`).
    #[arg(long)]
    jti: Option<String>,
    /// A run: its id, or its `terraform_run_id`.
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Calls that AWS has recorded: an event of `CloudTrail`, a log file, or what `aws cloudtrail
    /// lookup-events` prints; `-` for stdin.
    #[arg(long, value_name = "FILE")]
    cloudtrail: Option<PathBuf>,
}

pub(super) async fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args {
        about,
        policies,
        issuer,
    } = args;
    let policy = (!policies.is_empty()).then(|| policy_in(&policies));
    let policy = policy.transpose()?;
    let issuer = match issuer {
        Some(issuer) => issuer,
        None => common.settings()?.issuer.url,
    };
    if policy.is_some() && issuer.is_empty() {
        let usage =
            "`--issuer` is missing: whose `iss` does the policy see? The settings here name none";
        return Err(CliError::Usage(usage.to_owned()));
    }
    let asking = Asking {
        operator: common.operator()?,
        policy,
        issuer,
    };
    let report = if let Some(jti) = about.jti {
        asking.about_token(&jti).await?
    } else if let Some(run) = about.run {
        asking.about_run(&run).await?
    } else {
        let text = read("--cloudtrail", &about.cloudtrail.unwrap_or_default())?;
        let calls =
            calls(&text).map_err(|error| CliError::Usage(format!("`--cloudtrail`: {error}")))?;
        asking.about_calls(&calls).await?
    };
    report::print(&report, printer)
}

/// Who is asked, and what the answers are held against.
struct Asking {
    operator: Operator,
    policy: Option<Policy>,
    issuer: String,
}

impl Asking {
    async fn about_token(&self, jti: &str) -> Result<Report, CliError> {
        let log = self.log(&[("jti", jti.to_owned())]).await?;
        let mut report = explain::token(jti, &log, Clock::System.now());
        self.hold(&log, &mut report);
        Ok(report)
    }

    async fn about_run(&self, run: &str) -> Result<Report, CliError> {
        let log = self.log(&[("run", run.to_owned())]).await?;
        let mut report = explain::run(run, &log, Clock::System.now());
        self.hold(&log, &mut report);
        Ok(report)
    }

    async fn about_calls(&self, calls: &[Call]) -> Result<Report, CliError> {
        let mut report = Report::default();
        for (index, call) in calls.iter().enumerate() {
            let mut of_call = self.about_call(call).await?;
            if calls.len() > 1 {
                let place = format!("call {}", index + 1);
                of_call.put_under(&place, &place);
            }
            report.append(of_call);
        }
        Ok(report)
    }

    async fn about_call(&self, call: &Call) -> Result<Report, CliError> {
        let log = match &call.subject {
            Some(subject) => {
                let filter = [
                    ("subject", subject.clone()),
                    ("kind", "token.minted".to_owned()),
                    ("since", call.since(LONGEST_LIFE).0.to_string()),
                    ("until", call.until().0.to_string()),
                ];
                self.log(&filter).await?
            }
            None => Log::default(),
        };
        let (mut report, event) = explain::call(call, &log, &self.issuer, Clock::System.now());
        if let Some(event) = event {
            let log = Log {
                events: vec![event.clone()],
                ..Log::default()
            };
            self.hold(&log, &mut report);
        }
        Ok(report)
    }

    fn hold(&self, log: &Log, report: &mut Report) {
        if let Some(policy) = &self.policy {
            report.append(explain::policy(policy, log, &self.issuer));
        }
    }

    /// The events that a filter lets through, the runs that they are about, and the keys.
    async fn log(&self, filter: &[(&str, String)]) -> Result<Log, CliError> {
        let mut events = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let mut query = filter.to_vec();
            query.push(("limit", PAGE.to_string()));
            query.extend(cursor.map(|cursor: i64| ("cursor", cursor.to_string())));
            let mut page = self.operator.get("/v1/events", &query).await?;
            if let Value::Array(items) = page["events"].take() {
                events.extend(items);
            }
            cursor = page["next_cursor"].as_i64();
            if cursor.is_none() {
                break;
            }
        }
        let ids: BTreeSet<String> = events
            .iter()
            .filter_map(|event| event["run"].as_str().map(str::to_owned))
            .collect();
        let mut runs = Vec::new();
        for id in ids.iter().take(RUNS) {
            match self.operator.get(&format!("/v1/runs/{id}"), &[]).await {
                Ok(run) => runs.push(run),
                // Runs are dropped before the records about them.
                Err(OperatorError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let keys = self.operator.get("/v1/keys", &[]).await?;
        Log::read(events, keys, runs).map_err(|error| {
            CliError::Io(std::io::Error::other(format!(
                "the server's answer cannot be read: {error}; is it of another version?"
            )))
        })
    }
}
