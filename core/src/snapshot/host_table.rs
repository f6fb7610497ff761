//! From an authority to a virtual host.
//!
//! Which of several names counts is `name_table`'s.

use super::name_table::NameTable;
use super::route::VirtualHostId;

/// One port of a service and the virtual host that answers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortEntry {
    /// The service port.
    pub port: u16,
    /// Its virtual host.
    pub virtual_host: VirtualHostId,
    /// HTTP is spoken there. The others (TLS, plain TCP) are for those who name the port, as with CONNECT.
    pub is_http: bool,
}

/// What a host name stands for on the outbound listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEntry {
    /// In ascending order; never empty.
    pub ports: Box<[PortEntry]>,
}

impl HostEntry {
    /// One of its ports.
    #[must_use]
    pub fn at(&self, port: u16) -> Option<PortEntry> {
        let found = self.ports.binary_search_by_key(&port, |p| p.port);
        found.ok().map(|at| self.ports[at])
    }

    /// The port a request is for: the authority's port where the service has it, otherwise the service's only HTTP
    /// port, otherwise 80. `None` when that port does not exist either.
    #[must_use]
    pub fn select(&self, wanted: Option<u16>) -> Option<PortEntry> {
        let of = |port| self.at(port);
        let mut http = self.ports.iter().filter(|port| port.is_http);
        let only = || match (http.next(), http.next()) {
            (Some(only), None) => Some(*only),
            (None | Some(_), _) => of(80),
        };
        wanted.and_then(of).or_else(only)
    }
}

/// All names of the outbound listener.
#[derive(Clone, Debug, Default)]
pub struct HostTable {
    names: NameTable,
    entries: Box<[HostEntry]>,
}

impl HostTable {
    /// Builds the table. `names` are in lower case, without port; `*.x` and `*` are wildcards. Of two equal names the
    /// first one wins. Each number is an index into `entries`.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = (Box<str>, u32)>, entries: Vec<HostEntry>) -> Self {
        let names = NameTable::new(names);
        assert!(
            (names.iter()).all(|(_, entry)| (entry as usize) < entries.len()),
            "a name stands for an entry that exists"
        );
        Self {
            names,
            entries: entries.into(),
        }
    }

    /// The entry for a host in lower case, without port.
    #[must_use]
    pub fn find(&self, host: &[u8]) -> Option<&HostEntry> {
        let (_, entry) = self.names.find(host)?;
        Some(&self.entries[entry as usize])
    }

    /// The same, with the name or the wildcard that it was found by.
    #[must_use]
    pub fn find_named(&self, host: &[u8]) -> Option<(String, &HostEntry)> {
        let (name, entry) = self.names.find(host)?;
        Some((name.to_string(), &self.entries[entry as usize]))
    }

    /// All exact names and wildcards with their entries, in order; for `config_dump` and lint.
    pub fn iter(&self) -> impl Iterator<Item = (String, &HostEntry)> {
        let names = self.names.iter();
        names.map(|(name, entry)| (name.to_string(), &self.entries[entry as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(ports: &[u16], id: u32) -> HostEntry {
        HostEntry {
            ports: ports
                .iter()
                .map(|p| PortEntry {
                    port: *p,
                    virtual_host: VirtualHostId(id),
                    is_http: *p != 443 && *p != 3306,
                })
                .collect(),
        }
    }

    #[test]
    fn exact_beats_longest_suffix_beats_star() {
        let names = ["a.b.c", "*.b.c", "*.c", "*"]
            .into_iter()
            .zip(0..)
            .map(|(n, i)| (Box::from(n), i));
        let t = HostTable::new(names, (0..4).map(|i| entry(&[80], i)).collect());
        let id = |host: &str| t.find(host.as_bytes()).unwrap().ports[0].virtual_host.0;
        for (host, want) in [
            ("a.b.c", 0),
            ("x.b.c", 1),
            ("x.y.b.c", 1),
            ("b.c", 2),
            ("x.c", 2),
            ("c", 3),
            (".c", 3),
        ] {
            assert_eq!(id(host), want, "{host}");
        }
        for (host, want) in [("a.b.c", "a.b.c"), ("x.y.b.c", "*.b.c"), ("c", "*")] {
            assert_eq!(t.find_named(host.as_bytes()).unwrap().0, want, "{host}");
        }
        assert!(HostTable::default().find(b"a").is_none());
    }

    #[test]
    fn port_follows_the_authority_then_the_only_one_then_80() {
        for (ports, wanted, want) in [
            (&[80, 8080][..], Some(8080), Some(8080)),
            (&[80, 8080], Some(9), Some(80)),
            (&[80, 8080], None, Some(80)),
            (&[8080], None, Some(8080)),
            (&[8080], Some(9), Some(8080)),
            (&[8080, 9090], None, None),
            // Ports that are not HTTP are for those who name them.
            (&[443, 8080], Some(443), Some(443)),
            (&[443, 8080], None, Some(8080)),
            (&[443, 8080], Some(9), Some(8080)),
            (&[443], None, None),
            (&[80, 3306, 8080], None, Some(80)),
        ] {
            assert_eq!(
                entry(ports, 0).select(wanted).map(|p| p.port),
                want,
                "{ports:?} {wanted:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Against a scan: an exact name, else the longest wildcard that the host ends with.
        #[test]
        fn finds_what_a_scan_finds(
            names in prop::collection::vec("(\\*|\\*\\.[ab]|\\*\\.[ab]\\.[ab]|[ab](\\.[ab]){0,2})", 0..12),
            host in "[ab]{0,2}(\\.[ab]){0,3}",
        ) {
            let ends = |name: &str| {
                let suffix = name.strip_prefix('*');
                suffix.is_some_and(|s| host.ends_with(s) && (s.is_empty() || host.len() > s.len()))
            };
            let exact = names.iter().position(|name| *name == host);
            let longest = names.iter().filter(|name| ends(name)).map(String::len).max();
            let want = exact.or_else(|| {
                names.iter().position(|name| ends(name) && Some(name.len()) == longest)
            });
            let entries = (0..12).map(|id| entry(&[80], id)).collect();
            let table = HostTable::new(names.iter().map(|n| n.as_str().into()).zip(0..), entries);
            let got = table.find(host.as_bytes()).map(|e| e.ports[0].virtual_host.0 as usize);
            prop_assert_eq!(got, want, "{} in {:?}", host, names);
        }
    }
}
