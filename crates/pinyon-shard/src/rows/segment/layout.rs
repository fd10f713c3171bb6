//! The sections of a segment file, as FORMAT.md tells them. Rows are in (namespace number, id) order.

/// Tags of the sections of a segment.
pub(crate) mod tag {
    /// One fixed-width entry per namespace, ordered by number.
    pub(crate) const NAMESPACES: u32 = 1;
    /// The namespaces' names, one after the other.
    pub(crate) const NAMES: u32 = 2;
    /// Vectors, f32, row after row.
    pub(crate) const VECTORS: u32 = 3;
    /// One over the length of each vector, f32; 0 for a zero vector.
    pub(crate) const INVERSE_NORMS: u32 = 4;
    /// The log position that wrote each row, u64.
    pub(crate) const SEQS: u32 = 5;
    /// Offsets into the ids, u32, one more than rows.
    pub(crate) const ID_OFFSETS: u32 = 6;
    /// The ids, one after the other.
    pub(crate) const IDS: u32 = 7;
    /// Offsets into the metadata, u64, one more than rows.
    pub(crate) const METADATA_OFFSETS: u32 = 8;
    /// Encoded metadata, one after the other.
    pub(crate) const METADATA: u32 = 9;
    /// Slots of older segments that writes into this one made dead.
    pub(crate) const KILLS: u32 = 10;
    /// Offsets into the sparse components, u64, one more than rows. This and what follows is there if any row is sparse.
    pub(crate) const SPARSE_OFFSETS: u32 = 11;
    /// Indices of sparse components, u32, ascending within a row.
    pub(crate) const SPARSE_INDICES: u32 = 12;
    /// Their weights, f32.
    pub(crate) const SPARSE_VALUES: u32 = 13;
    /// Posting lists, namespace after namespace: pairs of a slot and a weight's bits.
    pub(crate) const POSTINGS: u32 = 14;
    /// How many posting lists come before each namespace's, u64, one more than namespaces.
    pub(crate) const FIRST_LISTS: u32 = 15;
    /// Which index each list is of, u32, ascending within a namespace.
    pub(crate) const LIST_INDICES: u32 = 16;
    /// Where each list begins in the postings, u64, one more than lists.
    pub(crate) const LIST_STARTS: u32 = 17;
    /// Least and greatest weight of each list, pairs of f32.
    pub(crate) const LIST_BOUNDS: u32 = 18;
}

/// Most rows of one segment: slots are u32, and roaring bitmaps of fewer than 2^31 keep ranges from wrapping.
pub(crate) const ROWS_MAX: u32 = i32::MAX as u32;
/// Most bytes of ids in one segment, because their offsets are u32.
pub(crate) const ID_BYTES_TOTAL_MAX: u64 = u32::MAX as u64;
