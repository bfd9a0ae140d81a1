//! What is written for GCP: it parses, and it is closed.

use serde_json::Value;

use super::*;
use crate::domain::claims::Audience;
use crate::domain::issuer::Issuer;
use crate::domain::name::{Name, ProjectName};
use crate::trust::Part;

type Change = fn(&mut Options);

const USUAL: &str = "//iam.googleapis.com/projects/123456789012/locations/global/\
                     workloadIdentityPools/runmint/providers/ci-runmint";

fn order(project: &str, workspaces: &[&str], phases: Phases) -> Order {
    let name = |text: &str| match text {
        "*" => Part::Any,
        text => Part::Exactly(Name::parse("name", text).unwrap()),
    };
    Order {
        issuer: Issuer::parse("https://ci.example.com").unwrap(),
        scope: Scope {
            organization: name("acme"),
            project: match project {
                "*" => Part::Any,
                text => Part::Exactly(ProjectName::parse("project", text).unwrap()),
            },
            workspaces: workspaces.iter().map(|workspace| name(workspace)).collect(),
            phases,
        },
        audience: Audience::parse("audience", USUAL).unwrap(),
    }
}

fn options(emails: &[&str]) -> Options {
    let address = |name: &&str| format!("{name}@acme-prod.iam.gserviceaccount.com");
    Options {
        project_number: "123456789012".to_owned(),
        project_id: "acme-prod".to_owned(),
        pool: "runmint".to_owned(),
        provider: "ci-runmint".to_owned(),
        service_accounts: emails.iter().map(address).collect(),
        ..Options::default()
    }
}

fn text<'a>(bundle: &'a Bundle, name: &str) -> &'a str {
    let found = bundle
        .documents
        .iter()
        .find(|document| document.name == name);
    &found.unwrap_or_else(|| panic!("no {name}")).text
}

fn json_of(bundle: &Bundle, name: &str) -> Value {
    serde_json::from_str(text(bundle, name)).unwrap()
}

#[test]
fn one_workspace_is_written_out() {
    let order = order("Default Project", &["prod"], Phases::Both);
    let mut options = options(&["terraform"]);
    options.roles = vec!["roles/storage.objectViewer".to_owned()];
    let bundle = generate(&order, &options).unwrap();
    assert_eq!(bundle.warnings, Vec::<String>::new());
    let provider = json_of(&bundle, "provider.json");
    assert_eq!(
        provider["attributeCondition"],
        "assertion.sub.startsWith(\"organization:acme:project:Default Project:workspace:prod:run_phase:\")"
    );
    assert_eq!(
        provider["attributeMapping"]["google.subject"],
        "assertion.sub"
    );
    assert_eq!(
        provider["oidc"],
        json!({"issuerUri": "https://ci.example.com"})
    );
    assert_eq!(
        json_of(&bundle, "runmint-policy.json")["bindings"][0]["members"],
        json!([
            "principalSet://iam.googleapis.com/projects/123456789012/locations/global/\
             workloadIdentityPools/runmint/attribute.terraform_scope/\
             organization:acme:project:Default Project:workspace:prod"
        ])
    );
    let terraform = text(&bundle, "gcp.tf");
    hcl::parse(terraform).unwrap();
    for part in [
        r#""google.subject"                        = "assertion.sub""#,
        r#"member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.runmint.name}/${each.value}""#,
        r#"for_each = toset(["roles/storage.objectViewer"])"#,
    ] {
        assert!(terraform.contains(part), "{part}\n{terraform}");
    }
    let shell = text(&bundle, "gcloud.sh");
    assert!(
        shell.contains("--attribute-mapping='google.subject=assertion.sub,"),
        "{shell}"
    );
    assert!(!shell.contains("allowed-audiences"), "{shell}");
}

#[test]
fn phases_apart_have_an_account_each() {
    let order = order("p", &["prod", "dev"], Phases::Apart);
    let mut options = options(&["planner", "applier"]);
    options.roles = vec!["roles/storage.admin".to_owned()];
    options.plan_roles = vec!["roles/storage.objectViewer".to_owned()];
    let bundle = generate(&order, &options).unwrap();
    let plan = json_of(&bundle, "runmint-plan-policy.json").to_string();
    let apply = json_of(&bundle, "runmint-apply-policy.json").to_string();
    assert!(plan.contains("workspace:dev:run_phase:plan\"") && !plan.contains("apply"));
    assert!(
        apply.contains("workspace:prod:run_phase:apply\"") && !apply.contains("run_phase:plan")
    );
    let terraform = hcl::parse(text(&bundle, "gcp.tf")).unwrap();
    let blocks: Vec<_> = terraform
        .blocks()
        .map(|b| b.labels().last().unwrap().as_str().to_owned())
        .collect();
    assert_eq!(
        blocks
            .iter()
            .filter(|label| *label == "runmint_plan")
            .count(),
        3
    );
    assert!(text(&bundle, "gcp.tf").contains("toset([\"roles/storage.objectViewer\"])"));
}

#[test]
fn a_subject_that_may_be_too_long_is_made_of_names() {
    let long = "w".repeat(90);
    let (organization, project, workspace, phase) = (
        "assertion.terraform_organization_name",
        "assertion.terraform_project_name",
        "assertion.terraform_workspace_name",
        "assertion.terraform_run_phase",
    );
    let full =
        format!("{organization} + \"/\" + {project} + \"/\" + {workspace} + \":\" + {phase}");
    let two = format!("{project} + \"/\" + {workspace} + \":\" + {phase}");
    let other = format!("{organization} + \"/\" + {workspace} + \":\" + {phase}");
    let project_90 = "p".repeat(90);
    for (project_name, workspaces, expected, refuses) in [
        ("p", vec!["w"], "assertion.sub", false),
        ("p", vec![long.as_str()], full.as_str(), false),
        (
            "p".repeat(30).as_str(),
            vec![long.as_str()],
            two.as_str(),
            false,
        ),
        (
            project_90.as_str(),
            vec![long.as_str()],
            other.as_str(),
            false,
        ),
        ("p", vec!["*"], full.as_str(), false),
        ("p".repeat(50).as_str(), vec!["*"], other.as_str(), false),
        ("*", vec!["w"], full.as_str(), false),
        ("*", vec!["*"], two.as_str(), true),
    ] {
        let order = order(project_name, &workspaces, Phases::Both);
        let mapping = Mapping::of(&order.scope);
        assert_eq!(
            mapping.attributes[0].1, expected,
            "{project_name} {workspaces:?}"
        );
        let refused = mapping
            .warnings
            .iter()
            .any(|w| w.contains("are refused by IAM"));
        assert_eq!(refused, refuses, "{project_name} {workspaces:?}");
    }
}

#[test]
fn what_is_any_stands_in_no_binding_and_a_pool_is_never_bound_whole() {
    for (project, workspaces, phases, expected) in [
        (
            "*",
            vec!["prod"],
            Phases::Both,
            "organization:acme:workspace:prod",
        ),
        (
            "p",
            vec!["*"],
            Phases::Only(Phase::Plan),
            "organization:acme:project:p:run_phase:plan",
        ),
        (
            "p",
            vec!["*", "prod"],
            Phases::Both,
            "organization:acme:project:p",
        ),
        ("*", vec!["*"], Phases::Both, "organization:acme"),
    ] {
        let order = order(project, &workspaces, phases);
        let bundle = generate(&order, &options(&["terraform"])).unwrap();
        let members = json_of(&bundle, "runmint-policy.json")["bindings"][0]["members"].clone();
        let members = members.as_array().unwrap();
        assert_eq!(members.len(), 1, "{members:?}");
        let member = members[0].as_str().unwrap();
        assert!(
            member.ends_with(&format!("/attribute.terraform_scope/{expected}")),
            "{member}"
        );
        assert!(
            bundle
                .documents
                .iter()
                .all(|document| !document.text.contains("/*\""))
        );
    }
}

#[test]
fn keys_are_uploaded_on_request_and_looked_at_first() {
    let order = order("p", &["w"], Phases::Both);
    let with = |jwks: &str| {
        let mut options = options(&["terraform"]);
        options.jwks = Some(jwks.to_owned());
        generate(&order, &options)
    };
    let jwks = r#"{"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k", "n": "AQAB", "e": "AQAB"}]}"#;
    let bundle = with(jwks).unwrap();
    assert!(
        bundle
            .warnings
            .iter()
            .any(|warning| warning.contains("upload them again"))
    );
    let uploaded = json_of(&bundle, "provider.json")["oidc"]["jwksJson"].clone();
    let uploaded: Value = serde_json::from_str(uploaded.as_str().unwrap()).unwrap();
    assert_eq!(uploaded, serde_json::from_str::<Value>(jwks).unwrap());
    assert!(text(&bundle, "gcloud.sh").contains("--jwk-json-path=jwks.json"));
    hcl::parse(text(&bundle, "gcp.tf")).unwrap();
    assert!(text(&bundle, "gcp.tf").contains("jwks_json = jsonencode({"));
    for (wrong, word) in [
        ("no", "no JSON"),
        ("{\"keys\": []}", "no `keys`"),
        (r#"{"keys": [5]}"#, "no object"),
        (
            r#"{"keys": [{"kty": "RSA", "kid": "k", "n": "a", "e": "b", "d": "c"}]}"#,
            "private",
        ),
        (
            r#"{"keys": [{"kty": "RSA", "kid": "k", "n": "a", "e": "b", "x5c": []}]}"#,
            "`x5c`",
        ),
        (r#"{"keys": [{"kty": "RSA", "n": "a", "e": "b"}]}"#, "`kid`"),
        (
            r#"{"keys": [{"kty": "EC", "crv": "P-384", "kid": "k", "x": "a", "y": "b"}]}"#,
            "P-256",
        ),
        (
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "a"}]}"#,
            "P-256",
        ),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("`--jwks` ") && error.contains(word),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn an_audience_of_ones_own_is_listed_and_the_full_name_is_not() {
    let mut order = order("p", &["w"], Phases::Both);
    for (audience, listed) in [
        (USUAL.to_owned(), false),
        (format!("https:{USUAL}"), false),
        ("gcp.workload.identity".to_owned(), true),
    ] {
        order.audience = Audience::parse("audience", &audience).unwrap();
        let bundle = generate(&order, &options(&["terraform"])).unwrap();
        let oidc = json_of(&bundle, "provider.json")["oidc"].clone();
        assert_eq!(oidc.get("allowedAudiences").is_some(), listed, "{audience}");
        assert_eq!(
            text(&bundle, "gcp.tf").contains("allowed_audiences"),
            listed
        );
        assert_eq!(
            text(&bundle, "gcloud.sh").contains("--allowed-audiences="),
            listed
        );
    }
}

#[test]
fn an_option_that_iam_would_refuse_is_named() {
    let order = order("p", &["w"], Phases::Both);
    let refused = |change: fn(&mut Options)| {
        let mut options = options(&["terraform"]);
        change(&mut options);
        generate(&order, &options).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 11] = [
        (
            |o| o.project_number = "acme".to_owned(),
            "`--project-number`",
        ),
        (|o| o.project_id = "1".to_owned(), "`--project-id`"),
        (|o| o.pool = "gcp-x".to_owned(), "`--pool`"),
        (|o| o.provider = "x'y".to_owned(), "`--provider`"),
        (
            |o| o.service_accounts = vec![],
            "`--service-account` must be given once",
        ),
        (
            |o| o.service_accounts.push(o.service_accounts[0].clone()),
            "`--service-account` must be given once",
        ),
        (
            |o| o.service_accounts = vec!["a@b.c".to_owned()],
            "`--service-account` is",
        ),
        (
            |o| o.roles = vec!["roles/owner".to_owned()],
            "`--role` is `roles/owner`",
        ),
        (
            |o| o.roles = vec!["roles/editor".to_owned()],
            "`--role` is `roles/editor`",
        ),
        (|o| o.roles = vec!["viewer".to_owned()], "`--role` is"),
        (
            |o| o.plan_roles = vec!["roles/x y".to_owned()],
            "`--plan-role` is",
        ),
    ];
    for (change, start) in cases {
        let error = refused(change);
        assert!(error.starts_with(start), "{error}");
    }
    let mut plain = order.clone();
    plain.issuer = Issuer::parse("http://localhost:8080").unwrap();
    let error = generate(&plain, &options(&["terraform"]))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("`--issuer`"), "{error}");
    let many: Vec<String> = (0..60).map(|i| format!("workspace-{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let many = self::order("p", &many, Phases::Both);
    let error = generate(&many, &options(&["terraform"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("`--workspace`") && error.contains("4096"),
        "{error}"
    );
    let apart = self::order("p", &["w"], Phases::Apart);
    for (emails, word) in [
        (vec!["terraform"], "twice"),
        (vec!["terraform", "terraform"], "the same"),
    ] {
        let error = generate(&apart, &options(&emails)).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
