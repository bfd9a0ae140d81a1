//! The token itself, for whoever wants one.

use super::{Handout, Place};

const TOKEN: &str = "tfc-workload-identity-token";

/// HCP Terraform's variable; the one with the file's path is ours, since a variable ages.
const VARIABLE: &str = "TFC_WORKLOAD_IDENTITY_TOKEN";
const FILE_VARIABLE: &str = "RUNMINT_WORKLOAD_IDENTITY_TOKEN_FILE";

pub(super) fn handout(place: &Place<'_>) -> Handout {
    let mut handout = Handout {
        token_file: Some(place.file(TOKEN)),
        token_variables: vec![place.file(VARIABLE)],
        ..Handout::default()
    };
    handout.set(&place.file(FILE_VARIABLE), place.text(TOKEN));
    handout
}
