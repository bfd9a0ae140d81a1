//! AWS: the IAM provider and the trust policy of a role.

use hcl::{Body, Expression, expr::ObjectKey};
use proptest::prelude::*;
use runmint::domain::phase::Phase;
use runmint::policy::{Document, Policy};
use runmint::trust::aws::{Options, generate};
use runmint::trust::{Bundle, Form, Phases};
use serde_json::{Value, json};

use super::{Case, cases};

const ACCOUNT: &str = "123456789012";

proptest! {
    #[test]
    fn what_is_written_for_aws_lets_the_run_in_and_no_neighbour(
        case in cases("aws.workload.identity"),
        session_tags in any::<bool>(),
        existing_provider in any::<bool>(),
    ) {
        let options = Options {
            session_tags,
            existing_provider,
            ..Options::new(ACCOUNT)
        };
        let bundle = generate(&case.order, &options).unwrap();
        let provider = find(&bundle, "provider.json").map(|text| parse("provider.json", text));
        prop_assert_eq!(provider.is_none(), existing_provider);
        let arn = format!(
            "arn:aws:iam::{ACCOUNT}:oidc-provider/{}",
            case.run.issuer.trim_start_matches("https://")
        );
        let from_terraform = terraform_policies(&bundle, &arn);
        let from_cloudformation = cloudformation_policies(&bundle, &arn);
        for (index, (phase, suffix)) in phases(&case).into_iter().enumerate() {
            let name = format!("trust-policy{suffix}.json");
            let document = parse(&name, find(&bundle, &name).unwrap());
            // All forms say the same.
            prop_assert_eq!(&from_terraform[index], &document.value);
            prop_assert_eq!(&from_cloudformation[index], &document.value);
            let shell = bundle.documents.iter().find(|d| d.form == Form::Shell).unwrap();
            let written = format!("{:#}", document.value);
            prop_assert!(shell.text.contains(&written), "{}", shell.text);

            let documents: Vec<Document> = [document].into_iter().chain(provider.clone()).collect();
            let policy = Policy::read(&documents).unwrap();
            prop_assert_eq!(policy.relying_party(), "AWS");
            let mut case = case.clone();
            case.run.tags = session_tags;
            case.check(phase, |presented| policy.evaluate(presented).admits());
        }
    }
}

/// What AWS is shown is not only let in: there is nothing to say against it.
#[test]
fn a_policy_of_exact_names_has_no_weakness() {
    proptest!(|(case in cases("aws.workload.identity"))| {
        let has_any = !case.order.scope.warnings().is_empty();
        let bundle = generate(&case.order, &Options::new(ACCOUNT)).unwrap();
        for (_, suffix) in phases(&case) {
            let name = format!("trust-policy{suffix}.json");
            let policy = Policy::read(&[parse(&name, find(&bundle, &name).unwrap())]).unwrap();
            let weaknesses = policy.evaluate(&case.run.presented()).weaknesses;
            prop_assert!(has_any || weaknesses.is_empty(), "{weaknesses:?}");
        }
    });
}

/// Which phase each policy is for, nothing for both, and what its name ends with.
fn phases(case: &Case) -> Vec<(Option<Phase>, String)> {
    match case.order.scope.phases {
        Phases::Both => vec![(None, String::new())],
        Phases::Only(phase) => vec![(Some(phase), String::new())],
        Phases::Apart => Phase::ALL
            .into_iter()
            .map(|phase| (Some(phase), format!("-{phase}")))
            .collect(),
    }
}

fn find<'a>(bundle: &'a Bundle, name: &str) -> Option<&'a str> {
    let mut documents = bundle.documents.iter();
    let document = documents.find(|document| document.name == name)?;
    Some(&document.text)
}

fn parse(name: &str, text: &str) -> Document {
    Document::all(name, text).unwrap().remove(0)
}

/// The roles' trust policies, with the provider's ARN for the reference to it.
fn terraform_policies(bundle: &Bundle, arn: &str) -> Vec<Value> {
    let body: Body = hcl::parse(find(bundle, "runmint-aws.tf").unwrap()).unwrap();
    let roles = body.blocks().filter(|block| {
        let labels: Vec<&str> = block.labels().iter().map(hcl::BlockLabel::as_str).collect();
        labels.first() == Some(&"aws_iam_role")
    });
    roles
        .map(|role| {
            let mut attributes = role.body().attributes();
            let policy = attributes.find(|attribute| attribute.key() == "assume_role_policy");
            let Expression::FuncCall(call) = policy.unwrap().expr() else {
                panic!("the policy is no call");
            };
            assert_eq!(call.name.name.as_str(), "jsonencode");
            json_of(&call.args[0], arn)
        })
        .collect()
}

fn json_of(expression: &Expression, arn: &str) -> Value {
    match expression {
        Expression::String(text) => json!(text),
        Expression::Array(items) => items.iter().map(|item| json_of(item, arn)).collect(),
        Expression::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let key = match key {
                    ObjectKey::Identifier(name) => name.to_string(),
                    ObjectKey::Expression(Expression::String(text)) => text.clone(),
                    other => panic!("{other:?}"),
                };
                (key, json_of(value, arn))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Expression::Traversal(_) => {
            let text = hcl::format::to_string(expression).unwrap();
            assert!(text.ends_with("aws_iam_openid_connect_provider.runmint.arn"));
            json!(arn)
        }
        other => panic!("{other:?}"),
    }
}

/// The same of the template, which has only what `CloudFormation`'s resource reference has.
fn cloudformation_policies(bundle: &Bundle, arn: &str) -> Vec<Value> {
    let template = parse(
        "runmint-aws.yaml",
        find(bundle, "runmint-aws.yaml").unwrap(),
    );
    let names: Vec<&String> = template.value.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "AWSTemplateFormatVersion",
            "Description",
            "Outputs",
            "Resources"
        ]
    );
    let resources = template.value["Resources"].as_object().unwrap();
    let mut policies = Vec::new();
    // As the documents are: the plan's before the apply's.
    for name in [
        "RunmintProvider",
        "RunmintRole",
        "RunmintPlanRole",
        "RunmintApplyRole",
    ] {
        let Some(resource) = resources.get(name) else {
            continue;
        };
        let known: &[&str] = match resource["Type"].as_str().unwrap() {
            "AWS::IAM::OIDCProvider" => &["Url", "ClientIdList", "ThumbprintList", "Tags"],
            "AWS::IAM::Role" => &[
                "AssumeRolePolicyDocument",
                "Description",
                "ManagedPolicyArns",
                "MaxSessionDuration",
                "Path",
                "PermissionsBoundary",
                "Policies",
                "RoleName",
                "Tags",
            ],
            other => panic!("{other}"),
        };
        let properties = resource["Properties"].as_object().unwrap();
        for property in properties.keys() {
            assert!(known.contains(&property.as_str()), "{property}");
        }
        if let Some(policy) = properties.get("AssumeRolePolicyDocument") {
            let mut policy = policy.clone();
            let federated = &mut policy["Statement"][0]["Principal"]["Federated"];
            if *federated == json!({"Ref": "RunmintProvider"}) {
                *federated = json!(arn);
            }
            policies.push(policy);
        }
    }
    policies
}
