//! An issuer that answers what it was told to: over plain HTTP, or over TLS with certificates that were
//! made for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};

use crate::foreign::Key;
use crate::program::{Ran, Setup};

/// A page: status, headers, body.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<&'static str, String>,
    pub(super) body: Vec<u8>,
}

impl Page {
    pub(super) fn json(document: &Value) -> Self {
        let headers = [
            ("content-type", "application/json"),
            ("cache-control", "public, max-age=300, must-revalidate"),
            ("etag", "\"x\""),
        ];
        Self {
            status: 200,
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
            body: document.to_string().into_bytes(),
        }
    }

    pub(super) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.insert(header, value.to_owned());
        self
    }

    pub(super) fn without(mut self, header: &str) -> Self {
        self.headers.remove(header);
        self
    }
}

/// The site; it ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) url: String,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
}

pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(super) const JWKS: &str = "/keys";

impl Site {
    /// A healthy issuer over plain HTTP, with these keys.
    pub(super) fn plain(keys: &[&Key]) -> Self {
        let (listener, site) = Self::at("http", keys);
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let router = site.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        site
    }

    /// A healthy issuer that shows this chain.
    pub(super) async fn with_chain(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        let (listener, site) = Self::at("https", &[]);
        let config = RustlsConfig::from_der(chain, key).await.unwrap();
        let server = axum_server::from_tcp_rustls(listener, config).unwrap();
        let router = site.router();
        tokio::spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
        site
    }

    fn at(scheme: &str, keys: &[&Key]) -> (std::net::TcpListener, Self) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Self {
            url: format!("{scheme}://localhost:{port}"),
            pages: Arc::default(),
        };
        let url = &site.url;
        let discovery = json!({
            "issuer": url, "jwks_uri": format!("{url}{JWKS}"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        site.set(DISCOVERY, Page::json(&discovery));
        let own = Key::rsa("2026-11");
        let own = [&own];
        let keys = if keys.is_empty() { &own } else { keys };
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        site.set(JWKS, Page::json(&json!({"keys": keys})));
        (listener, site)
    }

    fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// Answers `path` so from here on.
    pub(super) fn set(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(super) fn page(&self, path: &str) -> Page {
        self.pages.lock().unwrap()[path].clone()
    }

    /// The document at a path.
    pub(super) fn document(&self, path: &str) -> Value {
        serde_json::from_slice(&self.page(path).body).unwrap()
    }
}

async fn answer(State(site): State<Site>, uri: Uri) -> Response<Body> {
    let page = site.pages.lock().unwrap().get(uri.path()).cloned();
    let Some(page) = page else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut response = Response::builder().status(page.status);
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(page.body)).unwrap()
}

/// A CA of a test's own, with an intermediate one.
pub(super) struct Authority {
    pub(super) root: CertifiedIssuer<'static, KeyPair>,
    pub(super) intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let ca = |name: &str| {
            let mut params = valid(CertificateParams::new([]).unwrap());
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(ca("root"), key()).unwrap();
        let intermediate = CertifiedIssuer::signed_by(ca("between"), key(), &root).unwrap();
        Self { root, intermediate }
    }

    /// A certificate for a name, by the intermediate; with its key.
    pub(super) fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = valid(CertificateParams::new([name.to_owned()]).unwrap());
        params.distinguished_name.push(DnType::CommonName, "server");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.intermediate).unwrap();
        (certificate.der().to_vec(), key.serialize_der())
    }

    /// Its root, in a file.
    pub(super) fn file(&self, folder: &Path) -> PathBuf {
        let path = folder.join("root.pem");
        std::fs::write(&path, self.root.pem()).unwrap();
        path
    }
}

fn valid(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

/// Runs `runmint doctor …` as a stranger to every server: without an operator's token.
pub(super) async fn doctor(arguments: &[&str]) -> Ran {
    let arguments = [&["doctor"], arguments, &["--format", "json"]].concat();
    Setup::bare()
        .with_variable("RUNMINT_DATA_DIR", "/nonexistent")
        .run(&arguments)
        .await
}

/// What a report holds.
#[track_caller]
pub(super) fn report(ran: &Ran) -> Value {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let status = i32::from(!report["clear"].as_bool().unwrap());
    assert_eq!(ran.status, status, "{ran:?}");
    report
}

/// The ids of its findings, but for how fast this machine is at the moment.
#[track_caller]
pub(super) fn found(ran: &Ran) -> Vec<String> {
    let report = report(ran);
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .filter(|id| !["issuer-slow", "issuer-too-slow"].contains(&id.as_str()))
        .collect()
}
