//! TLS on every port, beside plain text: with a certificate of one's own authority, or with given files.

mod authority;
mod files;
mod renewing;
#[cfg(test)]
mod tests;

pub(crate) use authority::Authority;

use crate::pinecone::AdvertisedHost;
use pinyon_core::{EngineError, ErrorCode, SystemClock};
use renewing::Renewing;
use rustls::{ServerConfig, crypto::CryptoProvider, server::ResolvesServerCert, sign::SingleCertAndKey};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsSettings {
    /// Nowhere: plain text only.
    Off,
    /// From an authority in the data directory.
    Local,
    /// From these files.
    Files { certificate: PathBuf, key: PathBuf },
}

/// What a listener needs to speak TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    /// The certificate that clients must trust, if it is not a public one.
    pub(crate) authority: Option<PathBuf>,
}

impl Tls {
    /// Makes ready what the settings ask for. `names` are those under which clients reach this machine.
    ///
    /// # Errors
    /// Files that are missing, damaged, or do not fit each other; the message names the file and the remedy.
    pub(crate) fn open(
        settings: &TlsSettings,
        data_dir: &Path,
        names: Vec<String>,
    ) -> Result<Option<Self>, EngineError> {
        let (resolver, authority): (Arc<dyn ResolvesServerCert>, _) = match settings {
            TlsSettings::Off => return Ok(None),
            TlsSettings::Local => {
                let authority = Authority::open(&data_dir.join("tls"))?;
                let path = authority.certificate_path().to_owned();
                (Arc::new(Renewing::new(authority, names, Arc::new(SystemClock::new()))?), Some(path))
            }
            TlsSettings::Files { certificate, key } => {
                let certified = files::certified_key(certificate, key, &provider())?;
                (Arc::new(SingleCertAndKey::from(certified)), None)
            }
        };
        Ok(Some(Self { config: Arc::new(server_config(resolver)?), authority }))
    }
}

/// The names of this machine's certificate: this machine itself, where it listens, and what clients are told.
pub(crate) fn names(listen: IpAddr, advertised: Option<&AdvertisedHost>) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let listen = (!listen.is_unspecified()).then(|| listen.to_string());
    names.extend(listen);
    if let Some(AdvertisedHost { domain, names_indexes }) = advertised {
        names.push(domain.trim_matches(['[', ']']).to_owned());
        names.extend(names_indexes.then(|| format!("*.{domain}")));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Named wherever one is needed: a second provider in the dependency graph would make the process's default ambiguous.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, EngineError> {
    let versions = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))?;
    let mut config = versions.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
