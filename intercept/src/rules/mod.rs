//! The rules for what is captured, as values, in the order in which the kernel looks at them.
//!
//! All of them stand in chains of Istio's names; in the kernel's own chains there are only jumps to those, so that taking rules
//! away takes nothing of anybody else.

mod dns;
mod inbound;
mod outbound;

use outrigger_core::peer::AddressRange;

use crate::capture::{Capture, Family, Mode};

/// Which table of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Before connections are tracked.
    Raw,
    /// Marks, and where packets are routed.
    Mangle,
    /// Where the first packet of a connection goes.
    Nat,
}

impl Table {
    /// All, in the order in which a packet comes by.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Mangle, Self::Nat];

    /// As tools call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
        }
    }
}

/// A chain of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// The kernel's, of packets that arrive.
    Prerouting,
    /// The kernel's, of packets that are made here.
    Output,
    /// Packets that arrive.
    Inbound,
    /// To the sidecar's inbound port.
    InRedirect,
    /// To the sidecar's inbound port, as they are.
    Tproxy,
    /// Of a connection that the sidecar has already.
    Divert,
    /// Packets of this namespace.
    Outbound,
    /// Of them, questions for names.
    OutboundDns,
    /// To the sidecar's outbound port.
    Redirect,
}

impl Chain {
    /// Those that are ours.
    pub const OWN: [Self; 7] = [
        Self::Inbound,
        Self::InRedirect,
        Self::Tproxy,
        Self::Divert,
        Self::Outbound,
        Self::OutboundDns,
        Self::Redirect,
    ];

    /// As Istio and the kernel call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Output => "OUTPUT",
            Self::Inbound => "ISTIO_INBOUND",
            Self::InRedirect => "ISTIO_IN_REDIRECT",
            Self::Tproxy => "ISTIO_TPROXY",
            Self::Divert => "ISTIO_DIVERT",
            Self::Outbound => "ISTIO_OUTPUT",
            Self::OutboundDns => "ISTIO_OUTPUT_DNS",
            Self::Redirect => "ISTIO_REDIRECT",
        }
    }

    /// Whether it is the kernel's.
    #[must_use]
    pub const fn is_builtin(self) -> bool {
        matches!(self, Self::Prerouting | Self::Output)
    }
}

/// What a rule looks at. All of a rule's must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is TCP.
    Tcp,
    /// TCP to this port.
    TcpTo(u16),
    /// TCP to none of these ports.
    TcpNotTo(Vec<u16>),
    /// UDP to this port.
    UdpTo(u16),
    /// UDP from this port.
    UdpFrom(u16),
    /// To one of these addresses.
    To(AddressRange),
    /// To none of these addresses.
    NotTo(AddressRange),
    /// From one of these addresses.
    From(AddressRange),
    /// It came in by this interface.
    In(String),
    /// It leaves by this interface.
    Out(String),
    /// Sent by this user.
    User(u32),
    /// Sent by another user.
    NotUser(u32),
    /// Sent by this group.
    Group(u32),
    /// Sent by another group.
    NotGroup(u32),
    /// Of a connection that there is already.
    Established,
    /// It has this mark.
    Mark(u32),
    /// It has another mark.
    NotMark(u32),
    /// Its connection has this mark.
    ConnectionMark(u32),
}

/// What becomes of a packet for which a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The rest of the chain does not look at it.
    Return,
    /// Nothing in this table looks at it any more.
    Accept,
    /// That chain looks at it.
    Jump(Chain),
    /// It goes to this port here.
    Redirect(u16),
    /// A socket at this port gets it as it is; it is marked.
    Tproxy {
        /// The port.
        port: u16,
        /// The mark.
        mark: u32,
    },
    /// It is marked.
    SetMark(u32),
    /// Its connection gets its mark.
    SaveMark,
    /// It gets its connection's mark.
    RestoreMark,
    /// Its connection is told from others with the same addresses by this number.
    Zone(u16),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub table: Table,
    /// In which chain, behind those before.
    pub chain: Chain,
    /// See [`Match`].
    pub matches: Vec<Match>,
    /// See [`Target`].
    pub target: Target,
}

/// The mark of packets that the sidecar sends to its application by the pod's own address.
const TO_OURSELVES: u32 = 1338;

/// From where the sidecar connects to the application, so that this is captured no second time.
fn inbound_source(family: Family) -> AddressRange {
    match family {
        Family::V4 => host("127.0.0.6"),
        Family::V6 => host("::6"),
    }
}

/// The address of this machine for itself.
fn loopback(family: Family) -> AddressRange {
    match family {
        Family::V4 => host("127.0.0.1"),
        Family::V6 => host("::1"),
    }
}

fn host(address: &'static str) -> AddressRange {
    // A literal of this file, which a test looks at.
    #[expect(clippy::unwrap_used, reason = "a literal that is an address")]
    address.parse().unwrap()
}

/// The rules of one version of IP.
#[must_use]
pub fn rules(capture: &Capture, family: Family) -> Vec<Rule> {
    let mut list = List {
        rules: Vec::new(),
        capture,
        family,
    };
    list.inbound();
    list.outbound();
    list.dns();
    if let Mode::Tproxy { mark, .. } = capture.mode {
        list.tproxy_marks(mark);
    }
    list.rules
}

/// Rules as they are made.
struct List<'a> {
    rules: Vec<Rule>,
    capture: &'a Capture,
    family: Family,
}

impl List<'_> {
    fn add(&mut self, table: Table, chain: Chain, matches: impl Into<Vec<Match>>, target: Target) {
        self.rules.push(Rule {
            table,
            chain,
            matches: matches.into(),
            target,
        });
    }

    fn is_ours(&self, range: &AddressRange) -> bool {
        range.is_ipv4() == (self.family == Family::V4)
    }
}

#[cfg(test)]
mod tests;
