//! JSON objects whose keys are data (metadata, filters, tags): a key that comes twice is refused, where serde would keep one of
//! its values and lose the other. Fields of structs are refused by serde itself.

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// A JSON value in which no object has a key twice, at any depth.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(twice(&name));
            }
            let Unique(value) = map.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// The error about a key, which shows the begin of a long one.
fn twice<E: Error>(name: &str) -> E {
    let shown: String = name.chars().take(100).collect();
    E::custom(format_args!("must have each key once, has {shown:?} twice"))
}

/// Reads a map that keeps every key of an object.
struct FieldsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldsVisitor<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::object::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(twice(&name));
            }
            let value = map.next_value()?;
            fields.insert(name, value);
        }
        Ok(fields)
    }
}

/// A map whose keys are distinct in what it was read from.
struct Fields<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor(PhantomData)).map(Self)
    }
}

/// For `deserialize_with`: fields by name.
pub(crate) fn fields<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    Fields::deserialize(deserializer).map(|Fields(fields)| fields)
}

/// For `deserialize_with`: fields by name, or null.
pub(crate) fn optional_fields<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, T>>, D::Error> {
    Ok(Option::<Fields<T>>::deserialize(deserializer)?.map(|Fields(fields)| fields))
}

/// For `deserialize_with`: any value, or null.
pub(crate) fn optional_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Ok(Option::<Unique>::deserialize(deserializer)?.map(|Unique(value)| value))
}

/// For `deserialize_with`: values in a list.
pub(crate) fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Value>, D::Error> {
    Ok(Vec::<Unique>::deserialize(deserializer)?.into_iter().map(|Unique(value)| value).collect())
}

/// For `deserialize_with`: an object.
pub(crate) fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let Fields(fields) = Fields::<Unique>::deserialize(deserializer)?;
    Ok(fields.into_iter().map(|(name, Unique(value))| (name, value)).collect())
}

/// For `deserialize_with`: an object, or null.
pub fn optional_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let read = Option::<Fields<Unique>>::deserialize(deserializer)?;
    Ok(read.map(|Fields(fields)| fields.into_iter().map(|(name, Unique(value))| (name, value)).collect()))
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
