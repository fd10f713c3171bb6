//! The seam between the router and a shard: what a shard is asked, what it answers, and what each call promises.
//!
//! What it does: names a namespace by a handle, a change, a query, a record that was found, and the trait by which all of them pass,
//! [`ShardBackend`]. The router knows shards by this trait alone, so that one may keep its records in this process or elsewhere.
//!
//! What it must not know: files, memory layouts, networks, how a search is done.
//!
//! The feature `testing` adds [`fake`], a backend that delays, fails, and lets a write land after its caller gave up, and
//! [`conformance`], the contracts of the trait as tests.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backend;
mod change;
mod copying;
mod error;
mod explanation;
mod namespace;
mod query;
mod shared_search;
mod stored;
mod until;

// What does not hold panics.
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used)]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod fake;

pub use backend::{Capabilities, CopyEntry, ShardBackend};
pub use change::{Change, Receipt};
pub use copying::{Frozen, Noted, ScanPage, Watch};
pub use error::{BackendError, WriteError};
pub use explanation::{BytesRead, Explanation, PartExplanation, PartPlace, Reason, Way};
pub use namespace::Namespace;
pub use query::{Found, Hit, Query, Scope};
pub use shared_search::SharedSearch;
pub use stored::{ListPage, Located, MatchPage, Page, Stored, StoredRows};
pub use until::Until;
