//! The server's own certificate: made when the server starts, made anew before it ends, never written down. So it always
//! has today's names, and its key is nowhere but in memory.

use super::{Authority, authority::CERTIFICATE_TIME};
use pinyon_core::EngineError;
use pinyon_types::Clock;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Renewing {
    authority: Authority,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
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
        Ok(Self { authority, names, clock, current })
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
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}
