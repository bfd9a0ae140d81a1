//! What is wrong with the variables of the other clients, of runmint, and with versions.

use crate::doctor::{Kind, Severity};

/// A credential file that serves nobody.
pub const CREDENTIAL_FILE: Kind = Kind {
    id: "environment-credential-file",
    severity: Severity::Error,
    title: "a credential file cannot be used",
    why: "Google's and HCP's libraries take from such a file which identity to become and where the \
          token is. It holds no secret when it describes a workload identity.",
    fix: "For Google: `gcloud iam workload-identity-pools create-cred-config … \
          --credential-source-file=FILE --output-file=FILE`; `runmint exec` writes one for each run.",
    source: "Google AIP-4117, \"Determining Workload Identity Federation Credentials\"",
};

/// Executables are not allowed.
pub const GCP_EXECUTABLES: Kind = Kind {
    id: "environment-gcp-executables",
    severity: Severity::Error,
    title: "the credential file names a program, and programs are not allowed",
    why: "Google's libraries start a program from a credential file only when the environment says \
          so, since whoever writes that file could otherwise run anything.",
    fix: "Set `GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1`.",
    source: "Google AIP-4117, executable-sourced credentials",
};

/// Two Google credentials.
pub const GCP_TWO: Kind = Kind {
    id: "environment-gcp-two",
    severity: Severity::Warning,
    title: "several Google credentials are set",
    why: "Terraform's provider takes `GOOGLE_OAUTH_ACCESS_TOKEN` first, then `GOOGLE_CREDENTIALS`; \
          Google's own libraries read `GOOGLE_APPLICATION_CREDENTIALS` only. Two steps of a job may \
          so be two identities.",
    fix: "Keep `GOOGLE_APPLICATION_CREDENTIALS` and unset the others.",
    source: "Terraform's google provider, \"Provider reference\": authentication",
};

/// `VAULT_ADDR` without a scheme.
pub const VAULT_ADDRESS: Kind = Kind {
    id: "environment-vault-address",
    severity: Severity::Error,
    title: "`VAULT_ADDR` is no URL with `https://` or `http://`",
    why: "Vault's client needs the scheme; without it the host is read as one, and the error speaks \
          of an unsupported protocol.",
    fix: "Write it as `https://vault.example.com:8200`.",
    source: "Vault, \"Vault CLI\": environment variables",
};

/// `VAULT_TOKEN` beside a login.
pub const VAULT_TOKEN: Kind = Kind {
    id: "environment-vault-token",
    severity: Severity::Warning,
    title: "a Vault token is used in place of the login",
    why: "A client that finds `VAULT_TOKEN` uses it and does not log in by JWT, so that policies and \
          the audit log are those of that token.",
    fix: "Unset `VAULT_TOKEN` in the job's settings; `runmint exec` sets one of its own after the \
          login.",
    source: "Vault, \"Vault CLI\": environment variables",
};

/// A kubeconfig that is not there.
pub const KUBECONFIG: Kind = Kind {
    id: "environment-kubeconfig",
    severity: Severity::Error,
    title: "a kubeconfig cannot be used",
    why: "kubectl passes over a file that is missing and asks `localhost:8080`; Terraform's providers \
          do the same or stop.",
    fix: "Correct the path, or unset the variable; a kubeconfig for runmint has `tokenFile` or the exec \
          plugin `runmint token --format exec-credential`.",
    source: "Kubernetes, \"Organizing Cluster Access Using kubeconfig Files\"",
};

/// Credentials that stay.
pub const STATIC: Kind = Kind {
    id: "environment-static",
    severity: Severity::Warning,
    title: "a credential that does not expire by itself",
    why: "Whoever reads it can use it until somebody notices and rotates it. A workload identity is \
          made for one run and ends with it.",
    fix: "Let the cloud trust runmint (`runmint trust` writes what it takes) and start the job by \
          `runmint exec`.",
    source: "NIST SP 800-63B and each cloud's advice on workload identity federation",
};

/// HCP Terraform's variables that runmint would refuse.
pub const VARIABLES: Kind = Kind {
    id: "environment-variables",
    severity: Severity::Error,
    title: "a variable for dynamic credentials is wrong",
    why: "`runmint exec` and `runmint agent` refuse to start with it; HCP Terraform itself refuses some \
          and passes over others in silence.",
    fix: "Correct the variable; docs/runner.md lists them all.",
    source: "HCP Terraform, \"Dynamic provider credentials\", each provider's page",
};

/// A request's address without its token.
pub const REQUEST_HALF: Kind = Kind {
    id: "environment-request-half",
    severity: Severity::Error,
    title: "only one of `RUNMINT_REQUEST_URL` and `RUNMINT_REQUEST_TOKEN` is set",
    why: "A job asks for its tokens at the one with the other; they are made together, for one run.",
    fix: "Hand both on from `runmint runs open` to the job, e.g. as masked variables.",
    source: "runmint, docs/runner.md",
};

/// Nothing is set up.
pub const NOTHING: Kind = Kind {
    id: "environment-nothing",
    severity: Severity::Info,
    title: "no workload identity is set up here",
    why: "None of the variables that the clouds' SDKs read for it is set. Inside `runmint exec` they \
          are: what a command sees there is another environment than around it.",
    fix: "Ask where the failing command runs: `runmint exec -- runmint doctor environment`.",
    source: "runmint, docs/runner.md",
};

/// Too old.
pub const VERSION_OLD: Kind = Kind {
    id: "environment-version-old",
    severity: Severity::Error,
    title: "a version that does not know the token's variables",
    why: "It passes over them without a word and uses the next credentials that it finds, often the \
          node's.",
    fix: "Upgrade it to the least version named above, or later.",
    source: "Amazon EKS user guide, \"Use IRSA with the AWS SDK\"; Azure AKS, \"Use Microsoft Entra \
             Workload ID\"; Kubernetes, \"Bound service account tokens\"",
};

/// Sources disagree.
pub const VERSION_DOUBTFUL: Kind = Kind {
    id: "environment-version-doubtful",
    severity: Severity::Warning,
    title: "a version that may be too old",
    why: "The vendor's own pages name different least versions, and this one lies between them.",
    fix: "Upgrade it to the later of the two.",
    source: "Amazon EKS user guide, \"Use IRSA with the AWS SDK\"; AWS Knowledge Center, \
             \"Troubleshoot an OIDC provider and IRSA in Amazon EKS\"",
};
