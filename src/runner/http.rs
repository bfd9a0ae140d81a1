//! What the runner's HTTP clients have in common: whom they trust, when they ask again, how much
//! they read, and how they put into words what went wrong.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, header};
use url::Url;

/// How long to wait before each further attempt; the server's own `Retry-After` counts up to
/// [`LONGEST_PAUSE`].
const PAUSES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A token of 8 KiB, and then some, in bytes (as azurerm bounds the same answer).
const MAX_ANSWER: usize = 1024 * 1024;

/// A server's own words, in characters.
const MAX_WORDS: usize = 500;

/// Sets up a client for the server at `url`. `timeout` is for one attempt; `roots` are trusted
/// instead of the system's CAs, where there are any.
pub(crate) fn client(
    url: &Url,
    timeout: Duration,
    redirect: Policy,
    roots: Option<Vec<Certificate>>,
) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .timeout(timeout)
        .redirect(redirect)
        .referer(false)
        .user_agent(concat!("runmint/", env!("CARGO_PKG_VERSION"), " (runner)"));
    // A proxy for the world outside is none for this machine.
    if is_this_machine(url) {
        builder = builder.no_proxy();
    }
    if let Some(roots) = roots {
        builder = builder.tls_certs_only(roots);
    }
    builder.build()
}

/// One attempt that failed.
pub(super) struct Failure<E> {
    /// Why.
    pub(super) error: E,
    /// Whether another attempt may go better, and does no harm.
    pub(super) again: bool,
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// Attempts it several times if need be: in all for a few seconds, unless the server does not answer
/// at all.
pub(super) async fn repeated<T, E, F>(attempt: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, Failure<E>>>,
{
    let mut pauses = PAUSES.iter();
    loop {
        let failure = match attempt().await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        match pauses.next() {
            Some(pause) if failure.again => {
                let asked = failure.retry_after;
                let pause = asked.map_or(*pause, |asked| asked.min(LONGEST_PAUSE));
                tokio::time::sleep(pause).await;
            }
            _ => return Err(failure.error),
        }
    }
}

/// Whether a status says that another attempt may go better.
pub(super) fn is_passing(status: u16) -> bool {
    status == 429 || status >= 500
}

/// In seconds (RFC 9110 section 10.2.3); a date is passed over.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The body. What is longer is cut off, and then no JSON.
pub(super) async fn bounded(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() <= MAX_ANSWER
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(MAX_ANSWER);
    Ok(body)
}

/// A server's own words on one line, cut off where they do not end, without what would steer a
/// terminal.
pub(super) fn words(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_WORDS).collect()
}

/// The innermost cause: `Connection refused` rather than `error sending request`.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_line_of_bounded_length() {
        assert_eq!(
            words("1 error occurred:\n\t* permission denied\n\n"),
            "1 error occurred: * permission denied"
        );
        assert_eq!(words("a\u{1b}[31mb\u{7}"), "a [31mb");
        assert_eq!(words(&"x".repeat(9_999)).len(), MAX_WORDS);
    }

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        for (url, expected) in [
            ("http://127.0.0.9:1", true),
            ("http://[::1]", true),
            ("http://localhost", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_this_machine(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn attempts_end_when_they_succeed_do_harm_or_have_been_enough() {
        for (again, succeeds_at, expected) in [
            (true, 3, (3, Ok(()))),
            (true, 99, (1 + PAUSES.len(), Err(()))),
            (false, 3, (1, Err(()))),
        ] {
            let attempts = std::cell::Cell::new(0);
            let result = repeated(|| {
                attempts.set(attempts.get() + 1);
                let failure = Failure {
                    error: (),
                    again,
                    retry_after: Some(Duration::ZERO),
                };
                std::future::ready(if attempts.get() == succeeds_at {
                    Ok(())
                } else {
                    Err(failure)
                })
            })
            .await;
            assert_eq!((attempts.get(), result), expected);
        }
    }
}
