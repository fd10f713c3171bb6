//! Limits of JSON that is kept as it came, counted while it is read.

use crate::bounded::{self, FILTER_LIST_MAX, FILTER_VALUES_MAX, SMALL_BYTES_MAX, SMALL_VALUES_MAX, Small};
use serde::de::Error;
use std::{cell::Cell, fmt};

/// What JSON that is kept as it came may have, and has so far.
pub(super) struct Count {
    values_max: usize,
    bytes_max: usize,
    /// Elements of one list.
    pub(super) list_max: usize,
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Count {
    const fn up_to(values_max: usize, bytes_max: usize) -> Self {
        Self { values_max, bytes_max, list_max: usize::MAX, values: Cell::new(0), bytes: Cell::new(0) }
    }

    /// Specs, schemas, tags, parameters.
    pub(super) const fn small() -> Self {
        Self::up_to(SMALL_VALUES_MAX, SMALL_BYTES_MAX)
    }

    /// Filters: the engine has its own limits, with words of their own; these are what keeps one from growing until then.
    pub(super) const fn filter() -> Self {
        Self { list_max: FILTER_LIST_MAX, ..Self::up_to(FILTER_VALUES_MAX, usize::MAX) }
    }

    /// Texts to embed and documents to rank: few values, long ones.
    pub(super) const fn texts() -> Self {
        Self::up_to(SMALL_VALUES_MAX, usize::MAX)
    }

    /// Counts a value, or a key, with so many bytes of text.
    pub(super) fn one<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        if self.values.get() > self.values_max || self.bytes.get() > self.bytes_max {
            return Err(E::custom(self));
        }
        bounded::take(size_of::<Small>())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must have at most {} values", self.values_max)?;
        if self.bytes_max < usize::MAX {
            write!(f, " and {} bytes of text", self.bytes_max)?;
        }
        f.write_str(", has more")
    }
}
