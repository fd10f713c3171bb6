//! Numbers in every spelling that proto3's JSON mapping has.

use serde::de::{Error, Visitor};
use std::fmt;

/// The number that a text stands for, if it is a whole one: `10`, `10.0`, `1e1`.
pub fn whole_number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| whole(number(text)?))
}

/// The number that is written in JSON's notation.
fn number(text: &str) -> Option<f64> {
    serde_json::from_str(text).ok().filter(|_| !text.contains(char::is_whitespace))
}

/// A float without a fraction, where `f64` holds every whole number.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

macro_rules! visit_as_they_are {
    ($($method:ident: $kind:ty,)*) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

/// Reads a whole number from any of its spellings. What is none is shown to the visitor, which refuses it in its own words.
pub(super) struct Whole<V>(pub(super) V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Whole<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visit_as_they_are! { visit_bool: bool, visit_i64: i64, visit_u64: u64, }

    fn visit_f64<E: Error>(self, given: f64) -> Result<V::Value, E> {
        match whole(given) {
            Some(number) => signed(self.0, number),
            None => self.0.visit_f64(given),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        match whole_number(text) {
            Some(number) => signed(self.0, number),
            None => self.0.visit_str(text),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }
}

/// Gives a number in the form in which JSON's own reader does.
fn signed<'de, V: Visitor<'de>, E: Error>(visitor: V, number: i64) -> Result<V::Value, E> {
    match u64::try_from(number) {
        Ok(number) => visitor.visit_u64(number),
        Err(_) => visitor.visit_i64(number),
    }
}

/// Reads a float from any of its spellings.
pub(super) struct Float<V>(pub(super) V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Float<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visit_as_they_are! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        let named = match text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => number(text),
        };
        match named {
            Some(number) => self.0.visit_f64(number),
            None => self.0.visit_str(text),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }
}
