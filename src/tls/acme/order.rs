//! One order from its start to a certificate (RFC 8555, section 7.4), checked over TLS (RFC 8737).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::KeyPair;

use super::ORDER_TIMEOUT;
use super::challenge::{Answered, Challenges};
use super::error::{AcmeError, words};
use crate::tls::x509::signing_request;

/// How the order is looked at while the CA works on it, if the CA does not say when.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_secs(1))
    .backoff(1.5)
    .timeout(ORDER_TIMEOUT);

/// Orders a certificate for `domains` and `key`; its chain in PEM.
pub(super) async fn order(
    account: &Account,
    domains: &[String],
    key: &KeyPair,
    challenges: &Challenges,
) -> Result<String, AcmeError> {
    let names: Vec<_> = domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    // They are answered for as long as this is held.
    let _answered = answer(&mut order, challenges).await?;
    let refusal = match order.poll_ready(&POLL).await {
        Ok(OrderStatus::Ready) => None,
        Ok(_) => Some(AcmeError::Malformed("an invalid order without a reason")),
        Err(error) => Some(error.into()),
    };
    if let Some(refusal) = refusal {
        return Err(failed_check(&mut order).await.unwrap_or(refusal));
    }
    order.finalize_csr(&signing_request(key, domains)?).await?;
    Ok(order.poll_certificate(&POLL).await?)
}

/// Lets the CA check that each name is ours (section 7.5).
async fn answer(order: &mut Order, challenges: &Challenges) -> Result<Vec<Answered>, AcmeError> {
    let mut answered = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // The CA may remember an earlier check.
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(AcmeError::NoChallenge { domain });
        };
        let proof = challenge.key_authorization().digest();
        answered.push(challenges.answer(&domain, proof.as_ref())?);
        challenge.set_ready().await?;
    }
    Ok(answered)
}

/// The name that the CA could not check, and why: the order itself need not say it.
async fn failed_check(order: &mut Order) -> Option<AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        if state.status == AuthorizationStatus::Invalid {
            let mut problems = state.challenges.iter().filter_map(|c| c.error.as_ref());
            return Some(AcmeError::Challenge {
                domain: state.identifier().to_string(),
                detail: problems
                    .next()
                    .map_or_else(|| "no reason given".to_owned(), words),
            });
        }
    }
    None
}
