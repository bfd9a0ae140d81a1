//! Reads a document strictly, as the API server decodes its configuration: a member that it does not
//! know, or one of another type, is refused with its place.

use serde_json::{Map, Value};

use super::super::BadPolicy;

/// The members of an object, and where it stands.
pub(in crate::policy) struct Fields<'a> {
    place: String,
    members: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The members of `value`, which stands at `place`; that is empty for the document itself.
    pub(in crate::policy) fn of(
        place: impl Into<String>,
        value: &'a Value,
    ) -> Result<Self, BadPolicy> {
        let place = place.into();
        match value.as_object() {
            Some(members) => Ok(Self { place, members }),
            None => Err(BadPolicy::at(place, "must be an object")),
        }
    }

    /// Refuses other members than these.
    pub(in crate::policy) fn only(self, known: &[&str]) -> Result<Self, BadPolicy> {
        let unknown = self
            .members
            .keys()
            .find(|name| !known.contains(&name.as_str()));
        match unknown {
            None => Ok(self),
            Some(name) => Err(BadPolicy::at(
                self.place(name),
                format!(
                    "is not known here; there are {}",
                    known
                        .iter()
                        .map(|known| format!("`{known}`"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            )),
        }
    }

    /// Where a member stands.
    pub(in crate::policy) fn place(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// A text; nothing if it is missing or null.
    pub(in crate::policy) fn text(&self, name: &str) -> Result<Option<String>, BadPolicy> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(BadPolicy::at(
                self.place(name),
                "must be a text; write it in quotes",
            )),
        }
    }

    /// A text that is not empty; nothing if it is missing or empty, which the API server takes for the
    /// same.
    pub(in crate::policy) fn some_text(&self, name: &str) -> Result<Option<String>, BadPolicy> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A text that must be there.
    pub(in crate::policy) fn required(&self, name: &str) -> Result<String, BadPolicy> {
        self.some_text(name)?
            .ok_or_else(|| BadPolicy::at(self.place(name), "is required"))
    }

    /// A list of texts; empty if it is missing.
    pub(in crate::policy) fn texts(&self, name: &str) -> Result<Vec<String>, BadPolicy> {
        let items = self.items(name)?;
        let texts = items.iter().enumerate().map(|(index, item)| {
            item.as_str().map(str::to_owned).ok_or_else(|| {
                BadPolicy::at(
                    format!("{}[{index}]", self.place(name)),
                    "must be a text; write it in quotes",
                )
            })
        });
        texts.collect()
    }

    /// Names and texts; empty if it is missing.
    pub(in crate::policy) fn map(&self, name: &str) -> Result<Vec<(String, String)>, BadPolicy> {
        let Some(fields) = self.object(name)? else {
            return Ok(Vec::new());
        };
        let names = fields.members.keys();
        names
            .map(|name| Ok((name.clone(), fields.text(name)?.unwrap_or_default())))
            .collect()
    }

    /// An object; nothing if it is missing or null.
    pub(in crate::policy) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, BadPolicy> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Fields::of(self.place(name), value).map(Some),
        }
    }

    /// A list of objects; empty if it is missing.
    pub(in crate::policy) fn list(&self, name: &str) -> Result<Vec<Fields<'a>>, BadPolicy> {
        let items = self.items(name)?.iter().enumerate();
        items
            .map(|(index, item)| Fields::of(format!("{}[{index}]", self.place(name)), item))
            .collect()
    }

    fn items(&self, name: &str) -> Result<&'a [Value], BadPolicy> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(BadPolicy::at(self.place(name), "must be a list")),
        }
    }
}

/// What is shown once more beside what was wanted and found.
const LONGEST_SHOWN: usize = 80;

/// How two texts that should be equal are not, in words that follow a comma or stand alone.
pub(in crate::policy) fn difference(wanted: &str, found: &str) -> String {
    let text = if wanted.trim_end_matches('/') == found.trim_end_matches('/') {
        "they differ only by a slash at the end, and are compared byte for byte"
    } else if wanted.eq_ignore_ascii_case(found) {
        "they differ only by case, and are compared byte for byte"
    } else if wanted.trim() == found.trim() {
        "they differ only by a blank at an end"
    } else if found.starts_with(wanted) {
        "the token's goes on after it, and the whole is compared"
    } else if wanted.len().max(found.len()) <= LONGEST_SHOWN {
        return format!("the token's is another: `{found}`, not `{wanted}`");
    } else {
        "the token's is another"
    };
    text.to_owned()
}

/// How near a subject's name is to a user's, and how it differs.
pub(super) fn likeness(subject: &str, name: &str) -> Option<(usize, String)> {
    let how = |rank: usize, text: &str| Some((rank, text.to_owned()));
    if subject.eq_ignore_ascii_case(name) {
        return how(10_000, "it differs by case");
    }
    if name.ends_with(subject) {
        return how(9_000, "the prefix of the name is missing");
    }
    if subject.ends_with(name) {
        return how(9_000, "it has a prefix that the name has not");
    }
    if let Some((before, _)) = subject.split_once('*')
        && name.starts_with(before)
        && !before.is_empty()
    {
        return how(8_000, "RBAC knows no wildcards, a `*` is a letter there");
    }
    let common = subject.chars().zip(name.chars());
    let common = common.take_while(|(a, b)| a == b).count();
    let rest = |text: &str| text.chars().skip(common).collect::<String>();
    // Less is by chance.
    (common >= 20).then(|| {
        let how = format!(
            "after the same beginning it has `{}` where the name has `{}`",
            rest(subject),
            rest(name)
        );
        (common, how)
    })
}
