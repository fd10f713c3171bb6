//! A port as its connections meet it: what is asked of them, and what they are served.

use super::{
    limits::Limits,
    sockets::{Port, Sockets},
};
use crate::{auth::Access, http::Workers, strangers::Strangers, tls::Tls};
use axum::Router;
use std::sync::Arc;

/// What a port asks of a connection before HTTP. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) limits: Limits,
    /// Whether TLS is spoken too; plain text always is.
    pub(crate) tls: Option<Tls>,
    /// Who is refused by his request's head.
    pub(crate) strangers: Arc<Strangers>,
    /// Who speaks to it.
    pub(crate) workers: Workers,
    /// Whose connections count as those of somebody who was let in.
    pub(crate) access: Arc<Access>,
    pub(crate) sockets: Arc<Sockets>,
}

/// What a port serves, and how.
pub(crate) struct PortService {
    pub(crate) router: Router,
    pub(crate) door: Door,
    pub(crate) port: Port,
}

/// Marks requests that came over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverTls;
