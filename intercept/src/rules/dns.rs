//! Questions for names.

use super::{Chain, List, Match, Table, Target};
use crate::capture::{Dns, NameServers};

/// What the sidecar asks others, and their answers.
const TO_SERVERS: Target = Target::Zone(1);

/// What it is asked, and answers.
const FROM_CLIENTS: Target = Target::Zone(2);

impl List<'_> {
    /// The chain of questions. They are told by zones which of two connections with the same addresses a packet is of: what was
    /// asked, or what the sidecar asks on for it.
    pub(super) fn dns(&mut self) {
        let Some(Dns { port, servers }) = &self.capture.dns else {
            return;
        };
        if !self.captures_dns() {
            return;
        }
        let servers: Vec<Option<Match>> = match servers {
            NameServers::All => vec![None],
            NameServers::These(servers) => servers
                .iter()
                .map(|server| (*server).into())
                .filter(|server| self.is_ours(server))
                .map(|server| Some(Match::To(server)))
                .collect(),
        };
        for what in [Match::TcpTo(53), Match::UdpTo(53)] {
            for server in &servers {
                let matches: Vec<_> = [what.clone()].into_iter().chain(server.clone()).collect();
                let target = Target::Redirect(*port);
                self.add(Table::Nat, Chain::OutboundDns, matches, target);
            }
        }
        self.zones(*port, &servers);
    }

    fn zones(&mut self, port: u16, servers: &[Option<Match>]) {
        let capture = self.capture;
        let jump = |chain| Target::Jump(chain);
        self.add(Table::Raw, Chain::Output, [], jump(Chain::OutboundDns));
        let users = capture.users.iter().map(|id| Match::User(*id));
        let groups = capture.groups.iter().map(|id| Match::Group(*id));
        for owner in users.chain(groups) {
            let dns = [Match::UdpTo(53), owner.clone()];
            self.add(Table::Raw, Chain::OutboundDns, dns, TO_SERVERS);
            let answers = [Match::UdpFrom(port), owner];
            self.add(Table::Raw, Chain::OutboundDns, answers, FROM_CLIENTS);
        }
        self.add(Table::Raw, Chain::Prerouting, [], jump(Chain::Inbound));
        for server in servers {
            let asked: Vec<_> = [Match::UdpTo(53)]
                .into_iter()
                .chain(server.clone())
                .collect();
            self.add(Table::Raw, Chain::OutboundDns, asked, FROM_CLIENTS);
            let from = match server {
                Some(Match::To(range)) => Some(Match::From(*range)),
                Some(_) | None => None,
            };
            let answered: Vec<_> = [Match::UdpFrom(53)].into_iter().chain(from).collect();
            self.add(Table::Raw, Chain::Inbound, answered, TO_SERVERS);
        }
    }
}
