//! Provider and role as a `CloudFormation` template.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Plan, Role};
use crate::domain::phase::Phase;
use crate::trust::{Document, Form};

/// What the provider is called in the template.
const PROVIDER: &str = "RunmintProvider";

pub(super) fn document(plan: &Plan) -> Document {
    let mut out = String::from("AWSTemplateFormatVersion: \"2010-09-09\"\n");
    out.push_str("Description: \"Lets runs of runmint into this account.\"\n");
    out.push_str("Resources:\n");
    if !plan.options.existing_provider {
        resource(&mut out, PROVIDER, "AWS::IAM::OIDCProvider");
        property(&mut out, "Url", &json!(plan.url));
        property(&mut out, "ClientIdList", &json!([plan.audience]));
        if let Some(thumbprint) = &plan.options.thumbprint {
            property(&mut out, "ThumbprintList", &json!([thumbprint]));
        }
    }
    for role in &plan.roles {
        resource(&mut out, &label(role), "AWS::IAM::Role");
        property(&mut out, "RoleName", &json!(role.name));
        let longest = plan.options.max_session_duration;
        property(&mut out, "MaxSessionDuration", &json!(longest));
        let mut policy = role.trust_policy.clone();
        if !plan.options.existing_provider {
            // The reference is the ARN, and lets the provider be made before the role.
            policy["Statement"][0]["Principal"]["Federated"] = json!({"Ref": PROVIDER});
        }
        property(&mut out, "AssumeRolePolicyDocument", &policy);
        for remark in role.remarks() {
            let _ = writeln!(out, "      # {remark}");
        }
        if !role.policy_arns.is_empty() {
            property(&mut out, "ManagedPolicyArns", &json!(role.policy_arns));
        }
    }
    out.push_str("Outputs:\n");
    for role in &plan.roles {
        let label = label(role);
        let _ = writeln!(out, "  {label}Arn:");
        member(&mut out, "Value", &json!({"Fn::GetAtt": [label, "Arn"]}), 4);
    }
    Document {
        name: "runmint-aws.yaml".to_owned(),
        form: Form::CloudFormation,
        about: format!("{}; needs CAPABILITY_NAMED_IAM", plan.about()),
        text: out,
    }
}

fn label(role: &Role) -> String {
    let phase = match role.phase {
        None => "",
        Some(Phase::Plan) => "Plan",
        Some(Phase::Apply) => "Apply",
    };
    format!("Runmint{phase}Role")
}

fn resource(out: &mut String, name: &str, kind: &str) {
    let _ = writeln!(out, "  {name}:\n    Type: \"{kind}\"\n    Properties:");
}

fn property(out: &mut String, name: &str, value: &Value) {
    member(out, name, value, 6);
}

/// A member of a mapping. Texts are in double quotes, whose escapes YAML takes over from JSON.
fn member(out: &mut String, name: &str, value: &Value, indent: usize) {
    let _ = write!(out, "{:indent$}{name}:", "");
    match value {
        Value::Object(members) => {
            out.push('\n');
            for (name, value) in members {
                member(out, &key(name), value, indent + 2);
            }
        }
        Value::Array(items) => {
            out.push('\n');
            for item in items {
                self::item(out, item, indent + 2);
            }
        }
        scalar => {
            let _ = writeln!(out, " {scalar}");
        }
    }
}

fn item(out: &mut String, value: &Value, indent: usize) {
    let Value::Object(members) = value else {
        let _ = writeln!(out, "{:indent$}- {value}", "");
        return;
    };
    // The dash stands before the first member, the others below it.
    let mut inside = String::new();
    for (name, value) in members {
        member(&mut inside, &key(name), value, indent + 2);
    }
    inside.replace_range(indent..=indent, "-");
    out.push_str(&inside);
}

/// A name; in quotes unless it is plain.
fn key(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain {
        name.to_owned()
    } else {
        json!(name).to_string()
    }
}
