//! What keeps a shard in order beside its readers and writers: sealing, merging, erasing, verifying, limits, and coming back after an
//! end.

pub(crate) mod bell;
pub(crate) mod budget;
pub(crate) mod budgeted;
pub(crate) mod disk;
pub(crate) mod erase;
pub(crate) mod keepers;
pub(crate) mod maintain;
pub(crate) mod maintenance;
pub(crate) mod merge;
pub(crate) mod owed;
pub(crate) mod pressure;
pub(crate) mod reclaim;
pub(crate) mod recover;
pub(crate) mod salvage;
pub(crate) mod scrub;
pub(crate) mod seal;
