//! The vocabulary of Pinyon, used by every crate; standard library only.
//!
//! | word | meaning |
//! |---|---|
//! | *index* | what a customer creates: a dimension, a metric, and records |
//! | *shard* | one of an index's N parts, called `<prefix>-<i>` |
//! | *namespace*, *tenant* | a named set of records; lives on exactly one shard |
//! | *record* | id (the customer's text), dense or sparse vector or both, metadata |
//! | *segment* | an immutable file of records, grouped by namespace |
//! | *slot* | a record's dense number inside one segment |
//! | *graph* | the approximate-nearest-neighbour structure over a namespace's rows |
//! | *filter index* | look-up from metadata values to slots |
//! | *seq_no* | position in a shard's log |
//! | *epoch* | version of the routing table |
//!
//! Values are validated once, when they are made; code that holds one need not check again.
//!
//! ```
//! use pinyon_types::{Dim, Metric, RecordId, TenantId};
//! let tenant = TenantId::new("acme-corp")?;
//! assert_eq!(tenant.as_str(), "acme-corp");
//! assert!(RecordId::new("").unwrap_err().to_string().contains("1 to 512 bytes"));
//! assert_eq!(Dim::new(384)?.get(), 384);
//! assert!(Metric::Cosine.prefers_higher_scores());
//! # Ok::<(), pinyon_types::Invalid>(())
//! ```

mod clock;
mod effort;
mod filter;
mod ids;
mod invalid;
pub mod limits;
mod metadata;
mod metric;
mod quantity;
mod record;
mod rng;
mod sparse;
mod texts;

pub use clock::{Clock, ManualClock};
pub use effort::Effort;
pub use filter::{FieldTest, Filter, Scalar};
pub use ids::{Epoch, NamespaceId, RecordId, SegmentId, SeqNo, ShardId, SlotId, TenantId, UniqueId};
pub use invalid::Invalid;
pub use metadata::{Fields, Metadata, MetadataMap, MetadataValue, ValueRef};
pub use metric::{Distance, Metric, Score};
pub use quantity::{Dim, TopK};
pub use record::{Record, Vector};
pub use rng::SeededRng;
pub use sparse::{SparseRef, SparseVector};
pub use texts::{Texts, TextsBuilder};
