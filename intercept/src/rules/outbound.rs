//! Connections of this namespace.

use super::{Chain, List, Match, Table, Target, inbound_source, loopback};
use crate::capture::{Dns, Mode, NameServers, Ranges};

impl List<'_> {
    fn output(&mut self, matches: impl Into<Vec<Match>>, target: Target) {
        self.add(Table::Nat, Chain::Outbound, matches, target);
    }

    /// The chain of connections that begin here, and the jump to it.
    pub(super) fn outbound(&mut self) {
        let capture = self.capture;
        self.add(
            Table::Nat,
            Chain::Redirect,
            [Match::Tcp],
            Target::Redirect(capture.outbound_port),
        );
        self.add(Table::Nat, Chain::Output, [], Target::Jump(Chain::Outbound));
        for name in &capture.exclude_interfaces {
            self.output([Match::Out(name.clone())], Target::Return);
        }
        for port in &capture.exclude_outbound_ports {
            self.output([Match::TcpTo(*port)], Target::Return);
            self.output([Match::UdpTo(*port)], Target::Return);
        }
        let source = inbound_source(self.family);
        self.output(
            [Match::Out("lo".into()), Match::From(source)],
            Target::Return,
        );
        if let Mode::Tproxy { mark, .. } = capture.mode {
            // What the sidecar sends to its application with a client's address.
            self.output(
                [Match::Tcp, Match::Out("lo".into()), Match::Mark(mark)],
                Target::Return,
            );
        }
        for id in &capture.users {
            self.owner(Match::User(*id), Match::NotUser(*id));
        }
        for id in &capture.groups {
            self.owner(Match::Group(*id), Match::NotGroup(*id));
        }
        if self.captures_dns() {
            self.output([], Target::Jump(Chain::OutboundDns));
        }
        self.output([Match::To(loopback(self.family))], Target::Return);
        for range in &capture.exclude_outbound {
            if self.is_ours(range) {
                self.output([Match::To(*range)], Target::Return);
            }
        }
        for port in &capture.outbound_ports {
            self.output([Match::TcpTo(*port)], Target::Jump(Chain::Redirect));
        }
        match &capture.outbound {
            Ranges::All => self.output([], Target::Jump(Chain::Redirect)),
            Ranges::These(ranges) => {
                for range in ranges {
                    if self.is_ours(range) {
                        self.output([Match::To(*range)], Target::Jump(Chain::Redirect));
                    }
                }
            }
        }
    }

    /// What becomes of connections by who began them: those of the sidecar to an address of its own go in again, as if they came
    /// from outside, so that an application that calls its own service meets the same rules as everybody; its others leave.
    /// Those of the application to itself are its own matter.
    fn owner(&mut self, is: Match, is_not: Match) {
        let capture = self.capture;
        let lo = || Match::Out("lo".into());
        let dns = capture.dns.is_some();
        // Otherwise questions that the sidecar asks here would come back to it.
        let spared = match dns {
            true => vec![53, capture.tunnel_port],
            false => vec![capture.tunnel_port],
        };
        self.output(
            [
                lo(),
                Match::NotTo(loopback(self.family)),
                Match::TcpNotTo(spared),
                is.clone(),
            ],
            Target::Jump(Chain::InRedirect),
        );
        let wants_loopback = match &capture.outbound {
            Ranges::All => false,
            Ranges::These(ranges) => ranges.iter().any(|range| range.is_loopback()),
        };
        if !wants_loopback {
            match dns {
                // A name server may be on this machine, and is asked over TCP, too.
                true => self.output([lo(), Match::TcpNotTo(vec![53]), is_not], Target::Return),
                false => self.output([lo(), is_not], Target::Return),
            }
        }
        self.output([is], Target::Return);
    }

    /// Whether questions of this version of IP are captured.
    pub(super) fn captures_dns(&self) -> bool {
        let Some(Dns { servers, .. }) = &self.capture.dns else {
            return false;
        };
        match servers {
            NameServers::All => true,
            NameServers::These(servers) => {
                servers.iter().any(|server| self.is_ours(&(*server).into()))
            }
        }
    }
}
