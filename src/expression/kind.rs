//! What is known of the values of an expression before a token is there.

use cel::Value;

/// What is known of a value before it is there. Claims are [`Kind::Any`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Any,
    Bool,
    Bytes,
    Double,
    Int,
    List,
    Map,
    Null,
    /// A value that may be missing: `claims.?x`.
    Optional,
    Text,
    /// What `type(…)` gives.
    Type,
    Uint,
}

pub(super) fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Bytes(_) => Kind::Bytes,
        Value::Float(_) => Kind::Double,
        Value::Int(_) => Kind::Int,
        Value::List(_) => Kind::List,
        Value::Map(_) => Kind::Map,
        Value::Null => Kind::Null,
        Value::String(_) => Kind::Text,
        Value::UInt(_) => Kind::Uint,
        _ => Kind::Any,
    }
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "something",
            Self::Bool => "true or false",
            Self::Bytes => "bytes",
            Self::Double => "a floating-point number",
            Self::Int | Self::Uint => "a number",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Null => "null",
            Self::Optional => "an optional value (`.orValue(…)` makes a plain one of it)",
            Self::Text => "a text",
            Self::Type => "a type",
        }
    }

    pub(super) fn may_be(self, other: Self) -> bool {
        self == Self::Any || other == Self::Any || self == other
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Any | Self::Double | Self::Int | Self::Uint)
    }

    pub(super) fn join(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }
}
