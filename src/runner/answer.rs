//! A token in the words of the programs that call a helper for it. Pure.

use serde_json::{Value, json};

use super::environment::Environment;
use super::token::IdentityToken;

/// What a caller of `runmint token` expects to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The JSON of kubectl's exec plugins.
    ExecCredential,
    /// The JSON of Google's executable-sourced credentials.
    GcpExecutable,
    /// The JSON of GitHub Actions' request protocol.
    Github,
    /// The token and what its claims say.
    Json,
}

/// A setting of the calling program that does not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{variable}` {rule}")]
pub struct CallerError {
    /// The variable by which the caller said it.
    pub variable: &'static str,
    /// What is wrong with it, and what to do.
    pub rule: String,
}

/// The type of a token that is a JWT (RFC 8693 section 3).
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

const GCP_TYPE: &str = "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE";
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";

/// The API group of kubectl's exec plugins; `v1` since Kubernetes 1.22.
const EXEC_V1: &str = "client.authentication.k8s.io/v1";
const EXEC_V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

impl Answer {
    /// The token, as this caller wants it.
    ///
    /// # Errors
    /// [`CallerError`], if the caller asks by its variables for what this is not.
    pub fn render(
        self,
        token: &IdentityToken,
        environment: &Environment,
    ) -> Result<Value, CallerError> {
        let text = token.text().expose();
        let claims = &token.claims;
        Ok(match self {
            // https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
            Self::ExecCredential => json!({
                "apiVersion": exec_version(environment)?,
                "kind": "ExecCredential",
                "status": {"token": text, "expirationTimestamp": claims.exp.to_string()},
            }),
            // https://google.aip.dev/auth/4117
            Self::GcpExecutable => json!({
                "version": 1,
                "success": true,
                "token_type": gcp_type(environment)?,
                "id_token": text,
                "expiration_time": claims.exp,
            }),
            Self::Github => json!({"count": text.len(), "value": text}),
            Self::Json => json!({
                "token": text,
                "subject": claims.sub,
                "jti": claims.jti,
                "issued_at": claims.iat,
                "expires_at": claims.exp,
            }),
        })
    }

    /// How this caller is told that there is no token, if it can be told.
    pub fn failure(self, reason: &str) -> Option<Value> {
        match self {
            Self::GcpExecutable => Some(json!({
                "version": 1,
                "success": false,
                "code": "no_token",
                "message": reason,
            })),
            Self::ExecCredential | Self::Github | Self::Json => None,
        }
    }
}

/// The version that kubectl asks for: it takes no other than the kubeconfig names.
fn exec_version(environment: &Environment) -> Result<&'static str, CallerError> {
    let Some(info) = environment.find(EXEC_INFO) else {
        return Ok(EXEC_V1);
    };
    let info: Value = serde_json::from_str(info).unwrap_or_default();
    match info["apiVersion"].as_str() {
        Some(EXEC_V1) => Ok(EXEC_V1),
        Some(EXEC_V1BETA1) => Ok(EXEC_V1BETA1),
        other => Err(CallerError {
            variable: EXEC_INFO,
            rule: format!(
                "asks for apiVersion {other:?}; write `apiVersion: {EXEC_V1}` in the kubeconfig's `exec`"
            ),
        }),
    }
}

fn gcp_type(environment: &Environment) -> Result<&'static str, CallerError> {
    match environment.find(GCP_TYPE) {
        None | Some(JWT) => Ok(JWT),
        Some(ID_TOKEN) => Ok(ID_TOKEN),
        Some(other) => Err(CallerError {
            variable: GCP_TYPE,
            rule: format!(
                "is `{other}`; write `\"subject_token_type\": \"{JWT}\"` in the credential file"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token() -> IdentityToken {
        let claims = r#"{"jti": "j", "sub": "s", "iat": 1795290000, "exp": 1795293600}"#;
        let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        IdentityToken::parse(&text).unwrap()
    }

    fn rendered(answer: Answer, variables: &[(&str, &str)]) -> Result<Value, CallerError> {
        answer.render(&token(), &variables.iter().copied().collect())
    }

    #[test]
    fn kubectl_gets_the_version_that_it_asks_for() {
        let answer = rendered(Answer::ExecCredential, &[]).unwrap();
        assert_eq!(answer["apiVersion"], EXEC_V1);
        assert_eq!(
            answer["status"]["expirationTimestamp"],
            "2026-11-21T20:40:00Z"
        );
        let beta = format!(r#"{{"kind": "ExecCredential", "apiVersion": "{EXEC_V1BETA1}"}}"#);
        let answer = rendered(Answer::ExecCredential, &[(EXEC_INFO, &beta)]).unwrap();
        assert_eq!(answer["apiVersion"], EXEC_V1BETA1);
        let error = rendered(Answer::ExecCredential, &[(EXEC_INFO, "{}")]).unwrap_err();
        assert_eq!(error.variable, EXEC_INFO);
    }

    #[test]
    fn google_gets_the_type_that_it_asks_for_and_a_failure_in_its_words() {
        let answer = rendered(Answer::GcpExecutable, &[]).unwrap();
        assert_eq!(answer["token_type"], JWT);
        assert_eq!(answer["expiration_time"], 1_795_293_600);
        let answer = rendered(Answer::GcpExecutable, &[(GCP_TYPE, ID_TOKEN)]).unwrap();
        assert_eq!(answer["token_type"], ID_TOKEN);
        let saml = [(GCP_TYPE, "urn:ietf:params:oauth:token-type:saml2")];
        assert!(rendered(Answer::GcpExecutable, &saml).is_err());
        let failure = Answer::GcpExecutable.failure("no").unwrap();
        assert_eq!(
            (failure["success"].as_bool(), &failure["message"]),
            (Some(false), &json!("no"))
        );
        assert_eq!(Answer::Json.failure("no"), None);
    }

    #[test]
    fn github_s_count_is_the_token_s_length() {
        let answer = rendered(Answer::Github, &[]).unwrap();
        let value = answer["value"].as_str().unwrap();
        assert_eq!(answer["count"], value.len());
    }
}
