//! JSON of strangers: an object without a member named twice (RFC 8725 section 2.4 and RFC 7519
//! section 4 leave it to the parser which one counts), and not nested deeply.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Deeper than any token in use; Kubernetes' has three levels.
pub const TOKEN_DEPTH: usize = 8;

/// As deep as `serde_json` itself goes, which is 128 levels: for files of people's own.
pub const FILE_DEPTH: usize = 128;

/// A value in which no member is named twice, of as many levels at most.
#[derive(Clone, Debug)]
pub struct Strict<const DEPTH: usize>(pub Value);

/// Parses a whole text of at most `DEPTH` levels.
///
/// # Errors
/// It is no JSON, names a member twice, or is nested too deeply.
pub fn parse<const DEPTH: usize>(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict<DEPTH>>(text).map(|Strict(value)| value)
}

impl<'de, const DEPTH: usize> Deserialize<'de> for Strict<DEPTH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(DEPTH).deserialize(deserializer).map(Self)
    }
}

/// Of a name that stands twice, in characters: strangers choose it.
const SHOWN: usize = 64;

/// How many levels may follow.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn next<E: Error>(self) -> Result<Self, E> {
        let below = self.0.checked_sub(1);
        below
            .map(Level)
            .ok_or_else(|| E::custom("it is nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.next()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.next()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                let name: String = name.chars().take(SHOWN).collect();
                let twice =
                    format_args!("{name:?} is named twice in one object; leave one of them");
                return Err(A::Error::custom(twice));
            }
            object.insert(name, members.next_value_seed(below)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_json_reads_is_read_alike() {
        for text in [
            r#"{"a":[1,-2,3.5,true,null,"x\u00e9"],"b":{"c":{"d":18446744073709551615}}}"#,
            "[]",
            "7",
            " {} ",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse::<TOKEN_DEPTH>(text.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn a_member_that_is_named_twice_is_refused_at_any_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"x":{"a":1,"a":1}}]"#,
        ] {
            let error = parse::<TOKEN_DEPTH>(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("named twice"), "{text}");
        }
    }

    #[test]
    fn deep_nesting_and_broken_text_are_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        parse::<TOKEN_DEPTH>(nested(TOKEN_DEPTH).as_bytes()).unwrap();
        parse::<TOKEN_DEPTH>(nested(TOKEN_DEPTH + 1).as_bytes()).unwrap_err();
        parse::<TOKEN_DEPTH>(nested(100_000).as_bytes()).unwrap_err();
        for text in ["", "{", "{\"a\":1}x", "\u{feff}{}", "{\"a\":1e999}", "nan"] {
            parse::<TOKEN_DEPTH>(text.as_bytes()).unwrap_err();
        }
        parse::<TOKEN_DEPTH>(b"\xff").unwrap_err();
    }
}
