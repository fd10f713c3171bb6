//! The filter grammar of Pinecone's API as JSON.

use pinyon_types::{FieldTest, Filter, Invalid, Scalar, limits};
use serde_json::{Map, Value};

/// Reads a filter; an empty object means no filter.
///
/// # Errors
/// An unknown operator, an operand of the wrong type, an empty `$and` or `$or`, a limit of [`Filter::checked`].
pub fn from_json(value: &Value) -> Result<Option<Filter>, Invalid> {
    match value {
        Value::Object(fields) if fields.is_empty() => Ok(None),
        Value::Object(fields) => object(fields, 1)?.checked().map(Some),
        other => Err(invalid(format!("must be an object, is {}", show(other)))),
    }
}

fn object(fields: &Map<String, Value>, depth: usize) -> Result<Filter, Invalid> {
    // JSON's own nesting limit is deeper than ours; stop before recursing on.
    if depth > limits::FILTER_DEPTH_MAX {
        return Err(invalid(format!("must be nested at most {} deep", limits::FILTER_DEPTH_MAX)));
    }
    let parts = fields.iter().map(|(name, value)| match name.as_str() {
        "$and" => Ok(Filter::And(list("$and", value, depth)?)),
        "$or" => Ok(Filter::Or(list("$or", value, depth)?)),
        name if name.starts_with('$') => Err(invalid(format!("{name} cannot stand here; $and and $or can"))),
        "" => Err(invalid("field names must not be empty")),
        name => field(name, value, depth),
    });
    all(parts.collect::<Result<_, _>>()?)
}

fn list(operator: &str, value: &Value, depth: usize) -> Result<Vec<Filter>, Invalid> {
    let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
        return Err(invalid(format!("{operator} needs a list of at least one filter, got {}", show(value))));
    };
    let part = |item: &Value| match item {
        Value::Object(fields) => object(fields, depth + 1),
        other => Err(invalid(format!("{operator} needs a list of filters, got {}", show(other)))),
    };
    items.iter().map(part).collect()
}

fn field(name: &str, value: &Value, depth: usize) -> Result<Filter, Invalid> {
    match value {
        Value::Object(tests) if tests.is_empty() => Err(invalid(format!("field {name:?} has no condition"))),
        Value::Object(tests) => conditions(name, tests, depth),
        // A list without an operator is what older clients send for $in.
        Value::Array(items) => Ok(Filter::field(name, FieldTest::In(scalars(name, items)?))),
        other => Ok(Filter::field(name, FieldTest::Eq(scalar(name, other)?))),
    }
}

fn conditions(name: &str, tests: &Map<String, Value>, depth: usize) -> Result<Filter, Invalid> {
    if depth > limits::FILTER_DEPTH_MAX {
        return Err(invalid(format!("must be nested at most {} deep", limits::FILTER_DEPTH_MAX)));
    }
    let parts = tests.iter().map(|(operator, operand)| match (operator.as_str(), operand) {
        ("$not", Value::Object(inner)) if !inner.is_empty() => {
            Ok(Filter::Not(Box::new(conditions(name, inner, depth + 1)?)))
        }
        (operator, operand) => Ok(Filter::field(name, test(name, operator, operand)?)),
    });
    all(parts.collect::<Result<_, _>>()?)
}

fn test(name: &str, operator: &str, operand: &Value) -> Result<FieldTest, Invalid> {
    let wrong =
        |wanted: &str| invalid(format!("{operator} of field {name:?} needs {wanted}, got {}", show(operand)));
    let number = || operand.as_f64().ok_or_else(|| wrong("a number"));
    let items = || operand.as_array().ok_or_else(|| wrong("a list"));
    Ok(match operator {
        "$eq" => FieldTest::Eq(scalar(name, operand)?),
        "$ne" => FieldTest::Ne(scalar(name, operand)?),
        "$gt" => FieldTest::Gt(number()?),
        "$gte" => FieldTest::Gte(number()?),
        "$lt" => FieldTest::Lt(number()?),
        "$lte" => FieldTest::Lte(number()?),
        "$in" => FieldTest::In(scalars(name, items()?)?),
        "$nin" => FieldTest::NotIn(scalars(name, items()?)?),
        "$exists" => FieldTest::Exists(operand.as_bool().ok_or_else(|| wrong("true or false"))?),
        other => {
            return Err(invalid(format!(
                "field {name:?} has the unknown operator {other}; known are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, \
             $exists, $not"
            )));
        }
    })
}

fn scalars(name: &str, items: &[Value]) -> Result<Vec<Scalar>, Invalid> {
    items.iter().map(|item| scalar(name, item)).collect()
}

fn scalar(name: &str, value: &Value) -> Result<Scalar, Invalid> {
    match value {
        Value::String(text) => Ok(Scalar::String(text.clone())),
        Value::Bool(flag) => Ok(Scalar::Bool(*flag)),
        Value::Number(number) => {
            number.as_f64().map(Scalar::Number).ok_or_else(|| invalid("numbers must be finite"))
        }
        other => Err(invalid(format!(
            "field {name:?} is compared with {}, which is no string, number or boolean",
            show(other)
        ))),
    }
}

/// One part stands for itself.
fn all(mut parts: Vec<Filter>) -> Result<Filter, Invalid> {
    if parts.len() == 1 {
        return parts.pop().ok_or_else(|| invalid("must not be empty"));
    }
    if parts.is_empty() {
        return Err(invalid("a filter inside another must not be empty"));
    }
    Ok(Filter::And(parts))
}

fn show(value: &Value) -> String {
    value.to_string().chars().take(100).collect()
}

fn invalid(problem: impl Into<String>) -> Invalid {
    Invalid::new("filter", problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> Scalar {
        Scalar::String(text.into())
    }

    #[test]
    fn the_grammar_reads_as_documented() {
        for (json, expected) in [
            (json!({"a": "x"}), Filter::field("a", FieldTest::Eq(text("x")))),
            (json!({"a": ["x", 1]}), Filter::field("a", FieldTest::In(vec![text("x"), Scalar::Number(1.0)]))),
            (json!({"a.b c": {"$exists": false}}), Filter::field("a.b c", FieldTest::Exists(false))),
            (
                json!({"n": {"$gte": 1, "$lt": 5}}),
                Filter::And(vec![
                    Filter::field("n", FieldTest::Gte(1.0)),
                    Filter::field("n", FieldTest::Lt(5.0)),
                ]),
            ),
            (
                json!({"$or": [{"a": true}, {"b": {"$nin": []}}]}),
                Filter::Or(vec![
                    Filter::field("a", FieldTest::Eq(Scalar::Bool(true))),
                    Filter::field("b", FieldTest::NotIn(vec![])),
                ]),
            ),
            (
                json!({"a": {"$not": {"$eq": "x"}}}),
                Filter::Not(Box::new(Filter::field("a", FieldTest::Eq(text("x"))))),
            ),
        ] {
            assert_eq!(from_json(&json), Ok(Some(expected)), "{json}");
        }
        assert_eq!(from_json(&json!({})), Ok(None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        for (json, reason) in [
            (json!([]), "must be an object"),
            (json!({"$and": []}), "$and needs a list of at least one filter"),
            (json!({"$or": {"a": 1}}), "$or needs a list"),
            (json!({"$and": [1]}), "needs a list of filters"),
            (json!({"$and": [{}]}), "must not be empty"),
            (json!({"$eq": 1}), "$eq cannot stand here"),
            (json!({"a": {"$like": "x"}}), "unknown operator $like"),
            (json!({"a": {"$gt": "x"}}), "$gt of field \"a\" needs a number"),
            (json!({"a": {"$in": "x"}}), "$in of field \"a\" needs a list"),
            (json!({"a": {"$exists": 1}}), "needs true or false"),
            (json!({"a": {"$eq": null}}), "compared with null"),
            (json!({"a": null}), "compared with null"),
            (json!({"a": {}}), "has no condition"),
            (json!({"": 1}), "must not be empty"),
        ] {
            let refused = from_json(&json).unwrap_err();
            assert!(refused.problem.contains(reason), "{json}: {refused}");
        }
        let deep = (0..40).fold(json!({"a": 1}), |inner, _| json!({"$and": [inner]}));
        assert!(from_json(&deep).unwrap_err().problem.contains("16 deep"));
        let deep = (0..40).fold(json!({"$eq": 1}), |inner, _| json!({"$not": inner}));
        assert!(from_json(&json!({"a": deep})).unwrap_err().problem.contains("16 deep"));
    }
}
