//! Who may import whom: arrows only point down. Read from the text of `src/`, so that a new arrow
//! is a decision in this file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module, and what of ours it may name. `domain` is the floor, `cli` the roof. A path covers what
/// is under it: `keys` allows all of `keys`, `keys::keyring` only that. Each may name itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // The floor: nouns and rules. No I/O, nothing of ours.
    ("domain", &[]),
    // What is around the nouns, and knows nothing else.
    ("clock", &["domain"]),
    ("config", &["domain"]),
    ("metrics", &["domain"]),
    ("limits", &["domain", "config", "metrics"]),
    // What the listeners prove themselves with.
    ("tls", &["domain", "clock", "config", "metrics"]),
    // What waits, taken together.
    ("batch", &[]),
    // CEL, for our own rules and for other people's policies.
    ("expression", &["domain"]),
    // What is kept.
    ("store", &["domain"]),
    (
        "audit",
        &[
            "domain",
            "batch",
            "clock",
            "metrics",
            "limits::throttle",
            "store",
        ],
    ),
    ("keys", &["domain", "clock", "metrics", "store", "audit"]),
    (
        "auth",
        &["domain", "batch", "clock", "expression", "store", "metrics"],
    ),
    // The use case.
    (
        "mint",
        &[
            "domain",
            "metrics",
            "audit",
            "keys::keyring",
            "keys::signer",
            "auth",
            "store",
        ],
    ),
    // What puts the parts together, and shows them to the world.
    (
        "app",
        &[
            "domain", "clock", "config", "metrics", "limits", "store", "audit", "keys", "auth",
            "mint",
        ],
    ),
    // The store is reached through `app`; its errors, filters and rows are named.
    (
        "http",
        &[
            "domain", "metrics", "limits", "store", "audit", "keys", "auth", "mint", "app",
        ],
    ),
    (
        "server",
        &[
            "app",
            "audit",
            "http",
            "keys::publish",
            "keys::rotation",
            "limits",
            "tls",
        ],
    ),
    // The other side: what a run does. It knows no part of the server.
    ("runner", &["domain", "clock"]),
    // What relying parties are told, what they make of a token, and what is wrong when they say no.
    ("trust", &["domain"]),
    ("policy", &["domain", "expression"]),
    ("doctor", &["domain", "config", "policy", "trust", "runner"]),
    // The roof.
    (
        "cli",
        &[
            "domain", "clock", "config", "metrics", "store", "audit", "keys", "auth", "mint",
            "app", "http", "server", "tls", "runner", "trust", "policy", "doctor",
        ],
    ),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// What stands in the text of few files only, and where: a module or a file.
const BELONGS_TO: &[(&str, &[&str])] = &[
    // Databases and sockets.
    ("sqlx::", &["store"]),
    (
        "axum::",
        &["http", "runner/agent/listener.rs", "runner/agent/server.rs"],
    ),
    ("tower_http::", &["http"]),
    ("axum_server::", &["server", "tls"]),
    ("hyper_util::", &["server"]),
    ("rustls::", &["tls", "doctor/issuer"]),
    (
        "reqwest::",
        &[
            "app/mod.rs",
            "auth/address.rs",
            "auth/issuer_keys/fetch.rs",
            "auth/issuer_keys/mod.rs",
            "cli",
            "doctor/issuer",
            "keys/publish.rs",
            "runner",
            "tls",
        ],
    ),
    ("cel::", &["expression"]),
    ("regex::", &["expression", "doctor/errors"]),
    ("regex_syntax::", &["expression/pattern.rs"]),
    // Keys: `rsa` makes and exports them; `aws_lc_rs` signs, seals and hashes. Those of certificates
    // are no signing keys: they stay in `tls`.
    ("rsa::", &["keys"]),
    ("instant_acme::", &["tls"]),
    ("rcgen::", &["tls"]),
    ("x509_cert::", &["tls", "doctor/issuer"]),
    ("aws_lc_rs::signature", &["keys"]),
    ("aws_lc_rs::aead", &["keys"]),
    ("jsonwebtoken::", &["keys", "auth", "doctor/token"]),
    // The machine: its time, its environment, its terminal.
    ("SystemTime::now", &["clock.rs"]),
    ("std::env::", &["cli/mod.rs"]),
    ("std::process::", &["cli", "main.rs", "runner/child.rs"]),
    // Who changed something is known to whoever has authenticated them.
    ("Actor::Operator", &["auth"]),
    ("println!", &["cli/output.rs"]),
    ("print!", &["cli/output.rs"]),
    ("eprintln!", &["cli/output.rs"]),
    ("eprint!", &["cli/output.rs"]),
    ("dbg!", &[]),
    // A run's processes, signals and output.
    ("aho_corasick::", &["runner"]),
    ("nix::", &["runner"]),
    ("quick_xml::", &["runner"]),
    ("sd_notify::", &["runner"]),
    ("signal_hook::", &["runner"]),
    // Other people's documents.
    ("serde_saphyr::", &["policy/document.rs"]),
    // Bounded tables, and networks.
    ("quick_cache::", &["auth/lookup.rs", "limits"]),
    ("ipnet::", &["config"]),
    ("tikv_jemallocator::", &["main.rs"]),
    ("tower_layer::", &["http/layers.rs"]),
    (
        "tower_service::",
        &["http/layers.rs", "http/shortcut.rs", "server"],
    ),
    // Arguments, metrics and logs.
    ("clap::", &["cli"]),
    ("prometheus_client::", &["metrics.rs"]),
    ("tracing_subscriber::", &["cli/serve.rs"]),
];

/// The ceiling, in lines without unit tests; a reader has a file in view at once.
const LONGEST_FILE: usize = 500;

/// The same without blank lines and comments.
const LONGEST_CODE: usize = 400;

/// A source file without its comments and unit tests.
struct Source {
    /// Under `src/`.
    path: String,
    /// The folder or file at the top: `keys` for `keys/plan.rs`, `mint` for `mint.rs`.
    module: String,
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let text = text
                .split("\n#[cfg(test)]\nmod tests {")
                .next()
                .unwrap()
                .to_owned();
            let path = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let module = path
                .split('/')
                .next()
                .unwrap()
                .trim_end_matches(".rs")
                .to_owned();
            let code = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            Source {
                path,
                module,
                code,
                lines: text.lines().count(),
            }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every path from the crate's root that a file names, e.g. `keys::plan::plan`; one that leaves its
/// module by `super` counts as well.
fn paths_of_ours(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let depth = source.path.matches('/').count() + usize::from(!source.path.ends_with("/mod.rs"));
    let out_of_it = format!("{}::", vec!["super"; depth].join("::"));
    let starts = if ["lib.rs", "main.rs"].contains(&source.path.as_str()) {
        vec!["crate::".to_owned(), "runmint::".to_owned()]
    } else {
        vec!["crate::".to_owned(), out_of_it]
    };
    for start in starts {
        for (at, _) in source.code.match_indices(&start) {
            let rest = &source.code[at + start.len()..];
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(rest.len());
            let path = rest[..end].trim_end_matches(':');
            assert!(
                !path.is_empty(),
                "{}: write `use crate::` paths one by one",
                source.path
            );
            found.insert(path.to_owned());
        }
    }
    found
}

/// Whether a path is `allowed` or under it.
fn is_under(path: &str, allowed: &str) -> bool {
    path.strip_prefix(allowed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether a file is in the module or folder `home`, or is that very file.
fn is_home(path: &str, home: &str) -> bool {
    path.strip_prefix(home)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

/// Whether `needle` stands in the code as a whole word.
fn names(code: &str, needle: &str) -> bool {
    code.match_indices(needle).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn every_import_is_in_the_table() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources() {
        let module = source.module.as_str();
        let may = allowed.get(module).unwrap_or_else(|| {
            panic!(
                "{} is in no module of the table: say what it may import",
                source.path
            )
        });
        for path in paths_of_ours(&source) {
            let own = is_under(&path, module);
            if !own && !may.iter().any(|allowed| is_under(&path, allowed)) {
                violations.push(format!("{} imports {path}", source.path));
            }
            seen.extend(
                may.iter()
                    .filter(|m| is_under(&path, m))
                    .map(|m| (module.to_owned(), *m)),
            );
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(seen.len() > 20, "imports are found at all: {seen:?}");
}

#[test]
fn the_table_has_no_cycle() {
    let table: BTreeMap<_, BTreeSet<_>> = MAY_IMPORT
        .iter()
        .map(|(module, may)| {
            let modules = may.iter().map(|path| path.split("::").next().unwrap());
            (*module, modules.collect())
        })
        .collect();
    let mut standing = BTreeSet::new();
    while standing.len() < table.len() {
        let before = standing.len();
        for (module, may) in &table {
            if may.is_subset(&standing) {
                standing.insert(*module);
            }
        }
        assert!(
            standing.len() > before,
            "a cycle among all but {standing:?}"
        );
    }
}

#[test]
fn every_crate_has_its_home() {
    let mut violations = Vec::new();
    let mut found = BTreeSet::new();
    for source in sources() {
        for (needle, homes) in BELONGS_TO {
            if !names(&source.code, needle) {
                continue;
            }
            found.insert(*needle);
            if !homes.iter().any(|home| is_home(&source.path, home)) {
                violations.push(format!("{} names {needle}", source.path));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
    for needle in ["sqlx::", "axum::", "rsa::", "SystemTime::now", "reqwest::"] {
        assert!(found.contains(needle), "{needle} is found where it may be");
    }
}

#[test]
fn no_statement_of_sql_is_written_outside_of_the_store() {
    let statements = [
        "INSERT INTO ",
        "DELETE FROM ",
        "UPDATE key_version",
        "SELECT version",
        "SELECT id",
    ];
    for source in sources().iter().filter(|source| source.module != "store") {
        for statement in statements {
            assert!(
                !source.code.contains(statement),
                "{}: {statement}",
                source.path
            );
        }
    }
}

#[test]
fn every_module_opens_with_its_job() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for source in sources() {
        let text = std::fs::read_to_string(root.join(&source.path)).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not say what it is for",
            source.path
        );
    }
}

#[test]
fn every_file_can_be_read_in_one_go() {
    let mut lengths = Vec::new();
    for source in sources() {
        let code = source.code.lines().count();
        assert!(
            source.lines <= LONGEST_FILE,
            "{} has {} lines",
            source.path,
            source.lines
        );
        assert!(
            code <= LONGEST_CODE,
            "{} has {code} lines of code",
            source.path
        );
        lengths.push(source.lines);
    }
    lengths.sort_unstable();
    assert!(
        lengths[lengths.len() / 2] <= 200,
        "the median grows: {lengths:?}"
    );
}

#[test]
fn there_is_no_module_of_odds_and_ends() {
    for source in sources() {
        for part in source.path.trim_end_matches(".rs").split('/') {
            let is_one = [
                "utils", "util", "common", "types", "models", "services", "helpers",
            ]
            .contains(&part);
            assert!(
                !is_one,
                "{}: its noun is missing from `domain`",
                source.path
            );
        }
    }
}

#[test]
fn what_the_checks_look_for_they_find() {
    let source = |path: &str, code: &str| Source {
        path: path.to_owned(),
        module: path
            .split('/')
            .next()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned(),
        code: code.to_owned(),
        lines: 1,
    };
    let up = source(
        "domain/name.rs",
        "use crate::store::Store;\nlet x = crate::http::x();",
    );
    assert_eq!(
        paths_of_ours(&up),
        ["http::x".into(), "store::Store".into()].into()
    );
    let out = source(
        "keys/plan.rs",
        "use super::super::http::public;\nuse super::seal::Sealer;",
    );
    assert_eq!(paths_of_ours(&out), ["http::public".into()].into());
    let out = source("keys/mod.rs", "use super::http::public;");
    assert_eq!(paths_of_ours(&out), ["http::public".into()].into());
    let out = source("mint.rs", "use super::http::public;");
    assert_eq!(paths_of_ours(&out), ["http::public".into()].into());
    assert!(is_under("keys::plan::plan", "keys") && !is_under("keysmith", "keys"));
    assert!(names("use rsa::RsaPrivateKey;", "rsa::") && !names("use versa::x;", "rsa::"));
    assert!(names("    println!(\"x\")", "println!") && !names("eprintln!(\"x\")", "println!"));
}
