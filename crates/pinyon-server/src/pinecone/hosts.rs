//! Where clients are told to find an index. They remember it, and each family of clients reads it in its own way.

use crate::{advertised_host::AdvertisedHost, http::OverTls};
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, Uri, header, request::Parts},
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
    /// The name and port that the client asked.
    authority: String,
    is_over_tls: bool,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let authority = authority(&parts.uri, &parts.headers);
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
    advertised: Option<AdvertisedHost>,
    /// The one port of single-index mode.
    only_port: Option<u16>,
    /// Ports that are being served.
    open: Arc<Mutex<BTreeSet<u16>>>,
}

impl Hosts {
    /// With the port, where one is all there is.
    pub(crate) fn new(
        format: HostFormat,
        advertised: Option<AdvertisedHost>,
        only_port: Option<u16>,
    ) -> Self {
        Self { format, advertised, only_port, open: Arc::default() }
    }

    pub(crate) fn set_open(&self, port: u16, is_open: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if is_open {
            open.insert(port);
        } else {
            open.remove(&port);
        }
    }

    /// The index that a request's host names: `movies` of `movies.localhost`, or of `movies.` and the advertised host.
    /// Nothing else does: an address, or a name that people gave this machine, is never an index.
    pub(crate) fn index_named(&self, request: &Request) -> Option<String> {
        let host = without_port(authority(request.uri(), request.headers()));
        let domain = self.advertised.as_ref().map(|advertised| advertised.domain.as_str());
        let is_advertised = |host: &str| domain.is_some_and(|domain| host.eq_ignore_ascii_case(domain));
        let is_ours = |parent: &str| parent.eq_ignore_ascii_case("localhost") || is_advertised(parent);
        let (name, parent) = host.split_once('.')?;
        (is_ours(parent) && !is_advertised(host)).then(|| name.to_ascii_lowercase())
    }

    /// The host of an index, as this client reads it. An index whose port is taken by another program is reached below
    /// the control port's own address.
    pub(super) fn of(&self, index: &IndexDescription, caller: &Caller) -> String {
        let authority = caller.authority.as_str();
        let advertised = self.advertised.as_ref().map(|advertised| advertised.of(&index.name));
        let name = advertised.as_deref().unwrap_or_else(|| without_port(authority));
        let is_open = self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&index.port);
        let place = match self.only_port {
            // Whatever the port is called from outside, the client has just used it.
            Some(_) if self.advertised.is_none() => authority.to_owned(),
            Some(port) => format!("{name}:{port}"),
            None if is_open => format!("{name}:{}", index.port),
            None => format!("{authority}/indexes/{}", index.name),
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

/// The name and port that a request was sent to: over HTTP/2 they stand beside the path.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let in_uri = uri.authority().map(|authority| authority.as_str());
    in_uri.or_else(|| headers.get(header::HOST)?.to_str().ok()).unwrap_or("localhost")
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
            unique_id: pinyon_types::UniqueId::NONE,
            name: "movies".into(),
            dim: Dim::new(3).unwrap(),
            metric: Metric::Cosine,
            port: 5081,
            is_protected: false,
            tags: Default::default(),
            attributes: String::new(),
            scan_factor: None,
        }
    }

    fn caller(host: &str, agent: &str) -> Caller {
        let headers = [(header::USER_AGENT, agent.parse().unwrap())].into_iter().collect();
        Caller { headers, authority: host.into(), is_over_tls: false }
    }

    #[test]
    fn hosts_are_those_under_which_the_client_came_with_the_indexs_port() {
        let hosts = Hosts::new(HostFormat::Auto, None, None);
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
        let only = Hosts::new(HostFormat::Auto, None, Some(5081));
        assert_eq!(only.of(&index(), &caller("localhost:15081", python)), "http://localhost:15081");
        let encrypted = Caller { is_over_tls: true, ..caller("localhost:5080", python) };
        assert_eq!(hosts.of(&index(), &encrypted), "https://localhost:5081");
        let hosts = Hosts::new(HostFormat::Bare, Some(advertised("vectors.internal")), None);
        hosts.set_open(5081, true);
        assert_eq!(hosts.of(&index(), &caller("localhost:5080", python)), "vectors.internal:5081");
        let only = Hosts::new(HostFormat::Bare, Some(advertised("vectors.internal")), Some(7000));
        assert_eq!(only.of(&index(), &caller("localhost:15081", python)), "vectors.internal:7000");
    }

    fn advertised(text: &str) -> AdvertisedHost {
        AdvertisedHost::read(text).unwrap()
    }

    #[test]
    fn indexes_can_have_names_of_their_own() {
        let hosts = Hosts::new(HostFormat::Auto, Some(advertised("{index}.vectors.internal")), None);
        hosts.set_open(5081, true);
        let python = caller("localhost:5080", "python-client-10.2.0");
        assert_eq!(hosts.of(&index(), &python), "http://movies.vectors.internal:5081");
        let request = Request::builder().uri("/query").header(header::HOST, "movies.vectors.internal:5080");
        let request = request.body(axum::body::Body::empty()).unwrap();
        assert_eq!(hosts.index_named(&request).as_deref(), Some("movies"));
        for bad in ["", "{index}", "{index}.", "a.{index}.b", "{name}.b", "http://db"] {
            assert!(AdvertisedHost::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_names_below_localhost_and_the_advertised_host_are_indexes() {
        let plain = Hosts::new(HostFormat::Auto, None, None);
        let advertised =
            Hosts::new(HostFormat::Auto, Some(AdvertisedHost::read("db.example.com").unwrap()), None);
        let named = |hosts: &Hosts, host: &str| {
            let request = Request::builder().uri("/query").header(header::HOST, host);
            hosts.index_named(&request.body(axum::body::Body::empty()).unwrap())
        };
        for (host, by_plain, by_advertised) in [
            ("movies.localhost:5080", Some("movies"), Some("movies")),
            ("Movies.LOCALHOST", Some("movies"), Some("movies")),
            ("movies.db.example.com:5080", None, Some("movies")),
            ("db.example.com:5080", None, None),
            ("localhost:5080", None, None),
            ("localhost", None, None),
            ("127.0.0.1:5080", None, None),
            ("[::1]:5080", None, None),
            ("movies.example.com", None, None),
            ("a.b.localhost", None, None),
            ("movies", None, None),
        ] {
            assert_eq!(named(&plain, host).as_deref(), by_plain, "{host}");
            assert_eq!(named(&advertised, host).as_deref(), by_advertised, "{host}");
        }
        let over_http2 = Request::builder().uri("http://movies.localhost:5080/query");
        let over_http2 = over_http2.body(axum::body::Body::empty()).unwrap();
        assert_eq!(plain.index_named(&over_http2).as_deref(), Some("movies"));
    }
}
