//! Judges where a command runs: the variables of the clouds' SDKs, the files that they name, versions,
//! and pods. Pure: what was found is data, gathered elsewhere; time is an argument.
//!
//! ```text
//! variables, files → aws, azure, google, kubernetes, vault, runmint → token_file
//! pods             → pod, and each container's variables as above
//! versions         → least
//! ```

mod aws;
mod azure;
mod google;
mod here;
mod kubernetes;
mod least;
mod pod;
mod runmint;
#[cfg(test)]
mod tests;
mod token_file;
mod vault;

use std::collections::BTreeSet;

pub use self::here::{Barrier, File, Files, Variables};
pub use self::least::{Cloud, Product, Version, find_product, products};
pub use self::pod::{BadPod, Pod, ServiceAccount};

use self::here::Here;
use super::kinds::environment as kinds;
use super::{Finding, Report};
use crate::domain::time::Timestamp;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// This machine; nothing if pods are looked at instead.
    pub machine: Option<Machine>,
    /// Pods, as Kubernetes describes them.
    pub pods: Vec<Pod>,
    /// Service accounts of those pods.
    pub service_accounts: Vec<ServiceAccount>,
    /// Versions of SDKs and tools.
    pub versions: Vec<Version>,
}

/// This machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Variables of the process.
    pub variables: Variables,
    /// The files that they name, see [`files_named`].
    pub files: Files,
    /// Who is to read the files, for people.
    pub reader: String,
}

/// What these variables name: credential files, and then what those name in turn. Ask again with what
/// was found until nothing is new.
pub fn files_named(variables: &Variables, files: &Files) -> BTreeSet<String> {
    let here = Here::new(variables, Some(files));
    let mut named: BTreeSet<String> = token_file::named(&here)
        .into_iter()
        .map(|named| named.path)
        .collect();
    named.extend(google::files(&here));
    named.extend(kubernetes::files(&here));
    named.extend(runmint::files(&here));
    named
}

/// What there is to say about it.
pub fn judge(surroundings: &Surroundings, now: Timestamp) -> Report {
    let mut report = Report::default();
    let mut clouds = BTreeSet::new();
    if let Some(machine) = &surroundings.machine {
        report.fact("reader of files", machine.reader.as_str());
        let here = Here::new(&machine.variables, Some(&machine.files));
        clouds.extend(clouds_of(&here));
        report.append(of_variables(&here, now));
        if clouds.is_empty() && report.findings.is_empty() && !runmint::is_set_up(&here) {
            let what = "no variable of a workload identity is set for this process";
            report.add(Finding::new(&kinds::NOTHING, what));
        }
    }
    for pod in &surroundings.pods {
        let versions = &surroundings.versions;
        let account = pod.account_of(&surroundings.service_accounts);
        report.append(pod::judge(pod, account, versions));
        for container in pod.containers() {
            let variables = container.variables();
            let here = Here::new(&variables, None);
            clouds.extend(clouds_of(&here));
            let mut of_container = of_variables(&here, now);
            let short = if surroundings.pods.len() == 1 {
                container.name.clone()
            } else {
                format!("{}/{}", pod.name(), container.name)
            };
            of_container.put_under(&pod::place_of(pod, container), &short);
            report.append(of_container);
        }
    }
    let identity = pod_identity(surroundings);
    report.append(least::judge(&surroundings.versions, &clouds, identity));
    report
}

/// The clouds that a workload identity is set up for.
fn clouds_of(here: &Here<'_>) -> BTreeSet<Cloud> {
    [
        (Cloud::Aws, aws::is_set_up(here)),
        (Cloud::Azure, azure::is_set_up(here)),
        (Cloud::Kubernetes, kubernetes::is_set_up(here)),
        (Cloud::Google, google::is_set_up(here)),
        (Cloud::Vault, vault::is_set_up(here)),
    ]
    .into_iter()
    .filter_map(|(cloud, is_set_up)| is_set_up.then_some(cloud))
    .collect()
}

fn of_variables(here: &Here<'_>, now: Timestamp) -> Report {
    let mut report = Report::default();
    let set_up: Vec<_> = clouds_of(here).into_iter().map(Cloud::as_str).collect();
    if !set_up.is_empty() {
        report.fact("set up for", set_up.join(", "));
    }
    for judge in [
        runmint::judge,
        aws::judge,
        azure::judge,
        google::judge,
        vault::judge,
        kubernetes::judge,
    ] {
        report.append(judge(here));
    }
    report.append(token_file::judge(here, now));
    report
}

/// Whether EKS Pod Identity is what AWS' SDKs use here: it takes later versions.
fn pod_identity(surroundings: &Surroundings) -> bool {
    let machine = surroundings.machine.as_ref();
    let here = machine.is_some_and(|machine| aws::is_pod_identity(&machine.variables));
    let in_pods = surroundings.pods.iter().flat_map(Pod::containers);
    here || in_pods
        .map(pod::Container::variables)
        .any(|variables| aws::is_pod_identity(&variables))
}
