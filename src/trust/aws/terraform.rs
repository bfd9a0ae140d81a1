//! Provider and role as Terraform.

use serde_json::json;

use super::{Plan, Role};
use crate::trust::hcl::{Block, Value, file};
use crate::trust::{Document, Form};

pub(super) fn document(plan: &Plan) -> Document {
    let mut blocks = vec![provider(plan)];
    for role in &plan.roles {
        let label = label(role);
        blocks.push(self::role(plan, role));
        if !role.policy_arns.is_empty() {
            blocks.push(
                Block::new(format!(
                    "resource \"aws_iam_role_policy_attachment\" \"{label}\""
                ))
                .with("for_each", toset(&role.policy_arns))
                .with("role", reference("aws_iam_role", &label, "name"))
                .with("policy_arn", Value::Expression("each.value".to_owned())),
            );
        }
        blocks.push(
            Block::new(format!("output \"{label}_role_arn\""))
                .with("value", reference("aws_iam_role", &label, "arn")),
        );
    }
    Document {
        name: "runmint-aws.tf".to_owned(),
        form: Form::Terraform,
        about: plan.about().to_owned(),
        text: file(&blocks),
    }
}

fn provider(plan: &Plan) -> Block {
    if plan.options.existing_provider {
        return Block::new("data \"aws_iam_openid_connect_provider\" \"runmint\"")
            .with("url", plan.url);
    }
    let block = Block::new("resource \"aws_iam_openid_connect_provider\" \"runmint\"")
        .with("url", plan.url)
        .with("client_id_list", vec![plan.audience]);
    match &plan.options.thumbprint {
        Some(thumbprint) => block.with("thumbprint_list", vec![thumbprint.as_str()]),
        None => block,
    }
}

fn role(plan: &Plan, role: &Role) -> Block {
    let mut block = Block::new(format!("resource \"aws_iam_role\" \"{}\"", label(role)));
    for remark in role.remarks() {
        block = block.noting(remark);
    }
    let policy = referring(Value::from(&role.trust_policy), plan);
    block
        .with("name", role.name.as_str())
        .with(
            "max_session_duration",
            i64::from(plan.options.max_session_duration),
        )
        .with(
            "assume_role_policy",
            Value::Call("jsonencode", Box::new(policy)),
        )
}

/// With a reference in place of the provider's ARN, so that the provider is there before the role.
fn referring(value: Value, plan: &Plan) -> Value {
    match value {
        Value::Text(text) if text == plan.provider_arn => {
            let kind = "aws_iam_openid_connect_provider";
            if plan.options.existing_provider {
                reference(&format!("data.{kind}"), "runmint", "arn")
            } else {
                reference(kind, "runmint", "arn")
            }
        }
        Value::List(items) => Value::List(
            items
                .into_iter()
                .map(|item| referring(item, plan))
                .collect(),
        ),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, referring(value, plan)))
                .collect(),
        ),
        other => other,
    }
}

fn reference(kind: &str, label: &str, attribute: &str) -> Value {
    Value::Expression(format!("{kind}.{label}.{attribute}"))
}

fn toset(texts: &[String]) -> Value {
    Value::Call("toset", Box::new(Value::from(&json!(texts))))
}

fn label(role: &Role) -> String {
    format!("runmint{}", role.suffix("_"))
}
