//! Changes to JSON: values in the place of others, members doubled and renamed, lists that grow, nesting, spellings; and bytes.

use pinyon_fuzz::{
    SeededRng,
    bytes::{self, below, happens, pick},
};
use serde_json::{Map, Value, json};

/// Pieces of text that readers of JSON treat in their own ways.
const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "-0",
    "1e999",
    "-1e-999",
    "1E400",
    "0.1e1",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\\uDC00\\uD800",
    "\u{feff}",
    "\u{7f}",
    "NaN",
    "Infinity",
    "\"$in\":",
    "{\"\":",
];
/// Names that mean something somewhere.
const NAMES: [&str; 14] = [
    "$and",
    "$or",
    "$not",
    "$in",
    "$nin",
    "$eq",
    "$exists",
    "$gt",
    "",
    "id",
    "values",
    "metadata",
    "namespace",
    "filter",
];
/// Deepest nesting that is made; parsers stop at 128.
const DEPTH_MAX: usize = 200;

/// A changed copy of one of some JSON texts.
pub(super) fn changed(rng: &mut SeededRng, seeds: &[&str]) -> Vec<u8> {
    let text = *pick(rng, seeds);
    let mut text = if happens(rng, 3, 4) {
        let mut value = parse(text);
        for _ in 0..rng.below(4) {
            let other = parse(pick::<&str>(rng, seeds));
            change_at_random(rng, &mut value, &other);
        }
        spelled(rng, &value)
    } else {
        text.to_owned()
    };
    if happens(rng, 1, 3) {
        put_token(rng, &mut text);
    }
    let mut bytes = text.into_bytes();
    if happens(rng, 1, 4) {
        bytes::change(rng, &mut bytes, &[]);
    }
    bytes
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("a seed is no JSON: {error}: {text}"))
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value at a place, counted in the order of the text.
fn at(value: &mut Value, place: usize) -> Option<&mut Value> {
    if place == 0 {
        return Some(value);
    }
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return None,
    };
    let mut rest = place - 1;
    for child in children {
        let inside = count(child);
        if rest < inside {
            return at(child, rest);
        }
        rest -= inside;
    }
    None
}

fn change_at_random(rng: &mut SeededRng, value: &mut Value, other: &Value) {
    let place = below(rng, count(value));
    let Some(found) = at(value, place) else { return };
    match found {
        Value::Array(items) if happens(rng, 2, 3) => change_list(rng, items),
        Value::Object(fields) if happens(rng, 2, 3) => change_object(rng, fields),
        found if happens(rng, 1, 4) => {
            let mut other = other.clone();
            let place = below(rng, count(&other));
            *found = at(&mut other, place).map(Value::take).unwrap_or_default();
        }
        found if happens(rng, 1, 6) => *found = nested(rng, found.take()),
        found => *found = special(rng),
    }
}

fn change_list(rng: &mut SeededRng, items: &mut Vec<Value>) {
    let place = below(rng, items.len());
    match rng.below(4) {
        0 if !items.is_empty() => drop(items.remove(place)),
        1 => items.insert(place, special(rng)),
        2 if !items.is_empty() => {
            let item = if happens(rng, 1, 2) { items[place].clone() } else { special(rng) };
            let times = *pick(rng, &[1, 3, 20, 1_001, 3_000]);
            // Lists of large things stay short: what is to be found is what the number of them does.
            let times = if count(&item) > 20 { times.min(20) } else { times };
            items.extend(std::iter::repeat_n(item, times));
        }
        _ => items.reverse(),
    }
}

fn change_object(rng: &mut SeededRng, fields: &mut Map<String, Value>) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let new_name = (*pick(rng, &NAMES)).to_owned();
    if names.is_empty() || happens(rng, 1, 4) {
        fields.insert(new_name, special(rng));
        return;
    }
    let name = pick(rng, &names).clone();
    match rng.below(4) {
        0 => drop(fields.remove(&name)),
        1 => {
            let value = fields.remove(&name).unwrap_or_default();
            fields.insert(new_name, value);
        }
        2 => drop(fields.insert(name, special(rng))),
        _ => {
            for number in 0..*pick(rng, &[2, 70, 700]) {
                fields.insert(format!("{name}{number}"), special(rng));
            }
        }
    }
}

fn nested(rng: &mut SeededRng, inner: Value) -> Value {
    let depth = *pick(rng, &[1, 2, 15, 17, 40, DEPTH_MAX]);
    let name = *pick(rng, &NAMES);
    (0..depth).fold(inner, |inner, _| if name.is_empty() { json!([inner]) } else { json!({ name: [inner] }) })
}

fn special(rng: &mut SeededRng) -> Value {
    let random = rng.next_u64();
    match rng.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(random),
        5 => json!(random.cast_signed()),
        6 => json!(f64::from_bits(random)),
        7 => json!(1e308),
        8 => json!(2_e19),
        9 => json!(""),
        10 => json!("x".repeat(*pick(rng, &[1, 513, 50_000]))),
        11 => json!("\u{0}\u{1f600}\u{feff}\""),
        12 => json!([]),
        13 => json!({}),
        14 => json!("18446744073709551616"),
        _ => json!([{ "id": "x" }, 1, null]),
    }
}

/// The value as text: now and then with blanks, members twice, or letters as escapes.
fn spelled(rng: &mut SeededRng, value: &Value) -> String {
    let text = value.to_string();
    match rng.below(8) {
        0 => text.replace(',', " ,\n\t"),
        1 => match text.strip_suffix('}').and_then(|open| Some((open, open.strip_prefix('{')?))) {
            Some((open, inside)) if !inside.is_empty() => format!("{open},{inside}}}"),
            _ => text,
        },
        2 => text.replacen('a', "\\u0061", 3).replacen('e', "\\u0065", 3),
        _ => text,
    }
}

fn put_token(rng: &mut SeededRng, text: &mut String) {
    let mut place = below(rng, text.len() + 1);
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    let times = *pick(rng, &[1, 1, 1, 2, DEPTH_MAX]);
    text.insert_str(place, &pick(rng, &TOKENS).repeat(times));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_follow_from_the_seed_and_many_of_them_are_json() {
        let seeds = [r#"{"a": [1, {"b": null}], "e": "x"}"#, "[]"];
        let made = |seed| changed(&mut SeededRng::new(seed), &seeds);
        let is_json = |seed: &u64| serde_json::from_slice::<Value>(&made(*seed)).is_ok();
        let share = (0..2_000).filter(is_json).count();
        assert!((800..1_900).contains(&share), "{share}");
        assert!((0..100).all(|seed| made(seed) == made(seed)));
    }

    #[test]
    fn every_place_is_found_once() {
        let mut value = json!([1, [2, {"a": 3}], 4]);
        let found: Vec<Value> =
            (0..count(&value)).map(|place| at(&mut value, place).unwrap().clone()).collect();
        assert_eq!(found.len(), 7);
        assert_eq!(found[1..3], [json!(1), json!([2, {"a": 3}])]);
        assert_eq!(found[6], json!(4));
        assert!(at(&mut value, 7).is_none());
    }
}
