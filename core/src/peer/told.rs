//! Which clients are told what was decided for their requests: ranges of addresses, as plain values.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Addresses that begin alike (CIDR, RFC 4632 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRange {
    base: IpAddr,
    /// How many bits they have in common, at most those of the address.
    prefix: u8,
}

impl AddressRange {
    /// A range of addresses that begin with so many bits of `base`; `None` when it has not as many.
    #[must_use]
    pub const fn new(base: IpAddr, prefix: u8) -> Option<Self> {
        let bits = match base {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix > bits {
            return None;
        }
        Some(Self { base, prefix })
    }

    /// Whether they are of IPv4.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        self.base.is_ipv4()
    }

    /// Whether they are of the machine itself.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.base.is_loopback()
    }

    /// One of them, as it was written.
    #[must_use]
    pub const fn base(&self) -> IpAddr {
        self.base
    }

    /// How many bits of it all have.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address is one of them. An IPv4 address that is mapped into IPv6 is taken for what it is.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let ((base, of_base), (address, of_address)) = (bits(self.base), bits(address));
        let differ = (base ^ address).checked_shr(128 - u32::from(self.prefix));
        // Nothing is left to differ when there is no prefix.
        of_base == of_address && differ.unwrap_or(0) == 0
    }
}

/// This address alone.
impl From<IpAddr> for AddressRange {
    fn from(base: IpAddr) -> Self {
        let prefix = if base.is_ipv4() { 32 } else { 128 };
        Self { base, prefix }
    }
}

/// As it is written: `10.0.0.0/8`.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// An address, or one with a prefix: `127.0.0.1`, `10.0.0.0/8`.
impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok();
        let range = address.and_then(|address| {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(whole), |prefix| prefix.parse().ok());
            Self::new(address, prefix?)
        });
        range.ok_or_else(|| {
            format!("`{text}` is no address or range such as 127.0.0.1 or 10.0.0.0/8")
        })
    }
}

/// Clients that are told in responses what was decided for their requests, if they ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldClients([Option<AddressRange>; Self::MOST]);

impl ToldClients {
    /// Ranges there may be.
    pub const MOST: usize = 4;

    /// Those of these ranges; `None` when there are too many.
    #[must_use]
    pub fn new(ranges: &[AddressRange]) -> Option<Self> {
        let mut told = Self::default();
        let places = told.0.get_mut(..ranges.len())?;
        for (place, range) in places.iter_mut().zip(ranges) {
            *place = Some(*range);
        }
        Some(told)
    }

    /// Whether there is none at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        // They stand in front.
        self.0[0].is_none()
    }

    /// Whether a client is one of them.
    #[must_use]
    pub fn has(&self, client: IpAddr) -> bool {
        self.0.iter().flatten().any(|range| range.has(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_what_begins_alike() {
        for (base, prefix, address, want) in [
            ("127.0.0.0", 8, "127.1.2.3", true),
            ("127.0.0.0", 8, "128.0.0.1", false),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("10.1.2.3", 0, "192.168.0.1", true),
            ("10.0.0.0", 8, "::ffff:10.1.1.1", true),
            ("10.0.0.0", 8, "::1", false),
            ("::1", 128, "::1", true),
            ("fd00::", 8, "fdff::1", true),
            ("fd00::", 8, "fe00::1", false),
            ("::", 0, "::2", true),
            ("::", 0, "10.0.0.1", false),
        ] {
            let range = AddressRange::new(base.parse().unwrap(), prefix).unwrap();
            let address = address.parse().unwrap();
            assert_eq!(range.has(address), want, "{base}/{prefix} {address}");
            let told = ToldClients::new(&[range]).unwrap();
            assert_eq!((told.has(address), told.is_empty()), (want, false));
        }
        let any = "::".parse().unwrap();
        assert_eq!(AddressRange::new(any, 129), None);
        assert_eq!(AddressRange::new("0.0.0.0".parse().unwrap(), 33), None);
        let range = AddressRange::new(any, 0).unwrap();
        assert_eq!(ToldClients::new(&[range; ToldClients::MOST + 1]), None);
        assert!(ToldClients::default().is_empty());
        assert!(!ToldClients::default().has(any));
    }

    #[test]
    fn ranges_are_addresses_with_or_without_a_prefix() {
        for (text, is_one) in [
            ("127.0.0.1", true),
            ("10.0.0.0/8", true),
            ("fd00::/8", true),
            ("::1", true),
            ("10.0.0.0/33", false),
            ("10.0.0.0/", false),
            ("localhost", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<AddressRange>().is_ok(), is_one, "{text}");
        }
    }
}
