//! What is wrong with a pod: its service account, what the webhooks did or did not do, the token's
//! volume, and who can read it.

use std::cmp::Ordering;

use super::{Container, Pod, ServiceAccount, Token, place_of};
use crate::doctor::environment::least::{CLUSTER, Version, compare};
use crate::doctor::environment::{aws, azure};
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};

const ROLE: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const SKIP: &str = "eks.amazonaws.com/skip-containers";
const AZURE_LABEL: &str = "azure.workload.identity/use";
const AZURE_CLIENT: &str = "azure.workload.identity/client-id";

/// The least that the API server takes, in seconds.
const LEAST_LIFE: i64 = 600;

pub(in crate::doctor::environment) fn judge(
    pod: &Pod,
    account: Option<&ServiceAccount>,
    versions: &[Version],
) -> Report {
    let mut report = Report::default();
    facts(pod, &mut report);
    if pod.account() == "default" {
        let what = format!("pod {} uses `default`", pod.name());
        report.add(Finding::new(&kinds::POD_DEFAULT_ACCOUNT, what));
    }
    let account = account.filter(|account| is_its_account(pod, account, &mut report));
    injected_by_aws(pod, account, &mut report);
    injected_by_azure(pod, account, &mut report);
    for container in pod.containers() {
        volume(pod, container, account, &mut report);
        reader(pod, container, versions, &mut report);
    }
    lives(pod, &mut report);
    report
}

fn facts(pod: &Pod, report: &mut Report) {
    let created = pod.metadata.created();
    let created = created.map_or_else(String::new, |at| format!(", created {at}"));
    let names: Vec<_> = pod
        .containers()
        .map(|container| container.name.as_str())
        .collect();
    report.fact(
        format!("pod {}", pod.name()),
        format!(
            "service account `{}`, containers {}{created}",
            pod.account(),
            names.join(", ")
        ),
    );
}

fn is_its_account(pod: &Pod, account: &ServiceAccount, report: &mut Report) -> bool {
    let metadata = &account.metadata;
    if metadata.name == pod.account() && metadata.namespace == pod.metadata.namespace {
        return true;
    }
    let what = format!(
        "pod {} uses the service account `{}` of its namespace, and {} was given",
        pod.name(),
        pod.account(),
        metadata.full_name()
    );
    report.add(Finding::new(&kinds::POD_OTHER_ACCOUNT, what));
    false
}

/// What a container was given for AWS.
fn has_aws(container: &Container) -> bool {
    let variables = container.variables();
    variables.has(aws::ROLE) || variables.has(aws::TOKEN_FILE)
}

/// Whether a container's credentials come from elsewhere: another cloud, Pod Identity, runmint, HCP.
fn has_others(container: &Container) -> bool {
    let variables = container.variables();
    aws::is_pod_identity(&variables)
        || variables
            .first(&[
                azure::TOKEN_FILE,
                "ARM_USE_OIDC",
                "GOOGLE_APPLICATION_CREDENTIALS",
                "RUNMINT_REQUEST_URL",
                "AWS_ACCESS_KEY_ID",
            ])
            .is_some()
}

fn wants_azure(pod: &Pod, account: Option<&ServiceAccount>) -> bool {
    let metadata = &pod.metadata;
    let has_client = |account: &ServiceAccount| account.metadata.annotation(AZURE_CLIENT).is_some();
    metadata.labels.contains_key(AZURE_LABEL)
        || metadata.annotation(AZURE_LABEL).is_some()
        || account.is_some_and(has_client)
        || pod
            .containers()
            .any(|container| container.variables().has("AZURE_CLIENT_ID"))
}

fn injected_by_aws(pod: &Pod, account: Option<&ServiceAccount>, report: &mut Report) {
    let annotated = account.and_then(|account| account.metadata.annotation(ROLE));
    if !pod.containers().any(has_aws) {
        let is_of_another = pod.containers().any(has_others) || wants_azure(pod, account);
        match (account, annotated) {
            (Some(account), Some(role)) => report.add(not_injected(pod, account, role)),
            (_, None) if is_of_another => {}
            (Some(account), None) => {
                let name = account.metadata.full_name();
                let what = format!("the service account {name} has no annotation `{ROLE}`");
                report.add(Finding::new(&kinds::POD_PLAIN_ACCOUNT, what));
            }
            (None, _) => {
                let what = format!(
                    "no container of pod {} has `{}` and `{}`",
                    pod.name(),
                    aws::ROLE,
                    aws::TOKEN_FILE
                );
                let fix = format!(
                    "Look whether the service account is annotated: `kubectl get sa {} -n {} -o json \
                     --show-managed-fields > sa.json`, then `runmint doctor environment --pod … \
                     --service-account sa.json`. If it is: {}",
                    pod.account(),
                    pod.metadata.namespace,
                    recreate(pod)
                );
                report.add(Finding::new(&kinds::POD_NOT_INJECTED, what).to_fix(fix));
            }
        }
        return;
    }
    let skipped = pod.metadata.annotation(SKIP).unwrap_or_default();
    for container in &pod.spec.containers {
        let name = container.name.as_str();
        if !has_aws(container) && !has_others(container) {
            let why = if skipped.split(',').any(|skip| skip.trim() == name) {
                format!("is named in `{SKIP}`")
            } else {
                "has no role, unlike others of its pod".to_owned()
            };
            let what = format!("{} {why}", place_of(pod, container));
            report.add(Finding::new(&kinds::POD_CONTAINER_WITHOUT, what));
        }
        if let Some(wanted) = annotated
            && let Some(found) = container.variables().find(aws::ROLE)
            && found != wanted
        {
            let what = format!(
                "{} has the role `{found}`, its service account names `{wanted}`",
                place_of(pod, container)
            );
            let finding = Finding::new(&kinds::POD_ROLE, what);
            let fix = format!(
                "{} Where the pod's template sets `AWS_ROLE_ARN` itself, take it out first.",
                recreate(pod)
            );
            report.add(finding.to_fix(fix));
        }
    }
}

fn not_injected(pod: &Pod, account: &ServiceAccount, role: &str) -> Finding {
    let created = pod.metadata.created();
    let finding = match (created, account.annotated(ROLE)) {
        (Some(created), Some(annotated)) if annotated > created => {
            let what = format!(
                "pod {} was created at {created}, its service account was annotated with `{role}` at \
                 {annotated}",
                pod.name()
            );
            Finding::new(&kinds::POD_OLDER, what)
        }
        _ => {
            let what = format!(
                "pod {} has no role, although its service account names `{role}`",
                pod.name()
            );
            Finding::new(&kinds::POD_NOT_INJECTED, what)
        }
    };
    let is_older = finding.id == kinds::POD_OLDER.id;
    let webhook = if is_older {
        ""
    } else {
        " If it comes back without a role, look at the webhook: `kubectl get \
         mutatingwebhookconfigurations`."
    };
    finding.to_fix(format!("{}{webhook}", recreate(pod)))
}

/// How this very pod is made anew.
fn recreate(pod: &Pod) -> String {
    let metadata = &pod.metadata;
    let namespace = &metadata.namespace;
    match metadata.owner_references.first() {
        Some(owner) if owner.kind == "ReplicaSet" => {
            // A Deployment's replica sets are called after it, with a hash of the template.
            let name = owner
                .name
                .rsplit_once('-')
                .map_or(&*owner.name, |(name, _)| name);
            format!("Recreate it: `kubectl rollout restart deployment/{name} -n {namespace}`.")
        }
        Some(owner) if ["StatefulSet", "DaemonSet"].contains(&&*owner.kind) => {
            let kind = owner.kind.to_lowercase();
            format!(
                "Recreate it: `kubectl rollout restart {kind}/{} -n {namespace}`.",
                owner.name
            )
        }
        Some(owner) => format!(
            "Recreate it: `kubectl delete pod {} -n {namespace}`; its {} makes another.",
            metadata.name, owner.kind
        ),
        None => format!(
            "Recreate it: `kubectl delete pod {} -n {namespace}`, then apply its manifest again.",
            metadata.name
        ),
    }
}

fn injected_by_azure(pod: &Pod, account: Option<&ServiceAccount>, report: &mut Report) {
    let is_injected = |container: &Container| container.variables().has(azure::TOKEN_FILE);
    if pod.containers().any(is_injected) || !wants_azure(pod, account) {
        return;
    }
    let metadata = &pod.metadata;
    match metadata.labels.get(AZURE_LABEL).map(String::as_str) {
        Some("true") => {
            let what = format!(
                "pod {} has the label `{AZURE_LABEL}: \"true\"`, and no container has `{}`",
                pod.name(),
                azure::TOKEN_FILE
            );
            report.add(Finding::new(&kinds::POD_NOT_INJECTED, what).to_fix(recreate(pod)));
        }
        found => {
            let what = match found {
                Some(value) => format!(
                    "the label `{AZURE_LABEL}` of pod {} is `{value}`",
                    pod.name()
                ),
                None if metadata.annotation(AZURE_LABEL).is_some() => format!(
                    "`{AZURE_LABEL}` is an annotation of pod {}, and no label",
                    pod.name()
                ),
                None => format!("pod {} has no label `{AZURE_LABEL}`", pod.name()),
            };
            report.add(Finding::new(&kinds::POD_AZURE_LABEL, what));
        }
    }
}

/// The token's file of a container: what is mounted there, and whose token it is.
fn volume(pod: &Pod, container: &Container, account: Option<&ServiceAccount>, report: &mut Report) {
    let variables = container.variables();
    for variable in [aws::TOKEN_FILE, azure::TOKEN_FILE] {
        let Some(path) = variables.find(variable) else {
            continue;
        };
        let place = place_of(pod, container);
        let Some(mount) = mounted(container, path) else {
            let what = format!("{place}: `{variable}` is `{path}`, and nothing is mounted there");
            report.add(Finding::new(&kinds::POD_VOLUME, what));
            continue;
        };
        let (volume, rest) = mount;
        let Some(tokens) = tokens_of(pod, volume) else {
            continue;
        };
        let Some(token) = tokens.iter().find(|token| token.path == rest) else {
            let what = format!(
                "{place}: `{variable}` is `{path}`, and the volume `{volume}` has no token `{rest}`"
            );
            report.add(Finding::new(&kinds::POD_VOLUME, what));
            continue;
        };
        let wanted = account.and_then(|account| account.metadata.annotation(AUDIENCE));
        if let Some(wanted) = unexpected(variable, &token.audience, wanted) {
            let what = format!(
                "{place}: the token of `{volume}` is for `{}`, {wanted}",
                token.audience
            );
            report.add(Finding::new(&kinds::POD_AUDIENCE, what));
        }
    }
}

/// The volume that provides a path, and what of the path is inside of it.
fn mounted<'a>(container: &'a Container, path: &'a str) -> Option<(&'a str, &'a str)> {
    let mounts = container.volume_mounts.iter();
    let inside = mounts.filter_map(|mount| {
        let rest = path.strip_prefix(mount.mount_path.trim_end_matches('/'))?;
        Some((mount, rest.strip_prefix('/')?))
    });
    // Of mounts inside of one another the innermost is seen.
    let (mount, rest) = inside.max_by_key(|(mount, _)| mount.mount_path.len())?;
    Some((&mount.name, rest))
}

/// The tokens that a volume projects; nothing if it is of another sort.
fn tokens_of<'a>(pod: &'a Pod, volume: &str) -> Option<Vec<&'a Token>> {
    let volume = pod.spec.volumes.iter().find(|one| one.name == volume)?;
    let sources = &volume.projected.as_ref()?.sources;
    let tokens = sources.iter();
    Some(
        tokens
            .filter_map(|source| source.service_account_token.as_ref())
            .collect(),
    )
}

/// What an audience should be, if it is not; `annotated` is what the service account says.
fn unexpected(variable: &str, audience: &str, annotated: Option<&str>) -> Option<String> {
    if variable == azure::TOKEN_FILE {
        // Public, US Government, China.
        let is_right = audience.starts_with("api://AzureADTokenExchange");
        return (!is_right).then(|| "and Azure expects `api://AzureADTokenExchange`".to_owned());
    }
    match annotated {
        Some(wanted) => (audience != wanted)
            .then(|| format!("and the service account's annotation says `{wanted}`")),
        None => (!["sts.amazonaws.com", "sts.amazonaws.com.cn"].contains(&audience))
            .then(|| "and an EKS cluster's provider lists `sts.amazonaws.com`".to_owned()),
    }
}

/// Whether the container's user can read the token.
fn reader(pod: &Pod, container: &Container, versions: &[Version], report: &mut Report) {
    if container
        .variables()
        .first(&[aws::TOKEN_FILE, azure::TOKEN_FILE])
        .is_none()
    {
        return;
    }
    let of_pod = &pod.spec.security_context;
    let own = &container.security_context;
    let user = own.run_as_user.or(of_pod.run_as_user);
    let is_non_root = own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true);
    let who = match user {
        Some(0) => return,
        Some(user) => format!("`runAsUser: {user}`"),
        None if is_non_root => "`runAsNonRoot: true`".to_owned(),
        None => return,
    };
    let place = place_of(pod, container);
    let cluster = versions
        .iter()
        .find(|version| version.product.name == CLUSTER);
    let is_old = cluster.map(|version| compare(&version.text, "1.19") == Ordering::Less);
    if of_pod.fs_group.is_none() && is_old != Some(false) {
        let kind = if is_old == Some(true) {
            &kinds::POD_UNREADABLE
        } else {
            &kinds::POD_FS_GROUP
        };
        let what = format!("{place} has {who} and its pod no `fsGroup`");
        report.add(Finding::new(kind, what));
    }
    let is_confined = own.allow_privilege_escalation == Some(false);
    if is_enterprise(pod, container) && !is_confined {
        let group = of_pod.fs_group;
        let group = group.map_or_else(String::new, |gid| format!(" and `fsGroup: {gid}`"));
        let what = format!("{place} runs Terraform Enterprise with {who}{group}");
        report.add(Finding::new(&kinds::POD_TFE, what));
    }
}

fn is_enterprise(pod: &Pod, container: &Container) -> bool {
    const NAME: &str = "terraform-enterprise";
    let image = container.image.split([':', '@']).next().unwrap_or_default();
    let is_labelled = pod
        .metadata
        .labels
        .get("app")
        .is_some_and(|app| app == NAME);
    container.image.contains(&format!("/{NAME}"))
        || image == NAME
        || (is_labelled && container.name == NAME)
}

fn lives(pod: &Pod, report: &mut Report) {
    for volume in &pod.spec.volumes {
        for token in tokens_of(pod, &volume.name).unwrap_or_default() {
            if let Some(seconds) = token.expiration_seconds
                && seconds < LEAST_LIFE
            {
                let what = format!(
                    "pod {}: `expirationSeconds` of the volume `{}` is {seconds}",
                    pod.name(),
                    volume.name
                );
                report.add(Finding::new(&kinds::POD_EXPIRATION, what));
            }
        }
    }
}
