//! The shapes on the wire: JSON bodies of the tenant API and of administration. Names are those that the reference
//! module's clients send and read.
//!
//! What it must not know: the engine. Only the server translates between the two.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
pub mod tenant;
