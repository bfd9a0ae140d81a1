//! AWS: a web identity that assumes a role.

use super::{Handout, Place};
use crate::runner::variables::Aws;

const TOKEN: &str = "tfc-aws-token";
const CONFIG: &str = "tfc-aws-shared-config";

/// The longest `RoleSessionName` (STS API reference, `AssumeRoleWithWebIdentity`).
const LONGEST_SESSION_NAME: usize = 64;

pub(super) fn handout(config: &Aws, place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        ..Handout::default()
    };
    let session = session_name(place.run_id);
    // The SDKs' shared config format. The token file is read again at each refresh.
    handout.write(
        place.file(CONFIG),
        format!(
            "[default]\nrole_arn = {}\nweb_identity_token_file = {}\nrole_session_name = {session}\n",
            config.role_arn,
            place.text(TOKEN),
        ),
    );
    handout.fields(
        "tfc_aws_dynamic_credentials",
        [("shared_config_file", place.text(CONFIG))],
    );
    if place.is_chosen {
        handout.set("AWS_ROLE_ARN", &config.role_arn);
        handout.set("AWS_WEB_IDENTITY_TOKEN_FILE", place.text(TOKEN));
        handout.set("AWS_ROLE_SESSION_NAME", session);
    }
    handout
}

/// `terraform-run-…`, as HCP Terraform names its sessions, so that `CloudTrail` shows the run. Other
/// characters than STS takes (`[\w+=,.@-]`) become a `-`.
pub fn session_name(run_id: &str) -> String {
    let known = ["run-", "trun-"]
        .iter()
        .any(|prefix| run_id.starts_with(prefix));
    let prefix = if known {
        "terraform-"
    } else {
        "terraform-run-"
    };
    let clean = |c: char| {
        if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let id = run_id.chars().map(clean);
    prefix
        .chars()
        .chain(id)
        .take(LONGEST_SESSION_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_its_run() {
        assert_eq!(
            session_name("run-CKuwsxMGgMd3W7Ui"),
            "terraform-run-CKuwsxMGgMd3W7Ui"
        );
        assert_eq!(session_name("trun-1"), "terraform-trun-1");
        assert_eq!(session_name("build 7/ä"), "terraform-run-build-7--");
        assert_eq!(session_name(&"x".repeat(90)).len(), LONGEST_SESSION_NAME);
    }
}
