//! Requests that wait to be made durable, and who commits them. One of the waiting threads leads: it takes everything that
//! waits, commits it, hands the lead to whoever waits first by then, and tells the others what became of their requests. Nobody
//! takes the writer's lock only to hear an answer: threads that queued up for that held up every sync.

use crate::{Change, Namespace, Receipt, ShardError, writing::log_entry::Operation};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Requests of at most this many bytes are committed together: it bounds what a crash may leave half written.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Requests that name their records are encoded by the thread that brings them; the others only once it is their
/// turn, because what they mean depends on what was written before them.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Ready {
        operations: Vec<Operation>,
        encoded: Vec<u8>,
    },
    Resolve(Change),
    /// Has the namespace be known as written at the request's epoch.
    Adopt,
}

impl Work {
    /// Bytes in the log, as far as they are known.
    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Self::Ready { encoded, .. } => encoded.len(),
            Self::Resolve(_) | Self::Adopt => 0,
        }
    }

    /// Whether it removes every record of a namespace.
    pub(crate) fn empties(&self) -> bool {
        matches!(self, Self::Ready { operations, .. } if operations.contains(&Operation::Clear))
    }
}

impl Work {
    /// What was asked for; of equal ids in one batch the last alone.
    pub(crate) fn into_change(self) -> Option<Change> {
        let operations = match self {
            Self::Resolve(change) => return Some(change),
            Self::Adopt => return None,
            Self::Ready { operations, .. } => operations,
        };
        let (mut records, mut ids) = (Vec::new(), Vec::new());
        for operation in operations {
            match operation {
                Operation::Put(record) => records.push(record),
                Operation::Delete(id) => ids.push(id),
                Operation::Clear => return Some(Change::DeleteAll),
            }
        }
        Some(if records.is_empty() { Change::DeleteIds(ids) } else { Change::Upsert(records) })
    }
}

/// What became of a request.
pub(crate) type Outcome = Result<Receipt, Undone>;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) error: ShardError,
    /// Whether it may be durable all the same, and be there after a restart.
    pub(crate) may_be_durable: bool,
    /// What was asked for, where it was not used up.
    pub(crate) change: Option<Box<Change>>,
}

impl<E: Into<ShardError>> From<E> for Undone {
    fn from(error: E) -> Self {
        Self { error: error.into(), may_be_durable: false, change: None }
    }
}

impl Undone {
    pub(crate) fn maybe_durable(error: ShardError) -> Self {
        Self { error, may_be_durable: true, change: None }
    }
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) namespace: Namespace,
    pub(crate) work: Mutex<Option<Work>>,
    /// Whether it makes room in the end.
    pub(crate) is_deletion: bool,
    /// Whether it removes every record of the namespace.
    pub(crate) empties: bool,
    bytes: usize,
    turn: Mutex<Option<Turn>>,
    told: Condvar,
}

/// What a waiting thread is told.
#[derive(Debug)]
pub(crate) enum Turn {
    /// To commit what waits, its own request first.
    Lead,
    /// Its request is done.
    Done(Outcome),
}

/// The requests of one shard, and whether somebody leads.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Arc<Pending>>,
    is_led: bool,
}

impl Pending {
    pub(crate) fn new(namespace: Namespace, work: Work, is_deletion: bool) -> Self {
        let (bytes, empties) = (work.bytes(), work.empties());
        let (work, turn, told) = (Mutex::new(Some(work)), Mutex::new(None), Condvar::new());
        Self { namespace, work, is_deletion, empties, bytes, turn, told }
    }

    /// What was asked for along with why it was not done, where nobody took it.
    pub(crate) fn give_back(&self, undone: Undone) -> Undone {
        let change = lock(&self.work).take().and_then(Work::into_change).map(Box::new);
        Undone { change, ..undone }
    }

    pub(crate) fn tell(&self, turn: Turn) {
        *lock(&self.turn) = Some(turn);
        self.told.notify_one();
    }

    /// Waits until there is something to be told.
    pub(crate) fn wait(&self) -> Turn {
        let is_untold = |turn: &mut Option<Turn>| turn.is_none();
        let mut turn =
            self.told.wait_while(lock(&self.turn), is_untold).unwrap_or_else(PoisonError::into_inner);
        turn.take().expect("invariant: the wait ends when there is a turn")
    }
}

impl Queue {
    /// Adds a request; where nobody leads its thread is told to.
    pub(crate) fn push(&mut self, request: &Arc<Pending>) {
        self.waiting.push_back(Arc::clone(request));
        if !self.is_led {
            self.hand_over();
        }
    }

    /// What is committed together: everything that waits, as far as its bytes allow, and the first request at least.
    pub(crate) fn take_group(&mut self) -> Vec<Arc<Pending>> {
        let (mut bytes, mut group) = (0, Vec::new());
        while let Some(first) = self.waiting.front() {
            bytes += first.bytes;
            if !group.is_empty() && bytes > GROUP_BYTES_MAX {
                break;
            }
            group.extend(self.waiting.pop_front());
        }
        group
    }

    /// Lets the first who waits lead; nobody if nobody waits.
    pub(crate) fn hand_over(&mut self) {
        self.is_led = !self.waiting.is_empty();
        if let Some(first) = self.waiting.front() {
            first.tell(Turn::Lead);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// These locks guard single assignments, which a panic cannot leave half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use pinyon_types::{Epoch, NamespaceId, TenantId};

    fn request() -> Arc<Pending> {
        let name = TenantId::new("t").unwrap();
        let namespace = Namespace::routed(NamespaceId::new(1), name, Epoch::new(1));
        Arc::new(Pending::new(namespace, Work::Resolve(Change::DeleteAll), true))
    }

    #[test]
    fn one_leads_at_a_time_and_the_next_is_whoever_waits_first() {
        let mut queue = Queue::default();
        let requests: Vec<_> = (0..4).map(|_| request()).collect();
        queue.push(&requests[0]);
        queue.push(&requests[1]);
        assert!(matches!(requests[0].wait(), Turn::Lead));
        assert!(lock(&requests[1].turn).is_none(), "there is a leader already");
        assert_eq!(queue.take_group().len(), 2);
        queue.push(&requests[2]);
        assert!(lock(&requests[2].turn).is_none(), "the leader is at work");
        queue.hand_over();
        assert!(matches!(requests[2].wait(), Turn::Lead));
        assert_eq!(queue.take_group().len(), 1);
        queue.hand_over();
        queue.push(&requests[3]);
        assert!(matches!(requests[3].wait(), Turn::Lead), "nobody was left to lead");
    }
}
