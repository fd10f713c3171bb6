//! What is known of the files in which codes are kept.

use crate::rows::part::Part;
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What is known of the files of a segment's parts.
#[derive(Debug, Default)]
pub(crate) struct Files {
    known: Mutex<HashMap<Part, Kept>>,
    /// Whether some may be that were not read.
    pub(super) are_waiting: AtomicBool,
    /// Held while one is read, so that nobody else reads it.
    pub(super) reading: Mutex<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// There is a file.
    Here,
    /// It could not be written, and is not tried again.
    Not,
}

impl Files {
    pub(super) fn of(&self, part: Part) -> Option<Kept> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&part).copied()
    }

    /// The parts that have a file.
    pub(super) fn here(&self) -> Vec<Part> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(_, kept)| **kept == Kept::Here).map(|(part, _)| *part).collect()
    }

    /// Whether codes may be that were not read, or were dropped since.
    pub(super) fn are_waiting(&self) -> bool {
        self.are_waiting.load(Ordering::Acquire)
    }

    /// Notes that.
    pub(crate) fn wait(&self) {
        self.are_waiting.store(true, Ordering::SeqCst);
    }

    pub(super) fn note(&self, part: Part, kept: Option<Kept>) {
        let mut files = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match kept {
            Some(kept) => files.insert(part, kept),
            None => files.remove(&part),
        };
    }
}
