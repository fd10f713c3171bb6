//! Metadata of a record: flat fields with values of four kinds.

use crate::{Invalid, Texts, limits};
use litemap::LiteMap;

/// Fields by name, in order of their names, in one allocation: most records have few.
pub type MetadataMap = LiteMap<String, MetadataValue>;

/// One value of a metadata field.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    /// A text.
    String(String),
    /// A number; integers are numbers too, as everywhere in JSON. Never NaN or infinite.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    Strings(Texts),
}

/// A value that is borrowed from wherever the metadata lies.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueRef<'a> {
    /// A text.
    String(&'a str),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    Strings(Vec<&'a str>),
}

/// Anything that has metadata fields: decoded metadata, or its bytes in a segment.
pub trait Fields {
    /// The value of a field, if the record has it. Names are literal: dots and spaces mean nothing.
    fn field(&self, name: &str) -> Option<ValueRef<'_>>;
}

/// A record's metadata, ordered by field name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(MetadataMap);

impl Metadata {
    /// No fields.
    pub const fn empty() -> Self {
        Self(LiteMap::new_vec())
    }

    /// Checks names, numbers and count.
    ///
    /// # Errors
    /// An empty name, a name that starts with `$`, a number that is not finite, or more than
    /// [`limits::METADATA_FIELDS_MAX`] fields or [`limits::METADATA_BYTES_MAX`] bytes.
    pub fn new(fields: MetadataMap) -> Result<Self, Invalid> {
        if fields.len() > limits::METADATA_FIELDS_MAX {
            let problem =
                format!("must have at most {} fields, has {}", limits::METADATA_FIELDS_MAX, fields.len());
            return Err(Invalid::new("metadata", problem));
        }
        for (name, value) in fields.iter() {
            check_field(name, value)?;
        }
        let mut fields = fields.into_tuple_vec();
        fields.shrink_to_fit();
        let metadata = Self(LiteMap::from_sorted_store_unchecked(fields));
        let bytes = metadata.size_bytes();
        if bytes > limits::METADATA_BYTES_MAX {
            let problem = format!("must take at most {} bytes, takes {bytes}", limits::METADATA_BYTES_MAX);
            return Err(Invalid::new("metadata", problem));
        }
        Ok(metadata)
    }

    /// The fields in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of one field.
    pub fn get(&self, name: &str) -> Option<&MetadataValue> {
        self.0.get(name)
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// These fields with those of `update` set over them; lists are replaced whole.
    ///
    /// # Errors
    /// The merged metadata passes a limit of [`Metadata::new`].
    pub fn merged(&self, update: &Self) -> Result<Self, Invalid> {
        let both = self.0.iter().chain(update.0.iter());
        Self::new(both.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The fields, to keep.
    pub fn into_fields(self) -> MetadataMap {
        self.0
    }

    /// Memory that the fields take, with what an allocator rounds up.
    pub fn memory_bytes(&self) -> usize {
        let field = |(name, value): (&String, &MetadataValue)| {
            size_of::<(String, MetadataValue)>() + allocated(name.len()) + value.memory_bytes()
        };
        self.0.iter().map(field).sum()
    }

    /// Bytes of names and values: what counts against the limit.
    pub fn size_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + 8 + value.size_bytes()).sum()
    }
}

/// Bytes that a text of so many takes.
const fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of(16)
}

impl MetadataValue {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::String(text) => allocated(text.len()),
            Self::Number(_) | Self::Bool(_) => 0,
            Self::Strings(texts) => texts.memory_bytes() + 32,
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len() + 4,
            Self::Number(_) => 8,
            Self::Bool(_) => 1,
            Self::Strings(texts) => 4 + texts.iter().map(|text| text.len() + 4).sum::<usize>(),
        }
    }
}

impl Fields for Metadata {
    fn field(&self, name: &str) -> Option<ValueRef<'_>> {
        Some(match self.0.get(name)? {
            MetadataValue::String(text) => ValueRef::String(text),
            MetadataValue::Number(number) => ValueRef::Number(*number),
            MetadataValue::Bool(flag) => ValueRef::Bool(*flag),
            MetadataValue::Strings(texts) => ValueRef::Strings(texts.iter().collect()),
        })
    }
}

impl ValueRef<'_> {
    /// The value, to keep.
    pub fn to_value(&self) -> MetadataValue {
        match self {
            Self::String(text) => MetadataValue::String((*text).to_owned()),
            Self::Number(number) => MetadataValue::Number(*number),
            Self::Bool(flag) => MetadataValue::Bool(*flag),
            Self::Strings(texts) => MetadataValue::Strings(texts.iter().collect()),
        }
    }
}

fn check_field(name: &str, value: &MetadataValue) -> Result<(), Invalid> {
    if name.is_empty() || name.starts_with('$') {
        return Err(Invalid::new(
            "metadata",
            format!("field names must not be empty or start with '$', got {name:?}"),
        ));
    }
    match value {
        MetadataValue::Number(number) if !number.is_finite() => {
            Err(Invalid::new(format!("metadata.{name}"), "must be a finite number"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(fields: &[(&str, MetadataValue)]) -> Result<Metadata, Invalid> {
        Metadata::new(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn refuses_names_and_numbers_that_no_filter_could_reach() {
        assert!(metadata(&[("", MetadataValue::Bool(true))]).is_err());
        assert!(metadata(&[("$and", MetadataValue::Bool(true))]).is_err());
        let refused = metadata(&[("price", MetadataValue::Number(f64::NAN))]).unwrap_err();
        assert_eq!(refused.to_string(), "metadata.price: must be a finite number");
        assert!(metadata(&[("t", MetadataValue::String("x".repeat(300 << 10)))]).is_err());
    }

    #[test]
    fn merging_sets_fields_and_replaces_lists_whole() {
        let old =
            metadata(&[("a", MetadataValue::Number(1.0)), ("l", MetadataValue::Strings(["x", "y"].into()))]);
        let update = metadata(&[("l", MetadataValue::Strings(["z"].into()))]);
        let merged = old.and_then(|old| old.merged(&update?)).unwrap();
        assert_eq!(merged.get("a"), Some(&MetadataValue::Number(1.0)));
        assert_eq!(merged.get("l"), Some(&MetadataValue::Strings(["z"].into())));
    }
}
