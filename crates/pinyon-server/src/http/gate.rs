//! The gate that every request with a key goes through before a byte of its body is read: it needs one of the places, and room
//! for the bytes that it says it brings. Who gets none is told to come back, which costs a head and no more.
//!
//! Order of refusals: no key (401), no such index (404), no place (429), a body that never fits (413), no room for it now
//! (429), and only then whatever is wrong with the body.
//!
//! Bytes are charged as they arrive, not when they are announced: a client that announces much and sends nothing holds
//! nothing. What is held is given back when the answer is made *and* all work for it is done, also work whose client has gone;
//! for a long answer when it was sent.

mod passing;

pub(crate) use passing::{pass, pass_lending};

use super::pool::Pool;
use crate::ApiError;
use axum::{extract::Request, http::Method};
use pinyon_core::{EngineError, ErrorCode, MemoryBudget, Pressure};
use pinyon_planted::is_planted;
use pinyon_wire::bounded::Lender;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Requests that are let in at once; more are told to come back (LIM-1).
const PLACES_MAX: usize = 512;
/// Requests among them that write: however many writers there are, reads get in.
const WRITERS_MAX: usize = PLACES_MAX / 2;

/// Bytes that a request may take at once for each byte of its body: the body, and what is made of it.
const READ_FACTOR: usize = 2;
/// Bytes of a body that are let in when the process has more memory than it should: deletions, and questions.
const SMALL_BYTES: usize = 64 << 10;

/// As [`READ_FACTOR`]; what writes is kept as records too until the log has them.
const WRITE_FACTOR: usize = 3;

tokio::task_local! {
    static TICKET: Arc<Ticket>;
}

/// What a request is let in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

impl Purpose {
    /// Reads with a body are known by the end of their path; everything else that is no GET may write.
    fn of(request: &Request) -> Self {
        const READS: [&str; 16] = [
            "query",
            "fetch",
            "search",
            "fetch_by_metadata",
            "describe_index_stats",
            "embed",
            "rerank",
            "advise",
            "Query",
            "Fetch",
            "FetchByMetadata",
            "List",
            "DescribeIndexStats",
            "ListNamespaces",
            "DescribeNamespace",
            "list",
        ];
        let last = request.uri().path().rsplit('/').next().unwrap_or_default();
        match *request.method() {
            Method::GET | Method::HEAD => Self::Read,
            Method::POST if READS.contains(&last) => Self::Read,
            _ => Self::Write,
        }
    }

    const fn factor(self) -> usize {
        match self {
            Self::Read => READ_FACTOR,
            Self::Write => WRITE_FACTOR,
        }
    }
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Every place is taken.
    NoPlace,
    /// Other requests hold the bytes that it needs.
    NoBytes,
    /// The process has more memory than it should.
    NoMemory,
    /// It brings more than ever fits: this is the most.
    TooLarge(usize),
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let busy = |problem: &str| EngineError::new(ErrorCode::Overloaded, problem).into();
        match refused {
            Refused::NoPlace => busy("too many requests at once; try again in a second"),
            Refused::NoBytes => busy(
                "the bodies of other requests take all the memory there is for them (PINYON_REQUESTS_MIB); try again in a second",
            ),
            Refused::NoMemory => busy(
                "the process is above its limit on memory (PINYON_MEMORY_MIB): only deletions and small requests are let in; try again in a \
                 second",
            ),
            Refused::TooLarge(bytes_max) => ApiError::too_large(bytes_max),
        }
    }
}

/// Places and bytes of all requests of the process.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Pool,
    writers: Pool,
    bytes: Pool,
    memory: Option<Arc<MemoryBudget>>,
}

impl Gate {
    /// A gate that lets in bodies, and what is made of them, up to `bytes_max` together.
    #[cfg(test)]
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Self::within(bytes_max, None)
    }

    /// The same under a limit on memory.
    pub(crate) fn within(bytes_max: usize, memory: Option<Arc<MemoryBudget>>) -> Arc<Self> {
        let [places, writers, bytes] = [PLACES_MAX, WRITERS_MAX, bytes_max].map(Pool::new);
        Arc::new(Self { places, writers, bytes, memory })
    }

    #[cfg(test)]
    pub(crate) fn bytes_free(&self) -> usize {
        self.bytes.free()
    }

    #[cfg(test)]
    pub(crate) fn has_all_places(&self) -> bool {
        self.places.free() == self.places.size()
    }

    /// Whether a body of so many bytes may come as long as memory is short.
    fn has_memory_for(&self, bytes: usize) -> bool {
        bytes <= SMALL_BYTES || self.memory.as_ref().is_none_or(|memory| memory.pressure() < Pressure::Read)
    }

    /// Lets a request in that announces a body of so many bytes, if it says.
    ///
    /// # Errors
    /// The first of the reasons that holds, in the order of [`Refused`]'s: places before bytes.
    pub(crate) fn enter(
        self: &Arc<Self>,
        purpose: Purpose,
        announced: Option<u64>,
    ) -> Result<Arc<Ticket>, Refused> {
        let (gate, has_place) = (Arc::clone(self), AtomicBool::new(false));
        let ticket = Ticket { gate, purpose, has_place, charged: AtomicUsize::new(0) };
        ticket.take_place()?;
        ticket.check_room(announced.unwrap_or(0))?;
        Ok(Arc::new(ticket))
    }

    fn take_place(&self, purpose: Purpose) -> bool {
        if !self.places.try_take(1) {
            return false;
        }
        let is_in = purpose == Purpose::Read || self.writers.try_take(1);
        if !is_in {
            self.places.give_back(1);
        }
        is_in
    }

    fn leave_place(&self, purpose: Purpose) {
        self.places.give_back(1);
        if purpose == Purpose::Write {
            self.writers.give_back(1);
        }
    }
}

/// What a request holds, until the last clone is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    purpose: Purpose,
    has_place: AtomicBool,
    charged: AtomicUsize,
}

impl Ticket {
    /// That of the request that this task is for.
    pub(super) fn current() -> Option<Arc<Self>> {
        TICKET.try_with(Arc::clone).ok()
    }

    /// Holds it while `work` is done, and lets it be found by what that calls.
    pub(super) async fn hold<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        TICKET.scope(self, work).await
    }

    /// Does work on a thread that may block, where it is found as in the request's task; it is held until the work is done,
    /// also when the client has gone.
    pub(super) fn held<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let ticket = Self::current();
        move || match ticket {
            Some(ticket) => TICKET.sync_scope(ticket, work),
            None => work(),
        }
    }

    /// The longest body that ever fits.
    fn body_bytes_max(&self) -> usize {
        self.gate.bytes.size() / self.purpose.factor()
    }

    /// Bytes of a body for which as much was charged, if nothing was lent yet.
    fn body_bytes(&self) -> usize {
        self.charged.load(Ordering::Relaxed) / self.purpose.factor()
    }

    /// Looks whether a body of so many bytes would fit at this moment. Takes nothing.
    ///
    /// # Errors
    /// It never would, or not now.
    pub(crate) fn check_room(&self, announced: u64) -> Result<(), Refused> {
        let bytes_max = self.body_bytes_max();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(Refused::TooLarge(bytes_max));
        }
        if !self.gate.has_memory_for(announced) {
            return Err(Refused::NoMemory);
        }
        match announced * self.purpose.factor() <= self.gate.bytes.free() {
            true => Ok(()),
            false => Err(Refused::NoBytes),
        }
    }

    /// Charges bytes of a body that have arrived.
    ///
    /// # Errors
    /// There is no room for them, now or ever; what was charged before stays charged until the request ends.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), Refused> {
        let wanted = bytes.saturating_mul(self.purpose.factor());
        if self.charged.load(Ordering::Relaxed).saturating_add(wanted) > self.gate.bytes.size() {
            return Err(Refused::TooLarge(self.body_bytes_max()));
        }
        if !self.gate.has_memory_for(self.charged.load(Ordering::Relaxed) / self.purpose.factor() + bytes) {
            return Err(Refused::NoMemory);
        }
        if !self.gate.bytes.try_take(wanted) {
            return Err(Refused::NoBytes);
        }
        if is_planted(17) {
            self.gate.bytes.give_back(wanted);
            return Ok(());
        }
        self.charged.fetch_add(wanted, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps so many bytes of what was charged, or takes more if they are there: an answer that is made is sent, which is the
    /// quickest way to be rid of it.
    pub(super) fn settle(&self, bytes: usize) {
        let before = self.charged.swap(bytes, Ordering::Relaxed);
        match before.checked_sub(bytes) {
            Some(spare) => self.gate.bytes.give_back(spare),
            None if self.gate.bytes.try_take(bytes - before) => {}
            None => drop(self.charged.fetch_sub(bytes - before, Ordering::Relaxed)),
        }
    }

    /// Gives the place back while a body is slow to come: silence must not keep others out.
    pub(crate) fn leave_place(&self) {
        if self.has_place.swap(false, Ordering::Relaxed) {
            self.gate.leave_place(self.purpose);
        }
    }

    /// Takes a place, unless there is one already.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn take_place(&self) -> Result<(), Refused> {
        if self.has_place.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.gate.take_place(self.purpose) {
            return Err(Refused::NoPlace);
        }
        self.has_place.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes that an answer takes at once for each byte of records in it: as they are, as they are said, and what is sent.
const ANSWER_FACTOR: usize = 3;

/// Takes room for an answer of records of so many bytes, of what there is for requests; it is given back with the request's own. Whoever
/// asks within the process needs none.
///
/// # Errors
/// There is none at the moment, or never so much.
pub(crate) fn lend_for_answer(bytes: usize) -> Result<(), EngineError> {
    let Some(ticket) = Ticket::current() else { return Ok(()) };
    let bytes_max = room_for_answer();
    if bytes > bytes_max {
        let problem = format!(
            "Error, message length too large: found {bytes} bytes, and there is memory for {bytes_max}. Ask for less at once, or raise \
             PINYON_REQUESTS_MIB"
        );
        return Err(EngineError::new(ErrorCode::AnswerTooLarge, problem));
    }
    if ticket.lend(bytes * ANSWER_FACTOR) {
        return Ok(());
    }
    let problem = "other requests take all the memory there is for answers (PINYON_REQUESTS_MIB); try again in a second";
    Err(EngineError::new(ErrorCode::Overloaded, problem))
}

/// Most bytes of records that an answer can ever hold.
pub(crate) fn room_for_answer() -> usize {
    Ticket::current().map_or(usize::MAX, |ticket| ticket.gate.bytes.size() / ANSWER_FACTOR)
}

/// Bodies may stand for more than they are charged for; what reads them asks for the rest.
impl Lender for Ticket {
    fn lend(&self, bytes: usize) -> bool {
        let is_there = self.gate.bytes.try_take(bytes);
        if is_there {
            self.charged.fetch_add(bytes, Ordering::Relaxed);
        }
        is_there
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave_place();
        self.gate.bytes.give_back(*self.charged.get_mut());
    }
}

#[cfg(test)]
mod served_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod waiting_tests;
