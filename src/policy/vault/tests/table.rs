//! What a role says about a token: a row for each rule of Vault.

use serde_json::{Value, json};

use super::{SUBJECT, glob, read, role, run, string};
use crate::policy::Decision::{self, Admitted, Refused, Undecided};
use crate::policy::vault::recognizes;

/// The sources are functions of `vault-plugin-auth-jwt`, but for [G], which is `ryanuber/go-glob`, and
/// [C], the validator of `hashicorp/cap`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_role_is_held_against_a_token_as_vault_does_it() {
    let cases: Vec<(&str, Value, Decision, &str)> = vec![
        ("pathLogin: the type is jwt", role(json!({})), Admitted, ""),
        (
            "pathLogin: the type is oidc",
            role(json!({"role_type": "oidc"})),
            Refused,
            "browser",
        ),
        (
            "pathRoleCreateUpdate: no type is oidc",
            role(json!({"role_type": null})),
            Refused,
            "missing",
        ),
        (
            "pathRoleRead: as `vault read` prints it",
            json!({"request_id": "x", "data": role(json!({
            "bound_subject": "", "bound_claims": null, "groups_claim": "", "claim_mappings": null,
            "token_bound_cidrs": []}))}),
            Admitted,
            "",
        ),
        (
            "pathLogin: bound addresses",
            role(json!({"token_bound_cidrs": ["10.0.0.0/8"]})),
            Undecided,
            "from which address",
        ),
        (
            "[C] validateAudience: any of them",
            role(json!({"bound_audiences":
            ["x", "vault.workload.identity"]})),
            Admitted,
            "",
        ),
        (
            "[C] validateAudience: commas separate",
            role(json!({"bound_audiences":
            "x,vault.workload.identity"})),
            Admitted,
            "",
        ),
        (
            "[C] validateAudience: none of them",
            role(json!({"bound_audiences": ["x"]})),
            Refused,
            "aud",
        ),
        (
            "[C] validateAudience: letter case",
            role(json!({"bound_audiences":
            ["Vault.workload.identity"]})),
            Refused,
            "letter case",
        ),
        (
            "pathLogin: no audience is bound",
            role(json!({"bound_audiences": [], "bound_subject":
            SUBJECT})),
            Refused,
            "1.16.3",
        ),
        (
            "[C] Validate: the subject is equal",
            role(json!({"bound_subject": SUBJECT})),
            Admitted,
            "",
        ),
        (
            "[C] Validate: the subject is no pattern",
            role(json!({"bound_claims_type": "glob",
            "bound_subject": SUBJECT.replace("plan", "*")})),
            Refused,
            "`*` is no wildcard",
        ),
        (
            "[C] Validate: the subject's case",
            role(json!({"bound_subject":
            SUBJECT.replace("acme", "Acme")})),
            Refused,
            "letter case",
        ),
        (
            "createIdentity: the user is missing",
            role(json!({"user_claim": "email"})),
            Refused,
            "no claim `email`",
        ),
        (
            "createIdentity: the user is a number",
            role(json!({"user_claim": "level"})),
            Refused,
            "no text",
        ),
        (
            "createIdentity: a pointer must be asked for",
            role(json!({"user_claim": "/nested/a~1b/c"})),
            Refused,
            "user_claim_json_pointer",
        ),
        (
            "createIdentity: a pointer",
            role(json!({"user_claim": "/nested/a~1b/c",
            "user_claim_json_pointer": true})),
            Admitted,
            "",
        ),
        (
            "extractMetadata: what is missing is passed over",
            role(json!({"claim_mappings":
            {"email": "mail"}})),
            Admitted,
            "",
        ),
        (
            "extractMetadata: only texts",
            role(json!({"claim_mappings": {"groups": "g"}})),
            Refused,
            "no text",
        ),
        (
            "createIdentity: groups are a list",
            role(json!({"groups_claim": "groups"})),
            Admitted,
            "",
        ),
        (
            "createIdentity: groups are missing",
            role(json!({"groups_claim": "teams"})),
            Refused,
            "no claim `teams`",
        ),
        (
            "createIdentity: groups are a number",
            role(json!({"groups_claim": "level"})),
            Refused,
            "no list of texts",
        ),
        (
            "matchFound: an equal text",
            string(json!({"terraform_workspace_name": "prod"})),
            Admitted,
            "",
        ),
        (
            "matchFound: any value",
            string(json!({"terraform_workspace_name": ["dev", "prod"]})),
            Admitted,
            "",
        ),
        (
            "matchFound: none of the values",
            string(json!({"terraform_workspace_name": ["dev", "x"]})),
            Refused,
            "no value",
        ),
        (
            "matchFound: `*` without glob",
            string(json!({"sub": SUBJECT.replace("plan", "*")})),
            Refused,
            "bound_claims_type",
        ),
        (
            "normalizeList: a comma separates nothing",
            string(json!({"terraform_workspace_name":
            "dev,prod"})),
            Refused,
            "write a list",
        ),
        (
            "matchFound: a list in the token",
            string(json!({"groups": "ops"})),
            Admitted,
            "",
        ),
        (
            "matchFound: a list in both",
            string(json!({"groups": ["x", "dev"]})),
            Admitted,
            "",
        ),
        (
            "matchFound: an empty list matches nothing",
            string(json!({"groups": []})),
            Refused,
            "no value",
        ),
        (
            "matchFound: true is true",
            string(json!({"is_protected": true})),
            Admitted,
            "",
        ),
        (
            "matchFound: true is no text",
            string(json!({"is_protected": "true"})),
            Refused,
            "no number",
        ),
        (
            "matchFound: a number",
            string(json!({"level": 3})),
            Admitted,
            "",
        ),
        (
            "validateBoundClaims: a claim is missing",
            string(json!({"ref": "main"})),
            Refused,
            "no claim `ref`",
        ),
        (
            "validateBoundClaims: an object",
            string(json!({"nested": "x"})),
            Refused,
            "is no text",
        ),
        (
            "getClaim: a JSON pointer",
            string(json!({"/nested/a~1b/c": "deep"})),
            Admitted,
            "",
        ),
        (
            "getClaim: an index",
            string(json!({"/groups/0": "dev"})),
            Admitted,
            "",
        ),
        (
            "validateBoundClaims: all claims",
            string(json!({"terraform_workspace_name": "prod",
            "terraform_run_phase": "apply"})),
            Refused,
            "terraform_run_phase",
        ),
        (
            "[G] the end",
            glob(json!({"sub": SUBJECT.replace("plan", "*")})),
            Admitted,
            "",
        ),
        (
            "[G] the middle",
            glob(
                json!({"sub": "organization:acme:project:*:workspace:prod:run_phase:plan"
                }),
            ),
            Admitted,
            "",
        ),
        (
            "[G] `*` reaches over a colon",
            glob(json!({"sub": "organization:*:plan"})),
            Admitted,
            "",
        ),
        (
            "[G] `*` is also nothing",
            glob(json!({"terraform_workspace_name": "prod*"})),
            Admitted,
            "",
        ),
        (
            "[G] another workspace",
            glob(json!({"sub":
            "organization:acme:project:p:workspace:dev:run_phase:*"})),
            Refused,
            "does not match",
        ),
        (
            "[G] from end to end",
            glob(json!({"sub": "workspace:prod:*"})),
            Refused,
            "does not match",
        ),
        (
            "[G] `?` is a letter",
            glob(json!({"terraform_workspace_name": "pro?"})),
            Refused,
            "the token `d`",
        ),
        (
            "[G] letter case",
            glob(json!({"sub": "Organization:acme:*"})),
            Refused,
            "letter case",
        ),
        (
            "matchFound: a number is no glob",
            glob(json!({"level": "*"})),
            Refused,
            "no value",
        ),
    ];
    for (name, value, decision, said) in cases {
        assert!(recognizes(&value), "{name}");
        let verdict = read(vec![value]).unwrap().evaluate(&run());
        let why = verdict.first_failure().map_or("", |check| &check.why);
        assert_eq!(verdict.decision, decision, "{name}: {why}");
        assert!(why.contains(said), "{name}: {why}");
        assert_eq!(why.is_empty(), decision == Admitted, "{name}: {why}");
    }
}
