//! The control port: routes, and what every request goes through.

mod accept;
mod docs;
mod handlers;
mod request;

pub(crate) use accept::{Limits, serve_connections};
pub(crate) use handlers::{App, router};
