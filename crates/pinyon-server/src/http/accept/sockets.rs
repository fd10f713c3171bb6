//! The places of all ports of a server: the control port has its own, the indexes' ports share one pool, and the port for
//! health and metrics has some that nobody else can take.

use super::{
    descriptors::{Spare, left_for_connections},
    places::{PlaceLimits, Places},
    source::AddressRange,
};
use std::{os::fd::AsFd, sync::Arc};

/// Connections of the control port, and of all indexes' ports together, where nobody said otherwise.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// Connections of the port for health and metrics.
const OPS_CONNECTIONS_MAX: usize = 64;
/// Fewest places of a group of ports, however few descriptors there are: clients are told 503 then.
const CONNECTIONS_MIN: usize = 16;

/// Bounds on connections, as they were set.
#[derive(Debug, Clone, Default)]
pub(crate) struct SocketSettings {
    /// Places of a group of ports.
    pub(crate) connections_max: Option<usize>,
    /// Places of one source in a group.
    pub(crate) per_source_max: Option<usize>,
    /// Addresses that no limit by source binds.
    pub(crate) trusted: Vec<AddressRange>,
}

impl SocketSettings {
    /// Places of a group of ports.
    pub(crate) fn connections_max(&self) -> usize {
        self.connections_max.unwrap_or(CONNECTIONS_MAX)
    }

    /// Places of one source: a quarter of them, so that four strangers are needed to take all.
    pub(crate) fn per_source_max(&self) -> usize {
        self.per_source_max.unwrap_or_else(|| (self.connections_max() / 4).max(1))
    }
}

/// Places of one port.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) places: Arc<Places>,
    pub(crate) number: u16,
}

/// Places of all ports.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) control: Arc<Places>,
    pub(crate) indexes: Arc<Places>,
    pub(crate) ops: Arc<Places>,
    pub(super) trusted: Vec<AddressRange>,
    pub(super) spare: Spare,
}

impl Sockets {
    /// Makes places for as many connections as the settings want and `descriptors_max` leaves room for. To be called when
    /// the files that stay open are open.
    pub(crate) fn new(settings: SocketSettings, descriptors_max: Option<u64>, listener: &impl AsFd) -> Self {
        let wanted = settings.connections_max();
        let left = left_for_connections(descriptors_max, listener).saturating_sub(OPS_CONNECTIONS_MAX);
        let places_max = wanted.min((left / 2).max(CONNECTIONS_MIN));
        if places_max < wanted {
            tracing::warn!(
                places_max,
                "fewer connections than are set: raise the limit of file descriptors (ulimit -n)"
            );
        }
        let per_source_max = settings.per_source_max().min(places_max);
        let control = PlaceLimits { places_max, per_source_max, per_port_max: places_max };
        // One index that is flooded leaves half for the others.
        let indexes = PlaceLimits { per_port_max: places_max.div_ceil(2), ..control };
        let ops = PlaceLimits {
            places_max: OPS_CONNECTIONS_MAX,
            per_source_max: OPS_CONNECTIONS_MAX / 4,
            per_port_max: OPS_CONNECTIONS_MAX,
        };
        Self {
            control: Places::new(control),
            indexes: Places::new(indexes),
            ops: Places::new(ops),
            trusted: settings.trusted,
            spare: Spare::of(listener),
        }
    }

    /// The groups of ports, with their names in metrics.
    pub(crate) fn groups(&self) -> [(&'static str, &Places); 3] {
        [("control", &self.control), ("indexes", &self.indexes), ("ops", &self.ops)]
    }
}
