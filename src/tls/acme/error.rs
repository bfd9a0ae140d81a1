//! Why there is no new certificate, in words for the log.

use std::time::Duration;

use instant_acme::{Error, Problem};

/// What came between us and a certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    #[error("{url} cannot be reached: {}", root_cause(.source))]
    Unreachable { url: String, source: reqwest::Error },
    #[error("the CA refused: {detail} ({kind})")]
    Refused {
        /// What the problem is called (RFC 8555, section 6.7).
        kind: String,
        detail: String,
        /// How long the CA wants not to be asked again.
        retry_after: Option<Duration>,
    },
    #[error(
        "the CA could not check {domain}: {detail}; it must reach this listener at port 443 of that \
         name"
    )]
    Challenge { domain: String, detail: String },
    #[error("the CA offers no way to check {domain} over TLS (tls-alpn-01)")]
    NoChallenge { domain: String },
    #[error("the CA answered something else than RFC 8555 has ({0})")]
    Malformed(&'static str),
    #[error("the CA answered something else than RFC 8555 has ({0})")]
    Protocol(Error),
    #[error("the CA was not done in time")]
    Timeout,
    #[error("`server.acme.external_account_key` is no base64url")]
    ExternalAccountKey,
    #[error("no key or certificate could be made: {0}")]
    Crypto(#[from] rcgen::Error),
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("`data_dir/acme/state.json` is damaged: remove it, and a certificate is ordered anew")]
    Damaged,
    #[error("{path}: {source}")]
    Save {
        path: String,
        source: std::io::Error,
    },
}

impl AcmeError {
    /// A refusal in the words of the CA.
    pub(super) fn refused(problem: &Problem, retry_after: Option<Duration>) -> Self {
        Self::Refused {
            kind: problem.r#type.clone().unwrap_or_default(),
            detail: words(problem),
            retry_after,
        }
    }

    /// Whether the CA does not know the account any more.
    pub(super) fn is_account_gone(&self) -> bool {
        matches!(self, Self::Refused { kind, .. }
            if kind == "urn:ietf:params:acme:error:accountDoesNotExist")
    }

    /// How long the CA wants not to be asked again, if it said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<Error> for AcmeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => Self::refused(&problem, None),
            Error::Timeout(_) => Self::Timeout,
            // What our own `Http` says comes back in a box.
            Error::Other(error) => match error.downcast() {
                Ok(ours) => *ours,
                Err(error) => Self::Protocol(Error::Other(error)),
            },
            error => Self::Protocol(error),
        }
    }
}

/// What a problem says, and what it says of each name.
pub(super) fn words(problem: &Problem) -> String {
    let subproblems = problem.subproblems.iter().map(|problem| &problem.detail);
    let details: Vec<_> = std::iter::once(&problem.detail)
        .chain(subproblems)
        .filter_map(Option::as_deref)
        .collect();
    details.join("; ")
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_says_what_is_wrong_with_each_name() {
        let problem: Problem = serde_json::from_value(json!({
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "some names were refused",
            "subproblems": [{"detail": "a is on a list"}, {"detail": "b is reserved"}],
        }))
        .unwrap();
        let error = AcmeError::from(Error::from(problem)).to_string();
        assert_eq!(
            error,
            "the CA refused: some names were refused; a is on a list; b is reserved \
             (urn:ietf:params:acme:error:rejectedIdentifier)"
        );
    }

    #[test]
    fn what_our_client_says_is_the_same_on_the_other_side_of_the_library() {
        let error = AcmeError::Refused {
            kind: "rateLimited".to_owned(),
            detail: "too many".to_owned(),
            retry_after: Some(Duration::from_secs(7)),
        };
        let error = AcmeError::from(Error::Other(Box::new(error)));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}
