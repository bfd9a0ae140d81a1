//! runmint's own variables, HCP Terraform's for dynamic credentials, and HCP's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::here::Here;
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};
use crate::runner::variables;

const REQUEST: [&str; 2] = ["RUNMINT_REQUEST_URL", "RUNMINT_REQUEST_TOKEN"];
const HCP_FILE: &str = "HCP_CRED_FILE";
const HCP_SECRET: &str = "HCP_CLIENT_SECRET";

/// Whether a job can ask for its tokens here.
pub(super) fn is_set_up(here: &Here<'_>) -> bool {
    REQUEST.into_iter().all(|name| here.has(name))
}

/// HCP's credential file.
pub(super) fn files(here: &Here<'_>) -> BTreeSet<String> {
    here.find(HCP_FILE).map(str::to_owned).into_iter().collect()
}

/// The token that HCP's credential file names.
pub(super) fn token_file(here: &Here<'_>) -> Option<String> {
    let value: Value = serde_json::from_str(here.text(here.find(HCP_FILE)?)?).ok()?;
    let path = value["workload"]["token"]["path"].as_str();
    path.map(str::to_owned)
}

pub(super) fn judge(here: &Here<'_>) -> Report {
    let mut report = Report::default();
    let [url, token] = REQUEST;
    for (one, other) in [(url, token), (token, url)] {
        if here.has(one) && !here.variables.may_have(other) {
            let what = format!("`{one}` is set and `{other}` is not");
            report.add(Finding::new(&kinds::REQUEST_HALF, what));
        }
    }
    if let Some(url) = here.find(url) {
        report.fact(REQUEST[0], url);
    }
    // Which phase it is nobody says here: what is wrong in one of them is wrong.
    match variables::read(here.variables.known(), None, None) {
        Ok(found) if !found.is_empty() => {
            report.fact("dynamic credentials", found.len().to_string());
        }
        Ok(_) => {}
        Err(problems) => {
            for problem in problems {
                report.add(Finding::new(&kinds::VARIABLES, problem.to_string()));
            }
        }
    }
    hcp(here, &mut report);
    report
}

fn hcp(here: &Here<'_>, report: &mut Report) {
    if here.has(HCP_SECRET) {
        Here::static_credential(report, format!("`{HCP_SECRET}` is set for HCP"));
    }
    let Some(path) = here.find(HCP_FILE) else {
        return;
    };
    report.fact(HCP_FILE, path);
    let Some(file) = here.file(path) else { return };
    if let Some(barrier) = &file.barrier {
        report.add(barrier.finding(&kinds::CREDENTIAL_FILE, &format!("`{HCP_FILE}`")));
    } else if let Some(text) = here.text(path)
        && serde_json::from_str::<Value>(text).is_err()
    {
        let what = format!("{path}, which `{HCP_FILE}` names, is no JSON");
        report.add(Finding::new(&kinds::CREDENTIAL_FILE, what));
    }
}
