//! The server's own certificate: made when the server starts, made anew before it ends, never written down. So it always
//! has today's names, and its key is nowhere but in memory. A client that asks for an index by its name before one of
//! ours (`movies.localhost`) gets a certificate with that name: common clients take no wildcard right below a top level.

use super::authority::{Authority, CERTIFICATE_TIME};
use pinyon_core::{EngineError, check_index_name};
use pinyon_types::Clock;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Certificates for names of indexes that are kept at once (LIM-1).
const NAMED_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Renewing {
    authority: Authority,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
    /// By the names of indexes that clients asked for.
    named: Mutex<BTreeMap<String, Current>>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    /// From when on it is replaced: half its time, so that clients with clocks before ours take it too.
    renew_at_us: u64,
}

impl Renewing {
    pub(super) fn new(
        authority: Authority,
        names: Vec<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let current = Mutex::new(make(&authority, &names, clock.now_us())?);
        Ok(Self { authority, names, clock, current, named: Mutex::default() })
    }

    /// The certificate for a client that asks for this name.
    pub(super) fn certificate_for(&self, asked: Option<&str>) -> Arc<CertifiedKey> {
        let named = asked.map(str::to_ascii_lowercase).filter(|asked| self.is_of_index(asked));
        named.and_then(|name| self.named(name)).unwrap_or_else(|| self.current())
    }

    /// Whether a name is that of an index, there or not, before one of this machine's.
    fn is_of_index(&self, asked: &str) -> bool {
        let is_ours = |parent: &str| self.names.iter().any(|name| name == parent);
        asked
            .split_once('.')
            .is_some_and(|(index, parent)| check_index_name(index).is_ok() && is_ours(parent))
    }

    fn named(&self, name: String) -> Option<Arc<CertifiedKey>> {
        let now_us = self.clock.now_us();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = named.get(&name).filter(|kept| now_us < kept.renew_at_us) {
            return Some(Arc::clone(&kept.key));
        }
        if named.len() >= NAMED_MAX {
            named.clear();
        }
        let names = [&self.names[..], std::slice::from_ref(&name)].concat();
        let made = make(&self.authority, &names, now_us)
            .inspect_err(|error| tracing::error!(name, error = %error, "no certificate for an index's name"));
        let made = made.ok()?;
        let key = Arc::clone(&made.key);
        named.insert(name, made);
        Some(key)
    }

    /// The certificate of today.
    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        let now_us = self.clock.now_us();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now_us >= current.renew_at_us {
            match make(&self.authority, &self.names, now_us) {
                Ok(made) => *current = made,
                Err(error) => tracing::error!(error = %error, "server certificate not renewed"),
            }
        }
        Arc::clone(&current.key)
    }
}

fn make(authority: &Authority, names: &[String], now_us: u64) -> Result<Current, EngineError> {
    let half_us = u64::try_from(CERTIFICATE_TIME.as_micros() / 2).unwrap_or(u64::MAX);
    let key = Arc::new(authority.certify(names, now_us)?);
    Ok(Current { key, renew_at_us: now_us.saturating_add(half_us) })
}

impl ResolvesServerCert for Renewing {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate_for(hello.server_name()))
    }
}
