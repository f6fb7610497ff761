//! Connections that arrive.

use super::{Chain, List, Match, TO_OURSELVES, Table, Target, inbound_source, loopback};
use crate::capture::{Mode, Ports, Ranges};

impl List<'_> {
    /// The chains of connections that arrive, and the jump to them.
    pub(super) fn inbound(&mut self) {
        let capture = self.capture;
        let table = match capture.mode {
            Mode::Redirect => Table::Nat,
            Mode::Tproxy { .. } => Table::Mangle,
        };
        self.virtual_machines(table);
        self.add(
            Table::Nat,
            Chain::InRedirect,
            [Match::Tcp],
            Target::Redirect(capture.inbound_port),
        );
        if capture.inbound == Ports::These(Vec::new()) {
            return;
        }
        self.add(
            table,
            Chain::Prerouting,
            [Match::Tcp],
            Target::Jump(Chain::Inbound),
        );
        if let Mode::Tproxy { mark, .. } = capture.mode {
            self.tproxy_exemptions(mark);
        }
        for name in &capture.exclude_interfaces {
            self.add(
                table,
                Chain::Inbound,
                [Match::In(name.clone())],
                Target::Return,
            );
        }
        self.add(
            table,
            Chain::Inbound,
            [Match::TcpTo(capture.tunnel_port)],
            Target::Return,
        );
        match &capture.inbound {
            Ports::All => {
                for port in &capture.exclude_inbound {
                    self.add(table, Chain::Inbound, [Match::TcpTo(*port)], Target::Return);
                }
                self.capture_inbound(Match::Tcp);
            }
            Ports::These(ports) => {
                for port in ports {
                    self.capture_inbound(Match::TcpTo(*port));
                }
            }
        }
    }

    fn capture_inbound(&mut self, what: Match) {
        let capture = self.capture;
        match capture.mode {
            Mode::Redirect => {
                self.add(
                    Table::Nat,
                    Chain::Inbound,
                    [what],
                    Target::Jump(Chain::InRedirect),
                );
            }
            Mode::Tproxy { .. } => {
                self.add(
                    Table::Mangle,
                    Chain::Inbound,
                    [what.clone(), Match::Established],
                    Target::Jump(Chain::Divert),
                );
                self.add(
                    Table::Mangle,
                    Chain::Inbound,
                    [what],
                    Target::Jump(Chain::Tproxy),
                );
            }
        }
    }

    /// What comes from a virtual machine is outbound, as far as its address is captured, and nothing else of it is.
    fn virtual_machines(&mut self, table: Table) {
        let capture = self.capture;
        for name in &capture.reroute_interfaces {
            let by = Match::In(name.clone());
            let to: Vec<Option<Match>> = match &capture.outbound {
                Ranges::All => vec![None],
                Ranges::These(ranges) => ranges
                    .iter()
                    .filter(|range| self.is_ours(range))
                    .map(|range| Some(Match::To(*range)))
                    .collect(),
            };
            for to in to {
                let matches: Vec<_> = [by.clone()].into_iter().chain(to).collect();
                let target = Target::Jump(Chain::Redirect);
                self.add(Table::Nat, Chain::Prerouting, matches, target);
            }
            self.add(table, Chain::Inbound, [by], Target::Return);
        }
    }

    /// The chains that route connections to the sidecar as they are, and what they leave alone: what is marked already, what
    /// the sidecar sends to its application, and what the application sends to itself.
    fn tproxy_exemptions(&mut self, mark: u32) {
        let capture = self.capture;
        let marked = Target::SetMark(mark);
        self.add(Table::Mangle, Chain::Divert, [], marked);
        self.add(Table::Mangle, Chain::Divert, [], Target::Accept);
        self.add(
            Table::Mangle,
            Chain::Tproxy,
            [Match::NotTo(loopback(self.family)), Match::Tcp],
            Target::Tproxy {
                port: capture.inbound_port,
                mark,
            },
        );
        let lo = || Match::In("lo".into());
        // What the sidecar sends with a client's address marks its connection.
        self.add(
            Table::Mangle,
            Chain::Inbound,
            [Match::Tcp, Match::Mark(mark)],
            Target::SaveMark,
        );
        for matches in [
            vec![Match::Tcp, Match::Mark(mark)],
            vec![Match::Tcp, Match::From(inbound_source(self.family)), lo()],
            vec![Match::Tcp, lo(), Match::NotMark(TO_OURSELVES)],
        ] {
            self.add(Table::Mangle, Chain::Inbound, matches, Target::Return);
        }
    }

    /// Packets that leave get marks by who sends them and from their connections, so that answers find their way.
    pub(super) fn tproxy_marks(&mut self, mark: u32) {
        let capture = self.capture;
        let lo = || Match::Out("lo".into());
        self.add(
            Table::Mangle,
            Chain::Output,
            [Match::Tcp],
            Target::Jump(Chain::Outbound),
        );
        self.add(
            Table::Mangle,
            Chain::Outbound,
            [Match::Tcp, lo(), Match::Mark(mark)],
            Target::Return,
        );
        let users = capture.users.iter().map(|id| Match::User(*id));
        let groups = capture.groups.iter().map(|id| Match::Group(*id));
        for owner in users.chain(groups) {
            self.add(
                Table::Mangle,
                Chain::Outbound,
                [Match::NotTo(loopback(self.family)), Match::Tcp, lo(), owner],
                Target::SetMark(TO_OURSELVES),
            );
        }
        self.add(
            Table::Mangle,
            Chain::Outbound,
            [Match::Tcp, Match::ConnectionMark(mark)],
            Target::RestoreMark,
        );
    }
}
