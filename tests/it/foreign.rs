//! A foreign issuer under the tests' control: its keys, its tokens, true and forged, and an HTTP
//! server for its documents.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::START;

pub(crate) const KUBERNETES: &str = "https://kubernetes.default.svc.cluster.local";
pub(crate) const AUDIENCE: &str = "https://ci.example.com";

/// A key pair of the issuer and its `kid`.
pub(crate) struct Key {
    pub(crate) kid: String,
    pair: Pair,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub(crate) fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            kid: kid.to_owned(),
            pair: Pair::Ec(pair),
        }
    }

    pub(crate) fn rsa(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
                    "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Pair::Rsa(pair) => {
                let modulus = pair.public_key().modulus();
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "e": "AQAB",
                    "n": text(modulus.big_endian_without_leading_zero())})
            }
        }
    }

    /// What an attacker takes for the HMAC secret: the public key in DER and in PEM.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> =
                    pair.public_key().as_der().unwrap();
                der.as_ref().to_vec()
            }
        }
    }

    /// Signs whatever it is given.
    pub(crate) fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", encode(header), encode(payload));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair
                .sign(&random, message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        };
        format!("{message}.{}", encode(&signature))
    }

    /// The header that its tokens have.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.algorithm(), "kid": self.kid})
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(
            self.header().to_string().as_bytes(),
            claims.to_string().as_bytes(),
        )
    }
}

/// The claims of a projected service-account token, as a Kubernetes API server writes them.
pub(crate) fn kubernetes_claims(jti: &str) -> Value {
    json!({
        "aud": [AUDIENCE],
        "exp": START.0 + 3_600,
        "iat": START.0,
        "iss": KUBERNETES,
        "jti": jti,
        "kubernetes.io": {
            "namespace": "ci",
            "node": {"name": "node-1", "uid": "3a3a5d4c-2b8e-4f3a-9a0e-000000000001"},
            "pod": {"name": "net-1-x7k2p", "uid": "3a3a5d4c-2b8e-4f3a-9a0e-000000000002"},
            "serviceaccount": {"name": "runner-net-1", "uid": "3a3a5d4c-2b8e-4f3a-9a0e-000000000003"}
        },
        "nbf": START.0,
        "sub": "system:serviceaccount:ci:runner-net-1"
    })
}

/// Trust in a cluster whose JWKS was uploaded: runners of namespace `ci` may plan.
pub(crate) fn kubernetes(keys: &[&Key]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({
        "issuer": KUBERNETES,
        "jwks": {"keys": keys},
        "audiences": [AUDIENCE],
        "rules": [{
            "name": "runners",
            "conditions": [
                {"expression": "claims['kubernetes.io'].namespace == 'ci'", "message": "another namespace"},
                {"expression": "claims['kubernetes.io'].serviceaccount.name.startsWith('runner-')",
                 "message": "no runner"}
            ],
            "workload": {
                "organization": "'acme'",
                "project": "'Default Project'",
                "workspace": "claims['kubernetes.io'].serviceaccount.name.substring(7)",
                "run_phase": "'plan'",
                "run_id": "'run-' + claims['kubernetes.io'].pod.uid"
            },
            "grants": [{"organization": "acme", "workspace": "net-*", "run_phases": ["plan"],
                "audiences": ["aws.workload.identity", "vault.workload.identity"], "max_ttl": 900}]
        }]
    })
}

/// Trust in a site on this machine whose tokens stand for the client `atlantis`.
pub(crate) fn site_as_client(site: &Site) -> Value {
    json!({
        "issuer": site.url(), "private_network": true, "audiences": [AUDIENCE],
        "rules": [{"name": "orchestrator", "conditions": [{"expression": "has(claims.sub)"}],
            "client": "claims.sub"}],
    })
}

/// The claims of a token that such a site signs; its name is its subject.
pub(crate) fn site_claims(site: &Site, jti: &str) -> Value {
    json!({"iss": site.url(), "aud": AUDIENCE, "sub": "atlantis", "jti": jti,
        "iat": START.0, "exp": START.0 + 86_000})
}

/// An HTTP server that answers what it was told to, and counts.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    pages: Vec<(String, Page)>,
    asked: Vec<String>,
}

/// What a path is answered with.
#[derive(Clone)]
pub(crate) enum Page {
    /// JSON, and `Cache-Control`.
    Json(Value, &'static str),
    /// Any bytes.
    Raw(Vec<u8>),
    /// A redirect.
    To(String),
    /// Nothing, ever.
    Silence,
    /// A status.
    Status(u16),
}

impl Site {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            address: listener.local_addr().unwrap(),
            inner: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(site.clone());
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        site
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers `path` so from here on.
    pub(crate) fn set(&self, path: &str, page: Page) {
        let mut inner = self.inner.lock().unwrap();
        inner.pages.retain(|(known, _)| known != path);
        inner.pages.push((path.to_owned(), page));
    }

    /// Publishes discovery and these keys.
    pub(crate) fn publish(&self, keys: &[&Key], cache_control: &'static str) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        let discovery = json!({"issuer": self.url(), "jwks_uri": format!("{}/keys", self.url())});
        self.set(
            "/.well-known/openid-configuration",
            Page::Json(discovery, ""),
        );
        self.set("/keys", Page::Json(json!({"keys": keys}), cache_control));
    }

    /// How often `path` was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.asked.iter().filter(|asked| *asked == path).count()
    }
}

async fn answer(State(site): State<Site>, uri: Uri) -> Response {
    let page = {
        let mut inner = site.inner.lock().unwrap();
        inner.asked.push(uri.path().to_owned());
        let page = inner.pages.iter().find(|(path, _)| path == uri.path());
        page.map(|(_, page)| page.clone())
    };
    match page {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(Page::Json(value, cache)) => {
            ([(header::CACHE_CONTROL, cache)], axum::Json(value)).into_response()
        }
        Some(Page::Raw(bytes)) => bytes.into_response(),
        Some(Page::To(url)) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        Some(Page::Silence) => std::future::pending().await,
        Some(Page::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
    }
}
