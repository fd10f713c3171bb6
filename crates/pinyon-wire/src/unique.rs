//! JSON objects whose keys are data (metadata, filters, tags): a key that comes twice is refused, where serde would keep one of
//! its values and lose the other. Fields of structs are refused by serde itself.
//!
//! JSON that is kept as it came is counted while it is read, and refused where it is more than its limit.

use crate::bounded::{self, FILTER_VALUES_MAX, SMALL_BYTES_MAX, SMALL_VALUES_MAX, Small, SmallFields};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use std::{cell::Cell, collections::BTreeMap, fmt, marker::PhantomData};

/// Most fields of one object whose keys are data; fields that are null count too, so it is more than metadata may have.
const FIELDS_MAX: usize = 4_096;

/// What JSON that is kept as it came may have, and has so far.
struct Count {
    values_max: usize,
    bytes_max: usize,
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Count {
    const fn up_to(values_max: usize, bytes_max: usize) -> Self {
        Self { values_max, bytes_max, values: Cell::new(0), bytes: Cell::new(0) }
    }

    /// Specs, schemas, tags, parameters.
    const fn small() -> Self {
        Self::up_to(SMALL_VALUES_MAX, SMALL_BYTES_MAX)
    }

    /// Filters: the engine has its own limits, with words of their own; these are what keeps one from growing until then.
    const fn filter() -> Self {
        Self::up_to(FILTER_VALUES_MAX, usize::MAX)
    }

    /// Texts to embed and documents to rank: few values, long ones.
    const fn texts() -> Self {
        Self::up_to(SMALL_VALUES_MAX, usize::MAX)
    }

    /// A document's metadata: as many texts as fit into what a record may have, with room for the engine to say so.
    const fn metadata() -> Self {
        Self::up_to(bounded::TEXTS_MAX, 4 * SMALL_BYTES_MAX)
    }

    /// Counts a value, or a key, with so many bytes of text.
    fn one<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        if self.values.get() > self.values_max || self.bytes.get() > self.bytes_max {
            return Err(E::custom(self));
        }
        bounded::take(size_of::<Small>())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must have at most {} values", self.values_max)?;
        if self.bytes_max < usize::MAX {
            write!(f, " and {} bytes of text", self.bytes_max)?;
        }
        f.write_str(", has more")
    }
}

/// Reads a JSON value in which no object has a key twice, at any depth, and which is not more than its count allows.
#[derive(Clone, Copy)]
struct Unique<'a>(&'a Count);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Small;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Small, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Small;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Small, E> {
        self.0.one(0)?;
        Ok(Small::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Small, E> {
        self.0.one(0)?;
        Ok(Small::from(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Small, E> {
        self.0.one(0)?;
        Ok(Small::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Small, E> {
        self.0.one(0)?;
        Ok(Number::from_f64(number).map_or(Small::Null, Small::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Small, E> {
        self.0.one(text.len())?;
        Ok(Small::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Small, E> {
        self.0.one(text.len())?;
        Ok(Small::String(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Small, E> {
        self.0.one(0)?;
        Ok(Small::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Small, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Small, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Small, A::Error> {
        self.0.one(0)?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        // Lists that grew by doubling have up to as much again to spare.
        items.shrink_to_fit();
        Ok(Small::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Small, A::Error> {
        self.0.one(0)?;
        let mut fields = SmallFields::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(twice(&name));
            }
            // A key costs about what two values do.
            self.0.one(name.len())?;
            bounded::take(size_of::<Small>())?;
            let value = map.next_value_seed(self)?;
            fields.insert(name, value);
        }
        Ok(Small::Object(fields))
    }
}

/// An object's members.
struct Members<'a>(&'a Count);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = SmallFields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SmallFields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = SmallFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::object::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SmallFields, A::Error> {
        match Unique(self.0).visit_map(map)? {
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
        while let Some(item) = list.next_element_seed(Unique(self.0))? {
            items.push(item);
        }
        Ok(items)
    }
}

/// The error about a key, which shows the begin of a long one.
fn twice<E: Error>(name: &str) -> E {
    let shown: String = name.chars().take(100).collect();
    E::custom(format_args!("must have each key once, has {shown:?} twice"))
}

/// Adds the member whose name was read.
///
/// # Errors
/// It is there already, it is one too many, there is no room for it, or its value cannot be read.
pub(crate) fn add<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    fields: &mut BTreeMap<String, T>,
    name: String,
    map: &mut A,
) -> Result<(), A::Error> {
    if fields.contains_key(&name) {
        return Err(twice(&name));
    }
    if fields.len() == FIELDS_MAX {
        return Err(A::Error::custom(format_args!("must have at most {FIELDS_MAX} fields, has more")));
    }
    // Nodes of the tree are two thirds full, mostly; names are allocated one by one.
    bounded::take(2 * size_of::<(String, T)>() + 32)?;
    let value = map.next_value()?;
    fields.insert(name, value);
    Ok(())
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
            add(&mut fields, name, &mut map)?;
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

/// For `deserialize_with`: a filter, or null.
pub(crate) fn optional_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Small>, D::Error> {
    Optional(Unique(&Count::filter())).deserialize(deserializer)
}

/// For `deserialize_with`: any small value, or null.
pub(crate) fn optional_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Small>, D::Error> {
    Optional(Unique(&Count::small())).deserialize(deserializer)
}

/// For `deserialize_with`: texts, or objects with texts, in a list.
pub(crate) fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Small>, D::Error> {
    deserializer.deserialize_seq(Values(&Count::texts()))
}

/// For `deserialize_with`: a small object.
pub(crate) fn map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SmallFields, D::Error> {
    Members(&Count::small()).deserialize(deserializer)
}

/// For `deserialize_with`: a small object, or null.
pub(crate) fn optional_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SmallFields>, D::Error> {
    Optional(Members(&Count::small())).deserialize(deserializer)
}

/// For `deserialize_with`: a document's metadata, or null.
///
/// # Errors
/// A key that comes twice; more values or bytes than metadata can have.
pub fn optional_metadata<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SmallFields>, D::Error> {
    Optional(Members(&Count::metadata())).deserialize(deserializer)
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
