//! Azure's credentials against a table, and against random ones.

use super::*;
use crate::policy::Decision::{self, Admitted, Refused, Undecided};

const SUBJECT: &str = "organization:acme:project:p:workspace:prod:run_phase:plan";
const AUDIENCE: &str = "api://AzureADTokenExchange";

fn run() -> Presented {
    presented(
        &json!({"iss": "https://ci.example.com", "sub": SUBJECT, "aud": AUDIENCE,
        "terraform_workspace_name": "prod"}),
    )
}

fn presented(claims: &Value) -> Presented {
    Presented {
        claims: claims.as_object().unwrap().clone(),
        role_arn: None,
    }
}

fn read(value: Value) -> Result<Policy, BadPolicy> {
    Policy::read(&[Document {
        name: "f.json".to_owned(),
        value,
    }])
}

fn credential(issuer: &str, subject: &str, audience: &str) -> Value {
    json!({"name": "runmint-1", "issuer": issuer, "subject": subject, "audiences": [audience]})
}

fn good() -> Value {
    credential("https://ci.example.com", SUBJECT, AUDIENCE)
}

fn with(mut value: Value, member: &str, new: Value) -> Value {
    value[member] = new;
    value
}

/// What stands in a document, what is said of the run's token, and what the reason holds. The
/// sources: [A] "Workload identity federation" and "Important considerations and restrictions for
/// federated identity credentials" of Microsoft's documentation; [B] its list of error codes; [C]
/// Azure/login issues 515 and 517; [D] the documentation of flexible federated identity credentials;
/// [E] what `az` and Microsoft Graph print.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn credentials_are_held_against_a_token_as_entra_does_it() {
    let list = |values: Vec<Value>| json!(values);
    let other = with(
        credential("https://ci.example.com", "x", AUDIENCE),
        "name",
        json!("other"),
    );
    let flexible = json!({"name": "flexible", "issuer": "https://ci.example.com", "subject": null,
        "claimsMatchingExpression": {"value": "claims['sub'] matches 'organization:acme:*'",
        "languageVersion": 1}, "audiences": [AUDIENCE]});
    let cases: Vec<(&str, Value, Decision, &str)> = vec![
        ("[A] all three are equal", good(), Admitted, ""),
        (
            "[E] a list of `az ad app`",
            list(vec![other.clone(), good()]),
            Admitted,
            "",
        ),
        (
            "[E] Graph's list",
            json!({"@odata.context": "x", "value": [good()]}),
            Admitted,
            "",
        ),
        (
            "[E] the resource manager's form",
            json!({"name": "abc", "id": "/subscriptions/s",
            "properties": {"issuer": "https://ci.example.com", "subject": SUBJECT,
            "audiences": [AUDIENCE]}}),
            Admitted,
            "",
        ),
        (
            "[E] a list of `az identity`",
            list(vec![with(good(), "resourceGroup", json!("rg"))]),
            Admitted,
            "",
        ),
        ("[B] no credential", list(vec![]), Refused, "AADSTS70025"),
        (
            "[B] no credential, of Graph",
            json!({"value": []}),
            Refused,
            "AADSTS70025",
        ),
        (
            "[A] another issuer",
            credential("https://app.terraform.io", SUBJECT, AUDIENCE),
            Refused,
            "AADSTS700211",
        ),
        (
            "[C] a slash at the end of the issuer",
            credential("https://ci.example.com/", SUBJECT, AUDIENCE),
            Refused,
            "trailing slash",
        ),
        (
            "[A] the issuer in other letters",
            credential("https://CI.example.com", SUBJECT, AUDIENCE),
            Refused,
            "AADSTS7002138",
        ),
        (
            "[A] an issuer with a path",
            credential("https://ci.example.com/oidc", SUBJECT, AUDIENCE),
            Refused,
            "iss",
        ),
        (
            "[A] http is another issuer",
            credential("http://ci.example.com", SUBJECT, AUDIENCE),
            Refused,
            "iss",
        ),
        (
            "[A] another subject",
            credential(
                "https://ci.example.com",
                "organization:acme:project:p:workspace:dev:run_phase:plan",
                AUDIENCE,
            ),
            Refused,
            "AADSTS700213",
        ),
        (
            "[A] the other phase",
            credential(
                "https://ci.example.com",
                &SUBJECT.replace("plan", "apply"),
                AUDIENCE,
            ),
            Refused,
            "the token `plan`",
        ),
        (
            "[C] the subject in other letters",
            credential(
                "https://ci.example.com",
                &SUBJECT.replace("prod", "Prod"),
                AUDIENCE,
            ),
            Refused,
            "AADSTS7002138",
        ),
        (
            "[A] `*` is no wildcard",
            credential(
                "https://ci.example.com",
                &SUBJECT.replace("plan", "*"),
                AUDIENCE,
            ),
            Refused,
            "`*` is no wildcard",
        ),
        (
            "[A] the beginning is not enough",
            credential(
                "https://ci.example.com",
                SUBJECT.trim_end_matches(":plan"),
                AUDIENCE,
            ),
            Refused,
            "goes on with `:plan`",
        ),
        (
            "[A] a longer name",
            credential(
                "https://ci.example.com",
                &SUBJECT.replace("prod", "prod-x"),
                AUDIENCE,
            ),
            Refused,
            "sub",
        ),
        (
            "[A] a blank at the end of the subject",
            credential("https://ci.example.com", &format!("{SUBJECT} "), AUDIENCE),
            Refused,
            "blanks",
        ),
        (
            "[A] another audience",
            credential("https://ci.example.com", SUBJECT, "x"),
            Refused,
            "AADSTS700212",
        ),
        (
            "[A] another cloud's audience",
            credential(
                "https://ci.example.com",
                SUBJECT,
                "api://AzureADTokenExchangeUSGov",
            ),
            Refused,
            "aud",
        ),
        (
            "[A] the audience in other letters",
            credential(
                "https://ci.example.com",
                SUBJECT,
                "api://azureadtokenexchange",
            ),
            Refused,
            "AADSTS7002138",
        ),
        (
            "[D] a flexible credential",
            flexible,
            Refused,
            "flexible credentials are for GitHub",
        ),
        (
            "[D] a subject, and no expression",
            with(good(), "claimsMatchingExpression", Value::Null),
            Admitted,
            "",
        ),
        (
            "[A] no other claim counts",
            with(good(), "description", json!("prod only")),
            Admitted,
            "",
        ),
        (
            "[A] the nearest one is shown",
            list(vec![
                other,
                credential(
                    "https://ci.example.com",
                    &SUBJECT.replace("plan", "apply"),
                    AUDIENCE,
                ),
            ]),
            Refused,
            "the token `plan`",
        ),
    ];
    for (name, value, decision, said) in cases {
        assert!(recognizes(&value), "{name}");
        let verdict = read(value).unwrap().evaluate(&run());
        assert_eq!(verdict.decision, decision, "{name}");
        let why = verdict.first_failure().map_or("", |check| &check.why);
        assert!(why.contains(said), "{name}: {why}");
        assert_eq!(why.is_empty(), decision == Admitted, "{name}: {why}");
    }
    let mut of_two = run();
    of_two.claims["aud"] = json!([AUDIENCE, "x"]);
    assert_eq!(read(good()).unwrap().evaluate(&of_two).decision, Undecided);
    assert_eq!(
        read(good())
            .unwrap()
            .evaluate(&presented(&json!({})))
            .decision,
        Refused
    );
}

#[test]
fn what_azure_would_not_store_is_refused_with_its_place() {
    let many = |count: usize| {
        let one = |index: usize| {
            json!({"name": format!("runmint-{index}"), "issuer": "https://ci.example.com",
                "subject": format!("s{index}"), "audiences": [AUDIENCE]})
        };
        json!((0..count).map(one).collect::<Vec<_>>())
    };
    for (value, said) in [
        (
            with(good(), "audiences", json!([])),
            "audiences: must hold exactly one",
        ),
        (
            with(good(), "audiences", json!(["a", "b"])),
            "audiences: must hold exactly one",
        ),
        (
            with(good(), "audiences", json!("a")),
            "audiences: must be a list",
        ),
        (with(good(), "audiences", json!([""])), "1 to 600"),
        (
            with(good(), "name", json!("organization:acme")),
            "name: is ",
        ),
        (with(good(), "name", json!("ab")), "3 to 120"),
        (with(good(), "name", json!("-abc")), "begins with a letter"),
        (
            with(good(), "issuer", json!(" https://ci.example.com")),
            "issuer: begins or ends",
        ),
        (with(good(), "subject", json!("")), "subject: is empty"),
        (
            with(good(), "subject", json!("x".repeat(601))),
            "subject: is longer than 600",
        ),
        (with(good(), "subject", json!(7)), "subject: is 7"),
        (
            with(good(), "claimsMatchingExpression", json!({"value": "x"})),
            "one of them",
        ),
        (
            json!({"value": [good(), with(good(), "name", json!("two"))]}),
            "value[1].subject: is the same as `value[0].subject`",
        ),
        (
            json!([good(), with(good(), "subject", json!("x"))]),
            "[1].name: is another",
        ),
        (many(21), "there are 21"),
    ] {
        let error = read(value).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(read(many(20)).is_ok());
}

#[test]
fn the_smallest_change_admits_the_run() {
    let cases = [
        (json!([]), "add a credential"),
        (
            credential("https://app.terraform.io", SUBJECT, AUDIENCE),
            "add a credential",
        ),
        (
            credential("https://ci.example.com", "x", AUDIENCE),
            "add a credential",
        ),
        (
            credential("https://ci.example.com/", SUBJECT, AUDIENCE),
            "in the credential `runmint-1`",
        ),
        (
            credential("https://ci.example.com", SUBJECT, "x"),
            "in the credential `runmint-1`",
        ),
        (
            credential(
                "https://ci.example.com",
                &SUBJECT.replace("plan", "*"),
                AUDIENCE,
            ),
            "in the credential `runmint-1`",
        ),
    ];
    for (value, said) in cases {
        let (change, after) = read(value).unwrap().admitting(&run()).unwrap();
        assert!(change.what.contains(said), "{}", change.what);
        assert!(after.evaluate(&run()).admits());
        assert!(read(serde_json::from_str(&change.after).unwrap()).is_ok());
    }
    assert!(read(good()).unwrap().admitting(&run()).is_none());
}

#[test]
fn where_all_twenty_are_used_one_must_go_first() {
    let one = |index: usize| {
        json!({"name": format!("runmint-{index}"), "issuer": "https://ci.example.com",
            "subject": format!("s{index}"), "audiences": [AUDIENCE]})
    };
    let policy = read(json!((0..20).map(one).collect::<Vec<_>>())).unwrap();
    assert!(policy.admitting(&run()).is_none());
    let verdict = policy.evaluate(&run());
    let why = &verdict.first_failure().unwrap().why;
    assert!(why.contains("one must be deleted"), "{why}");
}

#[test]
fn other_documents_are_not_taken_for_credentials() {
    for value in [
        json!({"issuer": "https://ci.example.com", "jwks_uri": "x"}),
        json!({"Version": "2012-10-17"}),
        json!({"conditional_access": "x"}),
        json!({"role_type": "jwt"}),
        json!("x"),
        json!([1]),
    ] {
        assert!(!recognizes(&value), "{value}");
    }
}
