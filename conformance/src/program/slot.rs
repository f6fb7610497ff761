//! Ports and addresses of loopback that nobody else uses while a case runs.
//!
//! A program must be told a port before it opens it, so the port cannot come from the kernel: one that was asked for and
//! given back may be gone again. Slots lie below the ports that the kernel hands out. Whoever holds a slot holds its
//! first port as a UDP socket, where it is in nobody's way, and so keeps other runs on the same machine out.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use outrigger_core::compile::NameAnswers;

use crate::case::{Case, Reload};
use crate::subject::relocation::Relocation;

/// The port of the first slot.
const FIRST: u16 = 20_000;

/// Ports of a slot.
const PORTS: u16 = 10;

/// How many slots there are; the last port is below 32768, where the kernel's own begin.
const SLOTS: u16 = 1_200;

/// Ports of the program; the others of a slot are for services.
const OF_PROGRAM: u16 = 3;

/// A slot that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u16,
    _claim: UdpSocket,
}

impl Slot {
    /// Takes a free slot.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn claim() -> io::Result<Self> {
        // Runs at the same time begin at different slots, so that they seldom ask for the same one.
        let first = std::process::id() as u16;
        let all = (0..SLOTS).map(|n| (first % SLOTS + n) % SLOTS);
        let free = |number: u16| {
            let port = FIRST + number * PORTS;
            let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            let is_free = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
            let slot = Self {
                number,
                _claim: claim,
            };
            (port..port + PORTS).all(is_free).then_some(slot)
        };
        let found = all.into_iter().find_map(free);
        found.ok_or_else(|| io::Error::other("no ten ports between 20000 and 32000 are free"))
    }

    fn port(&self, at: u16) -> u16 {
        FIRST + self.number * PORTS + at
    }

    /// The port of the outbound listener.
    pub(crate) fn outbound(&self) -> u16 {
        self.port(0)
    }

    /// The port of the inbound listener.
    pub(crate) fn inbound(&self) -> u16 {
        self.port(1)
    }

    /// Another port for the program.
    pub(crate) fn admin(&self) -> u16 {
        self.port(2)
    }

    /// An address of loopback that belongs to this slot.
    fn address(&self, host: u8) -> Ipv4Addr {
        let [high, low] = [self.number / 250, self.number % 250 + 1];
        // Both are below 251.
        Ipv4Addr::new(127, 100 + high as u8, low as u8, host)
    }

    /// Addresses of this slot for those of a case: 10.0.0.N becomes the N-th one, others come after them. The ports of
    /// services become ports of the slot.
    ///
    /// # Errors
    /// The case has more addresses or ports than a slot.
    pub(crate) fn relocation(&self, case: &Case) -> Result<Relocation, String> {
        let mut hosts: BTreeMap<Ipv4Addr, Ipv4Addr> = BTreeMap::new();
        let mut ports: BTreeMap<u16, u16> = BTreeMap::new();
        let mut next_host = 200;
        let mut host = |ip: Ipv4Addr| -> Result<(), String> {
            let number = match ip.octets() {
                [10, 0, 0, n @ 1..200] => n,
                _ if hosts.contains_key(&ip) => return Ok(()),
                _ => {
                    next_host += 1;
                    next_host - 1
                }
            };
            hosts.insert(ip, self.address(number));
            match next_host {
                255 => Err("more addresses than a slot has".to_owned()),
                _ => Ok(()),
            }
        };
        for address in case.services.keys() {
            let Ok(SocketAddr::V4(address)) = address.parse() else {
                return Err(format!("`{address}` is no IPv4 address and port"));
            };
            host(*address.ip())?;
            let next = self.port(OF_PROGRAM + ports.len() as u16);
            ports.entry(address.port()).or_insert(next);
        }
        if ports.len() > usize::from(PORTS - OF_PROGRAM) {
            return Err("more ports of services than a slot has".to_owned());
        }
        // Addresses of the case's network that no service has must lead nowhere, and not out of this machine.
        let of_answers = |answers: &NameAnswers| {
            let all = answers.values().flatten().map(ToString::to_string);
            all.filter_map(|ip| ip.parse().ok()).collect::<Vec<_>>()
        };
        let reloads = case.reloads.iter().flat_map(|reload| match reload {
            Reload::Configuration(document) => addresses(&document.text).collect(),
            Reload::Answers(answers) => of_answers(answers),
        });
        let written = case.yaml.iter().flat_map(|d| addresses(&d.text));
        for ip in written.chain(of_answers(&case.answers)).chain(reloads) {
            if ip.octets()[0] == 10 {
                host(ip)?;
            }
        }
        let hosts = hosts.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        let ports = ports.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        Ok(Relocation::new(hosts.chain(ports)))
    }
}

/// The IPv4 addresses in a text.
fn addresses(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|word| word.trim_matches('.').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_by_one() {
        let (one, other) = (Slot::claim().unwrap(), Slot::claim().unwrap());
        assert_ne!(one.number, other.number);
        assert!(one.outbound() >= FIRST && one.admin() < 32_768);
    }

    #[test]
    fn addresses_and_ports_of_a_case_become_those_of_the_slot() {
        let page = "## A\n```services\n10.0.0.1:8080 a\n10.9.0.4:8080 b\n127.0.0.1:9000 c\n```\n```yaml\nto: [10.0.0.7, 1.2.3.4]\n```\n```ask\nGET a/ => a\n```\n";
        let case = Case::parse_file("f", page).unwrap().remove(0);
        let slot = Slot {
            number: 251,
            _claim: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
        };
        let relocation = slot.relocation(&case).unwrap();
        let text = "10.0.0.1:8080 10.0.0.12 10.9.0.4 10.0.0.7 1.2.3.4 127.0.0.1:9000 18080";
        let want = "127.101.2.1:22513 10.0.0.12 127.101.2.200 127.101.2.7 1.2.3.4 127.101.2.201:22514 18080";
        assert_eq!(relocation.text(text), want);
    }
}
