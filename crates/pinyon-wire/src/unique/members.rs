//! The members of an object whose keys are data, while they are read.

use crate::{bounded, expected::EXPECTED};
use litemap::LiteMap;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// Most fields of one object whose keys are data; fields that are null count too, so it is more than metadata may have.
const FIELDS_MAX: usize = 4_096;

/// The members of an object while it is read.
pub(crate) struct Members<T>(pub(super) Vec<(String, T)>);

impl<T> Members<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Refuses one member too many.
    pub(super) fn check_room<E: Error>(&self) -> Result<(), E> {
        match self.0.len() {
            FIELDS_MAX => Err(E::custom(format_args!("must have at most {FIELDS_MAX} fields, has more"))),
            _ => Ok(()),
        }
    }

    /// Reads the value of the member whose name was read.
    ///
    /// # Errors
    /// It is one too many, there is no room for it, or its value cannot be read.
    pub(crate) fn add<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error>
    where
        T: Deserialize<'de>,
    {
        self.check_room()?;
        // The list grows by doubling; names are allocated one by one.
        bounded::take(2 * size_of::<(String, T)>() + 32)?;
        self.0.push((name, map.next_value()?));
        Ok(())
    }

    /// All of them, in order of their names.
    ///
    /// # Errors
    /// A name that comes twice; the message shows the begin of a long one.
    pub(super) fn distinct<E: Error>(self) -> Result<Vec<(String, T)>, E> {
        let mut members = self.0;
        if !members.is_sorted_by(|(name, _), (next, _)| name < next) {
            members.sort_by(|(name, _), (other, _)| name.cmp(other));
            if let Some([(name, _), _]) = members.array_windows().find(|[(name, _), (next, _)]| name == next)
            {
                let shown: String = name.chars().take(100).collect();
                return Err(E::custom(format_args!("must have each key once, has {shown:?} twice")));
            }
        }
        members.shrink_to_fit();
        Ok(members)
    }

    /// As a map.
    ///
    /// # Errors
    /// A name that comes twice.
    pub(crate) fn map<E: Error>(self) -> Result<LiteMap<String, T>, E> {
        self.distinct().map(LiteMap::from_sorted_store_unchecked)
    }
}

/// Reads a map that keeps every key of an object.
struct FieldsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldsVisitor<T> {
    type Value = LiteMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::new();
        while let Some(name) = map.next_key::<String>()? {
            members.add(name, &mut map)?;
        }
        members.map()
    }
}

/// A map whose keys are distinct in what it was read from.
pub(super) struct Fields<T>(pub(super) LiteMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor(PhantomData)).map(Self)
    }
}
