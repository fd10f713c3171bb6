//! What can be planned to go wrong.

use crate::BackendError;
use std::{collections::VecDeque, thread, time::Duration};

/// One call's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call takes this long before it does anything.
    Delay(Duration),
    /// The call is refused without effect.
    Refuse(BackendError),
    /// A write takes effect, and its answer is lost.
    LoseAnswer,
    /// A write is given up by its caller, and takes effect when [`super::Fake::land`] is called.
    LandLate,
    /// A write is acknowledged, and has no effect.
    Forget,
    /// A search answers with half of what there is, and says so.
    AnswerInPart,
}

/// Failures to come, in order.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(super) fn plan(&mut self, fault: Fault) {
        self.0.push_back(fault);
    }

    pub(super) fn of_write(&mut self) -> Option<Fault> {
        self.next(|fault| !matches!(fault, Fault::AnswerInPart))
    }

    pub(super) fn of_search(&mut self) -> Option<Fault> {
        self.next(|fault| !matches!(fault, Fault::LoseAnswer | Fault::LandLate | Fault::Forget))
    }

    pub(super) fn of_read(&mut self) -> Option<Fault> {
        self.next(|fault| matches!(fault, Fault::Delay(_) | Fault::Refuse(_)))
    }

    /// The next fault, if it is one that this call can have.
    fn next(&mut self, can_have: impl FnOnce(&Fault) -> bool) -> Option<Fault> {
        if self.0.front().is_some_and(can_have) { self.0.pop_front() } else { None }
    }
}

pub(super) fn wait(time: Duration) {
    thread::park_timeout(time);
}
