//! Metadata values, read without a JSON tree in between.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use std::fmt;

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
    Strings(Vec<String>),
    /// Nothing: the field is left out.
    Null,
    /// What cannot be metadata, as it was written.
    Other(String),
}

impl Serialize for MetadataJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) | Self::Other(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Strings(texts) => texts.serialize(serializer),
            Self::Null => serializer.serialize_unit(),
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
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Value>()? {
            items.push(item);
        }
        if !items.iter().all(Value::is_string) {
            return Ok(MetadataJson::Other(Value::Array(items).to_string()));
        }
        let text = |item| if let Value::String(text) = item { text } else { String::new() };
        Ok(MetadataJson::Strings(items.into_iter().map(text).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MetadataJson, A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        Ok(MetadataJson::Other(value.to_string()))
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
