//! Bearer secrets as people see them: an id, and times. Never the secret itself.

use super::InvalidField;
use super::time::Timestamp;

/// A client, and an operator, has as many secrets at a time: one to go, one to come.
pub const AT_A_TIME: i64 = 2;

/// Of a secret in use, the last use is written down as often, in seconds.
pub const USE_STEP: i64 = 60;

/// The longest that a secret may be asked to live, in seconds: ten years.
const LONGEST: i64 = 10 * 365 * 24 * 3_600;

/// As many digits of its hash name a secret: whoever holds it can tell which one it is, and nobody
/// can tell the secret from them.
const ID_DIGITS: usize = 12;

/// A secret that is to be added.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// SHA-256 of the secret, in hexadecimal.
    pub hash: String,
    /// From when on it is worth nothing; `None` for one that lasts until it is removed.
    pub expires_at: Option<Timestamp>,
}

impl NewSecret {
    /// The id by which people name it.
    pub fn id(&self) -> &str {
        self.hash.get(..ID_DIGITS).unwrap_or(&self.hash)
    }
}

/// What is shown of a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretInfo {
    /// The id by which people name it.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing; `None` for one that lasts until it is removed.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take [`USE_STEP`]; `None` for never.
    pub last_used_at: Option<Timestamp>,
    /// The trusted issuer whose token was exchanged for it; `None` for one that an operator made.
    pub issuer: Option<String>,
}

impl SecretInfo {
    /// Whether it is worth nothing any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether a use at `now` is worth writing down.
    pub fn is_use_news(&self, now: Timestamp) -> bool {
        self.last_used_at
            .is_none_or(|last| now.seconds_since(last) > USE_STEP)
    }
}

/// Whether a text can be the id of a secret; what cannot be one names none.
pub fn is_id(text: &str) -> bool {
    let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == ID_DIGITS && text.bytes().all(lower_hex)
}

/// When a secret expires that was asked for with `expires_in` seconds in `field`.
///
/// # Errors
/// Names the field: it must be from one second to ten years.
pub fn expiry(
    field: &str,
    expires_in: Option<i64>,
    now: Timestamp,
) -> Result<Option<Timestamp>, InvalidField> {
    match expires_in {
        Some(seconds) if !(1..=LONGEST).contains(&seconds) => Err(InvalidField::new(
            field,
            format!("must be from 1 to {LONGEST} seconds (ten years)"),
        )),
        seconds => Ok(seconds.map(|seconds| Timestamp(now.0.saturating_add(seconds)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_the_start_of_its_hash() {
        let secret = NewSecret {
            hash: "0123456789abcdef".repeat(4),
            expires_at: None,
        };
        assert_eq!(secret.id(), "0123456789ab");
        assert!(is_id(secret.id()));
        for other in [
            "",
            "0123456789a",
            "0123456789abc",
            "0123456789aB",
            "012345678\0ab",
        ] {
            assert!(!is_id(other), "{other:?}");
        }
    }

    #[test]
    fn a_secret_expires_on_the_second_and_its_uses_are_told_apart_by_the_minute() {
        let now = Timestamp(1_000);
        let info = SecretInfo {
            id: String::new(),
            created_at: now,
            expires_at: expiry("expires_in", Some(10), now).unwrap(),
            last_used_at: Some(now),
            issuer: None,
        };
        assert!(!info.is_expired(Timestamp(1_009)) && info.is_expired(Timestamp(1_010)));
        assert!(!info.is_use_news(Timestamp(1_060)) && info.is_use_news(Timestamp(1_061)));
        let never = SecretInfo {
            last_used_at: None,
            expires_at: None,
            ..info
        };
        assert!(never.is_use_news(now) && !never.is_expired(Timestamp(i64::MAX)));
        for wrong in [0, -1, LONGEST + 1, i64::MAX] {
            let error = expiry("expires_in", Some(wrong), now).unwrap_err();
            assert_eq!(error.field, "expires_in");
        }
        assert_eq!(expiry("expires_in", None, now), Ok(None));
    }
}
