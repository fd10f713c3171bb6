//! What a client knows: of every id what was acknowledged last, and the one write that was not answered. A client has
//! its tenants for itself, so that what it knows is exact.

use super::corpus::{Corpus, Source};
use pinyon_types::SeededRng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A document as it was written. The numbers are of texts of the tenant's corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    pub text: usize,
    /// Whose text's vector it has: its own, until an update gives it another.
    pub vector: usize,
    /// Of the write that put it there: no two writes have the same.
    pub stamp: u64,
    /// Of the update that changed its metadata last; 0 before any.
    pub mark: u64,
}

impl Document {
    pub fn new(text: usize, stamp: u64) -> Self {
        Self { text, vector: text, stamp, mark: 0 }
    }

    /// Its metadata, but for the text: a number, a flag, strings, a list.
    pub fn metadata(&self) -> Value {
        json!({
            "stamp": self.stamp,
            "is_even": self.stamp.is_multiple_of(2),
            "mark": self.mark,
            "kind": kind(self.mark),
            "words": ["written", format!("by {}", self.stamp)],
        })
    }
}

/// A string that updates change together with the mark.
pub fn kind(mark: u64) -> &'static str {
    ["red", "green", "blue"][(mark % 3) as usize]
}

/// Documents by their numbers; nothing where there is none.
pub type States = BTreeMap<usize, Option<Document>>;

/// A write: what is sent, and what is there once it was done.
pub struct Write {
    pub tenant: usize,
    pub path: &'static str,
    pub body: Value,
    pub after: States,
}

/// One tenant: what became of each of its documents. Those from `states.len()` on were never written.
pub struct Tenant {
    pub number: usize,
    pub states: Vec<Option<Document>>,
    pub living: u64,
}

impl Tenant {
    pub fn apply(&mut self, after: &States) {
        for (&document, &state) in after {
            if document >= self.states.len() {
                self.states.resize(document + 1, None);
            }
            let before = std::mem::replace(&mut self.states[document], state);
            self.living = self.living + u64::from(state.is_some()) - u64::from(before.is_some());
        }
    }

    pub fn state(&self, document: usize) -> Option<Document> {
        self.states.get(document).copied().flatten()
    }

    /// A document that is there, or none if a few tries meet none.
    pub fn any_living(&self, rng: &mut SeededRng) -> Option<(usize, Document)> {
        self.any(rng, |state| state.is_some()).and_then(|document| Some((document, self.state(document)?)))
    }

    /// A document that was there once and is not, or none if a few tries meet none.
    pub fn any_dead(&self, rng: &mut SeededRng) -> Option<usize> {
        self.any(rng, |state| state.is_none())
    }

    fn any(&self, rng: &mut SeededRng, fits: impl Fn(Option<Document>) -> bool) -> Option<usize> {
        let count = self.states.len() as u64;
        let mut tries = (0..20).filter(|_| count > 0).map(|_| rng.below(count) as usize);
        tries.find(|&document| fits(self.states[document]))
    }
}

/// One client and what it knows.
pub struct Client<'a> {
    pub corpus: &'a Corpus,
    pub tenants: Vec<Tenant>,
    pub rng: SeededRng,
    /// The last stamp or mark given; clients count in steps of their number.
    pub stamp: u64,
    /// The write that was not answered.
    pub in_flight: Option<Write>,
    /// What was written, or may have been, since the last check: positions in `tenants` and documents.
    pub touched: BTreeSet<(usize, usize)>,
    pub counts: Counts,
}

/// What was done in all.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub writes: u64,
    pub documents: u64,
    pub reads: u64,
    pub checked: u64,
}

impl<'a> Client<'a> {
    /// Client `number` of `clients`, with its share of the tenants.
    pub fn new(corpus: &'a Corpus, number: usize, clients: usize) -> Self {
        let own = (number..corpus.tenants.len()).step_by(clients);
        Self {
            corpus,
            tenants: own.map(|number| Tenant { number, states: Vec::new(), living: 0 }).collect(),
            rng: SeededRng::new(number as u64),
            stamp: number as u64,
            in_flight: None,
            touched: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    pub fn source(&self, tenant: usize) -> &'a Source {
        &self.corpus.tenants[self.tenants[tenant].number]
    }

    /// Remembers what a write was about to touch.
    pub fn touch(&mut self, write: &Write) {
        self.touched.extend(write.after.keys().map(|&document| (write.tenant, document)));
    }

    /// A write that was answered.
    pub fn acknowledge(&mut self, write: &Write) {
        self.tenants[write.tenant].apply(&write.after);
        self.counts.writes += 1;
        self.counts.documents += write.after.len() as u64;
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.documents += other.documents;
        self.reads += other.reads;
        self.checked += other.checked;
    }
}
