//! The ports of indexes, opened when an index is made and closed when it is deleted.

use super::{App, Port, PortService, index_router::index_router, serve_port};
use std::sync::Arc;

/// Serves an index on its port, and has clients told so; where it cannot be served the log says why.
pub(crate) fn open_index_port(app: &App, index: &str, port: u16) {
    app.listeners().open(index, port, |listener, stopped| {
        let door = app.door().clone();
        let places = Arc::clone(&door.sockets.indexes);
        let service =
            PortService { router: index_router(app, index), door, port: Port { places, number: port } };
        let task = serve_port(listener, service, async { stopped.await.unwrap_or_default() });
        app.hosts().set_open(port, true);
        task
    });
}

/// Has clients told that a port is closed, and ends its service.
pub(crate) fn close_index_port(app: &App, port: u16) {
    app.hosts().set_open(port, false);
    app.listeners().close(port);
}
