//! Where clients are told to find an index. They remember it, and each family of clients reads it in its own way.

use crate::http::OverTls;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use pinyon_core::IndexDescription;
use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

/// How `host` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HostFormat {
    /// With `http://` or `https://`, as the client came, but for Java clients, which put it in front themselves.
    #[default]
    Auto,
    /// With it for everybody.
    Url,
    /// Without.
    Bare,
}

/// Who asks, and how he came.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) headers: HeaderMap,
    /// The name and port that the client asked: over HTTP/2 it stands beside the path.
    authority: String,
    is_over_tls: bool,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let in_uri = parts.uri.authority().map(|authority| authority.as_str());
        let authority =
            in_uri.or_else(|| parts.headers.get(header::HOST)?.to_str().ok()).unwrap_or("localhost");
        Ok(Self {
            authority: authority.to_owned(),
            is_over_tls: parts.extensions.get::<OverTls>().is_some(),
            headers: parts.headers.clone(),
        })
    }
}

/// Makes the `host` of index models.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    format: HostFormat,
    /// What clients are told in place of the name under which they reached the control port.
    advertised: Option<String>,
    /// Ports that are being served.
    open: Arc<Mutex<BTreeSet<u16>>>,
}

impl Hosts {
    pub(crate) fn new(format: HostFormat, advertised: Option<String>) -> Self {
        Self { format, advertised, open: Arc::default() }
    }

    pub(crate) fn set_open(&self, port: u16, is_open: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if is_open {
            open.insert(port);
        } else {
            open.remove(&port);
        }
    }

    /// The host of an index, as this client reads it. An index whose port is taken by another program is reached below
    /// the control port's own address.
    pub(super) fn of(&self, index: &IndexDescription, caller: &Caller) -> String {
        let authority = caller.authority.as_str();
        let name = self.advertised.as_deref().unwrap_or_else(|| without_port(authority));
        let is_open = self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&index.port);
        let place = if is_open {
            format!("{name}:{}", index.port)
        } else {
            format!("{authority}/indexes/{}", index.name)
        };
        let agent = caller.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let is_java = agent.is_some_and(|agent| agent.contains("lang=java"));
        let is_bare = match self.format {
            HostFormat::Auto => is_java,
            HostFormat::Url => false,
            HostFormat::Bare => true,
        };
        let scheme = if caller.is_over_tls { "https" } else { "http" };
        if is_bare { place } else { format!("{scheme}://{place}") }
    }
}

/// `[::1]:5080` and `localhost:5080` without their ports.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::{Dim, Metric};

    fn index() -> IndexDescription {
        IndexDescription {
            id: 1,
            name: "movies".into(),
            dim: Dim::new(3).unwrap(),
            metric: Metric::Cosine,
            port: 5081,
            is_protected: false,
            tags: Default::default(),
            attributes: String::new(),
        }
    }

    fn caller(host: &str, agent: &str) -> Caller {
        let headers = [(header::USER_AGENT, agent.parse().unwrap())].into_iter().collect();
        Caller { headers, authority: host.into(), is_over_tls: false }
    }

    #[test]
    fn hosts_are_those_under_which_the_client_came_with_the_indexs_port() {
        let hosts = Hosts::new(HostFormat::Auto, None);
        let python = "python-client-10.2.0";
        assert_eq!(
            hosts.of(&index(), &caller("localhost:5080", python)),
            "http://localhost:5080/indexes/movies"
        );
        hosts.set_open(5081, true);
        for (host, agent, expected) in [
            ("localhost:5080", python, "http://localhost:5081"),
            ("db", python, "http://db:5081"),
            ("[::1]:5080", python, "http://[::1]:5081"),
            ("[::1]", python, "http://[::1]:5081"),
            ("10.0.0.7:80", "lang=java; pineconeClientVersion=v6.2.0", "10.0.0.7:5081"),
        ] {
            assert_eq!(hosts.of(&index(), &caller(host, agent)), expected);
        }
        let encrypted = Caller { is_over_tls: true, ..caller("localhost:5080", python) };
        assert_eq!(hosts.of(&index(), &encrypted), "https://localhost:5081");
        let hosts = Hosts::new(HostFormat::Bare, Some("vectors.internal".into()));
        hosts.set_open(5081, true);
        assert_eq!(hosts.of(&index(), &caller("localhost:5080", python)), "vectors.internal:5081");
    }
}
