//! AWS credentials for programs that run a `credential_process`: the token is exchanged at STS.
//!
//! The SDKs do this themselves where they can be given a token file; this is for where they cannot.

use std::time::Duration;

use quick_xml::events::Event;
use reqwest::Certificate;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use url::Url;

use super::environment::Environment;
use super::http;
use super::text::SecretText;
use super::token::IdentityToken;

/// Whom to become, and where.
#[derive(Clone, Debug)]
pub struct AssumeRole {
    /// The role (20 to 2,048 characters).
    pub role_arn: String,
    /// What `CloudTrail` shows (2 to 64 characters).
    pub session_name: String,
    /// How long the credentials live, in seconds; an hour when left out.
    pub duration: Option<u32>,
}

/// Why STS gave no credentials.
#[derive(Debug, thiserror::Error)]
pub enum StsError {
    /// No endpoint can be made of what the environment says.
    #[error("`{0}` names no endpoint of STS: a URL, or a region such as `eu-central-1`")]
    Endpoint(&'static str),
    /// The HTTP client.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
    /// It cannot be reached.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// The innermost cause.
        reason: String,
    },
    /// It said no; the words are its own.
    #[error("{endpoint} answered {code}: {message}")]
    Refused {
        /// Where.
        endpoint: String,
        /// The error's code, e.g. `InvalidIdentityToken`.
        code: String,
        /// What it said.
        message: String,
    },
    /// It answered with something else than credentials.
    #[error("{0} did not answer with credentials")]
    Answer(String),
}

/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The variable of the AWS SDKs that names another endpoint.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// Assumes a role by `AssumeRoleWithWebIdentity` (STS API reference; the call is not signed), and
/// answers what a `credential_process` prints.
///
/// # Errors
/// [`StsError`], with STS' own words where it said no.
pub async fn credential_process(
    role: &AssumeRole,
    token: &IdentityToken,
    environment: &Environment,
    roots: Option<Vec<Certificate>>,
) -> Result<Value, StsError> {
    let endpoint = endpoint(environment)?;
    let client = http::client(&endpoint, TIMEOUT, Policy::none(), roots);
    let client = client.map_err(StsError::Client)?;
    let mut form = vec![
        ("Action", "AssumeRoleWithWebIdentity".to_owned()),
        ("Version", "2011-06-15".to_owned()),
        ("RoleArn", role.role_arn.clone()),
        ("RoleSessionName", role.session_name.clone()),
        ("WebIdentityToken", token.text().expose().to_owned()),
    ];
    if let Some(seconds) = role.duration {
        form.push(("DurationSeconds", seconds.to_string()));
    }
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let at = endpoint.origin().ascii_serialization();
    let unreachable = |error: reqwest::Error| StsError::Unreachable {
        endpoint: at.clone(),
        reason: http::root_cause(&error.without_url()),
    };
    let request = client
        .post(endpoint.clone())
        .header(
            reqwest::header::CONTENT_TYPE,
            "application/x-www-form-urlencoded",
        )
        .body(body);
    let response = request.send().await.map_err(unreachable)?;
    let is_done = response.status().is_success();
    let status = response.status();
    let body = http::bounded(response).await.map_err(unreachable)?;
    let xml = String::from_utf8_lossy(&body);
    if !is_done {
        let code = element(&xml, "Code").unwrap_or_else(|| status.to_string());
        let message = http::words(&element(&xml, "Message").unwrap_or_default());
        return Err(StsError::Refused {
            endpoint: at,
            code,
            message,
        });
    }
    let credential = |name| element(&xml, name).ok_or_else(|| StsError::Answer(at.clone()));
    let secret = SecretText::new(credential("SecretAccessKey")?);
    let session = SecretText::new(credential("SessionToken")?);
    // https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
    Ok(json!({
        "Version": 1,
        "AccessKeyId": credential("AccessKeyId")?,
        "SecretAccessKey": secret.expose(),
        "SessionToken": session.expose(),
        "Expiration": credential("Expiration")?,
    }))
}

/// As the SDKs find it: the variable that names it, else the region's own endpoint.
fn endpoint(environment: &Environment) -> Result<Url, StsError> {
    let named = [ENDPOINT, "AWS_ENDPOINT_URL"];
    if let Some((name, url)) = environment.first(named) {
        let url = Url::parse(url).ok();
        let url = url.filter(|url| ["http", "https"].contains(&url.scheme()));
        return url.ok_or(StsError::Endpoint(name));
    }
    let Some((name, region)) = environment.first(["AWS_REGION", "AWS_DEFAULT_REGION"]) else {
        return Url::parse("https://sts.amazonaws.com/").map_err(|_| StsError::Endpoint(ENDPOINT));
    };
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !region.bytes().all(is_region) {
        return Err(StsError::Endpoint(name));
    }
    // China is a partition of its own.
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let url = format!("https://sts.{region}.amazonaws.com{suffix}/");
    Url::parse(&url).map_err(|_| StsError::Endpoint(name))
}

/// The text of the first element with this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                let text = reader.read_text(start.name()).ok()?;
                return quick_xml::escape::unescape(&text)
                    .ok()
                    .map(|text| text.trim().to_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_the_region_s() {
        for (variables, expected) in [
            (&[][..], "https://sts.amazonaws.com/"),
            (
                &[("AWS_REGION", "eu-west-1")],
                "https://sts.eu-west-1.amazonaws.com/",
            ),
            (
                &[("AWS_DEFAULT_REGION", "cn-north-1")],
                "https://sts.cn-north-1.amazonaws.com.cn/",
            ),
            (
                &[(ENDPOINT, "http://127.0.0.1:1"), ("AWS_REGION", "x")],
                "http://127.0.0.1:1/",
            ),
        ] {
            let environment = variables.iter().copied().collect();
            assert_eq!(endpoint(&environment).unwrap().as_str(), expected);
        }
        for wrong in [("AWS_REGION", "evil.example.com/"), (ENDPOINT, "sts")] {
            assert!(endpoint(&[wrong].into_iter().collect()).is_err());
        }
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let xml = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code>
            <Message>Not &quot;authorized&quot;</Message></Error></ErrorResponse>"#;
        assert_eq!(element(xml, "Code").unwrap(), "AccessDenied");
        assert_eq!(element(xml, "Message").unwrap(), "Not \"authorized\"");
        assert_eq!(element(xml, "SessionToken"), None);
        assert_eq!(element("no xml <", "Code"), None);
    }
}
