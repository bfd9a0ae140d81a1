//! The files in which policies come: JSON as the clouds' tools print it, or YAML.

use serde_json::Value;

use crate::domain::strict_json::{FILE_DEPTH, Strict};

/// One document of a file, which may hold several, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file, and which document of it where there are several: what messages call it.
    pub name: String,
    /// What it says.
    pub value: Value,
}

/// Why a file holds no document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoDocument {
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// It is neither JSON nor YAML.
    #[error("{name} is neither JSON nor YAML: {what}")]
    Syntax {
        /// The file.
        name: String,
        /// What the parser says, with line and column.
        what: String,
    },
}

impl Document {
    /// All documents of a file.
    ///
    /// # Errors
    /// [`NoDocument`], with the place.
    pub fn all(name: &str, text: &str) -> Result<Vec<Self>, NoDocument> {
        let syntax = |what: String| NoDocument::Syntax {
            name: name.to_owned(),
            what,
        };
        // What begins as JSON is taken for JSON, so that its mistakes are reported as JSON's. Of two
        // members of one name it is up to the parser which one counts (RFC 8259 section 4), and the verdict
        // could be about another policy than the one that people read; YAML's parser refuses them itself.
        let values: Vec<Value> = if text.trim_start().starts_with(['{', '[']) {
            let values = serde_json::Deserializer::from_str(text).into_iter();
            let values = values.map(|strict| strict.map(|Strict::<FILE_DEPTH>(value)| value));
            let values: Result<_, _> = values.collect();
            values.map_err(|error: serde_json::Error| syntax(error.to_string()))?
        } else {
            serde_saphyr::from_multiple(text).map_err(|error| syntax(error.to_string()))?
        };
        let values: Vec<Value> = values
            .into_iter()
            .filter(|value| !value.is_null())
            .collect();
        if values.is_empty() {
            return Err(NoDocument::Empty(name.to_owned()));
        }
        let several = values.len() > 1;
        let documents = values.into_iter().enumerate();
        Ok(documents
            .map(|(index, value)| Self {
                name: if several {
                    format!("{name} (document {})", index + 1)
                } else {
                    name.to_owned()
                },
                value,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_are_read_and_a_file_may_hold_several() {
        let one = Document::all("p.json", r#"{"Version": "2012-10-17"}"#).unwrap();
        assert_eq!(one[0].value, json!({"Version": "2012-10-17"}));
        assert_eq!(one[0].name, "p.json");
        let two = Document::all("k.yaml", "---\nkind: A\n---\nkind: B\nn: 5\n").unwrap();
        assert_eq!(two[1].value, json!({"kind": "B", "n": 5}));
        assert_eq!(two[1].name, "k.yaml (document 2)");
        let two = Document::all("p.json", "{\"a\": 1}\n{\"b\": 2}\n").unwrap();
        assert_eq!(two[1].value, json!({"b": 2}));
    }

    #[test]
    fn a_member_that_is_named_twice_is_refused_with_its_place() {
        for (text, name, line) in [
            (r#"{"sub": "a", "sub": "b"}"#, "sub", "line 1"),
            ("{\"a\": [{\"x\": 1,\n\"\\u0078\": 1}]}", "x", "line 2"),
            ("{\"a\": 1}\n{\"b\": 2,\n \"b\": 2}", "b", "line 3"),
            ("a: 1\na: 2\n", "a", "line 2"),
        ] {
            let error = Document::all("p", text).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(line), "{error}");
        }
        let same =
            r#"{"a": {"x": [1, -2, 3.5, true, null, "é"]}, "b": {"x": 18446744073709551615}}"#;
        let read = &Document::all("p", same).unwrap()[0].value;
        assert_eq!(read, &serde_json::from_str::<Value>(same).unwrap());
    }

    #[test]
    fn what_is_neither_is_said_with_its_place() {
        let error = Document::all("p.json", "{\"a\": ").unwrap_err().to_string();
        assert!(
            error.contains("p.json") && error.contains("line 1"),
            "{error}"
        );
        let error = Document::all("k.yaml", "a: [b").unwrap_err().to_string();
        assert!(error.contains("k.yaml"), "{error}");
        assert_eq!(
            Document::all("e", " \n"),
            Err(NoDocument::Empty("e".to_owned()))
        );
    }
}
