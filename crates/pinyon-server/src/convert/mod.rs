//! Between wire shapes and engine types, both ways.

mod explain;
pub mod filter;
pub mod metadata;
pub mod reports;
pub mod tenant;
