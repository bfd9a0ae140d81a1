//! Kubernetes: the token itself is the bearer.

use serde_json::{Value, json};

use super::{Handout, Place};

const TOKEN: &str = "tfc-kubernetes-token";
const KUBECONFIG: &str = "tfc-kubeconfig";

pub(super) fn handout(place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        ..Handout::default()
    };
    handout.write(place.file(KUBECONFIG), kubeconfig(place).to_string());
    handout.fields(
        "tfc_kubernetes_dynamic_credentials",
        [("token_path", place.text(TOKEN))],
    );
    if place.is_chosen {
        handout.token_variables.push("KUBE_TOKEN".to_owned());
        // With a cluster it is complete. The file that it names is read again about once a minute,
        // and counts more than KUBE_TOKEN, which ages.
        if place.environment.find("KUBE_HOST").is_some() {
            for name in ["KUBECONFIG", "KUBE_CONFIG_PATH"] {
                if place.environment.find(name).is_none() {
                    handout.set(name, place.text(KUBECONFIG));
                }
            }
        }
    }
    handout
}

/// A kubeconfig, in JSON, which is YAML. The cluster comes from the variables of the Terraform
/// provider for Kubernetes; without them it has only the user.
fn kubeconfig(place: &Place<'_>) -> Value {
    let variable = |name| place.environment.find(name).map(Value::from);
    let mut cluster = json!({});
    let members = [
        ("server", variable("KUBE_HOST")),
        // PEM there, base64 of it here.
        (
            "certificate-authority-data",
            place
                .environment
                .find("KUBE_CLUSTER_CA_CERT_DATA")
                .map(|pem| Value::from(base64(pem))),
        ),
        ("tls-server-name", variable("KUBE_TLS_SERVER_NAME")),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            cluster[name] = value;
        }
    }
    let mut config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": "runmint", "user": {"tokenFile": place.text(TOKEN)}}],
    });
    if cluster.get("server").is_some() {
        config["clusters"] = json!([{"name": "runmint", "cluster": cluster}]);
        config["contexts"] =
            json!([{"name": "runmint", "context": {"cluster": "runmint", "user": "runmint"}}]);
        config["current-context"] = json!("runmint");
    }
    config
}

fn base64(pem: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(pem)
}
