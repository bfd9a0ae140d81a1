//! What is wrong with the variables of Azure's SDKs and Terraform providers.

use crate::doctor::{Kind, Severity};

const PROVIDER: &str = "Terraform's azurerm provider, \"Authenticating using a Service Principal \
                        with Open ID Connect\"";

/// Which application or tenant is not said.
pub const AZURE_IDS: Kind = Kind {
    id: "environment-azure-ids",
    severity: Severity::Error,
    title: "it is not said which application of which tenant",
    why: "A federated credential belongs to one application or managed identity of one tenant; the \
          token itself does not name them.",
    fix: "Set the client id and the tenant id: `ARM_CLIENT_ID` and `ARM_TENANT_ID` for Terraform's \
          providers, `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` for the SDKs; in a pod, annotate the \
          service account with `azure.workload.identity/client-id`.",
    source: PROVIDER,
};

/// No subscription.
pub const AZURE_SUBSCRIPTION: Kind = Kind {
    id: "environment-azure-subscription",
    severity: Severity::Warning,
    title: "no Azure subscription is set",
    why: "azurerm from version 4 on needs `subscription_id`, from its configuration or from the \
          environment. azuread does without.",
    fix: "Set `ARM_SUBSCRIPTION_ID`, unless the provider's configuration names one.",
    source: PROVIDER,
};

/// A token, but not switched on.
pub const AZURE_SWITCHED_OFF: Kind = Kind {
    id: "environment-azure-switched-off",
    severity: Severity::Warning,
    title: "a token for Azure is there and is not asked for",
    why: "Terraform's providers use it only with `ARM_USE_OIDC=true` or `use_oidc = true`; else they \
          fall through to the Azure CLI's login.",
    fix: "Set `ARM_USE_OIDC=true`.",
    source: PROVIDER,
};

/// Switched on, but without a token.
pub const AZURE_NO_SOURCE: Kind = Kind {
    id: "environment-azure-no-source",
    severity: Severity::Error,
    title: "`ARM_USE_OIDC` is on and no token is there",
    why: "The provider takes the token from `ARM_OIDC_TOKEN`, from the file in \
          `ARM_OIDC_TOKEN_FILE_PATH`, or asks at `ARM_OIDC_REQUEST_URL` with \
          `ARM_OIDC_REQUEST_TOKEN`.",
    fix: "Start Terraform by `runmint exec`, which sets them.",
    source: PROVIDER,
};

/// Several tokens.
pub const AZURE_SOURCES: Kind = Kind {
    id: "environment-azure-sources",
    severity: Severity::Warning,
    title: "several sources for one token",
    why: "The provider compares `ARM_OIDC_TOKEN` with the file and stops when they differ, as they do \
          after the file's first renewal. A token that is given also keeps it from asking for a \
          fresh one.",
    fix: "Keep `ARM_OIDC_REQUEST_URL` and `ARM_OIDC_REQUEST_TOKEN`, the only source that the provider \
          renews, and unset `ARM_OIDC_TOKEN` and `ARM_OIDC_TOKEN_FILE_PATH`.",
    source: PROVIDER,
};

/// Two tokens that differ.
pub const AZURE_MISMATCH: Kind = Kind {
    id: "environment-azure-mismatch",
    severity: Severity::Error,
    title: "`ARM_OIDC_TOKEN` is another token than that in the file",
    why: "The provider stops with `mismatch between supplied OIDC token and supplied OIDC token file \
          contents`.",
    fix: "Unset one of `ARM_OIDC_TOKEN` and `ARM_OIDC_TOKEN_FILE_PATH`.",
    source: PROVIDER,
};

/// An address without a token for it, or the other way round.
pub const AZURE_REQUEST_HALF: Kind = Kind {
    id: "environment-azure-request-half",
    severity: Severity::Error,
    title: "only half of what it takes to ask for a token",
    why: "The provider asks at `ARM_OIDC_REQUEST_URL` and shows `ARM_OIDC_REQUEST_TOKEN`; one without \
          the other is of no use.",
    fix: "Set both, or neither; `runmint exec` sets both.",
    source: PROVIDER,
};

/// A secret before the token.
pub const AZURE_SECRET: Kind = Kind {
    id: "environment-azure-secret",
    severity: Severity::Error,
    title: "a static credential is used in place of the token",
    why: "Terraform's providers try a certificate and a client secret before a token, and the SDKs' \
          default chain looks at `AZURE_CLIENT_SECRET` before the token's file.",
    fix: "Unset the secret or certificate in the job's settings, and delete it from the application: \
          `az ad app credential delete --id APP --key-id KEY`.",
    source: PROVIDER,
};

/// A token that is read once.
pub const AZURE_READ_ONCE: Kind = Kind {
    id: "environment-azure-read-once",
    severity: Severity::Warning,
    title: "the token's file is read once, at the start",
    why: "azurerm reads `ARM_OIDC_TOKEN` and `ARM_OIDC_TOKEN_FILE_PATH` when it starts and never \
          again. An apply that runs longer than Azure's access token, about an hour, ends with \
          AADSTS700024 in the middle of its work.",
    fix: "Let the provider ask: `ARM_OIDC_REQUEST_URL` and `ARM_OIDC_REQUEST_TOKEN`, as `runmint exec` \
          sets them.",
    source: PROVIDER,
};
