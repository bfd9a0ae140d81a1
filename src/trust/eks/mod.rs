//! EKS: the cluster's OIDC identity provider for the tokens themselves, or an access entry (`aws-auth`
//! where the cluster has none) for the AWS role that they become; and the RBAC bindings that say what
//! either may do (EKS' user guide, "Grant access to Kubernetes APIs").

#[cfg(test)]
mod tests;
mod token;
mod via_role;

pub use self::via_role::Via;
use super::kubernetes::{self, Binding};
use super::{Bundle, Document, Form, Order, Phases, TrustError, hcl};

/// Which cluster, by which door, and what a run may do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The cluster's name.
    pub cluster: String,
    /// What a run may do.
    pub rbac: kubernetes::Options,
    /// The AWS roles that runs become; the tokens themselves are let in when left out.
    pub via: Option<Via>,
}

/// Writes what lets runs into a cluster.
///
/// # Errors
/// [`TrustError`] names the option.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    check_cluster(&options.cluster)?;
    options.rbac.check(order.scope.phases == Phases::Apart)?;
    let mut bundle = match &options.via {
        None => token::generate(order, options)?,
        Some(via) => via_role::generate(order, options, via)?,
    };
    let own = std::mem::take(&mut bundle.warnings);
    bundle.warnings = order.warnings();
    bundle.warnings.extend(options.rbac.warnings());
    bundle.warnings.extend(own);
    Ok(bundle)
}

/// EKS' rule for the names of clusters.
fn check_cluster(name: &str) -> Result<(), TrustError> {
    let is_name = (1..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_name {
        Ok(())
    } else {
        Err(TrustError::new(
            "--cluster",
            "must be 1 to 100 letters, digits, `-` and `_`, and begin with a letter or a digit",
        ))
    }
}

/// The documents that both doors have: everything as Terraform, everything as commands, the bindings.
fn documents(mut blocks: Vec<hcl::Block>, commands: &str, bindings: &[Binding]) -> Vec<Document> {
    blocks.extend(kubernetes::terraform(bindings));
    let shell = format!(
        "{commands}\n# What they may do.\nkubectl apply -f - <<'EOF'\n{}EOF\n",
        kubernetes::yaml(bindings)
    );
    vec![
        document(
            "eks.tf",
            Form::Terraform,
            "who is let in and what they may do; the providers `aws` and `kubernetes` apply it",
            hcl::file(&blocks),
        ),
        document("eks.sh", Form::Shell, "the same as commands", shell),
        document(
            "rbac.json",
            Form::Json,
            "for `kubectl apply -f`",
            pretty(&kubernetes::json(bindings)),
        ),
        document(
            "rbac.yaml",
            Form::Yaml,
            "for `kubectl apply -f`",
            kubernetes::yaml(bindings),
        ),
    ]
}

fn document(name: &str, form: Form, about: &str, text: String) -> Document {
    Document {
        name: name.to_owned(),
        form,
        about: about.to_owned(),
        text,
    }
}

fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}

/// In single quotes, in which a shell expands nothing.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
