//! Metadata as JSON.

use pinyon_types::{Invalid, Metadata, MetadataValue};
use serde_json::{Map, Number, Value};

/// Reads metadata. Fields that are null are left out.
///
/// # Errors
/// A value that is no string, number, boolean or list of strings; the limits of [`Metadata::new`].
pub fn from_json(fields: Map<String, Value>) -> Result<Metadata, Invalid> {
    let mut read = std::collections::BTreeMap::new();
    for (name, value) in fields {
        if let Some(value) = value_from_json(&name, value)? {
            read.insert(name, value);
        }
    }
    Metadata::new(read)
}

fn value_from_json(name: &str, value: Value) -> Result<Option<MetadataValue>, Invalid> {
    let refused = |value: &Value| {
        let shown: String = value.to_string().chars().take(100).collect();
        let problem = format!(
            "Metadata value must be a string, number, boolean or list of strings, got '{shown}' for field '{name}'"
        );
        Err(Invalid::new(format!("metadata.{name}"), problem))
    };
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(flag) => MetadataValue::Bool(flag),
        Value::String(text) => MetadataValue::String(text),
        Value::Number(ref number) => match number.as_f64() {
            Some(number) => MetadataValue::Number(number),
            None => return refused(&value),
        },
        Value::Array(ref items) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            match texts {
                Some(texts) => MetadataValue::Strings(texts),
                None => return refused(&value),
            }
        }
        Value::Object(_) => return refused(&value),
    }))
}

/// Writes metadata. Whole numbers that f64 holds exactly are written without a fraction.
pub fn to_json(metadata: &Metadata) -> Map<String, Value> {
    let write = |value: &MetadataValue| match value {
        MetadataValue::String(text) => Value::String(text.clone()),
        MetadataValue::Bool(flag) => Value::Bool(*flag),
        MetadataValue::Number(number) => number_to_json(*number),
        MetadataValue::Strings(texts) => Value::from(texts.clone()),
    };
    metadata.iter().map(|(name, value)| (name.to_owned(), write(value))).collect()
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

    fn read(value: Value) -> Result<Metadata, Invalid> {
        from_json(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn metadata_survives_a_round_trip_and_nulls_are_left_out() {
        let json = json!({"s": "x", "n": 3, "f": -0.25, "b": true, "l": ["a", ""], "big": 1e300});
        let written = Value::Object(to_json(&read(json.clone()).unwrap()));
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
