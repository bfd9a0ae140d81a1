//! Pods and service accounts, as `kubectl get -o json` and `-o yaml` describe them: what matters for a
//! workload identity.

mod checks;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::here::Variables;
use crate::domain::time::Timestamp;
use crate::policy::Document;

pub(super) use self::checks::judge;

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    metadata: Metadata,
    spec: Spec,
}

/// A service account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceAccount {
    metadata: Metadata,
}

/// Why a document describes no pod or service account.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPod {
    /// Something else.
    #[error(
        "{name} describes a {found}, and not a {wanted}; `kubectl get {command} -o json` prints one"
    )]
    Kind {
        /// The document.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
        /// What prints it.
        command: &'static str,
    },
    /// Not as Kubernetes writes it.
    #[error("{name} is not as Kubernetes describes it: {what}")]
    Form {
        /// The document.
        name: String,
        /// What the parser says.
        what: String,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    creation_timestamp: Option<String>,
    owner_references: Vec<Owner>,
    managed_fields: Vec<ManagedFields>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
}

/// Who has set which fields, and when (Kubernetes, "Server-Side Apply").
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ManagedFields {
    time: Option<String>,
    fields_v1: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    service_account_name: String,
    security_context: Security,
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    image: String,
    env: Vec<EnvVar>,
    env_from: Vec<Value>,
    volume_mounts: Vec<Mount>,
    security_context: Security,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EnvVar {
    name: String,
    value: Option<String>,
    value_from: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mount {
    name: String,
    mount_path: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Security {
    run_as_user: Option<i64>,
    run_as_non_root: Option<bool>,
    fs_group: Option<i64>,
    allow_privilege_escalation: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Volume {
    name: String,
    projected: Option<Projected>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Vec<Source>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    service_account_token: Option<Token>,
}

/// A token that the kubelet keeps fresh in a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Token {
    audience: String,
    expiration_seconds: Option<i64>,
    path: String,
}

impl Pod {
    /// The pods of a document: one, or a list of them.
    ///
    /// # Errors
    /// [`BadPod`] says what it is instead.
    pub fn read(document: &Document) -> Result<Vec<Self>, BadPod> {
        read(document, "Pod", "pod NAME")
    }

    /// Its name, with the namespace.
    pub fn name(&self) -> String {
        self.metadata.full_name()
    }

    /// Its service account among these; the only one that was given, also when it is another.
    pub(super) fn account_of<'a>(
        &self,
        accounts: &'a [ServiceAccount],
    ) -> Option<&'a ServiceAccount> {
        let is_its = |account: &&ServiceAccount| {
            account.metadata.name == self.account()
                && account.metadata.namespace == self.metadata.namespace
        };
        let only = accounts.first().filter(|_| accounts.len() == 1);
        accounts.iter().find(is_its).or(only)
    }

    /// The name of its service account.
    fn account(&self) -> &str {
        match self.spec.service_account_name.as_str() {
            "" => "default",
            name => name,
        }
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &Container> {
        let Spec {
            init_containers,
            containers,
            ..
        } = &self.spec;
        init_containers.iter().chain(containers)
    }
}

impl ServiceAccount {
    /// The service accounts of a document: one, or a list of them.
    ///
    /// # Errors
    /// [`BadPod`] says what it is instead.
    pub fn read(document: &Document) -> Result<Vec<Self>, BadPod> {
        read(document, "ServiceAccount", "sa NAME")
    }

    /// When an annotation was last set, where Kubernetes tells. An account that is younger than a pod
    /// was annotated after it all the same.
    fn annotated(&self, annotation: &str) -> Option<Timestamp> {
        let pointer = format!(
            "/f:metadata/f:annotations/f:{}",
            annotation.replace('/', "~1")
        );
        let fields = self.metadata.managed_fields.iter();
        fields
            .filter(|fields| fields.fields_v1.pointer(&pointer).is_some())
            .filter_map(|fields| Timestamp::parse(fields.time.as_deref()?))
            .max()
            .or_else(|| self.metadata.created())
    }
}

impl Metadata {
    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn created(&self) -> Option<Timestamp> {
        Timestamp::parse(self.creation_timestamp.as_deref()?)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

impl Container {
    /// Its own variables, as far as the pod tells.
    pub(super) fn variables(&self) -> Variables {
        let mut hidden = BTreeSet::new();
        let mut known = Vec::new();
        for variable in &self.env {
            match &variable.value {
                // `$(OTHER)` is put in by the kubelet.
                Some(value) if !value.contains("$(") => known.push((&variable.name, value)),
                None if variable.value_from.is_none() => {}
                _ => {
                    hidden.insert(variable.name.clone());
                }
            }
        }
        let known = known.into_iter().map(|(n, v)| (n.as_str(), v.as_str()));
        Variables::of_container(known.collect(), hidden, !self.env_from.is_empty())
    }
}

/// What messages call a container.
pub(super) fn place_of(pod: &Pod, container: &Container) -> String {
    format!("pod {}, container `{}`", pod.name(), container.name)
}

fn read<T: serde::de::DeserializeOwned>(
    document: &Document,
    wanted: &'static str,
    command: &'static str,
) -> Result<Vec<T>, BadPod> {
    let value = &document.value;
    let items: Vec<&Value> = match value["kind"].as_str() {
        // `kubectl get` puts several into a `List`, the API into a `PodList`.
        Some(kind) if kind.ends_with("List") => {
            value["items"].as_array().into_iter().flatten().collect()
        }
        _ => vec![value],
    };
    let mut found = Vec::new();
    for item in items {
        // Items of a `PodList` do not say what they are.
        let kind = item["kind"]
            .as_str()
            .unwrap_or(match value["kind"].as_str() {
                Some("PodList") => "Pod",
                Some("ServiceAccountList") => "ServiceAccount",
                _ => "document without a `kind`",
            });
        if kind != wanted {
            return Err(BadPod::Kind {
                name: document.name.clone(),
                found: kind.to_owned(),
                wanted,
                command,
            });
        }
        found.push(T::deserialize(item).map_err(|error| BadPod::Form {
            name: document.name.clone(),
            what: error.to_string(),
        })?);
    }
    Ok(found)
}
