//! Structs read from JSON objects only. Code that serde derives takes a list of a struct's values for the struct, too: a
//! body like `["acme", [["a", "text"]]]` would be an ingest. It is also how a lenient reader learns which objects are structs.

pub use crate::expected::EXPECTED;

use crate::{bounded, unique};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
    forward_to_deserialize_any,
};
use std::{cell::Cell, collections::BTreeMap, fmt, marker::PhantomData};

/// A struct that only an object is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Object", fields_of::<T>(), ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The names of a struct's fields; none of what is no struct.
pub(crate) fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let fields = Cell::new([].as_slice());
    // Always stops with an error: it is asked for names and has no value.
    let _: Result<T, Stop> = T::deserialize(Probe(&fields));
    fields.get()
}

/// Tells which fields a struct's reader asks for.
struct Probe<'a>(&'a Cell<&'static [&'static str]>);

/// Ends a probe. Without a message, so that a probe costs nothing.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stop {}

impl Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stop> {
        self.0.set(fields);
        Err(Stop)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// For `deserialize_with`: one struct.
pub(crate) fn one<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(read)| read)
}

/// For `deserialize_with`: a struct, or null.
pub(crate) fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(read)| read))
}

/// For `deserialize_with`: a list of at most `N` structs.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    // The wrapper has the layout of what it wraps, so collecting copies nothing.
    Ok(bounded::list::<Object<T>, D, N>(deserializer)?.into_iter().map(|Object(read)| read).collect())
}

/// For `deserialize_with`: structs by name.
pub(crate) fn by_name<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let read = unique::fields::<Object<T>, D>(deserializer)?;
    Ok(read.into_iter().map(|(name, Object(read))| (name, read)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control, records, tenant, vectors};
    use serde_json::json;

    fn check<T: serde::de::DeserializeOwned>(good: &serde_json::Value, bad: &serde_json::Value) {
        assert!(serde_json::from_value::<Object<T>>(good.clone()).is_ok(), "{good}");
        let refused = serde_json::from_value::<Object<T>>(bad.clone()).map(drop).unwrap_err().to_string();
        assert!(refused.contains("invalid type: sequence, expected a JSON object"), "{bad}: {refused}");
    }

    #[test]
    fn lists_are_refused_where_objects_are_meant_at_every_level() {
        check::<tenant::IngestRequest>(
            &json!({"tenant_id": "t", "documents": [{"id": "a", "text": "x"}]}),
            &json!({"tenant_id": "t", "documents": [["a", "x", {}]]}),
        );
        check::<tenant::IngestRequest>(
            &json!({"tenant_id": "t", "documents": []}),
            &json!(["t", [["a", "x", {}]]]),
        );
        check::<vectors::UpsertRequest>(&json!({"vectors": [{"id": "a"}]}), &json!({"vectors": [["a"]]}));
        check::<vectors::UpsertRequest>(
            &json!({"vectors": [{"sparseValues": {"indices": [], "values": []}}]}),
            &json!({"vectors": [{"sparseValues": [[], []]}]}),
        );
        check::<vectors::QueryRequest>(
            &json!({"sparseVector": null}),
            &json!({"sparseVector": [[1], [1.0]]}),
        );
        check::<vectors::UpdateRequest>(&json!({}), &json!({"sparseValues": [[1], [1.0]]}));
        check::<vectors::CreateNamespaceRequest>(
            &json!({"schema": {"fields": {"a": {}}}}),
            &json!({"schema": {"fields": {"a": [true]}}}),
        );
        check::<vectors::CreateNamespaceRequest>(&json!({"schema": null}), &json!({"schema": [{}]}));
        check::<control::CreateRequest>(&json!({"schema": {"fields": {}}}), &json!({"schema": [{}]}));
        check::<control::ConfigureRequest>(&json!({"schema": null}), &json!({"schema": [{}]}));
        check::<records::SearchRequest>(&json!({"query": {}}), &json!({"query": [1]}));
        for field in ["vector", "match_terms"] {
            check::<records::SearchRequest>(&json!({"query": {}}), &json!({"query": {field: [[1.0]]}}));
        }
        check::<records::SearchRequest>(&json!({"query": {}}), &json!({"query": {}, "rerank": ["m", ["f"]]}));
        check::<records::CreateForModelRequest>(
            &json!({"name": "n", "cloud": "c", "region": "r", "embed": {"model": "m", "field_map": {}}}),
            &json!({"name": "n", "cloud": "c", "region": "r", "embed": ["m", {}]}),
        );
    }
}
