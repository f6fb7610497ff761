//! How connections are told apart: listeners by the address and port that somebody connected to, and what is spoken there
//! (Envoy's listeners and filter chains).
//!
//! `policy::filter_chain` chooses; here is what it looks things up in. A port that speaks HTTP by its name has nothing else to
//! choose, and is found without a look at bytes.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use super::address_blocks::AddressBlocks;
use super::hash_index::{HashIndex, hash_of};
use super::name_table::NameTable;
use super::route::VirtualHostId;
use crate::peer::AddressRange;

/// Whether HTTP is spoken at a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpSpoken {
    /// Never: its ports have names of other protocols.
    Never,
    /// By all.
    #[default]
    Always,
    /// By some: the first bytes tell.
    Perhaps,
    /// Nobody says of an application's port: HTTP is spoken on a listener of its own, and the first bytes tell of whom the kernel
    /// brought.
    Unsaid,
}

/// A rule for connections: the rule of this position of a virtual host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainRule {
    /// The virtual host.
    pub virtual_host: VirtualHostId,
    /// The position of the rule in it; what the rule does is to forward.
    pub rule: u32,
}

/// Connections that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterChain {
    /// The server names that TLS asks for, in lower case, wildcards among them; empty for whoever asks for any, for none, or
    /// does not speak TLS.
    pub server_names: Box<[Box<str>]>,
    /// Where somebody connected to; empty for anywhere.
    pub destinations: Box<[AddressRange]>,
    /// Only who offers a protocol of the mesh's own (ALPN), so that TLS of the mesh is what answers.
    pub mesh_only: bool,
    /// What becomes of them.
    pub rule: ChainRule,
}

impl FilterChain {
    /// How many bits of an address it is for, if it is.
    #[must_use]
    pub fn prefix_of(&self, destination: IpAddr) -> Option<u8> {
        if self.destinations.is_empty() {
            return Some(0);
        }
        let of = self.destinations.iter().filter(|d| d.has(destination));
        of.map(AddressRange::prefix).max()
    }
}

/// What may be spoken by those who connect to an address and a port.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// As Istio names it: `10.0.0.1_5432`, `0.0.0.0_80`.
    pub name: Box<str>,
    /// See [`HttpSpoken`].
    pub http: HttpSpoken,
    chains: Box<[FilterChain]>,
    /// Positions in `groups`.
    names: NameTable,
    /// The chains of each server name, in order.
    groups: Box<[Box<[u32]>]>,
    /// The chains for whatever name.
    unnamed: Box<[u32]>,
}

impl Listener {
    /// One with these chains, in the order in which they were written.
    #[must_use]
    pub fn new(name: Box<str>, http: HttpSpoken, chains: Vec<FilterChain>) -> Self {
        let mut names: Vec<(Box<str>, u32)> = Vec::new();
        for (chain, at) in chains.iter().zip(0..) {
            names.extend(chain.server_names.iter().map(|name| (name.clone(), at)));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0)); // stable: chains of one name stay in order
        let mut groups: Vec<Box<[u32]>> = Vec::new();
        let mut of_groups = Vec::new();
        for group in names.chunk_by(|a, b| a.0 == b.0) {
            // No more than there are names, which fit into memory.
            of_groups.push((group[0].0.clone(), groups.len() as u32));
            groups.push(group.iter().map(|(_, at)| *at).collect());
        }
        let unnamed = chains.iter().zip(0..);
        let unnamed = unnamed.filter(|(chain, _)| chain.server_names.is_empty());
        Self {
            name,
            http,
            unnamed: unnamed.map(|(_, at)| at).collect(),
            names: NameTable::new(of_groups),
            groups: groups.into(),
            chains: chains.into(),
        }
    }

    /// Its chains, in order.
    #[must_use]
    pub fn chains(&self) -> &[FilterChain] {
        &self.chains
    }

    /// Whether what becomes of a connection depends on what is spoken on it.
    #[must_use]
    pub fn is_to_look(&self) -> bool {
        match self.http {
            HttpSpoken::Always => false,
            HttpSpoken::Perhaps | HttpSpoken::Unsaid => true,
            HttpSpoken::Never => !self.groups.is_empty(),
        }
    }

    /// The chain for a connection to an address, by which TLS asks for this name, if it is TLS and asks for one: the one for
    /// the fewest addresses, of those the one by the most particular name, of those the first.
    #[must_use]
    pub fn find(&self, destination: IpAddr, server_name: Option<&str>) -> Option<&FilterChain> {
        let named = server_name.unwrap_or_default();
        let groups = self.names.all(named.as_bytes());
        let groups = groups.filter(|_| server_name.is_some());
        let groups = groups.map(|group| &self.groups[group as usize]);
        let mut best: Option<(u8, &FilterChain)> = None;
        for at in groups.chain([&self.unnamed]).flat_map(|group| &**group) {
            let chain = &self.chains[*at as usize];
            if let Some(prefix) = chain.prefix_of(destination)
                && best.is_none_or(|(longest, _)| prefix > longest)
            {
                best = Some((prefix, chain));
            }
        }
        best.map(|(_, chain)| chain)
    }
}

/// The listeners of one port.
#[derive(Clone, Debug, Default)]
struct Port {
    number: u16,
    /// By address, sorted.
    addresses: Box<[(IpAddr, u32)]>,
    /// Where each of them is.
    index: HashIndex,
    /// By block of addresses.
    blocks: AddressBlocks,
    /// For all other addresses.
    wildcard: Option<u32>,
}

const fn hash_of_ip(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => hash_of(v4.to_bits() as u128),
        IpAddr::V6(v6) => hash_of(v6.to_bits()),
    }
}

/// Where a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListensAt {
    /// At an address.
    Address(IpAddr),
    /// At all addresses of a block.
    Block(AddressRange),
    /// At all that no other listener of the port is at.
    Anywhere,
}

/// The listeners for connections that the kernel has brought here, by where they were to go.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// Sorted by number.
    ports: Box<[Port]>,
    all: Box<[Listener]>,
}

impl Listeners {
    /// Builds the table. Of two listeners at one place the first one counts.
    #[must_use]
    pub fn new(listeners: Vec<(u16, ListensAt, Listener)>) -> Self {
        let mut ports: BTreeMap<u16, Vec<(ListensAt, u32)>> = BTreeMap::new();
        let mut all = Vec::with_capacity(listeners.len());
        for ((number, at, listener), id) in listeners.into_iter().zip(0..) {
            ports.entry(number).or_default().push((at, id));
            all.push(listener);
        }
        let ports = ports.into_iter().map(|(number, places)| {
            let (mut addresses, mut blocks, mut wildcard) = (Vec::new(), Vec::new(), None);
            for (at, id) in places {
                match at {
                    ListensAt::Address(address) => addresses.push((address.to_canonical(), id)),
                    ListensAt::Block(block) => blocks.push((block, id)),
                    ListensAt::Anywhere => wildcard = wildcard.or(Some(id)),
                }
            }
            addresses.sort(); // of one address the first listener has the lowest number
            addresses.dedup_by_key(|(address, _)| *address);
            Port {
                number,
                index: HashIndex::new(addresses.iter().map(|(address, _)| hash_of_ip(*address))),
                addresses: addresses.into(),
                blocks: AddressBlocks::new(blocks),
                wildcard,
            }
        });
        Self {
            ports: ports.collect(),
            all: all.into(),
        }
    }

    /// The listener for a connection to an address; `None` where nobody knows of one.
    #[must_use]
    pub fn find(&self, to: SocketAddr) -> Option<&Listener> {
        let port = self.ports.binary_search_by_key(&to.port(), |p| p.number);
        let port = &self.ports[port.ok()?];
        let ip = to.ip().to_canonical();
        let is_it = |at: usize| port.addresses[at].0 == ip;
        let exact = port.index.find(hash_of_ip(ip), is_it);
        let exact = exact.map(|at| port.addresses[at].1);
        let id = exact.or_else(|| port.blocks.find(ip)).or(port.wildcard)?;
        Some(&self.all[id as usize])
    }

    /// All of them.
    pub fn iter(&self) -> core::slice::Iter<'_, Listener> {
        self.all.iter()
    }
}

impl<'l> IntoIterator for &'l Listeners {
    type Item = &'l Listener;
    type IntoIter = core::slice::Iter<'l, Listener>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
