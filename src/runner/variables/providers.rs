//! What each provider needs of its settings.
//!
//! Each function reads all settings before it gives up, so that all that is wrong is said.

use std::time::Duration;

use super::configuration::{
    Aws, AwsCredentialKind, Azure, Gcp, GcpAccount, GcpCredentialKind, Hcp, Kubernetes, Manual,
    Provider, Tag, Vault, VaultBackedAws, VaultBackedAzure, VaultBackedGcp,
};
use super::forms::{self, one_of};
use super::names::{
    AUDIENCE, AUTH_PATH, AUTH_TYPE, CLIENT_ID, CLIENT_TIMEOUT, ENCODED_CACERT, Family,
    MANUAL_AUDIENCE, MOUNT_PATH, PRINCIPAL_TYPE, PROJECT_NUMBER, PROVIDER_RESOURCE_NAME, ROLE_ARN,
    SERVICE_ACCOUNT_EMAIL, SLEEP_SECONDS, VAULT_ADDR, VAULT_CONFIG, VAULT_LOGIN_ROLE,
    VAULT_NAMESPACE, VAULT_ROLE, VAULT_ROLESET, VAULT_STATIC_ACCOUNT, WORKLOAD_POOL_ID,
    WORKLOAD_PROVIDER_ID, WORKLOAD_PROVIDER_NAME,
};
use super::settings::{Read, Settings};

/// Reads the configuration that `settings` are of.
pub(super) fn read(settings: &mut Settings<'_>) -> Read<Provider> {
    match settings.family {
        Family::Aws => aws(settings).map(Provider::Aws),
        Family::Azure => azure(settings).map(Provider::Azure),
        Family::Gcp => gcp(settings).map(Provider::Gcp),
        Family::Hcp => hcp(settings).map(Provider::Hcp),
        Family::Kubernetes => kubernetes(settings).map(Provider::Kubernetes),
        Family::Manual => manual(settings).map(Provider::Manual),
        Family::Vault => vault(settings).map(Provider::Vault),
        Family::VaultBackedAws => vault_backed_aws(settings).map(Provider::VaultBackedAws),
        Family::VaultBackedAzure => vault_backed_azure(settings).map(Provider::VaultBackedAzure),
        Family::VaultBackedGcp => vault_backed_gcp(settings).map(Provider::VaultBackedGcp),
        Family::HvsBackedAws | Family::HvsBackedGcp | Family::TencentCloud => {
            let switch = settings.family.switch(settings.tag);
            let rule = "is not supported by runmint: set it to `false`, or ask for a token of your own \
                        with `TFC_WORKLOAD_IDENTITY_AUDIENCE`";
            Err(settings.refuse(switch, rule))
        }
    }
}

fn aws(settings: &mut Settings<'_>) -> Read<Aws> {
    let audience = settings.audience("aws.workload.identity");
    let role_arn = settings.required(ROLE_ARN, forms::role_arn);
    Ok(Aws {
        audience: audience?,
        role_arn: role_arn?,
    })
}

fn azure(settings: &mut Settings<'_>) -> Read<Azure> {
    let audience = settings.audience("api://AzureADTokenExchange");
    let client_id = settings.required(CLIENT_ID, forms::client_id);
    Ok(Azure {
        audience: audience?,
        client_id: client_id?,
    })
}

fn gcp(settings: &mut Settings<'_>) -> Read<Gcp> {
    let provider_name = gcp_provider_name(settings);
    let service_account = gcp_service_account(settings);
    // The default is made of the provider's name; without one there is nothing to build on.
    let name = provider_name.as_deref().unwrap_or_default();
    let audience = settings.audience(&format!("//iam.googleapis.com/{name}"));
    Ok(Gcp {
        audience: audience?,
        provider_name: provider_name?,
        service_account: service_account?,
    })
}

/// Named as a whole, or else put together from its parts.
fn gcp_provider_name(settings: &mut Settings<'_>) -> Read<String> {
    let parts = [PROJECT_NUMBER, WORKLOAD_POOL_ID, WORKLOAD_PROVIDER_ID];
    let name = settings.optional(WORKLOAD_PROVIDER_NAME, forms::gcp_provider_name)?;
    if let Some(name) = name {
        let is_default = settings.explicit(WORKLOAD_PROVIDER_NAME).is_empty();
        let part = parts.iter().find_map(|part| settings.explicit(*part).pop());
        return match part {
            // The name wins over the parts, says HCP Terraform, and what is explicit over a default.
            Some(part) if is_default => {
                let named = WORKLOAD_PROVIDER_NAME.part();
                let variable = settings.family.explicit(&named, settings.tag);
                let default = settings.family.default(&named);
                let rule = format!(
                    "must be set to say which provider is meant, that of `{default}` or that of `{part}`"
                );
                Err(settings.refuse(variable, rule))
            }
            _ => Ok(name),
        };
    }
    if !parts.iter().any(|part| settings.is_set(*part)) {
        return Err(settings.refuse_missing(WORKLOAD_PROVIDER_NAME));
    }
    let number = settings.required(PROJECT_NUMBER, forms::gcp_project_number);
    let pool = settings.required(WORKLOAD_POOL_ID, forms::gcp_id);
    let provider = settings.required(WORKLOAD_PROVIDER_ID, forms::gcp_id);
    Ok(format!(
        "projects/{}/locations/global/workloadIdentityPools/{}/providers/{}",
        number?, pool?, provider?
    ))
}

/// Only where one is impersonated.
fn gcp_service_account(settings: &mut Settings<'_>) -> Read<Option<String>> {
    let kinds = [("service_account", true), ("workload_pool", false)];
    let impersonated = settings.optional(PRINCIPAL_TYPE, one_of(&kinds))?;
    if impersonated.unwrap_or(true) {
        let email = settings.required(SERVICE_ACCOUNT_EMAIL, forms::service_account_email);
        return email.map(Some);
    }
    let rule = "has no use with the principal type `workload_pool`: unset it, or make the type \
                `service_account`";
    settings.refuse_explicit(SERVICE_ACCOUNT_EMAIL, rule)?;
    Ok(None)
}

fn hcp(settings: &mut Settings<'_>) -> Read<Hcp> {
    // A form that an audience has too, since it is one unless another is given.
    let name = settings.required(PROVIDER_RESOURCE_NAME, forms::audience);
    let audience = settings.audience(name.as_deref().unwrap_or_default());
    Ok(Hcp {
        audience: audience?,
        provider_resource_name: name?,
    })
}

fn kubernetes(settings: &mut Settings<'_>) -> Read<Kubernetes> {
    let audience = settings.required(AUDIENCE, forms::audience)?;
    Ok(Kubernetes { audience })
}

fn manual(settings: &mut Settings<'_>) -> Read<Manual> {
    let audience = settings.required(MANUAL_AUDIENCE, forms::audience)?;
    Ok(Manual { audience })
}

fn vault(settings: &mut Settings<'_>) -> Read<Vault> {
    let audience = settings.audience("vault.workload.identity");
    let address = settings.required(VAULT_ADDR, forms::vault_address);
    let namespace = settings.optional(VAULT_NAMESPACE, forms::namespace);
    let auth_path = settings.optional(AUTH_PATH, forms::mount_path);
    let role = settings.required(VAULT_LOGIN_ROLE, forms::vault_name);
    let ca_pem = settings.optional(ENCODED_CACERT, forms::encoded_pem);
    let client_timeout = settings.optional(CLIENT_TIMEOUT, forms::client_timeout);
    Ok(Vault {
        audience: audience?,
        address: address?,
        namespace: namespace?,
        auth_path: auth_path?.unwrap_or_else(|| "jwt".to_owned()),
        role: role?,
        ca_pem: ca_pem?,
        client_timeout: client_timeout?.unwrap_or(Duration::from_mins(1)),
    })
}

fn vault_backed_aws(settings: &mut Settings<'_>) -> Read<VaultBackedAws> {
    let vault = vault_login(settings);
    let mount_path = settings.optional(MOUNT_PATH, forms::mount_path);
    let kind = aws_credential_kind(settings);
    let role = settings.required(VAULT_ROLE, forms::vault_name);
    let sleep = settings.optional(SLEEP_SECONDS, forms::sleep);
    Ok(VaultBackedAws {
        vault: vault?,
        mount_path: mount_path?.unwrap_or_else(|| "aws".to_owned()),
        kind: kind?,
        role: role?,
        sleep: sleep?.unwrap_or_default(),
    })
}

fn aws_credential_kind(settings: &mut Settings<'_>) -> Read<AwsCredentialKind> {
    let kinds = [
        (
            "assumed_role",
            AwsCredentialKind::AssumedRole { role_arn: None },
        ),
        ("federation_token", AwsCredentialKind::FederationToken),
        ("iam_user", AwsCredentialKind::IamUser),
    ];
    let kind = settings.required(AUTH_TYPE, one_of(&kinds))?;
    if let AwsCredentialKind::AssumedRole { .. } = kind {
        let role_arn = settings.optional(ROLE_ARN, forms::role_arn)?;
        return Ok(AwsCredentialKind::AssumedRole { role_arn });
    }
    let rule = "has no use unless the auth type is `assumed_role`: unset it, or change the type";
    settings.refuse_explicit(ROLE_ARN, rule)?;
    Ok(kind)
}

fn vault_backed_azure(settings: &mut Settings<'_>) -> Read<VaultBackedAzure> {
    let vault = vault_login(settings);
    let mount_path = settings.optional(MOUNT_PATH, forms::mount_path);
    let role = settings.required(VAULT_ROLE, forms::vault_name);
    let sleep = settings.optional(SLEEP_SECONDS, forms::sleep);
    Ok(VaultBackedAzure {
        vault: vault?,
        mount_path: mount_path?.unwrap_or_else(|| "azure".to_owned()),
        role: role?,
        sleep: sleep?.unwrap_or_default(),
    })
}

fn vault_backed_gcp(settings: &mut Settings<'_>) -> Read<VaultBackedGcp> {
    let vault = vault_login(settings);
    let mount_path = settings.optional(MOUNT_PATH, forms::mount_path);
    let account = gcp_account(settings);
    let (account, kind) = account?;
    Ok(VaultBackedGcp {
        vault: vault?,
        mount_path: mount_path?.unwrap_or_else(|| "gcp".to_owned()),
        account,
        kind,
    })
}

fn gcp_account(settings: &mut Settings<'_>) -> Read<(GcpAccount, GcpCredentialKind)> {
    use GcpCredentialKind::{AccessToken, ServiceAccountKey};
    let kinds = [
        ("roleset/access_token", (true, AccessToken)),
        ("roleset/service_account_key", (true, ServiceAccountKey)),
        ("static_account/access_token", (false, AccessToken)),
        (
            "static_account/service_account_key",
            (false, ServiceAccountKey),
        ),
    ];
    let (is_roleset, kind) = settings.required(AUTH_TYPE, one_of(&kinds))?;
    let (used, unused) = if is_roleset {
        (VAULT_ROLESET, VAULT_STATIC_ACCOUNT)
    } else {
        (VAULT_STATIC_ACCOUNT, VAULT_ROLESET)
    };
    let name = settings.required(used, forms::vault_name);
    let rule = "has no use with this auth type: unset it, or change the type";
    settings.refuse_explicit(unused, rule)?;
    let account = if is_roleset {
        GcpAccount::Roleset(name?)
    } else {
        GcpAccount::StaticAccount(name?)
    };
    Ok((account, kind))
}

/// The Vault configuration that logs in.
fn vault_login(settings: &mut Settings<'_>) -> Read<Option<Tag>> {
    let enabled = settings.enabled;
    let named = settings.optional(VAULT_CONFIG, |text| {
        let tag = Tag::parse(text)?;
        let switch = Family::Vault.switch(Some(&tag));
        let vault = (Family::Vault, Some(tag.clone()));
        let is_on = enabled.contains(&vault).then_some(tag);
        is_on.ok_or_else(|| {
            format!("names a configuration of Vault that is not on: set `{switch}` to `true`")
        })
    })?;
    if named.is_none() && !enabled.contains(&(Family::Vault, None)) {
        let switch = settings.family.switch(settings.tag);
        let config = settings.family.explicit(&VAULT_CONFIG.part(), settings.tag);
        let rule = format!(
            "must be `true`, since `{switch}` logs in by it; or `{config}` names a tag to log in by"
        );
        return Err(settings.refuse(Family::Vault.switch(None), rule));
    }
    Ok(named)
}
