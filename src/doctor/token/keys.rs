//! Where the published keys come from.

use serde_json::Value;
use url::Url;

use crate::doctor::issuer::look::{LookError, Options, addresses, fetch};
use crate::doctor::issuer::place::{Place, fault, strays};
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
    /// machine; whoever wrote the token has named the issuer, so nothing is asked at a link-local address,
    /// and nothing on this machine for an issuer that is elsewhere.
    ///
    /// # Errors
    /// The HTTP client cannot be set up; all that goes wrong outside is [`Keys::Unseen`].
    pub async fn of_issuer(
        issuer: &str,
        options: &Options,
        clock: &(impl Fn() -> Timestamp + Sync),
    ) -> Result<Self, LookError> {
        let discovery = format!("{}{DISCOVERY_PATH}", bare(issuer));
        let unasked = |url: &str, why| {
            let why = format!("`{}` {why}, so nobody is asked", shown(url));
            Ok(Self::Unseen(why))
        };
        let Some(issuer_url) = web(&discovery).filter(may_be_asked) else {
            return unasked(&discovery, "is no https URL");
        };
        let place = place(&issuer_url, options).await;
        if place == Place::Link {
            return unasked(&discovery, "leads to a link-local address");
        }
        let discovery = match document(&issuer_url, options, clock).await? {
            Ok(document) => document,
            Err(why) => return Ok(Self::Unseen(why)),
        };
        let Some(jwks_uri) = discovery["jwks_uri"].as_str() else {
            let why = "the discovery document has no `jwks_uri`";
            return Ok(Self::Unseen(why.to_owned()));
        };
        let Some(jwks_url) = web(jwks_uri) else {
            return unasked(jwks_uri, "is no https URL");
        };
        if let Some(why) = fault(&jwks_url, &issuer_url) {
            return unasked(jwks_uri, why);
        }
        if jwks_url.host() != issuer_url.host()
            && let Some(why) = strays(self::place(&jwks_url, options).await, place)
        {
            return unasked(jwks_uri, why);
        }
        Ok(match document(&jwks_url, options, clock).await? {
            Ok(document) => Self::Set {
                from: shown(jwks_uri),
                issuer: discovery["issuer"].as_str().map(str::to_owned),
                document,
            },
            Err(why) => Self::Unseen(why),
        })
    }
}

fn web(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(Url::has_host)
}

fn may_be_asked(issuer: &Url) -> bool {
    match issuer.scheme() {
        "https" => true,
        "http" => is_this_machine(issuer),
        _ => false,
    }
}

async fn place(url: &Url, options: &Options) -> Place {
    Place::of_host(url, &addresses(url, options.timeout).await)
}

async fn document(
    url: &Url,
    options: &Options,
    clock: &(impl Fn() -> Timestamp + Sync),
) -> Result<Result<Value, String>, LookError> {
    let exchange = fetch(url, options, clock).await?;
    Ok(body(&exchange).map_err(|why| format!("`{}` {why}", shown(url.as_str()))))
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
