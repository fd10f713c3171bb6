//! The shapes on the wire: JSON bodies of the tenant API, of administration, and of Pinecone. Names are those that their
//! clients send and read.
//!
//! What it must not know: the engine. Only the server translates between the two.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
pub mod bounded;
pub mod codec;
pub mod control;
mod decimal;
pub mod disk;
pub mod documents;
mod expected;
pub mod explain;
pub mod filter_json;
pub mod floats;
#[cfg(test)]
mod fuzz;
pub mod grpc;
pub mod json;
pub mod lenient;
pub mod measure;
pub mod moves;
pub mod object;
pub mod recall;
pub mod records;
pub mod tenant;
mod unique;
pub mod vectors;

pub use unique::optional_metadata;
