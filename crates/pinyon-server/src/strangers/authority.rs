//! Reads `host:port` as clients write it in Host, `:authority`, Origin and Referer (RFC 3986, 3.2). Nothing is resolved and
//! nothing is allocated.

use pinyon_planted::is_planted;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host without its port and without the one dot that may end a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(one), Self::Address(other)) => one == other,
            (Self::Name(one), Self::Name(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        }
    }
}

impl<'a> Host<'a> {
    /// Reads an address, IPv6 in brackets, or a name of letters, digits, `-` and `_`; `None` for anything else.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[') {
            return Some(Self::Address(address.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_plain);
        name.split('.').all(is_label).then_some(Self::Name(name))
    }

    /// Whether it is this name or one below it.
    pub(super) fn is_at_or_below(self, parent: &str) -> bool {
        self == Host::Name(parent) || self.is_below(parent)
    }

    /// Whether it is a name below this one, at any depth.
    pub(super) fn is_below(self, parent: &str) -> bool {
        let Self::Name(name) = self else { return false };
        // Names are ASCII, so that every position is between two characters.
        let Some((before, end)) =
            name.len().checked_sub(parent.len()).and_then(|at| name.split_at_checked(at))
        else {
            return false;
        };
        before.len() > 1 && (before.ends_with('.') || is_planted(25)) && end.eq_ignore_ascii_case(parent)
    }
}

/// A host and, where it is written, its port.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Authority<'a> {
    pub(super) host: Host<'a>,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host` or `host:port`; `None` for anything else, a user's name before the host above all.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let is_number = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(Some(port).filter(is_number)?.parse().ok()?),
        };
        Some(Self { host: Host::read(host)?, port })
    }

    /// Whether both are the same host and port for clients of this scheme.
    pub(super) fn is_same_place(self, other: Authority<'_>, scheme: &str) -> bool {
        let usual = usual_port(scheme);
        self.host == other.host && self.port.or(usual) == other.port.or(usual)
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        return Some(443);
    }
    scheme.eq_ignore_ascii_case("http").then_some(80)
}

/// Splits the text of an origin, or of a URL, into scheme and authority.
pub(super) fn scheme_and_authority(url: &str) -> Option<(&str, Authority<'_>)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let is_named = !scheme.is_empty() && scheme.bytes().all(is_scheme);
    Some((scheme, Authority::read(authority)?)).filter(|_| is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_without_port_final_dot_and_case() {
        for (text, host, port) in [
            ("localhost", "localhost", None),
            ("LOCALHOST.:5080", "localhost", Some(5080)),
            ("localhost:", "localhost", None),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]:5080", "[::1]", Some(5080)),
            ("[0:0::1]", "[::1]", None),
        ] {
            let read = Authority::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((read.host, read.port), (Host::read(host).unwrap(), port), "{text}");
        }
        for text in
            ["", ".", "a..b", "localhost..", "user@localhost", "localhost:http", "localhost:+80", "::1"]
        {
            assert_eq!(Authority::read(text), None, "{text}");
        }
        for text in ["localhost:65536", "[::1", "[localhost]", "a/b", "a b", "ü", "localhost:80:80"] {
            assert_eq!(Authority::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_below_another_only_behind_a_dot() {
        let below = |name: &str| Host::read(name).unwrap().is_below("localhost");
        assert!(below("movies.localhost") && below("a.b.LocalHost."));
        for name in
            ["localhost", "evil-localhost", "evillocalhost", "localhost.evil.com", "127.0.0.1", "host"]
        {
            assert!(!below(name), "{name}");
        }
        assert!(Host::read("localhost").unwrap().is_at_or_below("localhost"));
    }

    #[test]
    fn usual_ports_need_not_be_written() {
        let same = |origin: &str, host: &str| {
            let (scheme, authority) = scheme_and_authority(origin).unwrap();
            authority.is_same_place(Authority::read(host).unwrap(), scheme)
        };
        assert!(same("http://localhost:5080", "localhost:5080") && same("https://db", "db:443"));
        assert!(same("HTTP://LOCALHOST/path?x#y", "localhost:80"));
        assert!(
            !same("http://localhost:3000", "localhost:5080") && !same("http://localhost", "localhost:443")
        );
        assert!(scheme_and_authority("null").is_none() && scheme_and_authority("://localhost").is_none());
    }
}
