//! Vault: its address, its CA, and the token that a login gave: the identity token is for the login
//! alone.

use super::{Handout, Place};
use crate::runner::variables::Vault;

const TOKEN: &str = "tfc-vault-token";
const CA: &str = "tfc-vault-ca-cert";

pub(super) fn handout(config: &Vault, place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        ..Handout::default()
    };
    let ca = config.ca_pem.as_ref().map(|pem| {
        handout.write(place.file(CA), pem);
        place.text(CA)
    });
    let namespace = config.namespace.clone().unwrap_or_default();
    handout.fields(
        "tfc_vault_dynamic_credentials",
        [
            ("token_filename", place.text(TOKEN)),
            ("address", config.address.clone()),
            ("namespace", namespace.clone()),
            ("ca_cert_file", ca.clone().unwrap_or_default()),
        ],
    );
    if place.is_chosen {
        handout.token_variables.push("VAULT_TOKEN".to_owned());
        handout.set("VAULT_ADDR", &config.address);
        if !namespace.is_empty() {
            handout.set("VAULT_NAMESPACE", namespace);
        }
        if let Some(ca) = ca {
            handout.set("VAULT_CACERT", ca);
        }
    }
    handout
}
