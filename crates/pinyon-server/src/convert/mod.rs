//! Between wire shapes and engine types, both ways.

pub mod disk;
pub mod documents;
mod explain;
pub mod filter;
pub mod metadata;
pub mod moves;
pub mod recall;
pub mod reports;
pub mod tenant;
