//! JSON objects whose keys are data (metadata, filters, tags): a key that comes twice is refused, where serde would keep one of
//! its values and lose the other. Fields of structs are refused by serde itself.
//!
//! JSON that is kept as it came is counted while it is read, and refused where it is more than its limit.

use crate::{
    bounded::{Small, SmallFields},
    expected::EXPECTED,
    filter_json::FilterJson,
    json::{MetadataFields, MetadataJson},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

mod count;
mod members;
mod tree;

use count::Count;
use members::Fields;
pub(crate) use members::Members;
pub(crate) use tree::Tree;
use tree::Unique;

/// An object.
struct AnObject<'a>(&'a Count);

impl<'de> DeserializeSeed<'de> for AnObject<'_> {
    type Value = SmallFields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SmallFields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnObject<'_> {
    type Value = SmallFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SmallFields, A::Error> {
        match Unique::of(self.0).visit_map(map)? {
            Small::Object(fields) => Ok(fields),
            _ => Ok(SmallFields::new()),
        }
    }
}

/// Null, or what a seed reads.
struct Optional<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Optional<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Optional<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("option")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// Values in a list, all of them counted together.
struct Values<'a>(&'a Count);

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<Small>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Small>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Unique::of(self.0))? {
            items.push(item);
        }
        Ok(items)
    }
}

/// For `deserialize_with`: fields by name.
pub(crate) fn fields<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    Fields::deserialize(deserializer).map(|Fields(fields)| fields.into_iter().collect())
}

/// For `deserialize_with`: fields by name, or null.
pub(crate) fn optional_fields<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, T>>, D::Error> {
    Ok(Option::<Fields<T>>::deserialize(deserializer)?.map(|Fields(fields)| fields.into_iter().collect()))
}

/// For `deserialize_with`: a record's metadata, or null.
///
/// # Errors
/// A key that comes twice; more fields, or longer lists, than metadata can have.
pub fn optional_metadata<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<MetadataFields>, D::Error> {
    Ok(Option::<Fields<MetadataJson>>::deserialize(deserializer)?.map(|Fields(fields)| fields))
}

impl<'de> Deserialize<'de> for FilterJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Unique::of(&Count::filter()).deserialize(deserializer)
    }
}

/// For `deserialize_with`: a filter, or null.
pub(crate) fn optional_filter<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<FilterJson>, D::Error> {
    Optional(PhantomData).deserialize(deserializer)
}

/// For `deserialize_with`: any small value, or null.
pub(crate) fn optional_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Small>, D::Error> {
    Optional(Unique::of(&Count::small())).deserialize(deserializer)
}

/// For `deserialize_with`: texts, or objects with texts, in a list.
pub(crate) fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Small>, D::Error> {
    deserializer.deserialize_seq(Values(&Count::texts()))
}

/// For `deserialize_with`: a small object.
pub(crate) fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SmallFields, D::Error> {
    AnObject(&Count::small()).deserialize(deserializer)
}

/// For `deserialize_with`: a small object, or null.
pub(crate) fn optional_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SmallFields>, D::Error> {
    Optional(AnObject(&Count::small())).deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use crate::{control, documents, object::Object, records, tenant, vectors};
    use serde::de::DeserializeOwned;

    /// Both bodies are the same but for a key that comes twice in the second.
    fn check<T: DeserializeOwned>(good: &str, twice: &str) {
        assert!(serde_json::from_str::<Object<T>>(good).is_ok(), "{good}");
        let refused = serde_json::from_str::<Object<T>>(twice).map(drop).unwrap_err().to_string();
        assert!(refused.contains("must have each key once, has \"k\" twice"), "{twice}: {refused}");
    }

    fn check_field<T: DeserializeOwned>(body: impl Fn(&str) -> String) {
        check::<T>(&body(r#"{"k": "1", "l": null}"#), &body(r#"{"k": "1", "l": null, "k": "1"}"#));
    }

    #[test]
    fn no_fields_are_written_as_an_object() {
        let document =
            tenant::Document { id: "a".into(), text: "x".into(), metadata: Some([].into_iter().collect()) };
        let written = serde_json::to_string(&document).unwrap();
        assert_eq!(written, r#"{"id":"a","text":"x","metadata":{}}"#);
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_wherever_keys_are_data() {
        check_field::<tenant::IngestRequest>(|given| {
            format!(r#"{{"tenant_id": "t", "documents": [{{"id": "a", "text": "x", "metadata": {given}}}]}}"#)
        });
        check_field::<tenant::QueryRequest>(|given| format!(r#"{{"filter": {given}}}"#));
        check_field::<tenant::QueryRequest>(|given| format!(r#"{{"filter": {{"$and": [{given}]}}}}"#));
        check_field::<documents::FetchRequest>(|given| format!(r#"{{"tenant_id": "t", "filter": {given}}}"#));
        check_field::<documents::DeleteRequest>(|given| {
            format!(r#"{{"tenant_id": "t", "filter": {given}}}"#)
        });
        check_field::<vectors::UpsertRequest>(|given| {
            format!(r#"{{"vectors": [{{"id": "a", "values": [1.5], "metadata": {given}}}]}}"#)
        });
        check_field::<vectors::UpdateRequest>(|given| format!(r#"{{"id": "a", "setMetadata": {given}}}"#));
        for filtered in [r#"{"filter": "#, r#"{"namespace": "n", "filter": "#] {
            let body = |given: &str| format!("{filtered}{given}}}");
            check_field::<vectors::QueryRequest>(body);
            check_field::<vectors::UpdateRequest>(body);
            check_field::<vectors::DeleteRequest>(body);
            check_field::<vectors::FetchByMetadataRequest>(body);
            check_field::<vectors::StatsRequest>(body);
        }
        check_field::<records::SearchRequest>(|given| format!(r#"{{"query": {{"filter": {given}}}}}"#));
        check_field::<control::LegacyCreateRequest>(|given| format!(r#"{{"name": "n", "spec": {given}}}"#));
        check_field::<control::CreateRequest>(|given| {
            format!(r#"{{"schema": {{"fields": {{}}}}, "tags": {given}}}"#)
        });
        check_field::<control::CreateRequest>(|given| format!(r#"{{"schema": {{"fields": {given}}}}}"#));
        check_field::<control::ConfigureRequest>(|given| format!(r#"{{"tags": {given}}}"#));
        check::<records::RecordLine>(r#"{"_id": "a", "k": 1}"#, r#"{"_id": "a", "k": 1, "k": 2}"#);
        check::<vectors::CreateNamespaceRequest>(
            r#"{"name": "n", "schema": {"fields": {"k": {}}}}"#,
            r#"{"name": "n", "schema": {"fields": {"k": {}, "k": {}}}}"#,
        );
    }
}
