//! TLS on every port, beside plain text or alone: with a certificate of one's own authority, or with given files, which are read
//! again when they change.

mod authority;
mod clients;
mod files;
mod place;
mod provider;
mod renewing;
#[cfg(test)]
mod tests;

pub(crate) use authority::Authority;
pub(crate) use place::authority_dir;

use crate::advertised_host::AdvertisedHost;
use arc_swap::ArcSwap;
use pinyon_core::{EngineError, ErrorCode, SystemClock};
use pinyon_types::Clock;
use provider::provider;
use renewing::Renewing;
use rustls::{ServerConfig, server::ResolvesServerCert, sign::SingleCertAndKey};
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
    /// From an authority of our own.
    Local,
    /// From these files.
    Files { certificate: PathBuf, key: PathBuf },
}

impl TlsSettings {
    /// For people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Off => "off".into(),
            Self::Local => "local".into(),
            Self::Files { certificate, .. } => certificate.display().to_string(),
        }
    }
}

/// What is asked of connections beside that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsDemands {
    /// Whether plain text is refused.
    pub(crate) only: bool,
    /// File with the authorities whose clients are let in; without it clients show nothing.
    pub(crate) client_ca: Option<PathBuf>,
    /// Directory of the authority of our own, if it was chosen.
    pub(crate) dir: Option<PathBuf>,
}

/// What a listener needs to speak TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ArcSwap<ServerConfig>>,
    source: Source,
    client_ca: Option<PathBuf>,
    /// The certificate that clients must trust, if it is not a public one.
    pub(crate) authority: Option<PathBuf>,
}

#[derive(Debug, Clone)]
enum Source {
    Local(Arc<Renewing>),
    Files { certificate: PathBuf, key: PathBuf },
}

impl Source {
    fn resolver(&self) -> Result<Arc<dyn ResolvesServerCert>, EngineError> {
        match self {
            Self::Local(renewing) => Ok(Arc::clone(renewing) as _),
            Self::Files { certificate, key } => {
                let certified = files::certified_key(certificate, key, &provider())?;
                Ok(Arc::new(SingleCertAndKey::from(certified)))
            }
        }
    }
}

impl Tls {
    /// Makes ready what the settings ask for. `dir` is the directory of an authority of our own, `names` are those under
    /// which clients reach this machine.
    ///
    /// # Errors
    /// Files that are missing, damaged, or do not fit each other; the message names the file and the remedy.
    pub(crate) fn open(
        settings: &TlsSettings,
        dir: &Path,
        names: Vec<String>,
    ) -> Result<Option<Self>, EngineError> {
        let (source, authority) = match settings {
            TlsSettings::Off => return Ok(None),
            TlsSettings::Local => {
                let clock = Arc::new(SystemClock::new());
                let authority = Authority::open(dir, &names, clock.now_us())?;
                let path = authority.certificate_path().to_owned();
                (Source::Local(Arc::new(Renewing::new(authority, names, clock)?)), Some(path))
            }
            TlsSettings::Files { certificate, key } => {
                (Source::Files { certificate: certificate.clone(), key: key.clone() }, None)
            }
        };
        let config = Arc::new(ArcSwap::from_pointee(server_config(&source, None)?));
        Ok(Some(Self { config, source, client_ca: None, authority }))
    }

    /// The same, asking every client for a certificate of this file's authorities.
    ///
    /// # Errors
    /// A file that is missing or holds no authority.
    pub(crate) fn asking_clients(self, client_ca: Option<PathBuf>) -> Result<Self, EngineError> {
        let tls = Self { client_ca, ..self };
        tls.read_again()?;
        Ok(tls)
    }

    /// What the next connection is spoken to with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// The files that it was made from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.client_ca.iter().cloned().collect();
        if let Source::Files { certificate, key } = &self.source {
            files.extend([certificate.clone(), key.clone()]);
        }
        files
    }

    /// Reads the files again, for connections to come. On an error what was there stays.
    ///
    /// # Errors
    /// As when they were read first.
    pub(crate) fn read_again(&self) -> Result<(), EngineError> {
        let config = server_config(&self.source, self.client_ca.as_deref())?;
        self.config.store(Arc::new(config));
        Ok(())
    }
}

/// The names of this machine's certificate: this machine itself, where it listens, and what clients are told. `*.localhost` is
/// not among them: a wildcard right below a top level is no name to webpki, which then refuses the whole certificate of an
/// authority with constraints, nor to OpenSSL. Names of indexes get certificates of their own.
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

fn server_config(source: &Source, client_ca: Option<&Path>) -> Result<ServerConfig, EngineError> {
    let versions = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| EngineError::new(ErrorCode::Internal, error.to_string()))?;
    let clients = match client_ca {
        None => versions.with_no_client_auth(),
        Some(path) => versions.with_client_cert_verifier(clients::verifier(path)?),
    };
    let mut config = clients.with_cert_resolver(source.resolver()?);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
