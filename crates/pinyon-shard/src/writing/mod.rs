//! How a change becomes durable and visible: it waits, passes the gate, is logged, and is applied.

pub(crate) mod gate;
pub(crate) mod log_entry;
pub(crate) mod queue;
pub(crate) mod watches;
pub(crate) mod write;
