//! Trees of JSON that is kept as it came, while they are read.

use super::{count::Count, members::Members};
use crate::bounded::{self, Small};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// JSON that is kept as it came, as a tree of one kind or another; what has no elements is made of the usual kind.
pub(crate) trait Tree: From<Small> {
    /// Bytes, about, that an object's member takes besides what it is and its name's.
    const MEMBER_BYTES: usize;
    fn list(items: Vec<Self>) -> Self;
    /// Of members whose names are distinct and in order.
    fn object(members: Vec<(String, Self)>) -> Self;
}

impl Tree for Small {
    // A node of the tree for every five of them, as a rule; the first one takes a whole node, too.
    const MEMBER_BYTES: usize = 11 * size_of::<(String, Self)>() / 5;

    fn list(items: Vec<Self>) -> Self {
        Self::Array(items)
    }

    fn object(members: Vec<(String, Self)>) -> Self {
        Self::Object(members.into_iter().collect())
    }
}

/// Reads a JSON value in which no object has a key twice, at any depth, and which is not more than its count allows.
pub(super) struct Unique<'a, V>(&'a Count, PhantomData<V>);

impl<V> Clone for Unique<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Unique<'_, V> {}

impl<'a, V: Tree> Unique<'a, V> {
    pub(super) const fn of(count: &'a Count) -> Self {
        Self(count, PhantomData)
    }

    fn one<E: Error>(self, bytes: usize, value: impl Into<Small>) -> Result<V, E> {
        self.0.one(bytes)?;
        Ok(value.into().into())
    }
}

impl<'de, V: Tree> DeserializeSeed<'de> for Unique<'_, V> {
    type Value = V;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, V: Tree> Visitor<'de> for Unique<'_, V> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<V, E> {
        self.one(0, flag)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<V, E> {
        self.one(0, number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<V, E> {
        self.one(0, number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<V, E> {
        self.one(0, number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V, E> {
        self.one(text.len(), text)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<V, E> {
        self.one(text.len(), text)
    }

    fn visit_unit<E: Error>(self) -> Result<V, E> {
        self.one(0, Small::Null)
    }

    fn visit_none<E: Error>(self) -> Result<V, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<V, A::Error> {
        self.0.one(0)?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            if items.len() == self.0.list_max {
                let problem = format_args!("must have lists of at most {} elements, has more", items.len());
                return Err(A::Error::custom(problem));
            }
            items.push(item);
        }
        // Lists that grew by doubling have up to as much again to spare.
        items.shrink_to_fit();
        Ok(V::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V, A::Error> {
        self.0.one(0)?;
        let mut members = Members::new();
        while let Some(name) = map.next_key::<String>()? {
            members.check_room()?;
            self.0.one(name.len())?;
            bounded::take(V::MEMBER_BYTES)?;
            members.0.push((name, map.next_value_seed(self)?));
        }
        members.distinct().map(V::object)
    }
}
