//! Google Cloud: workload identity federation by an external account.

use serde_json::json;

use super::{Handout, Place};
use crate::runner::variables::Gcp;

const TOKEN: &str = "tfc-gcp-token";
const CREDENTIALS: &str = "tfc-google-application-credentials";

/// The standard universe; another one is named by the variable of Google's own clients.
const UNIVERSE: &str = "googleapis.com";

pub(super) fn handout(config: &Gcp, place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        ..Handout::default()
    };
    let universe = place.environment.find("GOOGLE_CLOUD_UNIVERSE_DOMAIN");
    let universe = universe.unwrap_or(UNIVERSE);
    // https://google.aip.dev/auth/4117; it holds no secret.
    let mut account = json!({
        "universe_domain": universe,
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{}", config.provider_name),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("https://sts.{universe}/v1/token"),
        "credential_source": {"file": place.text(TOKEN), "format": {"type": "text"}},
    });
    if let Some(email) = &config.service_account {
        account["service_account_impersonation_url"] = json!(format!(
            "https://iamcredentials.{universe}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
        ));
    }
    handout.write(place.file(CREDENTIALS), account.to_string());
    handout.fields(
        "tfc_gcp_dynamic_credentials",
        [("credentials", place.text(CREDENTIALS))],
    );
    if place.is_chosen {
        handout.set("GOOGLE_APPLICATION_CREDENTIALS", place.text(CREDENTIALS));
    }
    handout
}
