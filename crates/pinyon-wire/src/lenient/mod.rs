//! Reads JSON as clients of proto3 APIs write it. Strict reading comes first and is faster; this reader is for what that refuses.
//!
//! - `null` in a field of a struct means that the field is unset, as if it were left out. Elements of lists and values of maps
//!   are data: there `null` stays what it is.
//! - With [`Reading::Proto3`], whole numbers may be written with a fraction of zero, with an exponent, or as strings, and
//!   floats as strings, `NaN` and `Infinity` among them (proto3's JSON mapping).

mod depth;
mod numbers;
mod parts;
#[cfg(test)]
mod tests;

pub use depth::too_deep;
pub use numbers::whole_number;

use numbers::{Float, Whole};
use parts::Nested;
use serde::{Deserialize, Deserializer, de::Visitor};

/// Liberties that a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Null means unset.
    NullIsUnset,
    /// Null means unset, and numbers are read as proto3's JSON mapping has them.
    Proto3,
}

/// Reads a value that takes up all of `bytes`.
///
/// # Errors
/// What is wrong even for this reader.
pub fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8], reading: Reading) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Lenient::new(&mut reader, reading))?;
    reader.end()?;
    Ok(value)
}

/// A deserializer of JSON that takes liberties.
#[derive(Debug)]
pub struct Lenient<D> {
    inner: D,
    reading: Reading,
}

impl<D> Lenient<D> {
    /// Wraps a strict one.
    pub const fn new(inner: D, reading: Reading) -> Self {
        Self { inner, reading }
    }

    fn nested<V>(&self, visitor: V) -> Nested<V> {
        Nested { visitor, reading: self.reading, fields: None }
    }
}

macro_rules! as_they_are {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        })*
    };
}

macro_rules! numbers {
    ($kind:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            match self.reading {
                Reading::NullIsUnset => self.inner.$method(visitor),
                Reading::Proto3 => self.inner.deserialize_any($kind(visitor)),
            }
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Lenient<D> {
    type Error = D::Error;

    as_they_are! {
        deserialize_any deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_identifier deserialize_ignored_any deserialize_i128 deserialize_u128
    }

    numbers! { Whole: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 }
    numbers! { Whole: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }
    numbers! { Float: deserialize_f32 deserialize_f64 }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let nested = self.nested(visitor);
        self.inner.deserialize_option(nested)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let nested = self.nested(visitor);
        self.inner.deserialize_seq(nested)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let nested = self.nested(visitor);
        self.inner.deserialize_map(nested)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let nested = Nested { fields: Some(fields), ..self.nested(visitor) };
        self.inner.deserialize_struct(name, fields, nested)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, D::Error> {
        let nested = self.nested(visitor);
        self.inner.deserialize_tuple(length, nested)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let nested = self.nested(visitor);
        self.inner.deserialize_tuple_struct(name, length, nested)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }
}
