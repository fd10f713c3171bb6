//! Every bound on outside input, each with its reason; relations between them hold at compile time.

/// Longest record id in bytes (Pinecone's limit).
pub const ID_BYTES_MAX: usize = 512;
/// Longest tenant (namespace) name in bytes (Pinecone's limit).
pub const TENANT_BYTES_MAX: usize = 512;
/// Smallest dimension of an index.
pub const DIM_MIN: u32 = 1;
/// Largest dimension of an index (Pinecone's limit).
pub const DIM_MAX: u32 = 20_000;
/// Greatest length (Euclidean norm) of vectors whose scores grow with it, which are those of indexes by euclidean or
/// dotproduct: the squared distance of two such vectors, and the sum of a dense and a sparse product, fit into an f32 score.
pub const VECTOR_LENGTH_MAX: f64 = 9e18;
/// Most components of a sparse vector (Pinecone's limit).
pub const SPARSE_VALUES_MAX: usize = 2_048;
/// Least effort of a query, against what self-tests found to be enough (Pinecone's limit).
pub const SCAN_FACTOR_MIN: f64 = 0.5;
/// Most effort of a query (Pinecone's limit).
pub const SCAN_FACTOR_MAX: f64 = 4.0;
/// Most candidates that a query may allow (Pinecone's limit).
pub const CANDIDATES_MAX: usize = 100_000;
/// Largest `top_k` (Pinecone's limit).
pub const TOP_K_MAX: u32 = 10_000;
/// `top_k` when a query names none: what the reference module's clients expect.
pub const TOP_K_DEFAULT: u32 = 5;
/// Most bytes of metadata a record may carry, counted as encoded on disk. Pinecone's limit is 40 KB of
/// JSON, without the text of a document; ours leaves room for the text that `/ingest` stores beside it.
pub const METADATA_BYTES_MAX: usize = 256 << 10;
/// Most fields in one record's metadata.
pub const METADATA_FIELDS_MAX: usize = 1_024;
/// Most records, documents or ids in one request.
pub const BATCH_RECORDS_MAX: usize = 10_000;
/// Most bytes one write may take in the log: the whole batch is one checksummed frame.
pub const BATCH_BYTES_MAX: usize = 256 << 20;
/// Deepest nesting of a filter: deeper ones are written by fuzzers, not by people.
pub const FILTER_DEPTH_MAX: usize = 16;
/// Most leaves (field tests) in a filter.
pub const FILTER_LEAVES_MAX: usize = 1_024;
/// Most values in one `$in` or `$nin` (Pinecone's limit).
pub const FILTER_VALUES_MAX: usize = 10_000;
/// Most ids on one page of a listing.
pub const LIST_PAGE_MAX: usize = 10_000;
/// Most shards of one index: a fan-out touches all of them.
pub const SHARDS_MAX: u32 = 256;

const _: () = assert!(
    DIM_MAX as usize * 4 + SPARSE_VALUES_MAX * 8 + METADATA_BYTES_MAX + ID_BYTES_MAX < BATCH_BYTES_MAX
);
const _: () = assert!(4.0 * VECTOR_LENGTH_MAX * VECTOR_LENGTH_MAX < f32::MAX as f64);
const _: () = assert!(TOP_K_DEFAULT <= TOP_K_MAX);
const _: () = assert!(TOP_K_MAX as usize <= CANDIDATES_MAX);
const _: () = assert!(BATCH_BYTES_MAX < u32::MAX as usize);
