//! The settings of connections.

use super::{error::ConfigError, partial::Partial};
use crate::http::{AddressRange, SocketSettings};
use std::net::SocketAddr;

/// Fewest and most connections of a group of ports that can be set: browsers open six, and a system gives a million
/// descriptors at most, usually.
const CONNECTIONS: std::ops::RangeInclusive<usize> = 16..=1_000_000;

/// How many connections there may be.
pub(super) fn settings(merged: &Partial) -> Result<SocketSettings, ConfigError> {
    let connections_max = in_range("connections_max", merged.connections_max, CONNECTIONS)?;
    let limits = SocketSettings { connections_max, ..SocketSettings::default() };
    let most = limits.connections_max();
    let per_source_max = in_range("connections_per_source_max", merged.connections_per_source_max, 1..=most)?;
    let proxies = merged.trusted_proxies.iter().flatten();
    let trusted = proxies.map(|text| AddressRange::read(text)).collect::<Result<_, _>>();
    let trusted = trusted.map_err(|error| ConfigError::of("trusted_proxies", error))?;
    Ok(SocketSettings { per_source_max, trusted, ..limits })
}

fn in_range(
    name: &str,
    value: Option<usize>,
    range: std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, ConfigError> {
    match value.filter(|value| !range.contains(value)) {
        None => Ok(value),
        Some(wrong) => {
            let problem = format!("must be {} to {}, is {wrong}", range.start(), range.end());
            Err(ConfigError::of(name, problem))
        }
    }
}

/// Where health and metrics have a port of their own.
pub(super) fn ops_listen(merged: &Partial) -> Result<Option<SocketAddr>, ConfigError> {
    let read = |text: &String| {
        let wrong =
            |_| ConfigError(format!("setting ops_listen: {text:?} is not ADDRESS:PORT, like 127.0.0.1:5079"));
        text.parse().map_err(wrong)
    };
    merged.ops_listen.as_ref().map(read).transpose()
}
