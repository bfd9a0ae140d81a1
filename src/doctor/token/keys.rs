//! Where the published keys come from.

use serde_json::Value;
use url::Url;

use crate::doctor::issuer::look::{LookError, Options, fetch};
use crate::doctor::issuer::seen::{
    DISCOVERY_PATH, Distrust, Exchange, bare, is_this_machine, shown,
};
use crate::domain::time::Timestamp;

/// The published keys, or why there are none.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A key set.
    Set {
        /// Where it is from, for people.
        from: String,
        /// The `issuer` of the discovery document that led to it, if one did.
        issuer: Option<String>,
        /// The set (RFC 7517, section 5).
        document: Value,
    },
    /// There is none, because of this; a sentence without a full stop.
    Unseen(String),
}

impl Keys {
    /// Asks an issuer, as a relying party does: discovery, then the key set. Only over https, or on this
    /// machine.
    ///
    /// # Errors
    /// The HTTP client cannot be set up; all that goes wrong outside is [`Keys::Unseen`].
    pub async fn of_issuer(
        issuer: &str,
        options: &Options,
        clock: &(impl Fn() -> Timestamp + Sync),
    ) -> Result<Self, LookError> {
        let discovery = format!("{}{DISCOVERY_PATH}", bare(issuer));
        let discovery = match document(&discovery, options, clock).await? {
            Ok(document) => document,
            Err(why) => return Ok(Self::Unseen(why)),
        };
        let Some(jwks_uri) = discovery["jwks_uri"].as_str() else {
            let why = "the discovery document has no `jwks_uri`";
            return Ok(Self::Unseen(why.to_owned()));
        };
        Ok(match document(jwks_uri, options, clock).await? {
            Ok(document) => Self::Set {
                from: shown(jwks_uri),
                issuer: discovery["issuer"].as_str().map(str::to_owned),
                document,
            },
            Err(why) => Self::Unseen(why),
        })
    }
}

async fn document(
    url: &str,
    options: &Options,
    clock: &(impl Fn() -> Timestamp + Sync),
) -> Result<Result<Value, String>, LookError> {
    let parsed = Url::parse(url).ok().filter(Url::has_host);
    let is_allowed = |url: &Url| match url.scheme() {
        "https" => true,
        "http" => is_this_machine(url),
        _ => false,
    };
    let Some(parsed) = parsed.filter(is_allowed) else {
        return Ok(Err(format!(
            "`{}` is no https URL, so nobody is asked",
            shown(url)
        )));
    };
    let exchange = fetch(&parsed, options, clock).await?;
    Ok(body(&exchange).map_err(|why| format!("`{}` {why}", shown(url))))
}

fn body(exchange: &Exchange) -> Result<Value, String> {
    if let Some(distrust) = &exchange.distrust {
        let words = match distrust {
            Distrust::Ended => "has ended",
            Distrust::Host => "is for another host",
            Distrust::NotYet => "is not valid yet",
            Distrust::Unknown => "is of nobody who is trusted here; `--ca` names a private CA",
            Distrust::Other(_) => "is not accepted",
        };
        return Err(format!("shows a certificate that {words}"));
    }
    let answer = exchange.outcome.as_ref();
    let answer =
        answer.map_err(|error| format!("does not answer: {}", shown(&error.to_string())))?;
    if answer.status != 200 {
        return Err(format!("answers {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "answers no JSON".to_owned())
}
