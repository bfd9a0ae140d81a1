//! Settings: each key is documented and can be set, and what is wrong with one is said by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use runmint::config::{ConfigError, DEFAULTS, Settings};
use serde_json::Value;

/// Settings with these environment variables, without `RUNMINT_`.
fn load(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let environment = variables
        .iter()
        .map(|(name, value)| (format!("RUNMINT_{name}"), (*value).to_owned()))
        .collect();
    Settings::load(None, environment)
}

fn load_file(text: &str) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runmint.toml");
    std::fs::write(&path, text).unwrap();
    Settings::load(Some(&path), HashMap::new())
}

/// The key that was refused, and the whole message.
#[track_caller]
fn refused(result: Result<Settings, ConfigError>) -> (String, String) {
    match result {
        Err(ConfigError::Setting(error)) => (error.field.clone(), error.to_string()),
        other => panic!("a setting was to be refused: {other:?}"),
    }
}

/// Every key with its default, as `section.key` or `section.part.key`.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    for (name, value) in value.as_object().unwrap() {
        if value.is_object() {
            let below = self::leaves(value).into_iter();
            leaves.extend(below.map(|(key, value)| (format!("{name}.{key}"), value)));
        } else {
            leaves.insert(name.clone(), value.clone());
        }
    }
    leaves
}

fn as_variable(key: &str) -> String {
    key.replace('.', "__").to_uppercase()
}

/// Another value of each key, and how it is shown.
const OTHER_VALUES: &[(&str, &str, &str)] = &[
    ("admin.listen", "127.0.0.1:9091", "127.0.0.1:9091"),
    ("admin.previous_token", "0123456789abcdef", "********"),
    ("admin.tls.certificate_file", "/run/tls.pem", "/run/tls.pem"),
    ("admin.tls.client_ca_file", "/run/ca.pem", "/run/ca.pem"),
    ("admin.tls.key_file", "/run/tls.key", "/run/tls.key"),
    ("admin.token", "0123456789abcdef", "********"),
    ("data_dir", "/var/lib/runmint", "/var/lib/runmint"),
    ("events.keep", "30d", "30d"),
    (
        "issuer.url",
        "https://ci.example.com",
        "https://ci.example.com",
    ),
    ("keys.algorithm", "ES256", "ES256"),
    ("keys.previous_sealing_key_file", "/run/old", "/run/old"),
    ("keys.sealing_key", "c2VjcmV0", "********"),
    ("keys.sealing_key_file", "/run/key", "/run/key"),
    ("limits.address_requests_per_second", "500", "500"),
    ("limits.failures_per_minute", "30", "30"),
    ("limits.requests_per_second", "100", "100"),
    (
        "limits.trusted_proxies",
        "10.0.0.0/8,192.0.2.1",
        "10.0.0.0/8, 192.0.2.1/32",
    ),
    ("log.format", "json", "json"),
    ("log.level", "debug", "debug"),
    ("rotation.cache_leeway", "1m", "1m"),
    ("rotation.check_every", "30s", "30s"),
    ("rotation.jwks_max_age", "10m", "10m"),
    ("rotation.period", "30d", "30d"),
    ("rotation.prepublish", "48h", "2d"),
    ("rotation.probe_ca_file", "/run/ca.pem", "/run/ca.pem"),
    (
        "rotation.probe_url",
        "http://10.0.0.1/jwks",
        "http://10.0.0.1/jwks",
    ),
    ("rotation.trim_after", "7d", "7d"),
    ("runs.max_open", "1d", "1d"),
    ("server.acme.accept_terms", "true", "true"),
    (
        "server.acme.contact",
        "mailto:ops@example.com",
        "mailto:ops@example.com",
    ),
    (
        "server.acme.directory_ca_file",
        "/run/ca.pem",
        "/run/ca.pem",
    ),
    (
        "server.acme.directory_url",
        "https://ca.example.com/acme",
        "https://ca.example.com/acme",
    ),
    (
        "server.acme.domains",
        "ci.example.com, ci.example.org",
        "[\"ci.example.com\",\"ci.example.org\"]",
    ),
    ("server.acme.external_account_id", "me", "me"),
    ("server.acme.external_account_key", "c2VjcmV0", "********"),
    ("server.listen", "0.0.0.0:80", "0.0.0.0:80"),
    ("server.max_body", "4096", "4096"),
    ("server.max_concurrency", "8", "8"),
    ("server.max_connections", "64", "64"),
    ("server.request_timeout", "5s", "5s"),
    ("server.shutdown_grace", "1m", "1m"),
    (
        "server.tls.certificate_file",
        "/run/tls.pem",
        "/run/tls.pem",
    ),
    ("server.tls.key_file", "/run/tls.key", "/run/tls.key"),
    ("store.connections", "3", "3"),
    ("store.url", "postgres://me@db/x", "postgres://me@db/x"),
    ("tokens.apply_ttl", "12h", "12h"),
    ("tokens.default_ttl", "10m", "10m"),
    ("tokens.module_test_ttl", "20m", "20m"),
    ("tokens.plan_ttl", "90m", "90m"),
];

/// Keys that are refused alone, and what each needs beside it.
const COMPANIONS: &[(&str, &str)] = &[
    ("admin.tls.certificate_file", "admin.tls.key_file"),
    ("admin.tls.client_ca_file", "admin.tls.certificate_file"),
    ("admin.tls.client_ca_file", "admin.tls.key_file"),
    ("admin.tls.key_file", "admin.tls.certificate_file"),
    ("server.acme.domains", "server.acme.accept_terms"),
    (
        "server.acme.external_account_id",
        "server.acme.external_account_key",
    ),
    (
        "server.acme.external_account_key",
        "server.acme.external_account_id",
    ),
    ("server.tls.certificate_file", "server.tls.key_file"),
    ("server.tls.key_file", "server.tls.certificate_file"),
];

#[test]
fn every_key_has_a_comment_right_above_it() {
    let lines: Vec<_> = DEFAULTS.lines().collect();
    let mut keys = 0;
    for (number, line) in lines.iter().enumerate() {
        if line.contains(" = ") && !line.starts_with('#') {
            keys += 1;
            assert!(
                lines[number - 1].starts_with("# "),
                "no comment above {line}"
            );
        }
    }
    assert_eq!(keys, OTHER_VALUES.len());
}

#[test]
fn every_key_can_be_set_by_the_environment_and_by_the_file() {
    let defaults = leaves(&serde_json::to_value(load(&[]).unwrap()).unwrap());
    let keys: BTreeSet<_> = defaults.keys().map(String::as_str).collect();
    let tried: BTreeSet<_> = OTHER_VALUES.iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys, tried, "a new key needs another value in this test");
    for (key, _, shown) in OTHER_VALUES {
        let together: Vec<_> = OTHER_VALUES
            .iter()
            .filter(|(other, ..)| other == key || COMPANIONS.contains(&(*key, *other)))
            .collect();
        let variables: Vec<_> = together
            .iter()
            .map(|(key, value, _)| (as_variable(key), *value))
            .collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let by_environment = load(&variables).unwrap();
        let lines: Vec<_> = together
            .iter()
            .map(|(key, value, _)| format!("{key} = {}", as_toml(value)))
            .collect();
        let by_file = load_file(&lines.join("\n")).unwrap();
        for settings in [by_environment, by_file] {
            let mut changed = leaves(&serde_json::to_value(settings).unwrap());
            let now = changed.remove(*key).unwrap();
            let text = now.as_str().map_or_else(|| now.to_string(), str::to_owned);
            assert_eq!(text, *shown, "{key}");
            assert_ne!(Some(&now), defaults.get(*key), "{key}");
            let mut others = defaults.clone();
            for (key, ..) in &together {
                others.remove(*key);
                changed.remove(*key);
            }
            assert_eq!(changed, others, "{key} changes nothing else");
        }
    }
}

/// A number or a truth value as it is, anything else as text.
fn as_toml(value: &str) -> String {
    match value.parse::<toml::Value>() {
        Ok(toml::Value::Integer(_) | toml::Value::Boolean(_)) => value.to_owned(),
        _ => format!("{value:?}"),
    }
}

#[test]
fn names_are_a_list_in_the_file() {
    let text = "[server.acme]\naccept_terms = true\ndomains = [\"a.example\", \"b.example\"]\n";
    let settings = load_file(text).unwrap();
    assert_eq!(settings.server.acme.domains.0, ["a.example", "b.example"]);
    let (field, message) = refused(load_file("[server.acme]\ndomains = 1\n"));
    assert_eq!(field, "server.acme.domains");
    assert!(message.contains("must be a list of names"), "{message}");
}

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runmint.toml");
    std::fs::write(&path, "[tokens]\nplan_ttl = \"30m\"\napply_ttl = \"3h\"\n").unwrap();
    let environment = [("RUNMINT_TOKENS__PLAN_TTL".to_owned(), "20m".to_owned())];
    let settings = Settings::load(Some(&path), environment.into()).unwrap();
    assert_eq!(settings.tokens.plan_ttl.to_string(), "20m");
    assert_eq!(settings.tokens.apply_ttl.to_string(), "3h");
    assert_eq!(settings.tokens.default_ttl.to_string(), "1h");
}

#[test]
fn a_key_that_does_not_exist_is_refused_by_its_name() {
    for (text, key) in [
        ("[rotation]\nperod = \"1d\"\n", "rotation.perod"),
        ("[rotations]\nperiod = \"1d\"\n", "rotations"),
        ("listen = \"x\"\n", "listen"),
        ("[keys.sealing]\nkey = \"x\"\n", "keys.sealing"),
    ] {
        let (field, message) = refused(load_file(text));
        assert_eq!(field, key);
        assert!(message.contains("is not a setting"), "{message}");
    }
    for (variable, key) in [
        ("ROTATION__PEROD", "rotation.perod"),
        ("LISTEN", "listen"),
        ("ROTATION_PERIOD", "rotation_period"),
        ("SERVER__TLS__CERT", "server.tls.cert"),
        ("SERVER__ACME__EMAIL", "server.acme.email"),
    ] {
        let (field, message) = refused(load(&[(variable, "1d")]));
        assert_eq!(field, key);
        assert!(message.contains("is not a setting"), "{message}");
    }
}

#[test]
fn variables_of_the_commands_are_not_taken_for_settings() {
    let names = [
        "ADMIN_CA",
        "ADMIN_CERT",
        "ADMIN_KEY",
        "ADMIN_URL",
        "CA",
        "CLIENT_SECRET",
        "CONFIG",
        "REQUEST_TOKEN",
        "REQUEST_URL",
        "URL",
    ];
    for name in names {
        load(&[(name, "x")]).unwrap();
    }
}

#[test]
fn a_malformed_value_is_refused_by_its_key() {
    let durations = [
        "",
        "90",
        "-1d",
        "0.5s",
        "d",
        "1 parsec",
        "500ms",
        "1h x",
        "٣d",
        "18446744073709551615s",
        "40000d",
    ];
    for key in leaves(&serde_json::to_value(load(&[]).unwrap()).unwrap())
        .into_iter()
        .filter(|(_, value)| {
            value
                .as_str()
                .is_some_and(|text| humantime::parse_duration(text).is_ok())
        })
        .map(|(key, _)| key)
    {
        for wrong in durations {
            let (field, message) = refused(load(&[(&as_variable(&key), wrong)]));
            assert_eq!(field, key, "{wrong:?}: {message}");
        }
    }
    for (key, wrong) in [
        ("server.listen", "nowhere"),
        ("admin.listen", "127.0.0.1"),
        ("server.max_body", "-1"),
        ("server.max_body", "many"),
        ("server.max_concurrency", "1.5"),
        ("store.connections", "99999999999"),
        ("keys.algorithm", "HS256"),
        ("keys.algorithm", "rs256"),
        ("log.format", "xml"),
        ("log.level", "loud"),
        ("limits.failures_per_minute", "-1"),
        ("limits.requests_per_second", "many"),
        ("limits.trusted_proxies", "the proxy"),
        ("limits.trusted_proxies", "10.0.0.0/33"),
        ("rotation", "90d"),
    ] {
        let (field, message) = refused(load(&[(&as_variable(key), wrong)]));
        assert_eq!(field, key, "{message}");
    }
    assert!(matches!(
        load_file("[rotation\n"),
        Err(ConfigError::Source(_))
    ));
    let nowhere = std::path::Path::new("/nonexistent/runmint.toml");
    let Err(ConfigError::Source(message)) = Settings::load(Some(nowhere), HashMap::new()) else {
        panic!("a file that is not there was read");
    };
    assert!(message.contains("/nonexistent/runmint.toml"), "{message}");
}

/// Variables, and the key that is refused because of them.
type Refusals = [(&'static [(&'static str, &'static str)], &'static str)];

#[track_caller]
fn each_is_refused(cases: &Refusals) {
    for (variables, key) in cases {
        let (field, message) = refused(load(variables));
        assert_eq!(field, *key, "{variables:?}: {message}");
        assert!(
            message.len() > key.len() + 10,
            "it says what to do: {message}"
        );
    }
}

#[test]
fn what_the_listeners_cannot_prove_themselves_with_is_refused_by_its_key() {
    each_is_refused(&[
        (
            &[("SERVER__TLS__CERTIFICATE_FILE", "a")],
            "server.tls.key_file",
        ),
        (
            &[("SERVER__TLS__KEY_FILE", "a")],
            "server.tls.certificate_file",
        ),
        (
            &[("ADMIN__TLS__CERTIFICATE_FILE", "a")],
            "admin.tls.key_file",
        ),
        (
            &[("ADMIN__TLS__KEY_FILE", "a")],
            "admin.tls.certificate_file",
        ),
        (
            &[("ADMIN__TLS__CLIENT_CA_FILE", "a")],
            "admin.tls.client_ca_file",
        ),
        (
            &[
                ("SERVER__TLS__CERTIFICATE_FILE", "a"),
                ("SERVER__TLS__KEY_FILE", "a"),
                ("SERVER__ACME__DOMAINS", "ci.example.com"),
                ("SERVER__ACME__ACCEPT_TERMS", "true"),
            ],
            "server.acme.domains",
        ),
        (
            &[("SERVER__ACME__DOMAINS", "ci.example.com")],
            "server.acme.accept_terms",
        ),
        (
            &[("SERVER__ACME__DOMAINS", "*.example.com")],
            "server.acme.domains",
        ),
        (
            &[("SERVER__ACME__DIRECTORY_URL", "http://ca.example.com")],
            "server.acme.directory_url",
        ),
        (
            &[("SERVER__ACME__CONTACT", "ops@example.com")],
            "server.acme.contact",
        ),
        (
            &[("SERVER__ACME__EXTERNAL_ACCOUNT_ID", "me")],
            "server.acme.external_account_id",
        ),
    ]);
}

#[test]
fn each_contradiction_is_refused_by_its_key() {
    let cases: &Refusals = &[
        (&[("ISSUER__URL", "https://ci.example.com/")], "issuer.url"),
        (&[("ISSUER__URL", "http://ci.example.com")], "issuer.url"),
        (&[("ISSUER__URL", "")], "issuer.url"),
        (&[("ADMIN__LISTEN", "127.0.0.1:8080")], "admin.listen"),
        (
            &[("SERVER__REQUEST_TIMEOUT", "0s")],
            "server.request_timeout",
        ),
        (
            &[("SERVER__MAX_CONCURRENCY", "0")],
            "server.max_concurrency",
        ),
        (
            &[("SERVER__MAX_CONNECTIONS", "0")],
            "server.max_connections",
        ),
        (&[("SERVER__MAX_BODY", "1023")], "server.max_body"),
        (&[("STORE__CONNECTIONS", "0")], "store.connections"),
        (&[("ADMIN__TOKEN", "fifteen-letters")], "admin.token"),
        (
            &[("ADMIN__PREVIOUS_TOKEN", "fifteen-letters")],
            "admin.previous_token",
        ),
        (
            &[("KEYS__SEALING_KEY", "a"), ("KEYS__SEALING_KEY_FILE", "b")],
            "keys.sealing_key",
        ),
        (&[("RUNS__MAX_OPEN", "0s")], "runs.max_open"),
        (&[("EVENTS__KEEP", "47h")], "events.keep"),
        (
            &[("ROTATION__JWKS_MAX_AGE", "61m")],
            "rotation.jwks_max_age",
        ),
        (&[("ROTATION__PREPUBLISH", "329s")], "rotation.prepublish"),
        (&[("ROTATION__CACHE_LEEWAY", "24h")], "rotation.prepublish"),
        (&[("ROTATION__PERIOD", "23h")], "rotation.prepublish"),
        (&[("ROTATION__PREPUBLISH", "91d")], "rotation.prepublish"),
        (
            &[
                ("ROTATION__PERIOD", "0s"),
                ("ROTATION__PREPUBLISH", "0s"),
                ("ROTATION__JWKS_MAX_AGE", "0s"),
                ("ROTATION__CACHE_LEEWAY", "0s"),
            ],
            "rotation.period",
        ),
        (&[("ROTATION__TRIM_AFTER", "31d")], "rotation.trim_after"),
        (&[("ROTATION__CHECK_EVERY", "0s")], "rotation.check_every"),
        (&[("ROTATION__CHECK_EVERY", "11m")], "rotation.check_every"),
        (&[("ROTATION__PROBE_URL", "ftp://x")], "rotation.probe_url"),
        (&[("TOKENS__DEFAULT_TTL", "25h")], "tokens.default_ttl"),
        (&[("TOKENS__PLAN_TTL", "0s")], "tokens.plan_ttl"),
        (&[("TOKENS__APPLY_TTL", "25h")], "tokens.apply_ttl"),
        (
            &[("TOKENS__MODULE_TEST_TTL", "4m")],
            "tokens.module_test_ttl",
        ),
        (
            &[("TOKENS__MODULE_TEST_TTL", "31m")],
            "tokens.module_test_ttl",
        ),
    ];
    each_is_refused(cases);
    let edges = [
        ("ROTATION__PREPUBLISH", "330s"),
        ("ROTATION__PREPUBLISH", "90d"),
        ("ROTATION__PERIOD", "24h"),
        ("EVENTS__KEEP", "2d"),
        ("SERVER__MAX_BODY", "1024"),
        ("TOKENS__APPLY_TTL", "24h"),
    ];
    for edge in edges {
        load(&[edge]).unwrap();
    }
}

#[test]
fn terraform_enterprises_name_of_the_period_is_an_alias() {
    let with = |days: &str, more: &[(&str, &str)]| {
        let mut environment: HashMap<_, _> = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment.insert(
            "WORKLOAD_IDENTITY_AUTO_ROTATE_PERIOD".to_owned(),
            days.to_owned(),
        );
        Settings::load(None, environment)
    };
    assert_eq!(with("30", &[]).unwrap().rotation.period.to_string(), "30d");
    with("30", &[("RUNMINT_ROTATION__PERIOD", "720h")]).unwrap();
    let contradiction = with("30", &[("RUNMINT_ROTATION__PERIOD", "90d")]);
    for wrong in [
        contradiction,
        with("0", &[]),
        with("30d", &[]),
        with("", &[]),
        with("3651", &[]),
    ] {
        assert_eq!(refused(wrong).0, "WORKLOAD_IDENTITY_AUTO_ROTATE_PERIOD");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let secret = "hunter2hunter2hunter2";
    let settings = load(&[
        ("ADMIN__TOKEN", secret),
        ("ADMIN__PREVIOUS_TOKEN", secret),
        ("KEYS__SEALING_KEY", secret),
        ("SERVER__ACME__EXTERNAL_ACCOUNT_ID", "me"),
        ("SERVER__ACME__EXTERNAL_ACCOUNT_KEY", secret),
        (
            "STORE__URL",
            &format!("postgres://me:{secret}@db/runmint?password={secret}"),
        ),
    ])
    .unwrap();
    let shown = [
        format!("{settings:?}"),
        serde_json::to_string(&settings).unwrap(),
        toml::to_string(&settings).unwrap(),
    ];
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://me:********@db/runmint"), "{text}");
    }
    for url in [
        format!("postgres://me:{secret}@/runmint?host=/run/postgresql"),
        format!("postgres://me:{secret}"),
        format!("not a url {secret}"),
        format!("postgres:{secret}"),
    ] {
        let settings = load(&[("STORE__URL", &url)]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{url}");
    }
    for (variable, wrong) in [("ADMIN__TOKEN", "hunter2"), ("STORE__CONNECTIONS", "0")] {
        let (_, message) = refused(load(&[(variable, wrong), ("KEYS__SEALING_KEY", secret)]));
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn what_is_allowed_but_risky_is_warned_of() {
    let quiet = ("ISSUER__URL", "https://ci.example.com");
    let none: Vec<String> = load(&[quiet]).unwrap().warnings();
    assert!(none.is_empty(), "{none:?}");
    for (variable, value, word) in [
        ("KEYS__ALGORITHM", "EdDSA", "AWS, GCP and Kubernetes"),
        ("KEYS__ALGORITHM", "ES256", "Azure"),
        ("ROTATION__JWKS_MAX_AGE", "59s", "rotation.jwks_max_age"),
        ("ADMIN__LISTEN", "0.0.0.0:8081", "admin.listen"),
        (
            "ADMIN__PREVIOUS_TOKEN",
            "0123456789abcdef",
            "admin.previous_token",
        ),
        ("ISSUER__URL", "https://ci.example.com:8443", "issuer.url"),
        ("ISSUER__URL", "http://127.0.0.1:8080", "issuer.url"),
    ] {
        let mut variables = vec![(variable, value)];
        if variable != quiet.0 {
            variables.push(quiet);
        }
        let warnings = load(&variables).unwrap().warnings();
        assert_eq!(warnings.len(), 1, "{variable}={value}: {warnings:?}");
        assert!(warnings[0].contains(word), "{warnings:?}");
    }
}
