//! Limits that hold while a body is read, not afterwards: lists that end at their limit, JSON that is kept as it came up to so
//! many values, and room in memory that whatever is made of a body takes piece by piece. So no body stands for much more
//! memory than its own bytes, or it is refused before it does.

use pinyon_planted::is_planted;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

/// JSON that is echoed or small by nature, as it came: specs, schemas, tags, parameters. Its readers in [`crate::unique`] hold it to
/// [`SMALL_VALUES_MAX`] and [`SMALL_BYTES_MAX`].
pub use serde_json::Value as Small;

/// Members of [`Small`] objects.
pub type SmallFields = serde_json::Map<String, Small>;

/// Most values, at any depth, of JSON that is kept as it came.
pub const SMALL_VALUES_MAX: usize = 4_096;
/// Most bytes of its texts.
pub const SMALL_BYTES_MAX: usize = 256 << 10;
/// Most elements of a list in a filter: what `$in` may have.
pub const FILTER_LIST_MAX: usize = pinyon_types::limits::FILTER_VALUES_MAX;
/// Most values in a filter: two full lists of `$in`, and what stands around them.
pub const FILTER_VALUES_MAX: usize = 24_576;

/// Most records, documents or ids in one request of ours.
pub const BATCH_MAX: usize = 10_000;
/// Most records or ids in one request of Pinecone's.
pub const RECORDS_MAX: usize = 1_000;
/// Most components of a dense vector.
pub const COMPONENTS_MAX: usize = 20_000;
/// Most components of a sparse vector.
pub const SPARSE_MAX: usize = 2_048;
/// Most names (terms, fields to rank by) in a list.
pub const NAMES_MAX: usize = 1_024;

/// Most texts in a list of metadata: each counts for four bytes at least of what a record may have.
pub const TEXTS_MAX: usize = 65_536;

/// What a refusal for want of room says.
pub const NO_ROOM: &str = "stands for more memory than is free for requests now; send it in parts";

/// Room is taken in pieces of so many bytes: a lender is asked seldom.
const PIECE_BYTES: usize = 256 << 10;

/// Lends memory to what reads a body, until the request ends.
pub trait Lender: Send + Sync {
    /// Lends so many bytes more, or says that there are none.
    fn lend(&self, bytes: usize) -> bool;
}

thread_local! {
    /// Bytes that may be taken before the lender is asked.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    static LENDER: RefCell<Option<Arc<dyn Lender>>> = const { RefCell::new(None) };
}

/// Does work that may make things of `own_bytes`, and of what the lender gives. Without a lender anything may be taken.
pub fn within<T>(own_bytes: usize, lender: Option<Arc<dyn Lender>>, work: impl FnOnce() -> T) -> T {
    /// Puts back what was there before, also when the work panics.
    struct Before(usize, Option<Arc<dyn Lender>>);
    impl Drop for Before {
        fn drop(&mut self) {
            LEFT.set(self.0);
            LENDER.set(self.1.take());
        }
    }
    let own_bytes = if lender.is_some() { own_bytes } else { usize::MAX };
    let _before = Before(LEFT.replace(own_bytes), LENDER.replace(lender));
    work()
}

/// Takes room for what is about to be made.
///
/// # Errors
/// There is none.
pub(crate) fn take<E: Error>(bytes: usize) -> Result<(), E> {
    if try_take(bytes) { Ok(()) } else { Err(E::custom(NO_ROOM)) }
}

/// As [`take`], and says whether there was room.
pub(crate) fn try_take(bytes: usize) -> bool {
    if let Some(left) = LEFT.get().checked_sub(bytes) {
        LEFT.set(left);
        return true;
    }
    let wanted = bytes.max(PIECE_BYTES);
    let is_lent = LENDER.with_borrow(|lender| lender.as_ref().is_some_and(|lender| lender.lend(wanted)));
    if is_lent {
        LEFT.set(LEFT.get().saturating_add(wanted) - bytes);
    }
    is_lent
}

/// Bytes that may be taken before the lender is asked.
pub(crate) fn left() -> usize {
    LEFT.get()
}

/// A list of at most `N`.
struct Bounded<T, const N: usize>(Vec<T>);

struct BoundedVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor::<T, N>(PhantomData)).map(Self)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for BoundedVisitor<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == N && !is_planted(20) {
                return Err(A::Error::custom(format_args!("must have at most {N} elements, has more")));
            }
            if items.len() == items.capacity() {
                // What the list is about to grow by: as much as it has.
                take(size_of::<T>() * items.len().max(4))?;
            }
            items.push(item);
        }
        if items.len() > N {
            return Err(A::Error::custom(format_args!("must have at most {N} elements, has more")));
        }
        Ok(items)
    }
}

/// For `deserialize_with`: a list of at most `N`.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Bounded::<T, N>::deserialize(deserializer).map(|Bounded(items)| items)
}

/// For `deserialize_with`: such a list, or null.
pub(crate) fn optional_list<'de, T: Deserialize<'de>, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    Ok(Option::<Bounded<T, N>>::deserialize(deserializer)?.map(|Bounded(items)| items))
}

#[cfg(test)]
mod tests;
