//! Bodies of every POST and PUT: valid ones changed in a place, and any bytes at all.

use std::cell::OnceCell;

use axum::http::Method;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::{Mutation, any_json, assert_sane, fuzz, mutate, mutations, text};
use crate::foreign::{Key, kubernetes, kubernetes_claims};
use crate::harness::{ADMIN_TOKEN, AWS, OpenRun, TestApp, run_body};

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Caller {
    Client,
    Nobody,
    Operator,
    Run,
}

/// A route and a body that it takes.
#[derive(Clone, Debug)]
struct Route {
    method: Method,
    path: String,
    caller: Caller,
    body: Value,
}

/// What the routes need to be found and to be opened.
struct World {
    client: String,
    run: OpenRun,
    token: String,
    definition: Value,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let key = Key::ec("k1");
        let definition = kubernetes(&[&key]);
        app.trust("k8s", &definition).await;
        // `fuzzed` is there to be changed; the one that asks stays as it is.
        app.client("fuzzed").await;
        let client = app.client("orchestrator").await;
        let run = app.run(&client, "plan").await;
        Self {
            client,
            run,
            token: key.token(&kubernetes_claims("j")),
            definition,
        }
    }

    fn routes(&self) -> Vec<Route> {
        let grant = json!({"organization": "acme", "project": "p", "workspace": "net-*", "deployment": "*",
            "run_phases": ["plan"], "audiences": [AWS], "max_ttl": 60, "subject_forms": ["workspace"]});
        let mut run = run_body("plan");
        for (name, value) in [
            ("run_id", json!("run-1")),
            ("organization_id", json!("org-1")),
            ("project_id", json!("prj-1")),
            ("workspace_id", json!("ws-1")),
            ("subject_form", json!("workspace")),
            ("expires_in", json!(60)),
        ] {
            run[name] = value;
        }
        let mut mint = run.clone();
        mint.as_object_mut().unwrap().remove("expires_in");
        mint["ttl"] = json!(60);
        let id = &self.run.id;
        let post = |caller, path: &str, body: &Value| Route {
            method: Method::POST,
            path: path.to_owned(),
            caller,
            body: body.clone(),
        };
        let put = |path: &str, body: Value| Route {
            method: Method::PUT,
            path: path.to_owned(),
            caller: Caller::Operator,
            body,
        };
        let empty = json!({});
        vec![
            post(Caller::Client, "/v1/runs", &run),
            post(Caller::Client, "/v1/tokens", &mint),
            post(
                Caller::Client,
                "/v1/runs/018f0000-0000-7000-8000-000000000000/close",
                &empty,
            ),
            post(
                Caller::Run,
                &format!("/v1/token?run={id}&audience={AWS}"),
                &empty,
            ),
            post(Caller::Client, "/oauth/introspect", &empty),
            post(Caller::Nobody, "/oauth/token", &empty),
            post(
                Caller::Operator,
                "/v1/clients",
                &json!({"name": "new", "grants": [grant], "aws_session_tags": true}),
            ),
            put(
                "/v1/clients/fuzzed",
                json!({"grants": [grant], "aws_session_tags": false}),
            ),
            post(
                Caller::Operator,
                "/v1/issuers",
                &json!({"name": "new", "definition": self.definition}),
            ),
            put("/v1/issuers/k8s", self.definition.clone()),
            post(
                Caller::Operator,
                "/v1/issuers/test",
                &json!({"token": self.token, "definition": self.definition}),
            ),
            post(
                Caller::Operator,
                "/v1/keys/rotate",
                &json!({"emergency": false}),
            ),
            post(Caller::Operator, "/v1/keys/trim", &json!({"force": false})),
            post(Caller::Operator, "/v1/keys/1/revoke", &empty),
            post(Caller::Operator, "/v1/keys/rewrap", &empty),
            post(
                Caller::Operator,
                "/v1/runs/018f0000-0000-7000-8000-000000000000/close",
                &empty,
            ),
            post(
                Caller::Operator,
                "/api/v2/admin/oidc-settings/actions/rotate-key",
                &empty,
            ),
            post(
                Caller::Operator,
                "/api/v2/admin/oidc-settings/actions/trim-key",
                &empty,
            ),
        ]
    }

    fn bearer(&self, caller: Caller) -> Option<&str> {
        match caller {
            Caller::Client => Some(&self.client),
            Caller::Nobody => None,
            Caller::Operator => Some(ADMIN_TOKEN),
            Caller::Run => Some(&self.run.token),
        }
    }
}

/// What is sent in place of a valid body.
#[derive(Clone, Debug)]
enum Sent {
    Bytes(Vec<u8>),
    /// The valid body, its text cut or changed in a place.
    Damaged(Index, Option<u8>),
    Json(Value),
    Mutated(Vec<(Index, Mutation)>),
    /// Deeper than any parser likes.
    Nested(usize),
    /// A member twice.
    Twice(Index),
}

fn bodies() -> impl Strategy<Value = Sent> + Clone {
    prop_oneof![
        2 => vec(any::<u8>(), 0..200).prop_map(Sent::Bytes),
        1 => text().prop_map(|text| Sent::Bytes(text.into_bytes())),
        2 => (any::<Index>(), any::<Option<u8>>()).prop_map(|(at, byte)| Sent::Damaged(at, byte)),
        2 => any_json().prop_map(Sent::Json),
        8 => vec(mutations(), 0..4).prop_map(Sent::Mutated),
        1 => (1_usize..30_000).prop_map(Sent::Nested),
        1 => any::<Index>().prop_map(Sent::Twice),
    ]
}

fn rendered(valid: &Value, sent: &Sent) -> Vec<u8> {
    match sent {
        Sent::Bytes(bytes) => bytes.clone(),
        Sent::Json(value) => value.to_string().into_bytes(),
        Sent::Damaged(at, byte) => {
            let mut bytes = valid.to_string().into_bytes();
            let at = at.index(bytes.len());
            match byte {
                Some(byte) => bytes[at] = *byte,
                None => bytes.truncate(at),
            }
            bytes
        }
        Sent::Mutated(mutations) => {
            let mut body = valid.clone();
            for (place, mutation) in mutations {
                mutate(&mut body, *place, mutation);
            }
            body.to_string().into_bytes()
        }
        Sent::Nested(levels) => {
            format!("{}{}", "[".repeat(*levels), "]".repeat(*levels)).into_bytes()
        }
        Sent::Twice(member) => {
            let members = valid.as_object().unwrap();
            let Some(name) = members.keys().nth(member.index(members.len().max(1))) else {
                return b"{\"a\":1,\"a\":1}".to_vec();
            };
            let text = valid.to_string();
            format!("{{\"{name}\":{},{}", members[name], &text[1..]).into_bytes()
        }
    }
}

fn content_types() -> impl Strategy<Value = &'static str> + Clone {
    select(vec![
        "application/json",
        "application/json",
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/merge-patch+json",
        ";",
        "",
    ])
}

#[test]
fn no_body_is_a_fault_of_the_server() {
    let world = OnceCell::new();
    fuzz(
        "body",
        4,
        &(any::<Index>(), bodies(), content_types()),
        &async |app, (route, sent, content_type)| {
            let world: &World = world.get().unwrap();
            let routes = world.routes();
            let Route {
                method,
                path,
                caller,
                body,
            } = &routes[route.index(routes.len())];
            let bytes = rendered(body, &sent);
            let call = match caller {
                Caller::Operator => app.admin(method.clone(), path),
                _ => app.public(method.clone(), path),
            };
            let call = match world.bearer(*caller) {
                Some(bearer) => call.bearer(bearer),
                None => call,
            };
            let answer = call.body(content_type, bytes).send().await;
            assert_sane(path, &answer)?;
            // Whoever is known here stays known: no body ends a session.
            prop_assert!(answer.status != 401, "{path}: {answer:?}");
            Ok(())
        },
        &async |app| {
            let made = World::new(app).await;
            assert!(world.set(made).is_ok());
        },
    );
}

/// The forms of `/oauth/*`: known parameters, some of them twice, encoded well and badly.
#[test]
fn no_form_is_a_fault_of_the_server() {
    let world = OnceCell::new();
    let name = prop_oneof![
        8 => select(vec![
            "grant_type", "subject_token", "subject_token_type", "audience", "requested_lifetime", "scope",
            "requested_token_type", "resource", "actor_token", "actor_token_type", "token", "token_type_hint",
        ]).prop_map(str::to_owned),
        1 => text(),
    ];
    let value = prop_oneof![
        4 => select(vec![
            "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:token-type:jwt", AWS, "60",
            "-1", "9223372036854775807", "", "a.b.c",
        ]).prop_map(str::to_owned),
        1 => text(),
    ];
    let separators = select(vec![
        "=", "=", "=", "=", "", "==", "%3D", "=%", "=%zz", "=%ff", "+",
    ]);
    let pairs = vec((name, separators, value, any::<bool>()), 0..8);
    let paths = select(vec!["/oauth/token", "/oauth/introspect"]);
    fuzz(
        "form",
        4,
        &(paths, pairs, any::<bool>()),
        &async |app, (path, pairs, complete)| {
            let world: &World = world.get().unwrap();
            let encode = |text: &str, is_encoded: bool| -> String {
                if is_encoded {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                } else {
                    text.to_owned()
                }
            };
            let mut form: Vec<_> = pairs
                .iter()
                .map(|(name, separator, value, is_encoded)| {
                    format!(
                        "{}{separator}{}",
                        encode(name, *is_encoded),
                        encode(value, *is_encoded)
                    )
                })
                .collect();
            if complete {
                form.push(format!("subject_token={0}&token={0}", world.token));
                form.push("grant_type=urn:ietf:params:oauth:grant-type:token-exchange".to_owned());
                form.push("subject_token_type=urn:ietf:params:oauth:token-type:jwt".to_owned());
            }
            let call = app.post(path).bearer(&world.client);
            let answer = call
                .body("application/x-www-form-urlencoded", form.join("&"))
                .send()
                .await;
            assert_sane(path, &answer)?;
            prop_assert!(answer.status == 200 || answer.status == 400, "{answer:?}");
            Ok(())
        },
        &async |app| {
            let made = World::new(app).await;
            assert!(world.set(made).is_ok());
        },
    );
}
