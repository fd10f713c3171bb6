//! What a router asks of a shard.

use crate::{
    BackendError, Change, Found, Frozen, ListPage, Located, MatchPage, Namespace, Page, Query, Receipt,
    ScanPage, Scope, Until, Watch, WriteError,
};
use pinyon_types::{Epoch, Filter, RecordId, SeqNo};
use std::fmt::Debug;

/// What a backend can do. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether calls are answered by this process, without waiting for a network: the thread of a connection may make them.
    pub answers_at_once: bool,
    /// Whether every change has a position, which reads can be held against.
    pub has_positions: bool,
}

/// A copy of a tenant that a backend holds, the tenant's own or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyEntry {
    /// Its number, its tenant's name, and the highest epoch that it was written with: [`Epoch::ZERO`] as long as nobody adopted it.
    pub namespace: Namespace,
    /// Its records.
    pub records: u64,
}

/// A shard as the router knows it. Calls block; they come from many threads at once.
///
/// A read sees every change that was acknowledged before the call, and of a batch all or nothing. Whoever holds records that were found
/// can read them whatever becomes of their namespace.
pub trait ShardBackend: Send + Sync + Debug {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes a change of one namespace durable and visible; all of it or nothing. Calls on one namespace that do not overlap take effect
    /// in order.
    ///
    /// # Errors
    /// Refused: the change has no effect, for ever. Unknown: it may have one, whole, even later. A deadline that passes before anything was
    /// begun is a refusal.
    fn write(&self, to: &Namespace, change: Change, until: Until<'_>) -> Result<Receipt, WriteError>;

    /// Waits until no earlier change of a namespace whose outcome is not known can still take effect.
    ///
    /// # Errors
    /// One still can.
    fn settle(&self, of: &Namespace, until: Until<'_>) -> Result<(), BackendError>;

    /// Lets no more changes in that were routed at the handle's epoch or before, wherever they wait; they get
    /// [`BackendError::Closed`]. What was acknowledged is in what stays. May be repeated; holds until the namespace is opened or the
    /// process ends.
    ///
    /// # Errors
    /// Whether it is closed is not known: open it, or try again.
    fn close(&self, of: &Namespace, until: Until<'_>) -> Result<Frozen, BackendError>;

    /// Lets changes in again.
    ///
    /// # Errors
    /// It stays closed.
    fn open(&self, of: &Namespace) -> Result<(), BackendError>;

    /// Begins to note which records of a namespace change: every change that becomes visible from now on. The notes of ids take about
    /// `bytes_max` at most.
    ///
    /// # Errors
    /// The backend takes no writes, or cannot tell.
    fn watch(&self, of: &Namespace, bytes_max: usize) -> Result<Box<dyn Watch>, BackendError>;

    /// The records with these ids, in the order asked; ids that do not exist are left out.
    ///
    /// # Errors
    /// More ids than one request may name; the backend's.
    fn find(&self, of: &Namespace, ids: &[RecordId], until: Until<'_>) -> Result<Vec<Located>, BackendError>;

    /// A page of ids in byte order.
    ///
    /// # Errors
    /// A limit out of its range; the backend's.
    fn list(&self, of: &Namespace, page: ListPage<'_>, until: Until<'_>) -> Result<Page, BackendError>;

    /// A page of the records that pass a filter, in byte order of their ids, and whether more follow.
    ///
    /// # Errors
    /// As [`Self::list`].
    fn find_matching(
        &self,
        of: &Namespace,
        page: MatchPage<'_>,
        until: Until<'_>,
    ) -> Result<(Vec<Located>, bool), BackendError>;

    /// How many records a namespace has; with a filter, how many pass it.
    ///
    /// # Errors
    /// The backend's.
    fn count(&self, of: &Namespace, filter: Option<&Filter>, until: Until<'_>) -> Result<u64, BackendError>;

    /// A page of a copy: records in byte order of their ids, and whether more follow. What changes between two pages may be on none of
    /// them; a watch tells of it.
    ///
    /// # Errors
    /// As [`Self::list`].
    fn scan(
        &self,
        of: &Namespace,
        page: ScanPage<'_>,
        until: Until<'_>,
    ) -> Result<(Vec<Located>, bool), BackendError>;

    /// The records nearest to a query, nearest first, by their exact distances. When the time is up, what was found by then:
    /// [`Found::complete`] says so (QRY-1).
    ///
    /// # Errors
    /// A query of another shape than the shard's; the backend's.
    fn search(&self, scope: Scope<'_>, query: Query<'_>, until: Until<'_>) -> Result<Found, BackendError>;

    /// How many records there are in a scope, as far as is known without asking anybody.
    fn records(&self, scope: Scope<'_>) -> u64;

    /// The position of the last visible change, where there are positions.
    fn position(&self) -> Option<SeqNo>;

    /// The highest routing epoch that any change carried.
    fn epoch_seen(&self) -> Epoch;

    /// Every copy with records, those that are no tenant's too, by number.
    ///
    /// # Errors
    /// The backend's.
    fn copies(&self, until: Until<'_>) -> Result<Vec<CopyEntry>, BackendError>;

    /// Makes a copy its tenant's since the handle's epoch, durably: afterwards no change that was routed before it is let in, the copier's
    /// own among them, and the epoch stands in [`Self::copies`]. May be repeated.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn adopt(&self, copy: &Namespace, until: Until<'_>) -> Result<(), WriteError>;

    /// Drops a copy, durably, by the epoch at which its tenant left it; no change of it is let in any more. May be repeated, and names
    /// that are not there are no error. The room that it took comes back with [`Self::reclaim`], or later.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn drop_copy(&self, copy: &Namespace, until: Until<'_>) -> Result<(), WriteError>;

    /// Gives back the room that a dropped copy takes, as far as it is worth it: less than a hundredth of a file may stay. Changes nothing
    /// else, and takes as long as writing again what lies beside the copy.
    ///
    /// # Errors
    /// The backend's: the room comes back later.
    fn reclaim(&self, copy: &Namespace) -> Result<(), BackendError>;
}
