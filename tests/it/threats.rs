//! The threat model names the test that holds each defence. Read from its text, so that a test that is
//! renamed or taken away is noticed here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const THREAT_MODEL: &str = "docs/security.md";

/// What stands between backticks and starts so is a file of ours, and perhaps a test in it.
const FOLDERS: [&str; 3] = ["script/", "src/", "tests/"];

/// Each test in these files is an attack, so the threat model names them all.
const ATTACKS: [&str; 2] = ["tests/it/attacks.rs", "tests/it/issuer_keys.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// A file's text; nothing if there is no such file.
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// What stands between backticks, outside of blocks.
fn quoted(page: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut is_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            // Every second piece: 1 is the first between backticks.
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// The functions in a file that are tests.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            if is_test {
                found.insert(name);
            }
            is_test = false;
        }
    }
    found
}

/// Whether this leads somewhere: to a file (what follows a space is an argument), or a test in it.
fn leads_somewhere(name: &str) -> bool {
    let Some((file, test)) = name.split_once("::") else {
        let file = name.split(' ').next().unwrap_or_default();
        return root().join(file).is_file();
    };
    tests_in(&text(file)).contains(test)
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let page = text(THREAT_MODEL);
    let named: Vec<_> = quoted(&page)
        .into_iter()
        .filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder)))
        .collect();
    let missing: Vec<_> = named.iter().filter(|name| !leads_somewhere(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named.len() > 100, "the page names only {}", named.len());
}

#[test]
fn no_name_is_hidden_by_the_end_of_a_line() {
    for line in text(THREAT_MODEL).lines() {
        if !line.starts_with("```") {
            assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        }
    }
}

#[test]
fn every_attack_in_the_tables_is_in_the_threat_model() {
    let page = text(THREAT_MODEL);
    let named = quoted(&page);
    for file in ATTACKS {
        let source = text(file);
        let attacks = tests_in(&source);
        assert!(attacks.len() > 4, "{file}: {attacks:?}");
        for attack in attacks {
            let name = format!("{file}::{attack}");
            assert!(named.contains(name.as_str()), "{name} is not named");
        }
    }
}

#[test]
fn what_the_checks_look_for_they_find() {
    let source = "fn helper() {}\n#[tokio::test(flavor = \"x\")]\nasync fn one() {}\n\
        #[test]\n#[expect(\n    x,\n)]\n    fn two(\n        a: u8,\n    ) {}\nasync fn other() {}";
    assert_eq!(tests_in(source), ["one", "two"].into());
    let page = "a `b` c `d::e`\n```\n`f`\n```\n`g`";
    assert_eq!(quoted(page), ["b", "d::e", "g"].into());
    assert!(leads_somewhere(
        "tests/it/threats.rs::what_the_checks_look_for_they_find"
    ));
    assert!(leads_somewhere("script/test clippy"));
    for wrong in [
        "tests/it/threats.rs::quoted",
        "tests/it/none.rs::x",
        "tests/it/none.rs",
        "tests/it",
    ] {
        assert!(!leads_somewhere(wrong), "{wrong}");
    }
}
