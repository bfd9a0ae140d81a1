//! Headers, paths and queries: what a caller says about itself, and which run and audience it asks for.

use std::cell::OnceCell;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use runmint::config::Settings;
use serde_json::Value;

use super::{assert_sane, fuzz, text};
use crate::harness::{ADMIN_TOKEN, AWS, OpenRun, TestApp, VAULT, claims};

/// Secrets that are known here.
struct Known {
    client: String,
    run: OpenRun,
}

impl Known {
    async fn new(app: &TestApp) -> Self {
        let client = app.client("orchestrator").await;
        let run = app.run(&client, "plan").await;
        Self { client, run }
    }
}

/// Parts of an `Authorization` header. The numbers stand for secrets that are known.
fn credentials()
-> impl Strategy<Value = (String, usize, Option<(prop::sample::Index, char)>)> + Clone {
    let scheme = prop_oneof![
        4 => select(vec!["Bearer ", "bearer ", "BEARER  ", "Basic ", "basic ", "Bearer\t", "Bearer", "", " Bearer ", "Token ", "Bearer Bearer "])
            .prop_map(str::to_owned),
        1 => "[ -~]{0,10}",
    ];
    let damage = option::weighted(
        0.7,
        (
            any::<prop::sample::Index>(),
            proptest::char::range(' ', '~'),
        ),
    );
    (scheme, 0_usize..8, damage)
}

/// Whoever is let in is told that there is no such run.
const NO_RUN: &str = "/v1/runs/018f0000-0000-7000-8000-000000000000";

#[test]
fn only_the_right_credentials_open_anything() {
    let known = OnceCell::new();
    let routes = select(vec![
        (Method::GET, "/v1/clients"),
        (Method::POST, "/v1/runs"),
        (Method::GET, "/v1/token"),
        (Method::GET, NO_RUN),
        (Method::POST, "/oauth/introspect"),
    ]);
    fuzz(
        "authorization",
        4,
        &(routes, credentials(), "[ -~]{0,60}"),
        &async |app, ((method, path), (scheme, secret, damage), other)| {
            let known: &Known = known.get().unwrap();
            let basic = |name: &str, secret: &str| STANDARD.encode(format!("{name}:{secret}"));
            let mut credentials = match secret {
                0 => ADMIN_TOKEN.to_owned(),
                1 => known.client.clone(),
                2 => known.run.token.clone(),
                3 => basic("orchestrator", &known.client),
                4 => basic("other", &known.client),
                5 => basic("", ""),
                6 => STANDARD.encode(&other),
                _ => other.clone(),
            };
            if let Some((at, with)) = damage
                && !credentials.is_empty()
            {
                let at = at.index(credentials.len());
                credentials.replace_range(at..=at, &with.to_string());
            }
            let header = format!("{scheme}{credentials}");
            let call = if path == "/v1/clients" {
                app.admin(method, path)
            } else {
                app.public(method, path)
            };
            let answer = call.header("authorization", &header).send().await;
            assert_sane(path, &answer)?;

            // Spaces around the secret are the header's, not the secret's (RFC 9110 section 5.6.3).
            let (kind, shown) = header.trim_end().split_once(' ').unwrap_or_default();
            let shown = shown.trim();
            let is_bearer = kind.eq_ignore_ascii_case("bearer");
            let decoded = STANDARD.decode(shown).unwrap_or_default();
            let is_basic = kind.eq_ignore_ascii_case("basic")
                && decoded == format!("orchestrator:{}", known.client).into_bytes();
            let opens = match path {
                "/v1/clients" => is_bearer && shown == ADMIN_TOKEN,
                "/v1/token" => is_bearer && shown == known.run.token,
                "/v1/runs" => is_bearer && shown == known.client,
                NO_RUN => is_bearer && (shown == known.client || shown == known.run.token),
                _ => is_basic || (is_bearer && shown == known.client),
            };
            prop_assert_eq!(answer.status != 401, opens, "{}: {:?}", header, answer);
            prop_assert!(answer.status != 401 || !answer.header("www-authenticate").is_empty());
            Ok(())
        },
        &async |app| assert!(known.set(Known::new(app).await).is_ok()),
    );
}

/// What a runner's query may ask for, by the rules of each client's form.
#[test]
fn a_query_gets_the_run_s_own_audiences_or_nothing() {
    let known = OnceCell::new();
    let value = prop_oneof![
        6 => select(vec![AWS, VAULT, "RUN", "gcp.workload.identity", "", "aws.workload.identity%20", "aws%2Eworkload.identity", "1"])
            .prop_map(str::to_owned),
        1 => "[!-~]{0,20}",
        1 => text().prop_map(|text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect()),
    ];
    let name = prop_oneof![
        8 => select(vec!["audience", "run", "api-version", "Audience", "audience%00", "%61udience", "run[]"]).prop_map(str::to_owned),
        1 => "[!-~]{0,8}",
    ];
    let pair = (name, select(vec!["=", "=", "=", "", "=="]), value)
        .prop_map(|(name, sign, value)| format!("{name}{sign}{value}"));
    let queries = vec((pair, select(vec!["&", "&", "?", "&&", ";"])), 0..5);
    fuzz(
        "query",
        4,
        &(any::<bool>(), queries),
        &async |app, (as_github, parts)| {
            let Known { run, .. } = known.get().unwrap();
            let query: String = parts
                .iter()
                .flat_map(|(pair, separator)| {
                    [
                        pair.replace("RUN", &run.id).replace('#', "%23"),
                        (*separator).to_owned(),
                    ]
                })
                .collect();
            let path = format!("/v1/token?{query}");
            if path.parse::<axum::http::Uri>().is_err() {
                return Ok(());
            }
            let method = if as_github { Method::GET } else { Method::POST };
            let answer = app.public(method, &path).bearer(&run.token).send().await;
            assert_sane("/v1/token", &answer)?;
            if answer.status != 200 {
                prop_assert!(
                    [403, 422].contains(&answer.status.as_u16()),
                    "{query}: {answer:?}"
                );
                return Ok(());
            }
            let member = if as_github { "value" } else { "oidcToken" };
            let claims = claims(answer.json[member].as_str().unwrap());
            prop_assert_eq!(claims["sub"].as_str().unwrap(), &run.subject);
            let audience = claims["aud"].as_str().unwrap();
            // It was named, in whatever encoding, and nothing else was.
            let asked: Vec<String> = query
                .split('?')
                .flat_map(|part| {
                    url::form_urlencoded::parse(part.as_bytes())
                        .into_owned()
                        .collect::<Vec<_>>()
                })
                .filter(|(name, _)| name == "audience")
                .map(|(_, value)| value)
                .collect();
            prop_assert!([AWS, VAULT].contains(&audience));
            prop_assert!(
                !asked.is_empty() && asked.iter().all(|value| value == audience),
                "{query}: {audience}"
            );
            Ok(())
        },
        &async |app| assert!(known.set(Known::new(app).await).is_ok()),
    );
}

#[test]
fn no_query_or_path_of_an_operator_is_a_fault_of_the_server() {
    let names = select(vec![
        "run", "subject", "jti", "kid", "kind", "since", "until", "limit", "cursor", "client",
        "run_id", "open", "x",
    ]);
    let values = prop_oneof![
        3 => select(vec!["1", "-1", "0", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "true", "token.minted", "", "%00", "%ff"])
            .prop_map(str::to_owned),
        1 => text().prop_map(|text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect()),
    ];
    let paths = prop_oneof![
        4 => select(vec!["/v1/events", "/v1/runs"]).prop_map(str::to_owned),
        1 => (select(vec!["/v1/clients/", "/v1/issuers/", "/v1/runs/", "/v1/keys/"]), text(), select(vec!["", "/exposure"]))
            .prop_map(|(before, text, after)| {
                let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
                format!("{before}{text}{after}")
            }),
    ];
    fuzz(
        "operator's query",
        4,
        &(paths, vec((names, values), 0..4)),
        &async |app, (path, pairs)| {
            let query: Vec<_> = pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let path = format!("{path}?{}", query.join("&"));
            let answer = app.admin(Method::GET, &path).send().await;
            assert_sane(&path, &answer)?;
            if answer.status == 200 {
                prop_assert!(!matches!(answer.json, Value::Null), "{answer:?}");
            }
            Ok(())
        },
        &async |app| drop(Known::new(app).await),
    );
}

/// An address list, mostly of addresses.
fn forwarded() -> impl Strategy<Value = Vec<u8>> + Clone {
    let entry = prop_oneof![
        4 => any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        2 => any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        2 => select(vec!["10.0.0.1", "10.0.0.1:80", "[::1]:80", "[::1]", "unknown", "_hidden", "", "::ffff:10.0.0.1", "1.2.3", "for=1.2.3.4", "01.2.3.4", "1.2.3.4%eth0"])
            .prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => vec((entry, select(vec![",", ", ", " ,\t", ",,", " "])), 0..40)
            .prop_map(|entries| entries.into_iter().flat_map(|(a, b)| [a, b.to_owned()]).collect::<String>().into_bytes()),
        1 => vec(0x20_u8..=0x7e, 0..200),
        1 => vec(0x80_u8..=0xff, 0..50),
    ]
}

/// Also when a proxy's header is believed, in pieces and with whatever bytes a header can hold.
#[test]
fn no_forwarded_address_is_a_fault_or_lets_a_caller_choose_another_s() {
    let settings = |proxies: &str| -> Settings {
        let environment = [("RUNMINT_LIMITS__TRUSTED_PROXIES", proxies)];
        Settings::load(
            None,
            environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
        .unwrap()
    };
    let limits = runmint::limits::Limits::new(
        &settings("10.0.0.0/8").limits,
        runmint::metrics::Metrics::default(),
    );
    let mut config = ProptestConfig {
        source_file: Some(file!()),
        test_name: Some("forwarded"),
        ..ProptestConfig::default()
    };
    config.cases *= 2;
    proptest!(config, |(headers in vec(forwarded(), 0..4), last in 0x0b00_0000_u32..)| {
        // From 11.0.0.0 on: no address of the trusted network, without throwing cases away.
        let last = std::net::Ipv4Addr::from(last);
        let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
        let direct = limits.caller(last.into(), std::iter::empty());
        // Who is no proxy counts for itself, whatever it says.
        prop_assert_eq!(limits.caller(last.into(), headers.iter().copied()), direct);
        // What the trusted proxy adds at the end counts, whatever stands before it.
        let text = last.to_string();
        let mut through = headers;
        through.push(text.as_bytes());
        prop_assert_eq!(limits.caller([10, 0, 0, 1].into(), through.into_iter()), direct);
    });
}
