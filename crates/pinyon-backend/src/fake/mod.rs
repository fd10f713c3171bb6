//! A backend in memory that keeps the contracts, and fails on demand in every way that one far away could.

mod copies;
mod faults;

pub use faults::Fault;

use crate::{
    BackendError, Capabilities, Change, CopyEntry, Found, Frozen, ListPage, Located, MatchPage, Namespace,
    Noted, Page, Query, Receipt, ScanPage, Scope, ShardBackend, Until, Watch, WriteError,
};
use copies::{Copies, Notes};
use faults::Faults;
use pinyon_types::{Dim, Epoch, Filter, Invalid, Metric, RecordId, SeqNo, limits};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps records in memory and searches them exactly.
#[derive(Debug)]
pub struct Fake {
    dim: Dim,
    metric: Metric,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    copies: Copies,
    faults: Faults,
    /// Changes whose callers gave up, and that have not taken effect yet.
    late: Vec<(Namespace, Change)>,
}

impl Fake {
    /// An empty one, for dense vectors.
    pub fn new(dim: Dim, metric: Metric) -> Self {
        Self { dim, metric, state: Arc::default() }
    }

    /// Has the next call, of those that may fail like this, fail. Faults wait in the order in which they were planned.
    pub fn plan(&self, fault: Fault) {
        self.lock().faults.plan(fault);
    }

    /// Lets the changes take effect whose callers gave up, in order, unless their namespaces were closed meanwhile. Says how many there
    /// were.
    pub fn land(&self) -> usize {
        let mut state = self.lock();
        let late = std::mem::take(&mut state.late);
        let count = late.len();
        for (namespace, change) in late {
            // Nobody waits for the answer.
            drop(state.copies.apply(&namespace, change));
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for a call that fails if it was planned to.
    fn asked(&self, until: Until<'_>) -> Result<MutexGuard<'_, State>, BackendError> {
        let fault = self.lock().faults.of_read();
        match fault {
            Some(Fault::Delay(time)) => faults::wait(time),
            Some(Fault::Refuse(error)) => return Err(error),
            _ => {}
        }
        if until.is_over() { Err(BackendError::TimedOut) } else { Ok(self.lock()) }
    }
}

fn check_page(limit: usize) -> Result<(), BackendError> {
    if (1..=limits::LIST_PAGE_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Invalid::new("limit", format!("must be 1 to {}, is {limit}", limits::LIST_PAGE_MAX)).into())
}

impl ShardBackend for Fake {
    fn capabilities(&self) -> Capabilities {
        Capabilities { answers_at_once: false, has_positions: true }
    }

    fn write(&self, to: &Namespace, change: Change, until: Until<'_>) -> Result<Receipt, WriteError> {
        let fault = self.lock().faults.of_write();
        if let Some(Fault::Delay(time)) = fault {
            faults::wait(time);
        }
        let mut state = self.lock();
        let refuse = |error, change| Err(WriteError::Refused { error, change: Some(Box::new(change)) });
        match fault {
            Some(Fault::Refuse(error)) => refuse(error, change),
            Some(Fault::LoseAnswer) => {
                state.copies.apply(to, change)?;
                Err(WriteError::Unknown(BackendError::TimedOut))
            }
            Some(Fault::LandLate) => {
                state.late.push((to.clone(), change));
                Err(WriteError::Unknown(BackendError::TimedOut))
            }
            Some(Fault::Forget) => Ok(Receipt { seq: state.copies.seq, records: 0 }),
            _ if until.is_over() => refuse(BackendError::TimedOut, change),
            _ => state.copies.apply(to, change),
        }
    }

    /// As a server does whose sessions are ended: what did not take effect never will.
    fn settle(&self, of: &Namespace, until: Until<'_>) -> Result<(), BackendError> {
        self.asked(until)?.late.retain(|(namespace, _)| namespace.id() != of.id());
        Ok(())
    }

    fn close(&self, of: &Namespace, until: Until<'_>) -> Result<Frozen, BackendError> {
        Ok(self.asked(until)?.copies.close(of))
    }

    fn open(&self, of: &Namespace) -> Result<(), BackendError> {
        self.asked(Until::NEVER)?.copies.open(of);
        Ok(())
    }

    fn watch(&self, of: &Namespace, bytes_max: usize) -> Result<Box<dyn Watch>, BackendError> {
        let notes = self.asked(Until::NEVER)?.copies.watch(of.id(), bytes_max);
        Ok(Box::new(FakeWatch { state: Arc::clone(&self.state), notes }))
    }

    fn find(&self, of: &Namespace, ids: &[RecordId], until: Until<'_>) -> Result<Vec<Located>, BackendError> {
        if ids.len() > limits::BATCH_RECORDS_MAX {
            let problem = format!("must be at most {}, are {}", limits::BATCH_RECORDS_MAX, ids.len());
            return Err(Invalid::new("ids", problem).into());
        }
        Ok(self.asked(until)?.copies.find(of.id(), ids))
    }

    fn list(&self, of: &Namespace, page: ListPage<'_>, until: Until<'_>) -> Result<Page, BackendError> {
        check_page(page.limit)?;
        Ok(self.asked(until)?.copies.list(of.id(), page))
    }

    fn find_matching(
        &self,
        of: &Namespace,
        page: MatchPage<'_>,
        until: Until<'_>,
    ) -> Result<(Vec<Located>, bool), BackendError> {
        check_page(page.limit)?;
        Ok(self.asked(until)?.copies.find_matching(of.id(), page))
    }

    fn count(&self, of: &Namespace, filter: Option<&Filter>, until: Until<'_>) -> Result<u64, BackendError> {
        Ok(self.asked(until)?.copies.count(of.id(), filter))
    }

    fn scan(
        &self,
        of: &Namespace,
        page: ScanPage<'_>,
        until: Until<'_>,
    ) -> Result<(Vec<Located>, bool), BackendError> {
        check_page(page.limit)?;
        Ok(self.asked(until)?.copies.scan(of.id(), page))
    }

    fn search(&self, scope: Scope<'_>, query: Query<'_>, until: Until<'_>) -> Result<Found, BackendError> {
        let given = query.vector.map_or(0, |vector| vector.as_slice().len());
        if given != self.dim.as_usize() {
            let problem =
                format!("Vector dimension {given} does not match the dimension of the index {}", self.dim);
            return Err(Invalid::new("vector", problem).into());
        }
        let fault = self.lock().faults.of_search();
        let mut found = match fault {
            Some(Fault::Delay(time)) => {
                faults::wait(time);
                self.lock().copies.search(scope, query, self.metric, until)
            }
            Some(Fault::Refuse(error)) => return Err(error),
            _ => self.lock().copies.search(scope, query, self.metric, until),
        };
        if matches!(fault, Some(Fault::AnswerInPart)) {
            found.hits.truncate(found.hits.len() / 2);
            found.complete = false;
        }
        Ok(found)
    }

    fn records(&self, scope: Scope<'_>) -> u64 {
        self.lock().copies.records(scope)
    }

    fn position(&self) -> Option<SeqNo> {
        Some(self.lock().copies.seq)
    }

    fn epoch_seen(&self) -> Epoch {
        self.lock().copies.epoch_seen
    }

    fn copies(&self, until: Until<'_>) -> Result<Vec<CopyEntry>, BackendError> {
        Ok(self.asked(until)?.copies.entries())
    }

    fn adopt(&self, copy: &Namespace, until: Until<'_>) -> Result<(), WriteError> {
        self.asked(until).map_err(WriteError::refused)?.copies.adopt(copy)
    }

    fn drop_copy(&self, copy: &Namespace, until: Until<'_>) -> Result<(), WriteError> {
        self.write(copy, Change::DeleteAll, until)?;
        self.lock().copies.close(copy);
        Ok(())
    }

    fn reclaim(&self, _copy: &Namespace) -> Result<(), BackendError> {
        Ok(())
    }
}

#[derive(Debug)]
struct FakeWatch {
    state: Arc<Mutex<State>>,
    notes: Notes,
}

impl Watch for FakeWatch {
    fn take(&mut self) -> Result<Noted, BackendError> {
        // Under the lock of who writes: what is read from here on sees what was noted.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = self.notes.take();
        Ok(Noted { seq: state.copies.seq, ..noted })
    }
}
