//! Metadata values, read without a JSON tree in between.

use crate::bounded::{self, TEXTS_MAX};
use litemap::LiteMap;
use pinyon_types::{Texts, TextsBuilder};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
    ser,
};
use std::fmt;

/// Bytes, about, of what cannot be metadata that are kept to be shown.
const SHOWN_BYTES_MAX: usize = 400;

/// Metadata fields by name.
pub type MetadataFields = LiteMap<String, MetadataJson>;

/// For `serialize_with`: fields as an object, also if there are none.
pub(crate) fn write_fields<S: Serializer>(fields: &MetadataFields, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter())
}

/// For `serialize_with`: fields as an object, or null.
#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
pub(crate) fn write_optional_fields<S: Serializer>(
    fields: &Option<MetadataFields>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match fields {
        Some(fields) => write_fields(fields, serializer),
        None => serializer.serialize_none(),
    }
}

/// Most characters of it that a refusal repeats.
const REFUSED_CHARS_MAX: usize = 100;

/// One metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataJson {
    /// A text.
    String(String),
    /// A number; written with a fraction even if it is whole, as Pinecone does.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    Strings(Texts),
    /// Nothing: the field is left out.
    Null,
    /// What cannot be metadata, as it was written; the begin of it if it is long.
    Other(String),
}

/// Why JSON cannot be the metadata value of a field; the words are Pinecone's.
pub fn refused(field: &str, json: &str) -> String {
    let shown: String = json.chars().take(REFUSED_CHARS_MAX).collect();
    format!(
        "Metadata value must be a string, number, boolean or list of strings, got '{shown}' for field '{field}'"
    )
}

impl Serialize for MetadataJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Strings(texts) => serializer.collect_seq(texts.iter()),
            Self::Null => serializer.serialize_unit(),
            Self::Other(json) => Err(ser::Error::custom(refused("", json))),
        }
    }
}

impl<'de> Deserialize<'de> for MetadataJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = MetadataJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, number, boolean or list of strings")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<MetadataJson, E> {
        Ok(MetadataJson::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<MetadataJson, E> {
        Ok(MetadataJson::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<MetadataJson, E> {
        Ok(MetadataJson::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<MetadataJson, E> {
        Ok(MetadataJson::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<MetadataJson, E> {
        Ok(MetadataJson::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<MetadataJson, E> {
        Ok(MetadataJson::String(text))
    }

    fn visit_unit<E>(self) -> Result<MetadataJson, E> {
        Ok(MetadataJson::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MetadataJson, A::Error> {
        let mut texts = TextsBuilder::default();
        while let Some(item) = list.next_element::<MetadataJson>()? {
            let MetadataJson::String(text) = item else { return not_texts(&texts.finish(), &item, list) };
            if texts.len() == TEXTS_MAX {
                return Err(A::Error::custom(format_args!("must have at most {TEXTS_MAX} texts, has more")));
            }
            bounded::take(texts.growth_bytes(&text))?;
            texts.push(&text);
        }
        Ok(MetadataJson::Strings(texts.finish()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetadataJson, A::Error> {
        let mut shown = Shown::begin('{');
        while let Some((name, value)) = map.next_entry::<String, MetadataJson>()? {
            shown.next(&MetadataJson::String(name));
            shown.push(":");
            shown.push_value(&value);
        }
        Ok(shown.end('}'))
    }
}

/// The rest of a list in which something is no text.
fn not_texts<'de, A: SeqAccess<'de>>(
    texts: &Texts,
    other: &MetadataJson,
    mut list: A,
) -> Result<MetadataJson, A::Error> {
    let mut shown = Shown::begin('[');
    for text in texts.iter().take(SHOWN_BYTES_MAX) {
        shown.next(&MetadataJson::String(text.to_owned()));
    }
    shown.next(other);
    while let Some(item) = list.next_element::<MetadataJson>()? {
        shown.next(&item);
    }
    Ok(shown.end(']'))
}

/// What cannot be metadata, as it was written and as far as a refusal repeats it.
struct Shown(String);

impl Shown {
    fn begin(bracket: char) -> Self {
        Self(bracket.into())
    }

    /// Adds an element, or the name of a member.
    fn next(&mut self, item: &MetadataJson) {
        if self.0.len() > 1 {
            self.push(",");
        }
        self.push_value(item);
    }

    fn push_value(&mut self, value: &MetadataJson) {
        match value {
            _ if self.0.len() >= SHOWN_BYTES_MAX => {}
            MetadataJson::Other(text) => self.push(text),
            MetadataJson::Number(number) if number.fract() == 0.0 => self.push(&number.to_string()),
            MetadataJson::String(text) => {
                let begin: String = text.chars().take(SHOWN_BYTES_MAX).collect();
                self.push(&serde_json::to_string(&begin).unwrap_or_default());
            }
            MetadataJson::Strings(texts) => {
                let begin: Vec<&str> = texts.iter().take(SHOWN_BYTES_MAX).collect();
                self.push(&serde_json::to_string(&begin).unwrap_or_default());
            }
            other => self.push(&serde_json::to_string(other).unwrap_or_default()),
        }
    }

    fn push(&mut self, text: &str) {
        self.0.extend(text.chars().take(SHOWN_BYTES_MAX.saturating_sub(self.0.len())));
    }

    fn end(mut self, bracket: char) -> MetadataJson {
        self.push(bracket.encode_utf8(&mut [0; 4]));
        MetadataJson::Other(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn values_read_as_what_they_are_and_whole_numbers_are_written_with_a_fraction() {
        let text = r#"{"a":"x","b":1994,"c":-0.25,"d":true,"e":["p",""],"f":null,"g":[1,"a"],"h":{"i":[{}]},"j":[]}"#;
        let read: BTreeMap<String, MetadataJson> = serde_json::from_str(text).unwrap();
        assert_eq!(read["f"], MetadataJson::Null);
        assert_eq!(read["g"], MetadataJson::Other(r#"[1,"a"]"#.into()));
        assert_eq!(read["h"], MetadataJson::Other(r#"{"i":[{}]}"#.into()));
        let kept = read.into_iter().filter(|(name, _)| !["f", "g", "h"].contains(&name.as_str()));
        let written = serde_json::to_string(&kept.collect::<BTreeMap<_, _>>()).unwrap();
        assert_eq!(written, r#"{"a":"x","b":1994.0,"c":-0.25,"d":true,"e":["p",""],"j":[]}"#);
    }
}
