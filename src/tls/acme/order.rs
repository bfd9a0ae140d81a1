//! One order from its start to a certificate (RFC 8555, section 7.4), checked over TLS (RFC 8737).

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::challenge::Challenges;
use super::client::{AcmeError, Answer, Client, Problem};
use crate::domain::time::Timestamp;
use crate::tls::x509::signing_request;

/// Between two looks at something that the CA works on, if it does not say how long.
const POLL: Duration = Duration::from_secs(1);

/// The longest that it may make us wait between two looks.
const LONGEST_POLL: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Order {
    status: Status,
    #[serde(default)]
    authorizations: Vec<String>,
    finalize: String,
    certificate: Option<String>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Authorization {
    status: Status,
    identifier: Identifier,
    challenges: Vec<Challenge>,
}

#[derive(Deserialize)]
struct Identifier {
    value: String,
}

/// Some kinds have no token; ours has one (RFC 8737, section 3).
#[derive(Deserialize)]
struct Challenge {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    token: Option<String>,
    error: Option<Problem>,
}

/// Of an order, an authorization or a challenge (section 7.1.6).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    Deactivated,
    Expired,
    Revoked,
}

const TLS_ALPN_01: &str = "tls-alpn-01";

/// Orders a certificate for `domains` and `key`; its chain in PEM.
pub(super) async fn order(
    client: &mut Client,
    domains: &[String],
    key: &aws_lc_rs::signature::EcdsaKeyPair,
    challenges: &Challenges,
    now: Timestamp,
) -> Result<String, AcmeError> {
    let identifiers: Vec<_> = domains
        .iter()
        .map(|domain| json!({"type": "dns", "value": domain}))
        .collect();
    let url = client.new_order_url();
    let payload = json!({"identifiers": identifiers});
    let answer = client.post(&url, Some(&payload)).await?;
    let order: Order = answer.json("an order")?;
    let order_url = answer
        .location
        .ok_or(AcmeError::Malformed("no URL of the order"))?;

    for url in &order.authorizations {
        authorize(client, url, challenges, now).await?;
    }
    let order = until(client, &order_url, |status| {
        matches!(status, Status::Pending | Status::Processing)
    })
    .await?;
    if order.status == Status::Ready {
        let request = signing_request(key, domains).map_err(|_| AcmeError::Crypto)?;
        let payload = json!({"csr": base64url(&request)});
        client.post(&order.finalize, Some(&payload)).await?;
    }
    let order = until(client, &order_url, |status| {
        matches!(status, Status::Ready | Status::Processing)
    })
    .await?;
    let url = order
        .certificate
        .ok_or(AcmeError::Malformed("no URL of the certificate"))?;
    let chain = client.post(&url, None).await?.body;
    String::from_utf8(chain).map_err(|_| AcmeError::Malformed("no certificate in PEM"))
}

/// Lets the CA check that one name is ours (section 7.5).
async fn authorize(
    client: &mut Client,
    url: &str,
    challenges: &Challenges,
    now: Timestamp,
) -> Result<(), AcmeError> {
    let (authorization, _) = authorization(client, url).await?;
    let domain = authorization.identifier.value;
    // The CA may remember an earlier check.
    if authorization.status == Status::Valid {
        return Ok(());
    }
    let challenge = authorization
        .challenges
        .into_iter()
        .find(|challenge| challenge.kind == TLS_ALPN_01);
    let Some((url_of_challenge, token)) =
        challenge.and_then(|challenge| Some((challenge.url, challenge.token?)))
    else {
        return Err(AcmeError::NoChallenge { domain });
    };
    let proof = client.key_authorization(&token);
    // It is answered for as long as this is held.
    let _answered = challenges.answer(&domain, &proof, now)?;
    client.post(&url_of_challenge, Some(&json!({}))).await?;
    loop {
        let (authorization, wait) = self::authorization(client, url).await?;
        match authorization.status {
            Status::Valid => return Ok(()),
            Status::Pending | Status::Processing => tokio::time::sleep(wait).await,
            _ => {
                let detail = authorization
                    .challenges
                    .into_iter()
                    .find_map(|challenge| challenge.error)
                    .map_or_else(|| "no reason given".to_owned(), |error| error.to_string());
                return Err(AcmeError::Challenge { domain, detail });
            }
        }
    }
}

async fn authorization(
    client: &mut Client,
    url: &str,
) -> Result<(Authorization, Duration), AcmeError> {
    let answer = client.post(url, None).await?;
    Ok((answer.json("an authorization")?, wait(&answer)))
}

/// Looks at the order until it is no longer so; an order that has failed is an error.
async fn until(
    client: &mut Client,
    url: &str,
    is_so: impl Fn(Status) -> bool,
) -> Result<Order, AcmeError> {
    loop {
        let answer = client.post(url, None).await?;
        let order: Order = answer.json("an order")?;
        match order.status {
            Status::Invalid => {
                let error = order.error.unwrap_or_default();
                return Err(AcmeError::Refused {
                    kind: "the order is invalid".to_owned(),
                    detail: error.to_string(),
                    retry_after: None,
                });
            }
            status if is_so(status) => tokio::time::sleep(wait(&answer)).await,
            _ => return Ok(order),
        }
    }
}

fn wait(answer: &Answer) -> Duration {
    answer.retry_after.unwrap_or(POLL).clamp(POLL, LONGEST_POLL)
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
