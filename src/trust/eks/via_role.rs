//! The AWS role that a token becomes: an access entry, or a mapping in `aws-auth`, with a group of its own
//! that RBAC binds.

use std::fmt::Write;

use serde_json::json;

use super::super::hcl::Block;
use super::super::kubernetes::{self, Binding, PREFIX, Subject, quoted};
use super::super::{Bundle, Form, Order, Phases, TrustError};
use super::{Options, document, documents, pretty, shell_quoted};
use crate::domain::phase::Phase;

/// The roles that runs become.
#[derive(Clone, Debug)]
pub struct Via {
    /// The role's ARN.
    pub role: String,
    /// That of plans; needed where phases are apart, and only there.
    pub plan_role: Option<String>,
}

/// A role, and the group that its sessions are in.
struct Entry {
    phase: Option<Phase>,
    arn: String,
    group: String,
}

pub(super) fn generate(order: &Order, options: &Options, via: &Via) -> Result<Bundle, TrustError> {
    let apart = order.scope.phases == Phases::Apart;
    via.check(apart)?;
    let groups = order.scope.groups().into_iter();
    let (entries, bindings): (Vec<Entry>, Vec<Binding>) = groups
        .map(|(phase, _)| {
            let own = via.plan_role.as_ref();
            let own = own.filter(|_| phase == Some(Phase::Plan));
            let entry = Entry {
                phase,
                arn: own.unwrap_or(&via.role).clone(),
                group: kubernetes::name(&order.scope, phase),
            };
            let subjects = vec![Subject::Group(entry.group.clone())];
            let binding = options.rbac.binding(&order.scope, phase, apart, subjects);
            (entry, binding)
        })
        .unzip();
    let cluster = &options.cluster;
    let blocks = entries.iter().map(|entry| entry.to_terraform(cluster));
    let mut commands = String::from(
        "# The AWS roles that runs become. A cluster that still reads aws-auth alone (`CONFIG_MAP`) takes no\n\
         # access entries: `--form yaml` writes the mappings for it.\n",
    );
    for entry in &entries {
        let _ = write!(
            commands,
            "aws eks create-access-entry \\\n  --cluster-name {} \\\n  --principal-arn {} \\\n  --type \
             STANDARD \\\n  --kubernetes-groups {}\n",
            shell_quoted(cluster),
            shell_quoted(&entry.arn),
            shell_quoted(&entry.group),
        );
    }
    let mut all = documents(blocks.collect(), &commands, &bindings);
    for entry in &entries {
        let name = match entry.phase {
            None => "access-entry.json".to_owned(),
            Some(phase) => format!("access-entry-{phase}.json"),
        };
        let request = json!({
            "clusterName": cluster,
            "principalArn": entry.arn,
            "type": "STANDARD",
            "kubernetesGroups": [entry.group],
        });
        let about = format!("for `aws eks create-access-entry --cli-input-json file://{name}`");
        all.push(document(&name, Form::Json, &about, pretty(&request)));
    }
    // First, so that what follows it, which begins with `---`, is a document of its own.
    all.insert(
        0,
        document(
            "aws-auth-map-roles.yaml",
            Form::Yaml,
            "for a cluster in the mode `CONFIG_MAP`: add it to the list in `data.mapRoles` of the ConfigMap \
             `aws-auth` in `kube-system`; this is no manifest",
            entries.iter().map(Entry::to_mapping).collect(),
        ),
    );
    let mut warnings = vec![
        "whoever can assume the role is let in: which runs can is said in the role's trust policy (`runmint \
         trust aws`)"
            .to_owned(),
    ];
    let with_path = entries.iter().find(|entry| entry.bare() != entry.arn);
    warnings.extend(with_path.map(|entry| {
        format!(
            "`{}` has a path: aws-auth must name it without, as `{}`; an access entry names it whole",
            entry.arn,
            entry.bare()
        )
    }));
    Ok(Bundle {
        documents: all,
        warnings,
    })
}

impl Via {
    fn check(&self, apart: bool) -> Result<(), TrustError> {
        check_arn("--via-role", &self.role)?;
        match &self.plan_role {
            Some(_) if !apart => Err(TrustError::new(
                "--via-plan-role",
                "goes with `--split-phases`",
            )),
            Some(plan_role) if *plan_role == self.role => Err(TrustError::new(
                "--via-plan-role",
                "is the same as `--via-role`; a role has one access entry, so that plan and apply would be \
                 one",
            )),
            Some(plan_role) => check_arn("--via-plan-role", plan_role),
            None if apart => Err(TrustError::new(
                "--via-plan-role",
                "is required with `--split-phases`: the cluster sees the role only, so that plan and apply \
                 need one each",
            )),
            None => Ok(()),
        }
    }
}

fn check_arn(option: &'static str, arn: &str) -> Result<(), TrustError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", _, "sts", ..] = parts.as_slice() {
        return Err(TrustError::new(
            option,
            "is a session's ARN, which EKS does not take; give the role's, `arn:aws:iam::ACCOUNT:role/NAME`",
        ));
    }
    let is_role = match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource] => {
            let name = resource.strip_prefix("role/");
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && name.is_some_and(|name| {
                    !name.is_empty() && !name.ends_with('/') && name.bytes().all(is_of_name)
                })
        }
        _ => false,
    };
    if is_role {
        Ok(())
    } else {
        Err(TrustError::new(
            option,
            "must be the ARN of a role, `arn:aws:iam::ACCOUNT:role/NAME`",
        ))
    }
}

/// IAM's letters for the names and paths of roles, but for a few that nobody uses in a path.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&byte)
}

impl Entry {
    /// Without its path, which a session's ARN has lost when aws-auth is looked at.
    fn bare(&self) -> String {
        match (self.arn.split_once(":role/"), self.arn.rsplit_once('/')) {
            (Some((before, _)), Some((_, name))) => format!("{before}:role/{name}"),
            _ => self.arn.clone(),
        }
    }

    fn to_terraform(&self, cluster: &str) -> Block {
        let label = kubernetes::label(self.phase);
        Block::new(format!("resource \"aws_eks_access_entry\" \"{label}\""))
            .with("cluster_name", cluster)
            .with("principal_arn", self.arn.as_str())
            .with("kubernetes_groups", vec![self.group.as_str()])
            .with("type", "STANDARD")
    }

    fn to_mapping(&self) -> String {
        format!(
            "- rolearn: {}\n  username: {}\n  groups:\n    - {}\n",
            quoted(&self.bare()),
            quoted(&format!("{PREFIX}{{{{SessionName}}}}")),
            quoted(&self.group),
        )
    }
}
