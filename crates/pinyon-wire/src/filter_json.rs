//! A filter as it came: JSON in less room than [`Small`] takes, whose objects hold 632 bytes for a single member.

use crate::{bounded::Small, unique::Tree};
use litemap::LiteMap;
use serde::{Serialize, Serializer};
use serde_json::Number;
use std::fmt;

/// JSON of a filter. No object has a key twice.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterJson {
    /// null.
    Null,
    /// true or false.
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A text.
    String(Box<str>),
    /// A list.
    Array(Box<[Self]>),
    /// An object, by name.
    Object(LiteMap<String, Self>),
}

impl Tree for FilterJson {
    // The list of members grows by doubling, and ends as long as it must be.
    const MEMBER_BYTES: usize = 2 * size_of::<String>();

    fn list(items: Vec<Self>) -> Self {
        Self::Array(items.into())
    }

    fn object(members: Vec<(String, Self)>) -> Self {
        Self::Object(LiteMap::from_sorted_store_unchecked(members))
    }
}

impl From<Small> for FilterJson {
    fn from(value: Small) -> Self {
        match value {
            Small::Null => Self::Null,
            Small::Bool(flag) => Self::Bool(flag),
            Small::Number(number) => Self::Number(number),
            Small::String(text) => Self::String(text.into()),
            Small::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Small::Object(members) => {
                Self::Object(members.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

impl Serialize for FilterJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => items.serialize(serializer),
            Self::Object(members) => serializer.collect_map(members.iter()),
        }
    }
}

/// As JSON, on one line.
impl fmt::Display for FilterJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
