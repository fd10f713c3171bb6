//! The log on standard error, whose level may change while a server runs.

use crate::exit::Usage;
use pinyon_server::config::LOG_DEFAULT;
use std::sync::OnceLock;
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{self, fmt, format::DefaultFields},
    layer::Layered,
    reload::Handle,
};

type Fmt =
    Layered<fmt::Layer<Registry, DefaultFields, fmt::format::Format, fn() -> std::io::Stderr>, Registry>;

static FILTER: OnceLock<Handle<EnvFilter, Fmt>> = OnceLock::new();

/// Starts it as `PINYON_LOG` says: a level, or parts with levels; warnings otherwise.
pub fn start() {
    let filter = EnvFilter::try_from_env("PINYON_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    // Whoever read the log may be gone. The subscriber would say so there, too, and panic: a server goes on instead.
    let stderr: fn() -> std::io::Stderr = std::io::stderr;
    let log = fmt().with_writer(stderr).with_env_filter(filter).with_filter_reloading();
    let log = log.log_internal_errors(false);
    let _ = FILTER.set(log.reload_handle());
    log.init();
}

/// Logs from now on what the setting `log` says.
///
/// # Errors
/// It is neither a level nor parts with levels.
pub fn set(filter: &str) -> anyhow::Result<()> {
    let read = EnvFilter::try_new(filter);
    let wrong = |error| {
        Usage(format!("setting log: {filter:?} is not a level like info, nor parts with levels: {error}"))
    };
    let filter = read.map_err(wrong)?;
    if let Some(handle) = FILTER.get() {
        handle.reload(filter)?;
    }
    Ok(())
}
