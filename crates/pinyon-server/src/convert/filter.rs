//! The filter grammar of Pinecone's API as JSON.

use litemap::LiteMap;
use pinyon_types::{FieldTest, Filter, Invalid, Scalar, limits};
use pinyon_wire::filter_json::FilterJson as Json;

/// Reads a filter; an empty object means no filter.
///
/// # Errors
/// An unknown operator, an operand of the wrong type, an empty `$and` or `$or`, a limit of [`Filter::checked`].
pub fn from_json(value: &Json) -> Result<Option<Filter>, Invalid> {
    match value {
        Json::Object(fields) if fields.is_empty() => Ok(None),
        Json::Object(fields) => Reading::default().object(fields, 1)?.checked().map(Some),
        other => Err(invalid(format!("must be an object, is {}", show(other)))),
    }
}

/// A filter while it is read.
#[derive(Debug, Default)]
struct Reading {
    /// Field tests so far: one with too many ends there, not when all of it is made.
    leaves: usize,
}

impl Reading {
    fn object(&mut self, fields: &LiteMap<String, Json>, depth: usize) -> Result<Filter, Invalid> {
        // JSON's own nesting limit is deeper than ours; stop before recursing on.
        if depth > limits::FILTER_DEPTH_MAX {
            return Err(invalid(format!("must be nested at most {} deep", limits::FILTER_DEPTH_MAX)));
        }
        let parts = fields.iter().map(|(name, value)| match name.as_str() {
            "$and" => Ok(Filter::And(self.list("$and", value, depth)?)),
            "$or" => Ok(Filter::Or(self.list("$or", value, depth)?)),
            name if name.starts_with('$') => {
                Err(invalid(format!("{name} cannot stand here; $and and $or can")))
            }
            "" => Err(invalid("field names must not be empty")),
            name => self.field(name, value, depth),
        });
        all(parts.collect::<Result<_, _>>()?)
    }

    fn list(&mut self, operator: &str, value: &Json, depth: usize) -> Result<Vec<Filter>, Invalid> {
        let Some(items) = items_of(value).filter(|items| !items.is_empty()) else {
            return Err(invalid(format!(
                "{operator} needs a list of at least one filter, got {}",
                show(value)
            )));
        };
        let part = |item: &Json| match item {
            Json::Object(fields) => self.object(fields, depth + 1),
            other => Err(invalid(format!("{operator} needs a list of filters, got {}", show(other)))),
        };
        items.iter().map(part).collect()
    }

    fn field(&mut self, name: &str, value: &Json, depth: usize) -> Result<Filter, Invalid> {
        match value {
            Json::Object(tests) if tests.is_empty() => {
                Err(invalid(format!("field {name:?} has no condition")))
            }
            Json::Object(tests) => self.conditions(name, tests, depth),
            // A list without an operator is what older clients send for $in.
            Json::Array(items) => self.leaf(name, FieldTest::In(scalars(name, items)?)),
            other => self.leaf(name, FieldTest::Eq(scalar(name, other)?)),
        }
    }

    fn conditions(
        &mut self,
        name: &str,
        tests: &LiteMap<String, Json>,
        depth: usize,
    ) -> Result<Filter, Invalid> {
        if depth > limits::FILTER_DEPTH_MAX {
            return Err(invalid(format!("must be nested at most {} deep", limits::FILTER_DEPTH_MAX)));
        }
        let parts = tests.iter().map(|(operator, operand)| match (operator.as_str(), operand) {
            ("$not", Json::Object(inner)) if !inner.is_empty() => {
                Ok(Filter::Not(Box::new(self.conditions(name, inner, depth + 1)?)))
            }
            (operator, operand) => self.leaf(name, test(name, operator, operand)?),
        });
        all(parts.collect::<Result<_, _>>()?)
    }

    fn leaf(&mut self, name: &str, test: FieldTest) -> Result<Filter, Invalid> {
        self.leaves += 1;
        if self.leaves > limits::FILTER_LEAVES_MAX {
            let problem = format!("must have at most {} field tests, has more", limits::FILTER_LEAVES_MAX);
            return Err(invalid(problem));
        }
        Ok(Filter::field(name, test))
    }
}

fn test(name: &str, operator: &str, operand: &Json) -> Result<FieldTest, Invalid> {
    let wrong =
        |wanted: &str| invalid(format!("{operator} of field {name:?} needs {wanted}, got {}", show(operand)));
    let number = || number_of(operand).ok_or_else(|| wrong("a number"));
    let items = || items_of(operand).ok_or_else(|| wrong("a list"));
    Ok(match operator {
        "$eq" => FieldTest::Eq(scalar(name, operand)?),
        "$ne" => FieldTest::Ne(scalar(name, operand)?),
        "$gt" => FieldTest::Gt(number()?),
        "$gte" => FieldTest::Gte(number()?),
        "$lt" => FieldTest::Lt(number()?),
        "$lte" => FieldTest::Lte(number()?),
        "$in" => FieldTest::In(scalars(name, items()?)?),
        "$nin" => FieldTest::NotIn(scalars(name, items()?)?),
        "$exists" => match operand {
            Json::Bool(is_there) => FieldTest::Exists(*is_there),
            _ => return Err(wrong("true or false")),
        },
        other => {
            return Err(invalid(format!(
                "field {name:?} has the unknown operator {other}; known are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, \
             $exists, $not"
            )));
        }
    })
}

fn items_of(value: &Json) -> Option<&[Json]> {
    match value {
        Json::Array(items) => Some(items),
        _ => None,
    }
}

fn number_of(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        _ => None,
    }
}

fn scalars(name: &str, items: &[Json]) -> Result<Vec<Scalar>, Invalid> {
    items.iter().map(|item| scalar(name, item)).collect()
}

fn scalar(name: &str, value: &Json) -> Result<Scalar, Invalid> {
    match value {
        Json::String(text) => Ok(Scalar::String(text.to_string())),
        Json::Bool(flag) => Ok(Scalar::Bool(*flag)),
        Json::Number(number) => {
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

fn show(value: &Json) -> String {
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
            assert_eq!(from_json(&json.clone().into()), Ok(Some(expected)), "{json}");
        }
        assert_eq!(from_json(&json!({}).into()), Ok(None));
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
            let refused = from_json(&json.clone().into()).unwrap_err();
            assert!(refused.problem.contains(reason), "{json}: {refused}");
        }
        let many: Vec<_> = (0..=limits::FILTER_LEAVES_MAX).map(|_| json!({"a": 1})).collect();
        assert!(from_json(&json!({"$or": many}).into()).unwrap_err().problem.contains("1024 field tests"));
        let deep = (0..40).fold(json!({"a": 1}), |inner, _| json!({"$and": [inner]}));
        assert!(from_json(&deep.into()).unwrap_err().problem.contains("16 deep"));
        let deep = (0..40).fold(json!({"$eq": 1}), |inner, _| json!({"$not": inner}));
        assert!(from_json(&json!({"a": deep}).into()).unwrap_err().problem.contains("16 deep"));
    }
}
