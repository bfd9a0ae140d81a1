//! Members that stand more than once in one object of a JSON text. Parsers take the first, the last or
//! none of them (RFC 8259, section 4), and a parsed value does not show it any more.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The names of members that stand twice in one object, at whatever depth; as far as the text is JSON.
pub(super) fn members(json: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    // What is no JSON has a finding of its own.
    _ = Members(&mut found).deserialize(&mut deserializer);
    found
}

/// Goes through a value, and takes down what stands twice.
struct Members<'a>(&'a mut BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Members(&mut *self.0))?;
            if let Some(again) = names.replace(name) {
                self.0.insert(again);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Members(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_twice_in_one_object_is_found_at_any_depth() {
        for (json, expected) in [
            (
                r#"{"a": 1, "b": [true, null, 1.5, -1, "x"], "c": {"a": 2}}"#,
                &[][..],
            ),
            (r#"{"keys": [{"kid": "x"}, {"kid": "y"}]}"#, &[]),
            (r#"{"a": 1, "b": 2, "a": 1}"#, &["a"]),
            (r#"{"a": 1, "\u0061": 1}"#, &["a"]),
            (
                r#"{"keys": [{"n": "x", "n": "y", "n": "z"}], "x": 1, "x": 2}"#,
                &["n", "x"],
            ),
            (r#"{"a": 1, "a": "#, &[]),
        ] {
            let found = members(json.as_bytes());
            assert!(found.iter().eq(expected), "{json}: {found:?}");
        }
    }
}
