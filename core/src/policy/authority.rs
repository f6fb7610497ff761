//! From the authority of a request to a virtual host.
//!
//! Owns how an authority is taken apart and how host names compare (case, trailing dot). The table itself is
//! `snapshot::HostTable`; what happens to hosts that nobody knows is the egress policy's business.

use smallvec::SmallVec;

use crate::message::make_lower;
use crate::snapshot::{HostTable, VirtualHostId};

/// A host in lower case, without brackets and trailing dot; on the stack unless it is longer than a DNS name can be.
pub type HostText = SmallVec<[u8; 256]>;

/// What an authority stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// No service and no VirtualService has this host.
    UnknownHost,
    /// The host is known, and it has several HTTP ports, none of which is meant.
    NoPort,
    /// A virtual host, and the service port it stands for.
    VirtualHost(VirtualHostId, u16),
}

/// Splits `host:port`, `[v6]:port`, `host` or `[v6]`; brackets stay with the host. A port that is no number from 1 to
/// 65535 is no port, and then the whole text is the host.
#[must_use]
pub fn split(authority: &[u8]) -> (&[u8], Option<u16>) {
    let bare = (authority, None);
    let Some(colon) = memchr::memrchr(b':', authority) else {
        return bare;
    };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    // An IPv6 address without brackets has colons of its own.
    let is_v6 = host.first() == Some(&b'[');
    if (is_v6 && host.last() != Some(&b']')) || (!is_v6 && host.contains(&b':')) {
        return bare;
    }
    match parse_port(port) {
        Some(port) => (host, Some(port)),
        None => bare,
    }
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = core::str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|port| *port > 0)
}

/// A host as the table has it: lower case, without brackets, without the dot that ends a fully qualified name.
#[must_use]
pub fn canonical_host(host: &[u8]) -> HostText {
    let inner = host
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .unwrap_or(host);
    let inner = match inner.strip_suffix(b".") {
        Some(rest) if !rest.is_empty() => rest,
        _ => inner,
    };
    let mut text = HostText::from_slice(inner);
    make_lower(&mut text);
    text
}

/// Finds the virtual host of an authority among the hosts of a gateway's server, whatever port it names (Envoy's
/// `ignore_port_in_host_matching`).
#[must_use]
pub fn select_in(hosts: &HostTable, authority: &[u8]) -> Option<VirtualHostId> {
    let (host, _) = split(authority);
    let entry = hosts.find(&canonical_host(host))?;
    entry.ports.first().map(|port| port.virtual_host)
}

/// Finds the virtual host of an authority on the outbound listener. `captured`: the port to which the client connected, where
/// the kernel brought the connection here; then the authority's does not matter, and a host that has no such port is none that
/// is known there (Istio's listeners are one for each port).
#[must_use]
pub fn select(hosts: &HostTable, authority: &[u8], captured: Option<u16>) -> Selected {
    let (host, port) = split(authority);
    let Some(entry) = hosts.find(&canonical_host(host)) else {
        return Selected::UnknownHost;
    };
    if let Some(port) = captured {
        return match entry.at(port) {
            Some(entry) => Selected::VirtualHost(entry.virtual_host, entry.port),
            None => Selected::UnknownHost,
        };
    }
    match entry.select(port) {
        Some(entry) => Selected::VirtualHost(entry.virtual_host, entry.port),
        None => Selected::NoPort,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{HostEntry, HostTable, PortEntry};

    #[test]
    fn authorities_are_split() {
        for (authority, host, port) in [
            ("a", "a", None),
            ("a:80", "a", Some(80)),
            ("a:", "a:", None),
            ("a:0", "a:0", None),
            ("a:65536", "a:65536", None),
            ("a:+80", "a:+80", None),
            ("", "", None),
            (":80", "", Some(80)),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some(8080)),
            ("::1", "::1", None),
            ("[::1", "[::1", None),
            ("[::1]x:1", "[::1]x:1", None),
        ] {
            let got = split(authority.as_bytes());
            assert_eq!(got, (host.as_bytes(), port), "{authority}");
        }
    }

    #[test]
    fn hosts_are_found_whatever_their_case_and_last_dot() {
        let entries = vec![HostEntry {
            ports: [80, 8080]
                .map(|port| PortEntry {
                    port,
                    virtual_host: VirtualHostId(u32::from(port)),
                    is_http: true,
                })
                .into(),
        }];
        let two = HostEntry {
            ports: Box::from([7, 9].map(|port| PortEntry {
                port,
                virtual_host: VirtualHostId(u32::from(port)),
                is_http: true,
            })),
        };
        let entries = entries.into_iter().chain([two]).collect();
        let hosts = HostTable::new(
            [("reviews".into(), 0), ("::1".into(), 0), ("odd".into(), 1)],
            entries,
        );
        let of = |port: u16| Selected::VirtualHost(VirtualHostId(u32::from(port)), port);
        for (authority, want) in [
            ("reviews", of(80)),
            ("Reviews.:8080", of(8080)),
            ("REVIEWS:1", of(80)),
            ("[::1]:8080", of(8080)),
            ("other", Selected::UnknownHost),
            ("", Selected::UnknownHost),
            (".", Selected::UnknownHost),
            ("odd", Selected::NoPort),
            ("odd:9", of(9)),
        ] {
            assert_eq!(
                select(&hosts, authority.as_bytes(), None),
                want,
                "{authority}"
            );
        }
        // Where the client connected to counts, not what it says.
        for (authority, port, want) in [
            ("reviews", 8080, of(8080)),
            ("reviews:8080", 80, of(80)),
            ("reviews", 81, Selected::UnknownHost),
            ("odd", 9, of(9)),
            ("other", 80, Selected::UnknownHost),
        ] {
            let selected = select(&hosts, authority.as_bytes(), Some(port));
            assert_eq!(selected, want, "{authority} at {port}");
        }
    }
}
