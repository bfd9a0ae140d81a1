//! The variables of Kubernetes' clients, and the kubeconfig that they name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::here::Here;
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};
use crate::policy::Document;

/// Several files with a `:` between each two: kubectl's, and Terraform's.
const LISTS: [&str; 2] = ["KUBECONFIG", "KUBE_CONFIG_PATHS"];
const ONE: &str = "KUBE_CONFIG_PATH";
const TOKEN: &str = "KUBE_TOKEN";

pub(super) fn is_set_up(here: &Here<'_>) -> bool {
    here.variables.first(&[LISTS[0], LISTS[1], ONE]).is_some()
}

/// The kubeconfigs.
pub(super) fn files(here: &Here<'_>) -> BTreeSet<String> {
    variables(here)
        .flat_map(|(_, paths)| paths)
        .map(str::to_owned)
        .collect()
}

/// The token files that users of the kubeconfigs have, and whose they are.
pub(super) fn token_files(here: &Here<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(here) {
        for user in users(here, &path) {
            if let Some(file) = user["user"]["tokenFile"].as_str() {
                let name = user["name"].as_str().unwrap_or_default();
                found.push((format!("{path}, user `{name}`"), beside(&path, file)));
            }
        }
    }
    found
}

pub(super) fn judge(here: &Here<'_>) -> Report {
    let mut report = Report::default();
    if here.has(TOKEN) {
        Here::static_credential(&mut report, format!("`{TOKEN}` is set for Kubernetes"));
    }
    for (name, paths) in variables(here) {
        report.fact(name, paths.join(":"));
        // Of several, kubectl passes over those that are missing.
        let is_absent = |path: &&&str| {
            let barrier = here.file(path).and_then(|file| file.barrier.as_ref());
            barrier.is_some_and(|barrier| barrier.is_absent)
        };
        let absent = paths.iter().filter(is_absent).count();
        for path in &paths {
            let barrier = here.file(path).and_then(|file| file.barrier.as_ref());
            match barrier {
                Some(barrier) if !barrier.is_absent || absent == paths.len() => {
                    report.add(barrier.finding(&kinds::KUBECONFIG, &format!("`{name}`")));
                }
                Some(_) => {}
                None => of_file(here, name, path, &mut report),
            }
        }
    }
    report
}

fn of_file(here: &Here<'_>, name: &str, path: &str, report: &mut Report) {
    let Some(text) = here.text(path) else { return };
    // What the parser says may quote a secret.
    let Ok(documents) = Document::all(path, text) else {
        let what = format!("`{name}`: {path} is empty, or neither YAML nor JSON");
        report.add(Finding::new(&kinds::KUBECONFIG, what));
        return;
    };
    let is_config = |document: &Document| document.value["kind"] == "Config";
    if !documents.iter().all(is_config) {
        let what = format!("`{name}`: {path} is no kubeconfig (`kind: Config`)");
        report.add(Finding::new(&kinds::KUBECONFIG, what));
    }
    for user in users(here, path) {
        let credentials = &user["user"];
        let user = user["name"].as_str().unwrap_or_default();
        for member in ["token", "password", "client-key-data"] {
            if credentials[member]
                .as_str()
                .is_some_and(|text| !text.is_empty())
            {
                let what = format!("{path}: user `{user}` has a `{member}`");
                Here::static_credential(report, what);
            }
        }
    }
}

fn variables<'a>(here: &Here<'a>) -> impl Iterator<Item = (&'static str, Vec<&'a str>)> {
    let found: Vec<_> = [LISTS[0], LISTS[1], ONE]
        .into_iter()
        .filter_map(|name| {
            let value = here.find(name)?;
            let paths = if name == ONE {
                vec![value]
            } else {
                value.split(':').filter(|path| !path.is_empty()).collect()
            };
            Some((name, paths))
        })
        .collect();
    found.into_iter()
}

fn users(here: &Here<'_>, path: &str) -> Vec<Value> {
    let documents = here
        .text(path)
        .and_then(|text| Document::all(path, text).ok());
    documents
        .unwrap_or_default()
        .iter()
        .filter_map(|document| document.value["users"].as_array())
        .flatten()
        .cloned()
        .collect()
}

/// A path in a kubeconfig is relative to it.
fn beside(config: &str, file: &str) -> String {
    let folder = std::path::Path::new(config).parent();
    folder.map_or_else(
        || file.to_owned(),
        |folder| folder.join(file).display().to_string(),
    )
}
