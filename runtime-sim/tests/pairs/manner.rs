//! What a client is, and what it asks for.

use outrigger_sim::Dice;

use crate::book::{Asked, Outcome};
use crate::kinds::Kind;

/// What a client is.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// It speaks HTTP/2, or HTTP/1.0.
    pub(crate) is_new: bool,
    pub(crate) is_old: bool,
    /// Requests it still makes.
    pub(crate) requests: u64,
    /// The most at a time.
    pub(crate) at_once: u64,
    /// Whom it asks, and where CONNECT goes.
    pub(crate) hosts: Vec<&'static str>,
    pub(crate) tunnels: Vec<&'static str>,
    /// Nothing that it asks of a service is let through.
    pub(crate) is_forbidden: bool,
    /// It asks the sidecar of an endpoint.
    pub(crate) is_direct: bool,
}

impl Manner {
    /// What is asked next.
    pub(crate) fn wish(&self, dice: &mut Dice) -> Asked {
        let mut kind = Kind::draw(dice);
        if kind == Kind::Connect && self.tunnels.is_empty() {
            kind = Kind::Get;
        }
        if self.is_old && (kind.is_tunnel() || kind == Kind::Put) {
            kind = Kind::Post;
        }
        let hosts = match kind {
            Kind::Connect => &self.tunnels,
            _ => &self.hosts,
        };
        let mut asked = Asked::new(kind, hosts[dice.below(hosts.len() as u64) as usize]);
        if matches!(kind, Kind::Post | Kind::Put) || kind.is_tunnel() {
            asked.body = match dice.below(24) {
                0..3 => 0,
                3 => dice.below(100_000) as usize,
                _ => dice.below(3000) as usize,
            };
        }
        asked.trailers = kind == Kind::Put && dice.coin();
        asked.te = !self.is_old && !kind.is_tunnel() && dice.coin();
        (asked.is_old, asked.is_new) = (self.is_old, self.is_new);
        asked.is_forbidden = self.is_forbidden && kind != Kind::Connect;
        asked.is_direct = self.is_direct;
        asked.outcome = Outcome::Open;
        asked
    }
}
