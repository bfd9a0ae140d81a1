//! Each fault by its name: a healthy issuer, one thing changed, and what is found.

mod documents;
mod network;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

pub(super) const NOW: Timestamp = Timestamp(1_795_400_000);

/// A healthy issuer.
pub(super) fn healthy() -> Seen {
    of(
        "https://ci.example.com",
        &discovery(),
        &json!({"keys": [key()]}),
    )
}

pub(super) fn of(issuer: &str, discovery: &Value, jwks: &Value) -> Seen {
    let url = "https://ci.example.com/.well-known/openid-configuration";
    Seen {
        issuer: issuer.to_owned(),
        private_ca: false,
        hosts: vec![HostSeen {
            url: url.parse().unwrap(),
            addresses: Ok(vec!["140.82.112.3".parse().unwrap()]),
            chain: Some(Ok(chain())),
        }],
        discovery: Some(exchange(url, discovery)),
        jwks: Some(exchange("https://ci.example.com/.well-known/jwks", jwks)),
    }
}

pub(super) fn discovery() -> Value {
    json!({
        "issuer": "https://ci.example.com",
        "jwks_uri": "https://ci.example.com/.well-known/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

/// The key of RFC 7638, section 3.1, under its thumbprint.
pub(super) fn key() -> Value {
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB",
        "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    })
}

/// A change of a JSON document: members set, or taken away by null.
pub(super) fn with(mut document: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        let members = document.as_object_mut().unwrap();
        if value == "absent" {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    document
}

fn exchange(url: &str, document: &Value) -> Exchange {
    Exchange {
        url: url.to_owned(),
        at: NOW,
        took: Duration::from_millis(40),
        distrust: None,
        outcome: Ok(Answer {
            status: 200,
            content_type: Some("application/json".to_owned()),
            cache_control: Some("public, max-age=300, must-revalidate".to_owned()),
            etag: Some("\"x\"".to_owned()),
            date: Some(NOW),
            body: document.to_string().into_bytes(),
            ..Answer::default()
        }),
    }
}

pub(super) fn chain() -> Chain {
    let certificate = |subject: &str, issuer: &str| Certificate {
        der: subject.as_bytes().to_vec(),
        subject: format!("CN={subject}"),
        issuer: format!("CN={issuer}"),
        not_before: NOW - Duration::from_hours(24 * 10),
        not_after: NOW + Duration::from_hours(24 * 80),
        names: vec!["ci.example.com".to_owned()],
        points_to_issuer: true,
    };
    Chain {
        host: "ci.example.com".to_owned(),
        version: "TLS 1.3".to_owned(),
        certificates: vec![certificate("server", "R3"), certificate("R3", "Root")],
    }
}

/// The ids of what is found.
#[track_caller]
pub(super) fn found(seen: &Seen) -> Vec<&'static str> {
    let report = judge(seen, NOW);
    report.findings.iter().map(|finding| finding.id).collect()
}

pub(super) fn answer(exchange: &mut Option<Exchange>) -> &mut Answer {
    exchange.as_mut().unwrap().outcome.as_mut().unwrap()
}

#[test]
fn a_healthy_issuer_is_all_clear_and_its_facts_are_there() {
    let report = judge(&healthy(), NOW);
    assert_eq!(report.findings, []);
    let fact = |name: &str| {
        let fact = report.facts.iter().find(|(known, _)| known == name);
        fact.unwrap_or_else(|| panic!("no {name}: {report:#?}"))
            .1
            .clone()
    };
    assert_eq!(fact("addresses of ci.example.com"), "140.82.112.3");
    assert_eq!(fact("clock"), "equal");
    assert_eq!(fact("thumbprint of ci.example.com").len(), 40);
    assert!(fact("certificates of ci.example.com").contains("CN=R3, by CN=Root"));
    let key = fact("key NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert!(
        key.starts_with("RS256, RSA with 2048 bits; taken by AWS, Azure, GCP"),
        "{key}"
    );
}
