//! What is told of the disk.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The disk below the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// `ample`, `low` when people are warned, or `full` when only deletions are let in.
    pub level: String,
    /// Bytes that it has.
    pub total_bytes: u64,
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes that are kept for deletions and for what makes room.
    pub reserve_bytes: u64,
    /// Free bytes below which it is low.
    pub low_below_bytes: u64,
    /// Free bytes below which it is full.
    pub full_below_bytes: u64,
}
