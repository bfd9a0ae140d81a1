//! The account at the CA: found again, or made (RFC 8555, section 7.3).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use instant_acme::{Account, ExternalAccountKey, NewAccount};

use super::error::AcmeError;
use super::http::Http;
use super::state;
use crate::config::AcmeSettings;

/// The account that was kept. The CA is asked for its directory only: whether it still knows the
/// account turns out with the order.
pub(super) async fn restore(
    http: &Http,
    settings: &AcmeSettings,
    kept: &state::Account,
) -> Result<Account, AcmeError> {
    let key = STANDARD.decode(&kept.key);
    let key = key.map_err(|_| AcmeError::Damaged)?;
    let directory = settings.directory_url.clone();
    let builder = Account::builder_with_http(Box::new(http.clone()));
    Ok(builder
        .from_parts(kept.url.clone(), key.into(), directory)
        .await?)
}

/// A new account, and what is to be kept of it.
pub(super) async fn register(
    http: &Http,
    settings: &AcmeSettings,
) -> Result<(Account, state::Account), AcmeError> {
    let contact = Some(settings.contact.as_str()).filter(|contact| !contact.is_empty());
    let account = NewAccount {
        contact: contact.as_slice(),
        terms_of_service_agreed: settings.accept_terms,
        only_return_existing: false,
    };
    let external = external(settings)?;
    let directory = settings.directory_url.clone();
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let (account, credentials) = builder
        .create(&account, directory, external.as_ref())
        .await?;
    let kept = state::Account {
        url: account.id().to_owned(),
        key: STANDARD.encode(credentials.private_key().secret_pkcs8_der()),
    };
    Ok((account, kept))
}

/// An account that the CA knows already and that is behind the new one (section 7.3.4).
fn external(settings: &AcmeSettings) -> Result<Option<ExternalAccountKey>, AcmeError> {
    let id = settings.external_account_id.clone();
    if id.is_empty() {
        return Ok(None);
    }
    let key = settings.external_account_key.0.trim_end_matches('=');
    let key = URL_SAFE_NO_PAD
        .decode(key)
        .map_err(|_| AcmeError::ExternalAccountKey)?;
    Ok(Some(ExternalAccountKey::new(id, &key)))
}
