//! What Vault answers. Nothing of it becomes part of a message: any of it may be a secret.

use serde_json::Value;

use super::error::VaultError;
use crate::runner::http;
use crate::runner::text::SecretText;

/// How long something that Vault gave out is good for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// By which it is renewed and revoked; a token is renewed by itself, and what Vault cannot take
    /// back has none.
    pub id: Option<String>,
    /// From when it was given, in seconds; 0 if it does not end.
    pub seconds: i64,
    /// Whether Vault prolongs it; otherwise another one has to be asked for.
    pub renewable: bool,
}

/// An answer to one call.
pub(super) struct Answer {
    /// Scheme, host and port.
    pub(super) host: String,
    /// What was asked.
    pub(super) path: String,
    /// What came back; null for nothing, or for what is no JSON.
    pub(super) json: Value,
}

/// Of Vault's warnings.
const MOST_WARNINGS: usize = 10;

impl Answer {
    /// The text at `pointer` (RFC 6901), if there is one: visible ASCII, as a header or a line of a
    /// file can hold it, and as Vault's own tokens and the clouds' keys are.
    pub(super) fn find_text(&self, pointer: &str) -> Result<Option<&str>, VaultError> {
        match self.json.pointer(pointer) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Some(text))
            }
            Some(_) => Err(self.unlike(&format!("`{}` is no text without spaces", name(pointer)))),
        }
    }

    /// The text at `pointer`, which must be there.
    pub(super) fn text(&self, pointer: &str) -> Result<&str, VaultError> {
        self.find_text(pointer)?
            .ok_or_else(|| self.unlike(&format!("it has no `{}`", name(pointer))))
    }

    /// The secret at `pointer`, which must be there.
    pub(super) fn secret(&self, pointer: &str) -> Result<SecretText, VaultError> {
        self.text(pointer).map(SecretText::new)
    }

    /// The lease of a secret. Where there is none, `data` may say how long it lives.
    pub(super) fn lease(&self, life: &str) -> Lease {
        let lease = lease(&self.json);
        let seconds = match lease.seconds {
            0 => seconds(&self.json["data"][life]),
            seconds => seconds,
        };
        Lease { seconds, ..lease }
    }

    /// The lease of the token, which must be there.
    pub(super) fn token_lease(&self) -> Result<Lease, VaultError> {
        match &self.json["auth"] {
            Value::Object(_) => Ok(lease(&self.json["auth"])),
            _ => Err(self.unlike("it has no `auth`")),
        }
    }

    /// What Vault wants to be said.
    pub(super) fn warnings(&self) -> Vec<String> {
        let warnings = self.json["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(Value::as_str).take(MOST_WARNINGS);
        warnings.map(http::words).collect()
    }

    /// It is not what was asked for.
    pub(super) fn unlike(&self, reason: &str) -> VaultError {
        VaultError::Answer {
            host: self.host.clone(),
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn lease(part: &Value) -> Lease {
    let id = part["lease_id"].as_str().filter(|id| !id.is_empty());
    Lease {
        id: id.map(str::to_owned),
        seconds: seconds(&part["lease_duration"]),
        renewable: part["renewable"].as_bool().unwrap_or(false),
    }
}

fn seconds(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0).max(0)
}

/// As a person writes it: `data.access_key`.
fn name(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(json: Value) -> Answer {
        Answer {
            host: "https://vault:8200".to_owned(),
            path: "aws/creds/deploy".to_owned(),
            json,
        }
    }

    #[test]
    fn what_is_no_answer_is_told_by_the_member_and_never_by_its_value() {
        for (key, reason) in [
            (json!(null), "it has no `data.key`"),
            (json!(""), "it has no `data.key`"),
            (json!(7_777), "is no text"),
            (json!("hidden\n[other]"), "is no text"),
            (json!({"hidden": 7_777}), "is no text"),
        ] {
            let error = answer(json!({"data": {"key": key}})).secret("/data/key");
            let error = error.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("data.key"), "{error}");
            assert!(
                !error.contains("hidden") && !error.contains("7777"),
                "{error}"
            );
        }
        for json in [json!(null), json!([]), json!("hidden"), json!({"data": 1})] {
            answer(json).secret("/data/key").unwrap_err();
        }
    }

    #[test]
    fn a_lease_may_be_none_or_without_end() {
        let given = json!({"lease_id": "aws/creds/x/1", "lease_duration": 60, "renewable": true});
        assert_eq!(
            answer(given).lease("ttl"),
            Lease {
                id: Some("aws/creds/x/1".to_owned()),
                seconds: 60,
                renewable: true
            }
        );
        let none = |seconds| Lease {
            id: None,
            seconds,
            renewable: false,
        };
        let without = json!({"lease_id": "", "lease_duration": 0, "data": {"token_ttl": 3_599}});
        assert_eq!(answer(without.clone()).lease("token_ttl"), none(3_599));
        assert_eq!(answer(without).lease("ttl"), none(0));
        assert_eq!(answer(json!({"lease_duration": -5})).lease("ttl"), none(0));
        let root = json!({"auth": {"lease_duration": 0}});
        assert_eq!(answer(root).token_lease().unwrap(), none(0));
        answer(json!({"auth": null})).token_lease().unwrap_err();
    }

    #[test]
    fn warnings_are_told_on_a_line_each() {
        let warnings = json!({"warnings": ["TTL of \"2h\"\nexceeded", 1, null, "b"]});
        assert_eq!(answer(warnings).warnings(), ["TTL of \"2h\" exceeded", "b"]);
        assert!(answer(json!({"warnings": null})).warnings().is_empty());
        let many = json!({"warnings": vec!["w"; 1_000]});
        assert_eq!(answer(many).warnings().len(), MOST_WARNINGS);
    }
}
