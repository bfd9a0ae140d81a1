//! Provider and role by the AWS CLI.

use std::fmt::Write;

use super::Plan;
use crate::trust::{Document, Form};

pub(super) fn document(plan: &Plan) -> Document {
    let mut out = String::from("#!/bin/sh\nset -eu\n");
    if !plan.options.existing_provider {
        let _ = write!(
            out,
            "\naws iam create-open-id-connect-provider \\\n  --url {} \\\n  --client-id-list {}",
            quoted(plan.url),
            quoted(plan.audience)
        );
        if let Some(thumbprint) = &plan.options.thumbprint {
            let _ = write!(out, " \\\n  --thumbprint-list {}", quoted(thumbprint));
        }
        out.push('\n');
    }
    for role in &plan.roles {
        let name = quoted(&role.name);
        let _ = writeln!(
            out,
            "\naws iam create-role \\\n  --role-name {name} \\\n  --max-session-duration {} \\\n  \
             --assume-role-policy-document {}",
            plan.options.max_session_duration,
            quoted(&format!("{:#}", role.trust_policy))
        );
        for remark in role.remarks() {
            let _ = writeln!(out, "# {remark}");
        }
        for arn in &role.policy_arns {
            let _ = writeln!(
                out,
                "aws iam attach-role-policy --role-name {name} --policy-arn {}",
                quoted(arn)
            );
        }
    }
    Document {
        name: "runmint-aws.sh".to_owned(),
        form: Form::Shell,
        about: plan.about().to_owned(),
        text: out,
    }
}

/// In single quotes, in which a shell reads everything as it stands.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
