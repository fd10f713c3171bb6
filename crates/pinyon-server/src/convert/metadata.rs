//! Metadata as JSON.

use pinyon_types::{Invalid, Metadata, MetadataMap, MetadataValue};
use pinyon_wire::json::{MetadataFields, MetadataJson, refused};
use serde_json::{Map, Number, Value};

/// Reads metadata. Fields that are null are left out.
///
/// # Errors
/// A value that is no string, number, boolean or list of strings, under the path that `named` gives its field; the limits of
/// [`Metadata::new`].
pub fn from_json(fields: MetadataFields, named: impl Fn(&str) -> String) -> Result<Metadata, Invalid> {
    let mut read = MetadataMap::with_capacity(fields.len());
    for (name, value) in fields {
        let value = match value {
            MetadataJson::Null => continue,
            MetadataJson::String(text) => MetadataValue::String(text),
            MetadataJson::Number(number) => MetadataValue::Number(number),
            MetadataJson::Bool(flag) => MetadataValue::Bool(flag),
            MetadataJson::Strings(texts) => MetadataValue::Strings(texts),
            MetadataJson::Other(json) => return Err(Invalid::new(named(&name), refused(&name, &json))),
        };
        read.insert(name, value);
    }
    Metadata::new(read)
}

/// Writes metadata. Whole numbers that f64 holds exactly are written without a fraction.
pub fn to_json(metadata: Metadata) -> Map<String, Value> {
    let write = |value: MetadataValue| match value {
        MetadataValue::String(text) => Value::String(text),
        MetadataValue::Bool(flag) => Value::Bool(flag),
        MetadataValue::Number(number) => number_to_json(number),
        MetadataValue::Strings(texts) => texts.iter().collect(),
    };
    metadata.into_fields().into_iter().map(|(name, value)| (name, write(value))).collect()
}

fn number_to_json(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT && !(number == 0.0 && number.is_sign_negative()) {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn read(value: Value) -> Result<Metadata, Invalid> {
        let fields: BTreeMap<String, MetadataJson> = serde_json::from_value(value).unwrap();
        from_json(fields.into_iter().collect(), |name| format!("metadata.{name}"))
    }

    #[test]
    fn metadata_survives_a_round_trip_and_nulls_are_left_out() {
        let json = json!({"s": "x", "n": 3, "f": -0.25, "b": true, "l": ["a", ""], "big": 1e300});
        let written = Value::Object(to_json(read(json.clone()).unwrap()));
        assert_eq!(written, json);
        assert!(read(json!({"gone": null})).unwrap().is_empty());
    }

    #[test]
    fn what_no_filter_could_ask_about_is_refused_by_name() {
        for bad in [json!({"k": {"a": 1}}), json!({"k": [1]}), json!({"k": ["a", null]})] {
            let refused = read(bad).unwrap_err();
            assert_eq!(refused.field, "metadata.k");
            assert!(refused.problem.contains("for field 'k'"));
        }
    }
}
