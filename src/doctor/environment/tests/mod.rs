//! What is found, by tables: variables, files, versions, pods.

mod files;
mod pods;
mod variables;
mod versions;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::runner::{Environment, SecretText};

const NOW: Timestamp = Timestamp(1_795_400_000);

const ROLE: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/ci");
const TOKEN: (&str, &str) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token");
const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");

/// A token that was made `age` seconds ago and lives for `life`.
fn token(age: i64, life: i64) -> String {
    let iat = NOW.0 - age;
    let claims = format!(r#"{{"sub":"s","iat":{iat},"exp":{}}}"#, iat + life);
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn holding(text: &str) -> File {
    File {
        barrier: None,
        text: Some(SecretText::new(text)),
    }
}

/// A machine with these variables, on which the usual token file is fine, and these files.
fn machine(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Surroundings {
    let environment: Environment = variables.iter().copied().collect();
    let mut all = Files::from([("/run/token".to_owned(), holding(&token(60, 600)))]);
    for (path, text) in files {
        all.insert((*path).to_owned(), holding(text));
    }
    Surroundings {
        machine: Some(Machine {
            variables: Variables::of_process(environment),
            files: all,
            reader: "uid 0 (group 0)".to_owned(),
        }),
        ..Surroundings::default()
    }
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.id).collect()
}
