//! Where connections come from, for limits by source.

use std::net::{IpAddr, Ipv6Addr};

/// A range of addresses, as people write it: `10.0.0.7` or `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    network: u128,
    mask: u128,
    is_v4: bool,
}

impl AddressRange {
    /// Reads a range.
    ///
    /// # Errors
    /// Text that is no address, or a length that its kind does not have.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let wrong =
            || format!("{text:?} is not an address or a range, like 10.0.0.7, 10.0.0.0/8 or fd00::/8");
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let (bits, bits_max, is_v4) = match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32, true),
            IpAddr::V6(v6) => (u128::from(v6), 128, false),
        };
        let length: u32 = length.map_or(Ok(bits_max), |length| length.trim().parse().map_err(|_| wrong()))?;
        let dropped = bits_max.checked_sub(length).ok_or_else(wrong)?;
        // A shift by all bits is none.
        let mask = u128::MAX.checked_shl(dropped).unwrap_or(0);
        Ok(Self { network: bits & mask, mask, is_v4 })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.is_v4 && u128::from(u32::from(v4)) & self.mask == self.network,
            IpAddr::V6(v6) => !self.is_v4 && u128::from(v6) & self.mask == self.network,
        }
    }
}

/// What counts as one source: an IPv4 address or an IPv6 network of 64 bits, which one customer has at least. `None` for
/// those whom no limit by source binds: this machine, and proxies that carry everybody.
pub(super) type Source = Option<IpAddr>;

/// Returns the source that an address belongs to.
pub(super) fn source_of(address: IpAddr, trusted: &[AddressRange]) -> Source {
    let address = address.to_canonical();
    if address.is_loopback() || trusted.iter().any(|range| range.holds(address)) {
        return None;
    }
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str, trusted: &[&str]) -> Source {
        let trusted: Vec<AddressRange> =
            trusted.iter().map(|text| AddressRange::read(text).unwrap()).collect();
        source_of(address.parse().unwrap(), &trusted)
    }

    #[test]
    fn ipv4_counts_by_address_and_ipv6_by_64_bits() {
        assert_eq!(source("10.0.0.7", &[]), source("::ffff:10.0.0.7", &[]));
        assert_ne!(source("10.0.0.7", &[]), source("10.0.0.8", &[]));
        assert_eq!(source("2001:db8::1", &[]), source("2001:db8::ffff:2", &[]));
        assert_ne!(source("2001:db8::1", &[]), source("2001:db8:0:1::1", &[]));
    }

    #[test]
    fn this_machine_and_named_proxies_are_exempt() {
        for exempt in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(source(exempt, &[]), None, "{exempt}");
        }
        for (address, range) in [
            ("10.1.2.3", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.0/24"),
            ("fd00::7", "fd00::/8"),
            ("8.8.8.8", "0.0.0.0/0"),
        ] {
            assert_eq!(source(address, &[range]), None, "{address} in {range}");
        }
        for (address, range) in
            [("11.1.2.3", "10.0.0.0/8"), ("10.1.2.4", "10.1.2.3"), ("fe80::1", "0.0.0.0/0")]
        {
            assert!(source(address, &["172.16.0.0/12", range]).is_some(), "{address} in {range}");
        }
    }

    #[test]
    fn ranges_that_are_none_are_named() {
        for wrong in ["", "here", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x", "10.0.0.0/-1"] {
            let refused = AddressRange::read(wrong).unwrap_err();
            assert!(refused.contains(&format!("{wrong:?}")) && refused.contains("10.0.0.0/8"), "{refused}");
        }
    }
}
