//! YAML as it is written here: every text in double quotes, so that none is read as something else.

/// A text in double quotes. What is escaped is escaped as in JSON, which YAML reads alike.
pub(in crate::trust) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
