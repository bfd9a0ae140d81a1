//! What is written, form by form, and what is refused.

use hcl::Body;
use serde_json::{Value, json};

use super::*;
use crate::domain::claims::Audience;
use crate::domain::issuer::Issuer;
use crate::domain::name::{Name, ProjectName};
use crate::trust::Scope;

fn order(workspaces: &[&str], phases: Phases) -> Order {
    let workspace = |text: &&str| match *text {
        "*" => Part::Any,
        text => Part::Exactly(Name::parse("workspace", text).unwrap()),
    };
    Order {
        issuer: Issuer::parse("https://ci.example.com/oidc").unwrap(),
        scope: Scope {
            organization: Part::Exactly(Name::parse("organization", "acme").unwrap()),
            project: Part::Exactly(ProjectName::parse("project", "Default Project").unwrap()),
            workspaces: workspaces.iter().map(workspace).collect(),
            phases,
        },
        audience: Audience::parse("audience", "aws.workload.identity").unwrap(),
    }
}

fn options() -> Options {
    Options {
        policy_arns: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
        ..Options::new("123456789012")
    }
}

fn text(bundle: &Bundle, name: &str) -> String {
    let document = bundle.documents.iter().find(|d| d.name == name);
    document.unwrap().text.clone()
}

fn policy(bundle: &Bundle, name: &str) -> Value {
    serde_json::from_str(&text(bundle, name)).unwrap()
}

#[test]
fn both_phases_get_a_closed_pattern() {
    let bundle = generate(&order(&["prod"], Phases::Both), &options()).unwrap();
    assert_eq!(
        policy(&bundle, "trust-policy.json"),
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {
                "Federated": "arn:aws:iam::123456789012:oidc-provider/ci.example.com/oidc",
            },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {"ci.example.com/oidc:aud": "aws.workload.identity"},
                "StringLike": {"ci.example.com/oidc:sub":
                    "organization:acme:project:Default Project:workspace:prod:run_phase:*"},
            },
        }]})
    );
    assert_eq!(
        policy(&bundle, "provider.json"),
        json!({"Url": "https://ci.example.com/oidc", "ClientIDList": ["aws.workload.identity"]})
    );
    assert_eq!(bundle.warnings, [""; 0]);
}

#[test]
fn a_phase_of_its_own_and_exact_names_are_compared_exactly() {
    let bundle = generate(&order(&["prod", "test", "prod"], Phases::Apart), &options()).unwrap();
    let start = "organization:acme:project:Default Project:workspace";
    for phase in ["plan", "apply"] {
        let policy = policy(&bundle, &format!("trust-policy-{phase}.json"));
        let condition = &policy["Statement"][0]["Condition"];
        assert_eq!(
            condition["StringEquals"]["ci.example.com/oidc:sub"],
            json!([
                format!("{start}:prod:run_phase:{phase}"),
                format!("{start}:test:run_phase:{phase}"),
            ])
        );
        assert_eq!(condition["StringLike"], Value::Null);
    }
    let any = generate(&order(&["*"], Phases::Only(Phase::Plan)), &options()).unwrap();
    assert_eq!(
        policy(&any, "trust-policy.json")["Statement"][0]["Condition"]["StringLike"]["ci.example.com/oidc:sub"],
        json!(format!("{start}:*:run_phase:plan"))
    );
    assert!(any.warnings[0].contains("--workspace '*'"));
}

#[test]
fn terraform_makes_the_provider_first_and_tells_the_role() {
    let options = Options {
        role_name: Some("net".to_owned()),
        plan_policy_arns: vec!["arn:aws:iam::123456789012:policy/ci/net".to_owned()],
        thumbprint: Some("9e99a48a9960b14926bb7f3b02e22da2b0ab7280".to_owned()),
        session_tags: true,
        ..options()
    };
    let bundle = generate(&order(&["prod"], Phases::Apart), &options).unwrap();
    let text = text(&bundle, "runmint-aws.tf");
    let body: Body = hcl::parse(&text).unwrap();
    let heads: Vec<String> = body
        .blocks()
        .map(|block| {
            let labels = block.labels().iter().map(hcl::BlockLabel::as_str);
            let labels: Vec<&str> = labels.collect();
            format!("{} {}", block.identifier(), labels.join(" "))
        })
        .collect();
    assert_eq!(
        heads,
        [
            "resource aws_iam_openid_connect_provider runmint",
            "resource aws_iam_role runmint_plan",
            "resource aws_iam_role_policy_attachment runmint_plan",
            "output runmint_plan_role_arn",
            "resource aws_iam_role runmint_apply",
            "resource aws_iam_role_policy_attachment runmint_apply",
            "output runmint_apply_role_arn",
        ]
    );
    for part in [
        r#"name                 = "net-plan""#,
        r#"url             = "https://ci.example.com/oidc""#,
        r#"thumbprint_list = ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]"#,
        "Federated = aws_iam_openid_connect_provider.runmint.arn",
        r#""sts:TagSession","#,
        r#"    "arn:aws:iam::123456789012:policy/ci/net","#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_provider_that_is_there_is_not_made_again() {
    let options = Options {
        existing_provider: true,
        partition: Partition::AwsCn,
        policy_arns: Vec::new(),
        ..options()
    };
    let bundle = generate(&order(&["prod"], Phases::Both), &options).unwrap();
    assert!(bundle.documents.iter().all(|d| d.name != "provider.json"));
    assert!(text(&bundle, "runmint-aws.tf").starts_with("data \"aws_iam_openid"));
    assert!(!text(&bundle, "runmint-aws.sh").contains("create-open-id"));
    let template = text(&bundle, "runmint-aws.yaml");
    assert!(!template.contains("OIDCProvider"));
    assert!(template.contains("arn:aws-cn:iam::123456789012:oidc-provider/ci.example.com/oidc"));
    assert!(template.contains("# It may do nothing yet"));
    assert!(template.contains("# The trust policy has 3"), "{template}");
    assert!(bundle.warnings[0].contains("`runmint-prod` may do nothing yet"));
}

#[test]
fn a_shell_reads_the_commands_as_they_are_meant() {
    let mut order = order(&["prod"], Phases::Both);
    order.audience = Audience::parse("audience", "it's$(x)").unwrap();
    let text = text(&generate(&order, &options()).unwrap(), "runmint-aws.sh");
    assert!(text.contains(r"--client-id-list 'it'\''s$(x)'"), "{text}");
    assert!(text.contains("workspace:prod:run_phase:*\""), "{text}");
    assert!(text.contains(
        "aws iam attach-role-policy --role-name 'runmint-prod' \
         --policy-arn 'arn:aws:iam::aws:policy/ReadOnlyAccess'\n"
    ));
}

#[test]
fn what_aws_cannot_be_told_is_refused_with_its_option() {
    let set: fn(fn(&mut Options)) -> Options = |change| {
        let mut options = options();
        change(&mut options);
        options
    };
    for (option, options) in [
        (
            "--account-id",
            set(|o| o.account_id = "12345678901".to_owned()),
        ),
        (
            "--account-id",
            set(|o| o.account_id = "12345678901x".to_owned()),
        ),
        (
            "--max-session-duration",
            set(|o| o.max_session_duration = 899),
        ),
        (
            "--max-session-duration",
            set(|o| o.max_session_duration = 43_201),
        ),
        (
            "--thumbprint",
            set(|o| o.thumbprint = Some("9e:99".to_owned())),
        ),
        (
            "--thumbprint",
            set(|o| {
                o.thumbprint = Some("0".repeat(40));
                o.existing_provider = true;
            }),
        ),
        ("--role-name", set(|o| o.role_name = Some(String::new()))),
        ("--role-name", set(|o| o.role_name = Some("a b".to_owned()))),
        ("--role-name", set(|o| o.role_name = Some("a".repeat(65)))),
        (
            "--policy-arn",
            set(|o| o.policy_arns = vec!["ReadOnlyAccess".to_owned()]),
        ),
        (
            "--policy-arn",
            set(|o| o.policy_arns = vec!["arn:aws-cn:iam::aws:policy/X".to_owned()]),
        ),
        (
            "--plan-policy-arn",
            set(|o| o.plan_policy_arns = vec!["arn:aws:iam::aws:policy/X".to_owned()]),
        ),
    ] {
        let error = generate(&order(&["prod"], Phases::Both), &options).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("`{option}` ")),
            "{option}: {text}"
        );
    }
    let mut local = order(&["prod"], Phases::Both);
    local.issuer = Issuer::parse("http://127.0.0.1:8080").unwrap();
    let error = generate(&local, &options()).unwrap_err().to_string();
    assert!(error.contains("--issuer"), "{error}");
    // A name that was not given is not blamed.
    let workspace = "w".repeat(80);
    let error = generate(&order(&[&workspace], Phases::Both), &options()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`--role-name` must be given: the name made of the workspace is 88 characters long, and AWS \
         takes 64"
    );
    // Apart, the phase's name must fit as well.
    let long = set(|o| o.role_name = Some("a".repeat(60)));
    assert!(generate(&order(&["prod"], Phases::Both), &long).is_ok());
    assert!(generate(&order(&["prod"], Phases::Apart), &long).is_err());
}

#[test]
fn a_large_policy_and_an_almighty_role_are_worth_a_warning() {
    let names: Vec<String> = (0..40).map(|n| format!("workspace-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let admin = Options {
        policy_arns: vec!["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()],
        ..options()
    };
    let bundle = generate(&order(&names, Phases::Both), &admin).unwrap();
    assert!(bundle.warnings[0].contains("of `runmint-Default-Project` has"));
    assert!(bundle.warnings[1].contains("may do everything"));
}
