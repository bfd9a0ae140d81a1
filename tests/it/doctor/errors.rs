//! `doctor error`: each known message is recognised as what it is, alone and in a log, and what is none
//! of them is not.

use std::fmt::Write;

use proptest::prelude::*;
use runmint::doctor::errors::{Entry, Found, all, find, report};
use runmint::doctor::{Report, Severity};
use serde_json::Value;

use crate::program::Setup;

/// Messages that people have written about; before each, `=== ` and what it is.
const SEEN: &str = include_str!("errors/seen.txt");

/// What Terraform prints where nothing is wrong.
const ORDINARY: &str = include_str!("errors/terraform-output.txt");

fn ids(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.entry.id.as_str()).collect()
}

/// In one line, as a log of JSON has it.
fn in_json(text: &str) -> String {
    format!("{{\"level\":\"error\",\"msg\":{}}}", Value::from(text))
}

/// As Terraform prints it on a terminal, wrapped between words.
fn in_a_box(text: &str) -> String {
    let mut out = "╷\n".to_owned();
    for line in text.lines() {
        let mut width = 0;
        out.push_str("│ ");
        for word in line.split(' ') {
            if width + word.len() > 76 && width > 0 {
                out.push_str("\n│ ");
                width = 0;
            } else if width > 0 {
                out.push(' ');
            }
            out.push_str(word);
            width += word.len() + 1;
        }
        out.push('\n');
    }
    out + "│ \n│   with module.app,\n│   on main.tf line 1, in module \"app\":\n╵\n"
}

/// As GitHub Actions keeps it, on Windows, in red.
fn in_ci(text: &str) -> String {
    text.lines().fold(String::new(), |mut log, line| {
        let _ = write!(
            log,
            "2026-11-24T10:00:00.1234567Z \x1b[31m{line}\x1b[0m\r\n"
        );
        log
    })
}

/// What the reference for such logs calls normalised: blanks for escapes, borders and line ends.
fn normalised(text: &str) -> String {
    let mut text = text.to_owned();
    for gone in ["\\n", "\\r", "\\t", "│", "╷", "╵", "|"] {
        text = text.replace(gone, " ");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_example_is_recognised_as_its_own_entry_and_as_nothing_else() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in all() {
        for example in entry.examples() {
            seen += 1;
            for (form, log) in [
                ("raw", example.to_owned()),
                ("normalised", normalised(example)),
                ("in JSON", in_json(example)),
                ("in JSON in JSON", in_json(&in_json(example))),
                ("in CI", in_ci(example)),
                ("in a box", in_a_box(example)),
            ] {
                let found = find(&log);
                if ids(&found) != [entry.id.as_str()] {
                    wrong.push(format!("{} {form}: {:?}", entry.id, ids(&found)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 160, "{seen}");
}

#[test]
fn what_people_have_written_about_is_recognised() {
    let mut seen = 0;
    for message in SEEN.split("=== ").skip(1) {
        let (id, text) = message.split_once('\n').unwrap();
        let found = find(text);
        assert_eq!(ids(&found), [id], "{text}");
        assert_eq!(found[0].lines.len(), 1, "{text}");
        seen += 1;
    }
    assert_eq!(seen, 17);
}

#[test]
fn ordinary_output_has_no_known_error_in_it() {
    assert!(ORDINARY.lines().count() > 1_000);
    let found = find(ORDINARY);
    assert!(found.is_empty(), "{found:#?}");
    let found = find(&in_json(ORDINARY));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn other_peoples_errors_are_not_taken_for_ours() {
    for line in [
        "Error response from daemon: unauthorized: authentication required",
        "error: unauthorized: access token expired",
        "curl: (22) The requested URL returned error: 401 Unauthorized",
        "fatal: Authentication failed for 'https://git.example.com/a.git/'",
        "PermissionError: [Errno 13] Permission denied: '/etc/app.conf'",
        "open /var/lib/app/data.db: permission denied",
        "git@github.com: Permission denied (publickey).",
        "Error: Unauthorized access is prohibited on this system.",
        "Error: creating S3 Bucket (acme): AccessDenied: Access Denied",
        "Error: configuring HTML page: <title>Error: Unauthorized</title>",
        "x509: certificate signed by unknown authority",
        "token expired at 2026-11-24T10:00:00Z, asking for another",
    ] {
        let found = find(line);
        assert!(found.is_empty(), "{line}: {:?}", ids(&found));
    }
}

#[test]
fn several_errors_in_one_log_are_each_found_where_they_are() {
    let log = format!(
        "{ORDINARY}\n{}{}\nError: AADSTS700016: Application with identifier 'x' was not found\n{}",
        in_a_box("Error: Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        "done\n".repeat(40),
        in_ci("Code: 400. Errors:\n\n* error validating token: invalid issuer (iss) claim"),
    );
    let found = find(&log);
    assert_eq!(
        ids(&found),
        ["aws-not-authorized", "azure-700016", "vault-issuer"]
    );
    for error in &found {
        assert_eq!(error.lines.len(), 1, "{error:?}");
        let line = log.lines().nth(error.lines[0] - 1).unwrap();
        let begins = ["Not authorized", "AADSTS700016", "invalid issuer"];
        assert!(begins.iter().any(|begin| line.contains(begin)), "{line}");
    }
}

#[test]
fn errors_in_neighbouring_lines_are_not_taken_for_one() {
    let found = find(
        "Error: Unauthorized\nAADSTS70021: No matching federated identity record found\n\
         Not authorized to perform sts:AssumeRoleWithWebIdentity\nToken too old: 153938\n",
    );
    assert_eq!(
        ids(&found),
        [
            "k8s-unauthorized-generic",
            "azure-70021",
            "aws-not-authorized",
            "aws-token-too-old"
        ]
    );
}

#[test]
fn the_same_error_is_named_once_with_all_its_lines() {
    let log = "retrying\nAADSTS700024: Client assertion is not within its valid time range.\n";
    let found = find(&log.repeat(50));
    assert_eq!(ids(&found), ["azure-700024"]);
    let lines: Vec<_> = (1..=50).map(|time| time * 2).collect();
    assert_eq!(found[0].lines, lines);
    let report = report(&log.repeat(50));
    let finding = &report.findings[0];
    assert!(
        finding.what.contains("50 times, first in line 2"),
        "{finding:?}"
    );
    let also = finding.shown.last().unwrap();
    assert!(also.starts_with("also in line 4, 6, ") && also.ends_with("and 41 more"));
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn of_a_frame_and_the_error_in_it_the_inner_one_is_meant() {
    let apart = "Error: error configuring Terraform AWS Provider: no valid credential sources for \
                 Terraform AWS Provider found.\n\nPlease see https://registry.terraform.io/\n\nError: \
                 WebIdentityErr: failed to retrieve credentials\ncaused by: InvalidIdentityToken: \
                 Incorrect token audience\n\tstatus code: 400, request id: 1\n";
    for log in [
        apart.to_owned(),
        in_ci(apart),
        in_a_box(apart),
        in_json(apart),
    ] {
        assert_eq!(ids(&find(&log)), ["aws-incorrect-audience"], "{log}");
    }
    // What is far away, in another box, or another party's, is not its reason.
    let frame = "Error: Could not load credentials from any providers\n";
    let reason = "Token too old: 153938\n";
    for log in [
        format!("{frame}{}{reason}", "...\n".repeat(40)),
        in_a_box(frame) + &in_a_box(reason),
        in_a_box(frame) + reason,
    ] {
        let found = find(&log);
        assert_eq!(
            ids(&found),
            ["aws-could-not-load-credentials", "aws-token-too-old"],
            "{log}"
        );
    }
    let found = find(&format!("{frame}AADSTS700016: Application not found\n"));
    assert_eq!(
        ids(&found),
        ["aws-could-not-load-credentials", "azure-700016"]
    );
}

#[test]
fn what_only_wraps_an_error_is_a_warning_and_an_error_is_an_error() {
    let severity = |report: &Report| report.findings[0].severity;
    let frame = report("Error: Could not load credentials from any providers");
    assert_eq!(severity(&frame), Severity::Warning);
    assert!(frame.is_clear());
    for error in ["Token too old: 153938", "Error: Unauthorized"] {
        assert_eq!(severity(&report(error)), Severity::Error);
    }
    let none = report("all is well");
    assert_eq!(none.findings[0].id, "error-unknown");
    assert_eq!(severity(&none), Severity::Info);
}

/// Nothing in it depends on how long it takes: what is not linear would not come back from this.
#[test]
fn a_log_made_of_beginnings_is_read_in_one_go() {
    let begun = "oidc: expected audience \"a\" InvalidClientTokenId MalformedPolicyDocument open /x \
                 failed retrieving key from archive store exec: executable ";
    for unit in [
        begun,
        "MalformedPolicyDocument\n",
        "open ",
        "x",
        "│ \\n",
        "eyJ",
        "\\",
        "\\u",
        "://a:b@",
        "token=",
        "a.atlasv1.",
    ] {
        let log = unit.repeat((1 << 20) / unit.len()) + "\nToken too old: 153938";
        let found = find(&log);
        assert_eq!(ids(&found), ["aws-token-too-old"], "{unit}");
        let line = log.lines().count();
        assert_eq!(found[0].lines, [line], "{unit}");
    }
}

#[test]
fn odd_logs_are_read_as_well() {
    for log in [
        "",
        "\n",
        "\u{feff}",
        "╷",
        "│",
        "\\",
        "\\u00",
        "\x1b[",
        "\0",
        "é\\u00e9…\\",
    ] {
        assert!(find(log).is_empty(), "{log:?}");
    }
}

/// Bits of logs, of which any may follow any other.
fn bit() -> impl Strategy<Value = String> {
    let odd = [
        "\n",
        "\r\n",
        "\\n",
        "\\\\n",
        "│ ",
        "╷",
        "╵",
        "| ",
        "\u{1b}[31m",
        "\u{1b}",
        "é",
        "“",
        "…",
        "\\u003c",
        "\\\"",
        "eyJhbGciOiJ9.e30.",
        "Bearer ",
        "[12:00:01] ",
        "2026-11-24T10:00:00Z ",
        "##[error]",
    ];
    let examples: Vec<_> = all().iter().flat_map(Entry::examples).collect();
    prop_oneof![
        4 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => prop::sample::select(examples).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (1_usize..5_000).prop_map(|times| "é".repeat(times)),
    ]
}

proptest! {
    #[test]
    fn whatever_a_log_is_made_of_what_is_found_is_in_it(
        bits in prop::collection::vec(bit(), 0..40),
    ) {
        let log = bits.concat();
        let lines = log.lines().count();
        for found in find(&log) {
            prop_assert!(found.lines.is_sorted());
            prop_assert!(found.lines.iter().all(|line| (1..=lines).contains(line)));
            prop_assert!(!found.excerpt.is_empty() && found.excerpt.len() < 500);
        }
    }
}

#[tokio::test]
async fn the_command_says_what_it_is_why_what_to_do_and_what_to_run_next() {
    let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
    let ran = Setup::bare().run(&["doctor", "error", message]).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    for words in [
        "error[aws-not-authorized]: AWS STS: the trust policy does not admit the token (line 1)",
        "1: Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "why:",
        "fix:",
        "Next: `runmint doctor policy --token FILE --policy FILE`",
        "source:",
    ] {
        assert!(ran.stdout.contains(words), "no {words:?}: {}", ran.stdout);
    }
    assert_eq!(ran.stderr, "error: 1 error: see above\n");
}

#[tokio::test]
async fn the_command_reads_a_text_stdin_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.log");
    std::fs::write(&file, "first\nToken too old: 153938\n").unwrap();
    let file = file.to_str().unwrap();
    let ran = Setup::bare()
        .run(&["doctor", "error", "--file", file, "--format", "json"])
        .await;
    assert_eq!(ran.status, 1, "{ran:?}");
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["findings"][0]["id"], "aws-token-too-old");
    assert_eq!(json["facts"]["lines"], "2");
    for (arguments, status, says) in [
        // Nothing stands on stdin here.
        (&["-"][..], 2, "there is nothing to read"),
        (&[], 2, "there is nothing to read"),
        (&[""], 2, "there is nothing to read"),
        (&["--file", "/dev/null"], 2, "there is nothing to read"),
        (
            &["--file", "/nowhere"],
            3,
            "`--file` /nowhere: No such file",
        ),
        (&["--file", "/"], 3, "`--file` /: Is a directory"),
        (&[file], 2, &format!("`--file {file}`")),
    ] {
        let arguments = [&["doctor", "error"], arguments].concat();
        Setup::bare().run(&arguments).await.refused(status, &[says]);
    }
    let ran = Setup::bare()
        .run(&["doctor", "error", "a", "--file", file])
        .await;
    ran.refused(2, &["cannot be used with"]);
}

#[tokio::test]
async fn a_token_in_the_log_is_not_shown_again() {
    let signature = "c2lnbmF0dXJl".repeat(8);
    let log =
        format!("token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.{signature}: Token too old: 153938");
    for format in ["text", "json"] {
        let ran = Setup::bare()
            .run(&["doctor", "error", &log, "--format", format])
            .await;
        assert!(
            ran.stdout.contains("eyJ…: Token too old: 153938"),
            "{ran:?}"
        );
        assert!(!format!("{ran:?}").contains("c2lnbm"), "{ran:?}");
    }
}
