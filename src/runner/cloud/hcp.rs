//! HCP: a credential file of the scheme `workload` (hcp-sdk-go, `auth/cred_file.go`).

use serde_json::json;

use super::{Handout, Place};
use crate::runner::variables::Hcp;

const TOKEN: &str = "tfc-hcp-token";
const CREDENTIALS: &str = "tfc-hcp-credentials";

pub(super) fn handout(config: &Hcp, place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        ..Handout::default()
    };
    let credentials = json!({
        "scheme": "workload",
        "workload": {
            "provider_resource_name": config.provider_resource_name,
            "file": {"path": place.text(TOKEN)},
        },
    });
    handout.write(place.file(CREDENTIALS), credentials.to_string());
    handout.fields(
        "tfc_hcp_dynamic_credentials",
        [("credential_file", place.text(CREDENTIALS))],
    );
    if place.is_chosen {
        handout.set("HCP_CRED_FILE", place.text(CREDENTIALS));
    }
    handout
}
