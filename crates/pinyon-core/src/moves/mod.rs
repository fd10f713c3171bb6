//! Moving a tenant: its records are copied while they are read and written, and looked at again before anybody relies on the copy.
//!
//! Copying, catching up and verifying are one routine, [`copier::Copier::walk`]: both sides in the order of their ids, page by page, and
//! the target made to hold what the source holds. It needs no snapshot, because whatever changes behind it is named by the notes of a
//! watch, and no memory of how far it came, because walking over what is equal already changes nothing.
//!
//! A move is a job in the catalog. [`planning`] has the changes of the catalog that it consists of, [`mover`] what is done between them,
//! [`movers`] the threads that do it. The source owns the tenant until one commit makes the target its owner; nothing is written twice.

mod copier;
mod difference;
mod error;
mod ground;
mod leftovers;
mod mover;
#[cfg(test)]
mod mover_tests;
mod movers;
mod pace;
mod planning;
mod progress;
mod record;
#[cfg(test)]
mod repair_tests;
mod report;
mod side;
mod surroundings;
#[cfg(test)]
mod tests;
mod trouble;

pub(crate) use ground::{CopyHold, Ground, SearchLatency};
pub(crate) use leftovers::{StuckMove, drop_leftover, give_up, stuck};
pub(crate) use movers::Movers;
pub(crate) use planning::{MoveRequest, abort, enter, open_move_of};
pub(crate) use report::{all, one};

pub use movers::MoveSettings;
pub use pace::Throttled;
pub use record::MovePhase;
pub use report::{MoveReport, MoveTotals, MoveWork};
