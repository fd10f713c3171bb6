//! Hosts that a keyless server answers to, and origins whose pages may ask any server. Made from the settings; replaced as a
//! whole when they are read again.

use super::authority::{Authority, Host, scheme_and_authority};
use crate::advertised_host::AdvertisedHost;
use std::net::IpAddr;

/// Names under which containers reach the machine that they run on (Docker's and Podman's own).
const CONTAINER_NAMES: [&str; 3] =
    ["host.docker.internal", "gateway.docker.internal", "host.containers.internal"];

/// The settings `allowed_hosts` and `allowed_origins`, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Names and addresses; `*.NAME` for all below a name.
    hosts: Vec<String>,
    /// `scheme://host[:port]` each, without the scheme's usual port.
    origins: Vec<String>,
}

impl Allowed {
    /// Checks both lists.
    ///
    /// # Errors
    /// Names the setting, the item, and how it is written.
    pub(crate) fn read(hosts: &[String], origins: &[String]) -> Result<Self, String> {
        let hosts = hosts.iter().map(|text| host_of(text)).collect::<Result<_, _>>()?;
        let origins = origins.iter().map(|text| origin_of(text)).collect::<Result<_, _>>()?;
        Ok(Self { hosts, origins })
    }
}

fn host_of(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    match Authority::read(name) {
        Some(Authority { port: None, .. }) => Ok(text.trim_end_matches('.').to_owned()),
        _ => Err(format!(
            "setting allowed_hosts: {text:?} is not a host; write db.example.com, *.example.com or 10.0.0.7, without port"
        )),
    }
}

fn origin_of(text: &str) -> Result<String, String> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let is_whole = |(_, rest): (&str, &str)| !rest.contains(['/', '?', '#']);
    match scheme_and_authority(origin) {
        Some(_) if origin.split_once("://").is_some_and(is_whole) => {
            Ok(without_usual_port(origin).to_owned())
        }
        _ => Err(format!(
            "setting allowed_origins: {text:?} is not an origin; write https://app.example.com or http://localhost:3000"
        )),
    }
}

fn without_usual_port(origin: &str) -> &str {
    match origin.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") && rest.ends_with(":80") => {
            origin.strip_suffix(":80").unwrap_or(origin)
        }
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") && rest.ends_with(":443") => {
            origin.strip_suffix(":443").unwrap_or(origin)
        }
        _ => origin,
    }
}

/// How this server is reached; known once it listens.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    /// Address that it listens on.
    pub(crate) listen: IpAddr,
    /// Host that clients are told.
    pub(crate) advertised: Option<AdvertisedHost>,
    /// Whether nobody needs a key.
    pub(crate) is_keyless: bool,
    /// Whether plain text is refused.
    pub(crate) needs_tls: bool,
}

/// What requests are held against.
#[derive(Debug)]
pub(crate) struct Rules {
    reached: Reached,
    allowed: Allowed,
}

impl Rules {
    pub(crate) const fn new(reached: Reached, allowed: Allowed) -> Self {
        Self { reached, allowed }
    }

    /// The same server with other lists.
    pub(super) fn with(&self, allowed: Allowed) -> Self {
        Self { reached: self.reached.clone(), allowed }
    }

    /// Whether nobody needs a key, so that where a request comes from decides.
    pub(super) const fn is_keyless(&self) -> bool {
        self.reached.is_keyless
    }

    /// Whether plain text is refused.
    pub(super) const fn needs_tls(&self) -> bool {
        self.reached.needs_tls
    }

    /// Whether a host is one of this server's.
    pub(super) fn knows(&self, host: Host<'_>) -> bool {
        let is_own = match host {
            Host::Address(address) => is_loopback(address) || address == self.reached.listen,
            Host::Name(_) => {
                host.is_at_or_below("localhost")
                    || CONTAINER_NAMES.iter().any(|name| host == Host::Name(name))
            }
        };
        let advertised = self.reached.advertised.as_ref().map(|advertised| advertised.domain.as_str());
        is_own
            || advertised.is_some_and(|domain| is_at_or_below(host, domain))
            || self.allowed.hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
                Some(parent) => host.is_below(parent),
                None => Host::read(allowed) == Some(host),
            })
    }

    /// Whether pages of this origin may ask. `null`, the origin of files and sandboxes, never is one.
    pub(super) fn allows_origin(&self, origin: &str) -> bool {
        let origin = without_usual_port(origin);
        self.allowed.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// An advertised host may be an address; its port, if it has one, is not compared.
fn is_at_or_below(host: Host<'_>, advertised: &str) -> bool {
    match Authority::read(advertised).map(|authority| authority.host) {
        Some(Host::Name(name)) => host.is_at_or_below(name),
        Some(address) => host == address,
        None => false,
    }
}

/// 127/8 and ::1. An IPv4 address inside an IPv6 one is not how anybody writes this machine.
const fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    }
}
