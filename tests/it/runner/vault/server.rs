//! A server in the shape of Vault: its paths, its JSON and its words, a JWT auth method that verifies
//! what it is given, tokens with policies, and leases that end with their token.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use runmint::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::certificates;
use crate::harness::{ISSUER, TestApp, VAULT};

/// What every secret of this server has in it, so that a test sees where one comes out.
pub(super) const HIDDEN: &str = "hidden";

#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    scheme: &'static str,
    inner: Arc<Mutex<Inner>>,
}

/// What a test looks at and changes.
pub(super) struct Inner {
    jwks: JwkSet,
    pub(super) now: Timestamp,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) namespace: Option<String>,
    /// What the next requests are answered with, whatever they are.
    pub(super) instead: VecDeque<Instead>,
    /// What was asked.
    pub(super) asked: Vec<Asked>,
    tokens: BTreeMap<String, Role>,
    /// Lease id and the token that it ends with.
    leases: BTreeMap<String, String>,
    made: u32,
}

/// A role of the auth method (`auth/jwt/role/NAME`).
#[derive(Clone)]
pub(super) struct Role {
    /// `role_type`: `jwt` or `oidc`.
    pub(super) kind: &'static str,
    pub(super) bound_audiences: Vec<String>,
    /// `bound_claims` with `bound_claims_type` `glob`.
    pub(super) bound_claims: Vec<(&'static str, String)>,
    pub(super) user_claim: &'static str,
    /// `service` or `batch`.
    pub(super) token_type: &'static str,
    /// In seconds.
    pub(super) token_ttl: i64,
    /// What its tokens may read, beside what the default policy allows.
    pub(super) policy: BTreeSet<&'static str>,
}

impl Role {
    /// As the trust of one workspace is written.
    pub(super) fn of_workspace(workspace: &str) -> Self {
        let subject =
            format!("organization:acme:project:Default Project:workspace:{workspace}:run_phase:*");
        Self {
            kind: "jwt",
            bound_audiences: vec![VAULT.to_owned()],
            bound_claims: vec![("sub", subject)],
            user_claim: "terraform_full_workspace",
            token_type: "service",
            token_ttl: 1_200,
            policy: BTreeSet::new(),
        }
    }
}

/// An answer that says nothing about what was asked.
#[derive(Clone)]
pub(super) enum Instead {
    /// A status with Vault's `errors`; it may be asked again at once.
    Status(u16, &'static str),
    /// A status with the request's own token and body in its `errors`.
    Echo(u16),
    /// What was asked for is done, and the answer is lost on its way.
    Lost,
    /// To this URL.
    Redirect(u16, String),
    /// Any JSON.
    Json(Value),
    /// Any text.
    Text(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Server {
    /// One that trusts this issuer, with a role `deploy` for workspace `net-1`.
    pub(super) async fn start(app: &TestApp) -> Self {
        let (server, listener) = Self::bind(app, "http").await;
        let router = server.router();
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    /// The same with TLS, and a certificate of the tests' own CA.
    pub(super) async fn start_with_tls(app: &TestApp) -> Self {
        let (server, listener) = Self::bind(app, "https").await;
        let (certificate, key) = (
            certificates::file("server.pem"),
            certificates::file("server.key"),
        );
        let config = RustlsConfig::from_pem_file(certificate, key).await.unwrap();
        let service = server.router().into_make_service();
        let serving = axum_server::from_tcp_rustls(listener.into_std().unwrap(), config).unwrap();
        tokio::spawn(async move { serving.serve(service).await.unwrap() });
        server
    }

    async fn bind(app: &TestApp, scheme: &'static str) -> (Self, tokio::net::TcpListener) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner {
            jwks: app.jwks().await,
            now: app.now(),
            roles: [("deploy".to_owned(), Role::of_workspace("net-1"))].into(),
            namespace: None,
            instead: VecDeque::new(),
            asked: Vec::new(),
            tokens: BTreeMap::new(),
            leases: BTreeMap::new(),
            made: 0,
        };
        let server = Self {
            address: listener.local_addr().unwrap(),
            scheme,
            inner: Arc::new(Mutex::new(inner)),
        };
        (server, listener)
    }

    fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Changes role `deploy`.
    pub(super) fn change(&self, change: impl FnOnce(&mut Role)) {
        change(self.inner().roles.get_mut("deploy").unwrap());
    }

    /// Answers the next requests so.
    pub(super) fn instead(&self, answers: impl IntoIterator<Item = Instead>) {
        self.inner().instead.extend(answers);
    }

    /// What was asked since the last time.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inner().asked)
    }

    /// Method, path and query of what was asked since the last time.
    pub(super) fn take_lines(&self) -> Vec<String> {
        let asked = self.take_asked();
        asked
            .iter()
            .map(|asked| format!("{} {}", asked.method, asked.uri))
            .collect()
    }

    /// The ids of the leases that have not ended.
    pub(super) fn leases(&self) -> Vec<String> {
        self.inner().leases.keys().cloned().collect()
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked {
        method,
        uri: uri.to_string(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let mut inner = server.inner();
    inner.asked.push(asked.clone());
    match inner.instead.pop_front() {
        None => inner.answer(&asked, &uri),
        Some(Instead::Status(status, words)) => {
            let again = [(header::RETRY_AFTER, "0")];
            (again, errors(status, words)).into_response()
        }
        Some(Instead::Echo(status)) => {
            let token = asked.header("x-vault-token").unwrap_or_default();
            errors(status, &format!("{token} sent {}", asked.body))
        }
        Some(Instead::Lost) => {
            inner.answer(&asked, &uri);
            let lost = async { Err::<Bytes, _>(std::io::Error::other("lost")) };
            Body::from_stream(futures_util::stream::once(lost)).into_response()
        }
        Some(Instead::Redirect(status, url)) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(header::LOCATION, url)]).into_response()
        }
        Some(Instead::Json(json)) => axum::Json(json).into_response(),
        Some(Instead::Text(text)) => text.into_response(),
    }
}

fn errors(status: u16, words: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(json!({"errors": [words]}))).into_response()
}

impl Inner {
    fn answer(&mut self, asked: &Asked, uri: &Uri) -> Response {
        if asked.header("x-vault-request") != Some("true") {
            return errors(412, "missing `X-Vault-Request` header");
        }
        let Some(path) = uri.path().strip_prefix("/v1/") else {
            return errors(404, "no handler for route");
        };
        if asked.header("x-vault-namespace") != self.namespace.as_deref() {
            return errors(
                404,
                &format!("no handler for route \"{path}\". route entry not found."),
            );
        }
        if path == "auth/jwt/login" && asked.method == Method::POST {
            return self.login(&asked.body);
        }
        let token = asked.header("x-vault-token").unwrap_or_default().to_owned();
        let Some(role) = self.tokens.get(&token).cloned() else {
            let words = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
            return errors(403, words);
        };
        if asked.method == Method::POST {
            return self.upkeep(path, &asked.body, &token, &role);
        }
        if !role.policy.contains(path) {
            return errors(403, "1 error occurred:\n\t* permission denied\n\n");
        }
        self.secret(path, uri.query().unwrap_or_default(), &token)
    }

    fn login(&mut self, body: &Value) -> Response {
        let (name, jwt) = (
            body["role"].as_str().unwrap(),
            body["jwt"].as_str().unwrap(),
        );
        let Some(role) = self.roles.get(name).cloned() else {
            return errors(400, &format!("role {name:?} could not be found"));
        };
        if role.kind != "jwt" {
            return errors(400, "role with oidc role_type is not allowed");
        }
        if let Err(words) = self.check(jwt, &role) {
            return errors(400, &words);
        }
        self.made += 1;
        let token = format!("hvs.{HIDDEN}-{}", self.made);
        let is_service = role.token_type == "service";
        let auth = json!({
            "client_token": token,
            "accessor": if is_service { format!("accessor-{}", self.made) } else { String::new() },
            "policies": ["default", "terraform"],
            "token_policies": ["default", "terraform"],
            "metadata": {"role": name},
            "lease_duration": role.token_ttl,
            "renewable": is_service,
            "entity_id": "0f0a7b4c-5c8e-4d5e-8a43-1d0c6d8f0001",
            "token_type": role.token_type,
            "orphan": true,
            "mfa_requirement": null,
            "num_uses": 0
        });
        self.tokens.insert(token, role);
        whole(json!({"auth": auth, "warnings": ["TTL of \"2h\" exceeded the effective max_ttl"]}))
    }

    /// As vault-plugin-auth-jwt checks it.
    fn check(&self, jwt: &str, role: &Role) -> Result<(), String> {
        let signature = "error validating token: error verifying token signature: failed to verify id token \
             signature";
        let header = jsonwebtoken::decode_header(jwt).map_err(|_| signature)?;
        let key = self
            .jwks
            .find(&header.kid.ok_or(signature)?)
            .ok_or(signature)?;
        let mut validation = Validation::new(header.alg);
        // What follows is checked below, in Vault's words and by the test's clock.
        validation.validate_aud = false;
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).map_err(|_| signature)?;
        let claims: Value = jsonwebtoken::decode(jwt, &key, &validation)
            .map_err(|_| signature)?
            .claims;
        if claims["iss"] != ISSUER {
            return Err("error validating token: invalid issuer (iss) claim".to_owned());
        }
        let time = |name: &str| claims[name].as_i64().unwrap();
        if self.now.0 >= time("exp") + 60 {
            let words = "invalid expiration time (exp) claim: token is expired";
            return Err(format!("error validating token: {words}"));
        }
        if self.now.0 + 60 < time("nbf") {
            let words = "invalid not before (nbf) claim: token not yet valid";
            return Err(format!("error validating token: {words}"));
        }
        if role.bound_audiences.is_empty() {
            let words = "audience claim found in JWT but no audiences bound to the role";
            return Err(words.to_owned());
        }
        if !role
            .bound_audiences
            .iter()
            .any(|bound| claims["aud"] == **bound)
        {
            let words = "audience claim does not match any expected audience";
            return Err(format!(
                "error validating token: invalid audience (aud) claim: {words}"
            ));
        }
        for (name, pattern) in &role.bound_claims {
            let value = claims[name].as_str();
            let value = value
                .ok_or_else(|| format!("error validating claims: claim {name:?} is missing"))?;
            let pattern = regex::escape(pattern).replace("\\*", ".*");
            if !regex::Regex::new(&format!("^{pattern}$"))
                .unwrap()
                .is_match(value)
            {
                let words = "does not match any associated bound claim values";
                return Err(format!("error validating claims: claim {name:?} {words}"));
            }
        }
        let user = claims[role.user_claim].as_str();
        let missing = || format!("claim {:?} not found in token", role.user_claim);
        user.map(|_| ()).ok_or_else(missing)
    }

    fn upkeep(&mut self, path: &str, body: &Value, token: &str, role: &Role) -> Response {
        let id = body["lease_id"].as_str().unwrap_or_default();
        let is_batch = role.token_type == "batch";
        match path {
            "auth/token/renew-self" if is_batch => errors(400, "batch tokens cannot be renewed"),
            "auth/token/renew-self" => whole(json!({"auth": {
                "client_token": token,
                "lease_duration": role.token_ttl,
                "renewable": true
            }})),
            "auth/token/revoke-self" if is_batch => errors(400, "batch tokens cannot be revoked"),
            "auth/token/revoke-self" => {
                self.tokens.remove(token);
                self.leases.retain(|_, owner| owner != token);
                StatusCode::NO_CONTENT.into_response()
            }
            "sys/leases/renew" if !self.leases.contains_key(id) => errors(400, "lease not found"),
            // The session of a role cannot be prolonged.
            "sys/leases/renew" if id.contains("/sts/") => errors(400, "lease is not renewable"),
            "sys/leases/renew" => {
                whole(json!({"lease_id": id, "lease_duration": 3_600, "renewable": true}))
            }
            "sys/leases/revoke" => {
                self.leases.remove(id);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => errors(404, &format!("no handler for route \"{path}\"")),
        }
    }

    fn secret(&mut self, path: &str, query: &str, token: &str) -> Response {
        self.made += 1;
        let secret = |name: &str| format!("{HIDDEN}/{name}+{}=", self.made);
        let (data, seconds, renewable) = match path {
            "aws/creds/ops@acme" => {
                let data = json!({"access_key": "AKIAUSER", "secret_key": secret("key"),
                    "security_token": null});
                (data, 2_764_800, true)
            }
            "aws/sts/several" if query != "role_arn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa" => {
                return errors(
                    400,
                    "did not supply a role_arn parameter and unable to determine one",
                );
            }
            "aws/sts/several" => {
                let data = json!({"access_key": "ASIASESSION", "secret_key": secret("key"),
                    "security_token": secret("session"), "session_token": secret("session"),
                    "arn": "arn:aws:sts::1:assumed-role/a/vault", "ttl": 900});
                (data, 900, false)
            }
            // A version that has only the older name.
            "team/aws/sts/old" => {
                let data = json!({"access_key": "ASIAOLD", "secret_key": secret("key"),
                    "security_token": secret("session")});
                (data, 3_599, false)
            }
            "azure/creds/deploy" => {
                let data = json!({"client_id": "11112222-0000-0000-0000-333344445555",
                    "client_secret": secret("password")});
                (data, 2_764_800, true)
            }
            // Tokens have no lease.
            "gcp/roleset/net/token" | "gcp/static-account/net/token" => {
                let data = json!({"token": secret("token"), "token_ttl": 3_599,
                    "expires_at_seconds": self.now.0 + 3_599});
                return whole(json!({"data": data}));
            }
            "gcp/roleset/net/key" | "gcp/static-account/net/key" => {
                let file = json!({"type": "service_account", "private_key": secret("key")});
                let data = json!({"private_key_data": STANDARD.encode(file.to_string()),
                    "key_algorithm": "KEY_ALG_RSA_2048", "key_type": "TYPE_GOOGLE_CREDENTIALS_FILE"});
                (data, 2_764_800, true)
            }
            _ => return errors(404, &format!("no handler for route \"{path}\"")),
        };
        let id = format!("{path}/lease-{}", self.made);
        self.leases.insert(id.clone(), token.to_owned());
        whole(
            json!({"lease_id": id, "lease_duration": seconds, "renewable": renewable,
            "data": data}),
        )
    }
}

/// With all the members that Vault's answers have.
fn whole(part: Value) -> Response {
    let mut answer = json!({"request_id": "e3ff8d0e-5a3c-4c0e-9b0e-2c0b7d6f0001", "lease_id": "",
        "renewable": false, "lease_duration": 0, "data": null, "wrap_info": null, "warnings": null,
        "auth": null, "mount_type": ""});
    let Value::Object(part) = part else {
        panic!("{part} is no object")
    };
    for (name, value) in part {
        answer[name] = value;
    }
    axum::Json(answer).into_response()
}
