//! Protobuf messages, measured before they are decoded. Two bytes on the wire may become a struct of more than a hundred, so
//! the decoder would make gigabytes of a body that was let in. A walk over the bytes, without allocation, counts elements and
//! depth against the limits that the JSON bodies have ([`crate::bounded`]), and tells how much memory decoding takes; that much
//! is taken from the request's lender first.
//!
//! What the walk accepts may still be no message (texts that are not UTF-8); what the decoder accepts the walk does too, unless
//! it is above a limit. Unknown fields and groups are skipped: they are work, and no memory.

mod heap;
mod table;
mod walk;

pub use table::FILTER_DEPTH_MAX;
pub(crate) use table::{
    CREATE_NAMESPACE, DELETE, DELETE_NAMESPACE, DESCRIBE_INDEX_STATS, DESCRIBE_NAMESPACE, FETCH,
    FETCH_BY_METADATA, LIST, LIST_NAMESPACES, Message, QUERY, UPDATE, UPSERT,
};
pub(crate) use walk::{Unfit, measure};

#[cfg(test)]
mod tests;
