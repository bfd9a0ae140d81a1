//! Credentials that Vault's secrets engines gave, for the clouds' SDKs.

use super::{Handout, Place};
use crate::runner::text::SecretText;
use crate::runner::vault::{AwsCredentials, AzureCredentials, GcpCredentials};

const AWS: &str = "tfc-vault-backed-aws-shared-credentials";
const AZURE_CLIENT_ID: &str = "tfc-vault-backed-azure-client-id";
const AZURE_CLIENT_SECRET: &str = "tfc-vault-backed-azure-client-secret";
const GCP: &str = "tfc-vault-backed-gcp-credentials";

/// What a secrets engine gave.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Of the AWS engine.
    Aws(AwsCredentials),
    /// Of the Azure engine.
    Azure(AzureCredentials),
    /// Of the GCP engine.
    Gcp(GcpCredentials),
}

impl Credentials {
    /// What nobody must see.
    pub fn secrets(&self) -> Vec<&SecretText> {
        match self {
            Self::Aws(given) => {
                let session = given.session_token.as_ref();
                session
                    .into_iter()
                    .chain([&given.secret_access_key])
                    .collect()
            }
            Self::Azure(given) => vec![&given.client_secret],
            Self::Gcp(
                GcpCredentials::AccessToken { token: secret, .. }
                | GcpCredentials::ServiceAccountKey { json: secret, .. },
            ) => vec![secret],
        }
    }
}

/// What such credentials put where; written anew whenever Vault gives others.
pub fn credentials(credentials: &Credentials, place: &Place<'_>) -> Handout {
    match credentials {
        Credentials::Aws(credentials) => aws(credentials, place),
        Credentials::Azure(credentials) => azure(credentials, place),
        Credentials::Gcp(credentials) => gcp(credentials, place),
    }
}

fn aws(credentials: &AwsCredentials, place: &Place<'_>) -> Handout {
    let mut handout = Handout::default();
    let mut file = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        credentials.access_key_id,
        credentials.secret_access_key.expose(),
    );
    if let Some(token) = &credentials.session_token {
        file.push_str("aws_session_token = ");
        file.push_str(token.expose());
        file.push('\n');
    }
    handout.write(place.file(AWS), file);
    handout.fields(
        "tfc_vault_backed_aws_dynamic_credentials",
        [("shared_credentials_file", place.text(AWS))],
    );
    if place.is_chosen {
        // A pod's web identity would come before the file.
        handout.unset = vec![
            "AWS_ROLE_ARN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_SESSION_NAME",
        ];
        // The file and no keys in variables: it can be replaced.
        handout.set("AWS_SHARED_CREDENTIALS_FILE", place.text(AWS));
    }
    handout
}

fn azure(credentials: &AzureCredentials, place: &Place<'_>) -> Handout {
    let mut handout = Handout::default();
    let secret = credentials.client_secret.expose();
    handout.write(place.file(AZURE_CLIENT_ID), &credentials.client_id);
    handout.write(place.file(AZURE_CLIENT_SECRET), secret);
    handout.fields(
        "tfc_vault_backed_azure_dynamic_credentials",
        [
            ("client_id_file_path", place.text(AZURE_CLIENT_ID)),
            ("client_secret_file_path", place.text(AZURE_CLIENT_SECRET)),
        ],
    );
    if place.is_chosen {
        handout.set("ARM_CLIENT_ID", &credentials.client_id);
        handout.set("ARM_CLIENT_SECRET", secret);
    }
    handout
}

/// The provider takes a file's path for `credentials`, and a token itself for `access_token`.
fn gcp(credentials: &GcpCredentials, place: &Place<'_>) -> Handout {
    let mut handout = Handout::default();
    let (file, token) = match credentials {
        GcpCredentials::AccessToken { token, .. } => {
            if place.is_chosen {
                handout.set("GOOGLE_OAUTH_ACCESS_TOKEN", token.expose());
            }
            (String::new(), token.expose().to_owned())
        }
        GcpCredentials::ServiceAccountKey { json, .. } => {
            handout.write(place.file(GCP), json.expose());
            if place.is_chosen {
                handout.set("GOOGLE_APPLICATION_CREDENTIALS", place.text(GCP));
            }
            (place.text(GCP), String::new())
        }
    };
    handout.fields(
        "tfc_vault_backed_gcp_dynamic_credentials",
        [("credentials", file), ("access_token", token)],
    );
    handout
}
