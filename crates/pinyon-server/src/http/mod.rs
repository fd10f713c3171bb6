//! Listeners, routes, and what every request goes through.

mod accept;
mod app;
mod arriving;
mod by_host;
mod docs;
mod encoding;
mod fallbacks;
mod gate;
mod guard;
mod handlers;
mod index_ports;
mod index_router;
mod json;
mod leftover;
mod listeners;
mod moves;
mod own_refusals;
mod patience;
mod pool;
mod request;
mod routers;
mod sending;
mod workers;

pub(crate) use accept::{
    AddressRange, Door, Limits, OverTls, Places, PlacesReport, Port, PortService, SocketSettings, Sockets,
    raise_limit, serve_port,
};
pub(crate) use app::App;
pub(crate) use arriving::Charged;
pub(crate) use encoding::COMPRESSED_BYTES_MIN;
pub(crate) use gate::{Gate, lend_for_answer, pass, pass_lending, room_for_answer};
pub(crate) use guard::admit_data;
pub(crate) use index_ports::{close_index_port, open_index_port};
pub(crate) use json::{BadBody, read as read_json, read_proto as read_proto_json};
pub(crate) use listeners::{Listeners, port_taken};
pub(crate) use request::body_bytes;
pub(crate) use routers::{ops_router, router, single_router};
pub(crate) use workers::Workers;
