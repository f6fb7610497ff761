//! What the machine says about names: `/etc/resolv.conf` (resolv.conf(5)) and `/etc/hosts` (hosts(5)).
//!
//! Owns what these files mean. They are small and read for every question, so a change is seen without a restart.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// No more of such a file is read.
const MAX_FILE: u64 = 1024 * 1024;

/// Name servers beyond these are not asked, like everywhere.
const MAX_SERVERS: usize = 3;

/// Domains beyond these are not searched.
const MAX_SEARCH: usize = 32;

const PORT: u16 = 53;

/// Greatest number of dots that `ndots` can ask for.
const MAX_NDOTS: usize = 15;

const DEFAULT_TIMEOUT: u64 = 5;
const MAX_TIMEOUT: u64 = 30;
const DEFAULT_ATTEMPTS: u32 = 2;
const MAX_ATTEMPTS: u32 = 5;

/// How names are looked up on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// In the order in which they are asked.
    pub servers: Vec<SocketAddr>,
    /// Domains that short names may be in.
    pub search: Vec<String>,
    /// A name with so many dots is tried as it stands first.
    pub ndots: usize,
    /// How long one server has for one answer.
    pub timeout: Duration,
    /// How often all servers are asked.
    pub attempts: u32,
    /// Each question begins with another server (`rotate`).
    pub rotates: bool,
    /// Addresses that need no server: a line of `/etc/hosts` each.
    pub hosts: String,
}

impl System {
    /// As it is now. `servers` stand in the place of the machine's, if there are any.
    pub fn read(servers: &[SocketAddr]) -> Self {
        let mut system = Self::parse(&text(RESOLV_CONF), text(HOSTS));
        if !servers.is_empty() {
            system.servers = servers.to_vec();
        }
        system
    }

    fn parse(resolv_conf: &str, hosts: String) -> Self {
        let mut system = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(DEFAULT_TIMEOUT),
            attempts: DEFAULT_ATTEMPTS,
            rotates: false,
            hosts,
        };
        for line in resolv_conf.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => system.servers.extend(words.next().and_then(server)),
                // The last one counts.
                Some("search" | "domain") => {
                    system.search = words.take(MAX_SEARCH).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|option| system.option(option)),
                Some(_) | None => {}
            }
        }
        system.servers.truncate(MAX_SERVERS);
        if system.servers.is_empty() {
            system.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        system
    }

    fn option(&mut self, option: &str) {
        let Some((name, value)) = option.split_once(':') else {
            self.rotates |= option == "rotate";
            return;
        };
        let Ok(value) = value.parse::<u32>() else {
            return;
        };
        match name {
            "ndots" => self.ndots = (value as usize).min(MAX_NDOTS),
            "timeout" => {
                self.timeout = Duration::from_secs(u64::from(value).clamp(1, MAX_TIMEOUT));
            }
            "attempts" => self.attempts = value.clamp(1, MAX_ATTEMPTS),
            _ => {}
        }
    }

    /// The servers in the order in which they are asked. `random` is any number.
    pub fn in_turn(&self, random: u64) -> impl Iterator<Item = SocketAddr> {
        let first = match (self.rotates, self.servers.len() as u64) {
            (true, count @ 1..) => (random % count) as usize,
            (true, 0) | (false, _) => 0,
        };
        let (before, from) = self.servers.split_at(first);
        from.iter().chain(before).copied()
    }

    /// The domain that is searched first, in lower case and without a dot at its end.
    #[must_use]
    pub fn first_search(&self) -> Option<String> {
        let first = self.search.first()?;
        let domain = first.strip_suffix('.').unwrap_or(first);
        (!domain.is_empty()).then(|| domain.to_ascii_lowercase())
    }

    /// The full names that a name may mean, in the order in which they are tried.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let searched = self.search.iter().map(|domain| match domain.as_str() {
            "." => format!("{name}."),
            domain => format!("{name}.{domain}"),
        });
        let mut candidates: Vec<String> = searched.collect();
        let is_full = name.matches('.').count() >= self.ndots;
        candidates.insert(if is_full { 0 } else { candidates.len() }, name.to_owned());
        candidates
    }

    /// What the machine knows without asking anybody. `localhost` is never asked for (RFC 6761 §6.3).
    pub fn known(&self, name: &str) -> Vec<IpAddr> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let mut known = Vec::new();
        for line in self.hosts.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let address = words.next().and_then(|word| word.parse().ok());
            if let Some(address) = address
                && words.any(|alias| alias.eq_ignore_ascii_case(name))
                && !known.contains(&address)
            {
                known.push(address);
            }
        }
        if known.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            known = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        known
    }
}

fn server(text: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(text.parse().ok()?, PORT))
}

/// A file's text; nothing where it cannot be read, because then the machine says nothing.
fn text(path: &str) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_its_page_says() {
        let text = "# a comment\ndomain old.example\nsearch shop.svc.cluster.local svc.cluster.local ; more\n\
            nameserver 10.0.0.10\nnameserver fd00::a\nnameserver what\nnameserver 10.0.0.11\nnameserver 10.0.0.12\n\
            options ndots:5 timeout:2 attempts:9 rotate edns0\n";
        let system = System::parse(text, String::new());
        let servers: Vec<_> = system.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.10:53", "[fd00::a]:53", "10.0.0.11:53"]);
        assert_eq!(
            system.search,
            ["shop.svc.cluster.local", "svc.cluster.local"]
        );
        assert_eq!((system.ndots, system.attempts), (5, MAX_ATTEMPTS));
        assert!(system.rotates);
        let empty = System::parse("", String::new());
        assert_eq!(empty.servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn servers_take_turns_where_the_machine_says_so() {
        for (options, random, want) in [
            ("rotate", 0, "1 2 3"),
            ("rotate", 4, "2 3 1"),
            ("rotate", u64::MAX, "1 2 3"),
            ("ndots:2", 4, "1 2 3"),
        ] {
            let servers = "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
            let system = System::parse(&format!("{servers}options {options}\n"), String::new());
            let turns = system.in_turn(random).map(|server| match server.ip() {
                IpAddr::V4(ip) => ip.octets()[3].to_string(),
                IpAddr::V6(ip) => ip.to_string(),
            });
            assert_eq!(
                turns.collect::<Vec<_>>().join(" "),
                want,
                "{options} {random}"
            );
        }
    }

    #[test]
    fn short_names_are_searched_first() {
        for (ndots, name, want) in [
            (5, "db", "db.a.test db.b.test db"),
            (
                5,
                "api.example.com",
                "api.example.com.a.test api.example.com.b.test api.example.com",
            ),
            (
                1,
                "api.example.com",
                "api.example.com api.example.com.a.test api.example.com.b.test",
            ),
            (5, "api.example.com.", "api.example.com."),
        ] {
            let text = format!("search a.test b.test\noptions ndots:{ndots}\n");
            let system = System::parse(&text, String::new());
            assert_eq!(system.candidates(name).join(" "), want);
        }
    }

    #[test]
    fn hosts_need_no_server() {
        let hosts = "127.0.0.1 localhost me\n10.0.0.1\tDB.test db # the database\n10.0.0.2 db\n10.0.0.1 db\nnone db\n";
        let system = System::parse("", hosts.to_owned());
        for (name, want) in [
            ("db", "10.0.0.1 10.0.0.2"),
            ("db.test.", "10.0.0.1"),
            ("localhost", "127.0.0.1"),
            ("a.localhost", "127.0.0.1 ::1"),
            ("database", ""),
        ] {
            let known = system
                .known(name)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>();
            assert_eq!(known.join(" "), want, "{name}");
        }
    }
}
