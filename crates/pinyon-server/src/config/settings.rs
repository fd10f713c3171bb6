//! Settings as resolved: all that a server is started with.

use crate::{
    KeyRing, Reloadable,
    advertised_host::AdvertisedHost,
    auth::KeySource,
    http::SocketSettings,
    pinecone::{HostFormat, SingleIndex, StatsFilter},
    strangers::Allowed,
    tls::{TlsDemands, TlsSettings},
};
use pinyon_core::{EngineSettings, FileAccess};
use std::{net::SocketAddr, path::PathBuf};

/// Everything a server is started with.
#[derive(Debug)]
pub struct Settings {
    /// Where the data are.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who is let in.
    pub keys: KeyRing,
    /// Where keys come from.
    pub(crate) key_source: KeySource,
    /// Which hosts and origins are known besides the server's own.
    pub(crate) allowed: Allowed,
    /// How the engine is opened.
    pub engine: EngineSettings,
    /// How Pinecone's API is served.
    pub(crate) pinecone: PineconeSettings,
    /// Whether TLS is spoken, and with what.
    pub(crate) tls: TlsSettings,
    /// Bytes that bodies of requests, and what is made of them, may take at once.
    pub(crate) requests_bytes: usize,
    /// What is asked of connections beside that.
    pub(crate) tls_demands: TlsDemands,
    /// Who may read the files of the data.
    pub data_access: FileAccess,
    /// What is logged.
    pub log: String,
    /// How many connections there may be.
    pub(crate) sockets: SocketSettings,
    /// Where health and metrics have a port of their own, if they have one.
    pub(crate) ops_listen: Option<SocketAddr>,
    /// The values as resolved, secrets hidden, for people.
    pub shown: Vec<(&'static str, String)>,
}

/// How Pinecone's API is served.
#[derive(Debug)]
pub(crate) struct PineconeSettings {
    pub(crate) tenants_index: String,
    pub(crate) index_port_first: Option<u16>,
    pub(crate) advertised_host: Option<AdvertisedHost>,
    pub(crate) host_format: HostFormat,
    pub(crate) stats_filter: StatsFilter,
    pub(crate) single_index: Option<SingleIndex>,
}

impl Settings {
    /// What the tenants' index is called.
    pub fn tenants_index(&self) -> &str {
        &self.pinecone.tenants_index
    }

    /// The part that a running server takes anew.
    pub fn reloadable(&self) -> Reloadable {
        Reloadable { keys: self.key_source.clone(), allowed: self.allowed.clone() }
    }
}
