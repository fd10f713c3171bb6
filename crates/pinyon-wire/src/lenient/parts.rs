//! What has parts: structs without their null fields, lists and maps as they are; the parts are read as leniently.

use super::{Lenient, Reading};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Reads what has parts, and those as leniently.
pub(super) struct Nested<V> {
    pub(super) visitor: V,
    pub(super) reading: Reading,
    /// Of a struct.
    pub(super) fields: Option<&'static [&'static str]>,
}

macro_rules! visit_whole {
    ($($method:ident: $kind:ty,)*) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Nested<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit_whole! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, visit_borrowed_str: &'de str,
        visit_string: String,
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Lenient::new(deserializer, self.reading))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Parts { inner, reading: self.reading })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        match self.fields {
            Some(fields) => {
                let members = Members { inner, reading: self.reading, fields, seen: 0, value: None };
                self.visitor.visit_map(members)
            }
            None => self.visitor.visit_map(Parts { inner, reading: self.reading }),
        }
    }
}

/// Elements of a list, or entries of a map.
struct Parts<A> {
    inner: A,
    reading: Reading,
}

/// Hands a part's reader a lenient deserializer.
struct Part<S> {
    seed: S,
    reading: Reading,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Part<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(Lenient::new(deserializer, self.reading))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Parts<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Part { seed, reading: self.reading })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Parts<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Part { seed, reading: self.reading })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// Members of a struct's object without those that are null. A value is looked at before its name is given.
struct Members<'de, A> {
    inner: A,
    reading: Reading,
    fields: &'static [&'static str],
    /// A bit for every field that came, in their order: one that is left out for its null must not come again.
    seen: u64,
    /// The value behind the name that was given last.
    value: Option<&'de RawValue>,
}

impl<'de, A: MapAccess<'de>> Members<'de, A> {
    /// Notes that a field came, and tells whether it is one.
    fn note(&mut self, name: &str) -> Result<bool, A::Error> {
        let Some(at) = self.fields.iter().position(|field| *field == name) else { return Ok(false) };
        let bit = u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or_default();
        if self.seen & bit != 0 {
            return Err(Error::custom(format_args!("duplicate field `{name}`")));
        }
        self.seen |= bit;
        Ok(true)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        while let Some(name) = self.inner.next_key::<Cow<'de, str>>()? {
            let value: &'de RawValue = self.inner.next_value()?;
            // A name that the struct does not know is for its reader to judge.
            let is_known = self.note(&name)?;
            if value.get() != "null" || !is_known {
                self.value = Some(value);
                return seed.deserialize(name.into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("a value without a name"))?;
        let mut reader = serde_json::Deserializer::from_str(value.get());
        seed.deserialize(Lenient::new(&mut reader, self.reading)).map_err(Error::custom)
    }
}
