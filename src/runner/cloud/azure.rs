//! Azure: a federated credential.

use super::{Handout, Place};
use crate::runner::variables::Azure;

const TOKEN: &str = "tfc-azure-token";
const CLIENT_ID: &str = "tfc-azure-client-id";

pub(super) fn handout(config: &Azure, place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        ..Handout::default()
    };
    handout.write(place.file(CLIENT_ID), &config.client_id);
    handout.fields(
        "tfc_azure_dynamic_credentials",
        [
            ("client_id_file_path", place.text(CLIENT_ID)),
            ("oidc_token_file_path", place.text(TOKEN)),
        ],
    );
    if place.is_chosen {
        // azurerm, azuread and azapi. A token or a file is read once, and dies with an apply that is
        // longer; by the request URL they ask anew. The audience stands in it, since they add their
        // own otherwise.
        handout.set("ARM_CLIENT_ID", &config.client_id);
        handout.set("ARM_USE_OIDC", "true");
        handout.set(
            "ARM_OIDC_REQUEST_URL",
            place.source.url_for(&config.audience).as_str(),
        );
        handout.set("ARM_OIDC_REQUEST_TOKEN", place.source.token().expose());
        // The Azure SDKs, which read the file again; azure-identity for Python after ten minutes.
        handout.set("AZURE_CLIENT_ID", &config.client_id);
        handout.set("AZURE_FEDERATED_TOKEN_FILE", place.text(TOKEN));
        if let Some(tenant) = place.environment.find("ARM_TENANT_ID")
            && place.environment.find("AZURE_TENANT_ID").is_none()
        {
            handout.set("AZURE_TENANT_ID", tenant);
        }
    }
    handout
}
