//! Known errors in a long log.

use std::fmt::Write;
use std::time::Duration;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use runmint::doctor::errors::find;

/// Where nothing is wrong.
const ORDINARY: &str = include_str!("../../tests/it/doctor/errors/terraform-output.txt");

/// How long a log is, in bytes.
const LENGTH: usize = 10_000_000;

/// What stands in it besides: at a quarter, half and three quarters of it.
const ERRORS: [(&str, &str); 3] = [
    (
        "aws-not-authorized",
        "Error: Not authorized to perform sts:AssumeRoleWithWebIdentity",
    ),
    (
        "azure-700016",
        "Error: AADSTS700016: Application with identifier 'x' was not found",
    ),
    (
        "vault-issuer",
        "* error validating token: invalid issuer (iss) claim",
    ),
];

/// As Terraform prints it; as GitHub keeps it, the time before each line; in one line of JSON.
#[divan::bench(
    args = ["plain", "github", "json"],
    sample_count = 5,
    min_time = Duration::ZERO,
)]
fn ten_megabytes(bencher: Bencher<'_, '_>, form: &str) {
    let log = match form {
        "github" => in_ci(&log()),
        "json" => format!("{{\"msg\":{}}}", serde_json::Value::from(log())),
        _ => log(),
    };
    let ids: Vec<_> = find(&log).iter().map(|f| f.entry.id.as_str()).collect();
    assert_eq!(ids, ERRORS.map(|(id, _)| id));
    bencher
        .counter(BytesCount::of_str(&log))
        .bench(|| find(black_box(&log)));
}

/// Ordinary output over and over, the names in it other ones each time, and three errors.
fn log() -> String {
    let mut log = String::with_capacity(LENGTH + ORDINARY.len() * 2);
    let mut errors = ERRORS.iter().zip(1..);
    let mut error = errors.next();
    for round in 0.. {
        if log.len() >= LENGTH {
            break;
        }
        log.push_str(&ORDINARY.replace("prod", &format!("prod-{round}")));
        if let Some(((_, text), place)) = error
            && log.len() >= LENGTH / 4 * place
        {
            let _ = write!(log, "╷\n│ {text}\n│ \n│   with module.app,\n╵\n");
            error = errors.next();
        }
    }
    log
}

fn in_ci(log: &str) -> String {
    log.lines().fold(String::new(), |mut log, line| {
        let _ = writeln!(log, "2026-11-24T10:00:00.1234567Z {line}");
        log
    })
}
