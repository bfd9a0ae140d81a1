//! Files that variables name, and what is wrong with them.

use super::*;

const AWS: [(&str, &str); 3] = [ROLE, TOKEN, REGION];

#[test]
fn a_token_is_there_whole_and_fresh() {
    let rows = [
        (token(60, 600), ""),
        (token(0, 600), ""),
        (token(-30, 600), ""),
        (token(480, 600), ""),
        (token(520, 600), "environment-token-stale"),
        (token(599, 600), "environment-token-stale"),
        (token(600, 600), "environment-token-expired"),
        (token(9_000, 600), "environment-token-expired"),
        (token(-90, 600), "environment-token-future"),
        (format!("{}\n", token(60, 600)), "environment-token-newline"),
        (format!(" {}", token(60, 600)), "environment-token-newline"),
        (String::new(), "environment-token-empty"),
        ("\n".to_owned(), "environment-token-empty"),
        ("hvs.secret".to_owned(), "environment-token-form"),
        (r#"{"value": "x"}"#.to_owned(), "environment-token-form"),
        (format!("\"{}\"", token(60, 600)), "environment-token-form"),
    ];
    for (text, expected) in rows {
        let report = judge(&machine(&AWS, &[("/run/token", &text)]), NOW);
        let expected: Vec<&str> = Some(expected)
            .filter(|id| !id.is_empty())
            .into_iter()
            .collect();
        assert_eq!(ids(&report), expected, "{text:?}");
    }
}

#[test]
fn what_keeps_its_reader_out_is_said_with_what_to_do() {
    for (is_absent, id) in [
        (true, "environment-token-absent"),
        (false, "environment-token-unreadable"),
    ] {
        let mut surroundings = machine(&AWS, &[]);
        let barrier = Barrier {
            is_absent,
            what: "uid 1000 cannot read /run/token".to_owned(),
            fix: Some("write it with `--owner 1000`".to_owned()),
        };
        let file = File {
            barrier: Some(barrier),
            text: None,
        };
        let machine = surroundings.machine.as_mut().unwrap();
        machine.files.insert("/run/token".to_owned(), file);
        let report = judge(&surroundings, NOW);
        assert_eq!(ids(&report), [id]);
        let finding = &report.findings[0];
        assert!(finding.what.contains("uid 1000"), "{finding:?}");
        assert_eq!(finding.fix, "write it with `--owner 1000`.");
    }
}

#[test]
fn a_newline_matters_where_it_is_sent() {
    let text = format!("{}\n", token(60, 600));
    let variables = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/run/token"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_TENANT_ID", "t"),
    ];
    let report = judge(&machine(&variables, &[("/run/token", &text)]), NOW);
    assert_eq!(ids(&report), ["environment-token-newline-trimmed"]);
}

/// A credential file of Google's with this in place of a member.
fn credentials(member: &str, value: &str) -> String {
    let mut file: serde_json::Value = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/run/token"},
    });
    if !member.is_empty() {
        file[member] = serde_json::from_str(value).unwrap();
    }
    file.to_string()
}

#[test]
fn googles_credential_file_describes_a_workload_identity() {
    let good = credentials("", "");
    let json_source =
        r#"{"file": "/run/json", "format": {"type": "json", "subject_token_field_name": "t"}}"#;
    let program = r#"{"executable": {"command": "runmint token", "timeout_millis": 5000}}"#;
    let rows = [
        (good.clone(), ""),
        (credentials("credential_source", json_source), ""),
        (
            credentials("credential_source", program),
            "environment-gcp-executables",
        ),
        (
            credentials(
                "credential_source",
                r#"{"executable": {"timeout_millis": 1}}"#,
            ),
            "environment-credential-file environment-gcp-executables",
        ),
        (
            credentials("credential_source", "{}"),
            "environment-credential-file",
        ),
        (
            credentials(
                "credential_source",
                r#"{"file": "/run/token", "format": {"type": "json"}}"#,
            ),
            "environment-credential-file",
        ),
        (
            credentials("audience", r#""projects/1""#),
            "environment-credential-file",
        ),
        (
            credentials("subject_token_type", r#""jwt""#),
            "environment-credential-file",
        ),
        (
            credentials("type", r#""gdch_service_account""#),
            "environment-credential-file",
        ),
        (credentials("type", "null"), "environment-credential-file"),
        (
            credentials("type", r#""service_account""#),
            "environment-static",
        ),
        (
            credentials("type", r#""authorized_user""#),
            "environment-static",
        ),
        ("{".to_owned(), "environment-credential-file"),
    ];
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", "/run/gcp.json")];
    let member = format!(r#"{{"t": "{}"}}"#, token(60, 600));
    for (text, expected) in rows {
        let files = [("/run/gcp.json", text.as_str()), ("/run/json", &member)];
        let report = judge(&machine(&variables, &files), NOW);
        assert_eq!(ids(&report).join(" "), expected, "{text}: {report:#?}");
    }
    let allowed = [
        variables[0],
        ("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1"),
    ];
    let text = credentials("credential_source", program);
    let report = judge(&machine(&allowed, &[("/run/gcp.json", &text)]), NOW);
    assert_eq!(ids(&report), [""; 0]);
}

#[test]
fn the_token_of_a_credential_file_is_looked_at_as_well() {
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", "/run/gcp.json")];
    let files = [
        ("/run/gcp.json", &*credentials("", "")),
        ("/run/token", &*token(900, 600)),
    ];
    let report = judge(&machine(&variables, &files), NOW);
    assert_eq!(ids(&report), ["environment-token-expired"]);

    let surroundings = machine(&variables, &files[..1]);
    let found = surroundings.machine.unwrap();
    let named = files_named(&found.variables, &found.files);
    let all: Vec<&str> = named.iter().map(String::as_str).collect();
    assert_eq!(all, ["/run/gcp.json", "/run/token"]);
    assert_eq!(
        files_named(&found.variables, &Files::new()).len(),
        1,
        "nobody knows yet what the file names"
    );
}

#[test]
fn hcps_credential_file_names_a_token() {
    let variables = [("HCP_CRED_FILE", "/run/hcp.json")];
    let file = r#"{"scheme": "workload", "workload": {"token": {"path": "/run/token"}}}"#;
    let files = [("/run/hcp.json", file), ("/run/token", "")];
    let report = judge(&machine(&variables, &files), NOW);
    assert_eq!(ids(&report), ["environment-token-empty"]);
    let report = judge(&machine(&variables, &[("/run/hcp.json", "{")]), NOW);
    assert_eq!(ids(&report), ["environment-credential-file"]);
}

#[test]
fn a_kubeconfig_is_read_and_its_token_file_too() {
    let with_file = "kind: Config\nusers:\n- name: ci\n  user: {tokenFile: token}\n";
    let rows = [
        (with_file, "", ""),
        (with_file, "x", "environment-token-form"),
        (
            "kind: Config\nusers:\n- name: ci\n  user: {token: hunter2}\n",
            "",
            "environment-static",
        ),
        ("kind: Pod\n", "", "environment-kubeconfig"),
        ("a: [", "", "environment-kubeconfig"),
        ("", "", "environment-kubeconfig"),
    ];
    for (config, text, expected) in rows {
        let fresh = token(60, 600);
        let text = if text.is_empty() { &*fresh } else { text };
        let files = [("/run/config", config), ("/run/token", text)];
        let report = judge(&machine(&[("KUBECONFIG", "/run/config")], &files), NOW);
        assert_eq!(ids(&report).join(" "), expected, "{config}");
        assert!(!format!("{report:?}").contains("hunter2"));
    }
}

#[test]
fn of_several_kubeconfigs_one_may_be_missing() {
    let absent = |path: &str| {
        let what = format!("there is no {path}");
        let barrier = Some(Barrier {
            is_absent: true,
            what,
            fix: None,
        });
        (
            path.to_owned(),
            File {
                barrier,
                text: None,
            },
        )
    };
    let paths = ("KUBECONFIG", "/run/a:/run/b");
    let mut surroundings = machine(&[paths], &[("/run/a", "kind: Config\n")]);
    surroundings
        .machine
        .as_mut()
        .unwrap()
        .files
        .extend([absent("/run/b")]);
    assert_eq!(ids(&judge(&surroundings, NOW)), [""; 0]);
    surroundings
        .machine
        .as_mut()
        .unwrap()
        .files
        .extend([absent("/run/a")]);
    let both = ["environment-kubeconfig"; 2];
    assert_eq!(ids(&judge(&surroundings, NOW)), both);
}
