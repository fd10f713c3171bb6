//! HTTP on top of the engine: decode, authenticate, convert, call, encode. Thin.
//!
//! What it must not know: segments, graphs, logs. It is the one place that knows both wire shapes and engine types.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::needless_pass_by_value))]

mod advertised_host;
mod auth;
pub mod config;
pub mod convert;
mod error_table;
#[cfg(test)]
mod fuzz;
mod http;
mod live;
mod metrics_text;
mod pinecone;
mod ports;
mod serve;
mod strangers;
mod tls;

pub use auth::{KeyRing, hashed_line};
pub use error_table::ApiError;
pub use live::Reloadable;
pub use serve::{Listening, ServeOptions, serve};
