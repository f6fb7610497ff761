//! What kinds of requests there are, and how many of each were played.

use core::fmt;

use outrigger_sim::Dice;

use crate::book::{Asked, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Head,
    /// With a length.
    Post,
    /// Without one.
    Put,
    /// To a websocket.
    Upgrade,
    /// A tunnel by CONNECT.
    Connect,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Upgrade,
        Self::Connect,
    ];

    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            // In HTTP/2; there too where the version is not known (RFC 8441).
            Self::Upgrade | Self::Connect => "CONNECT",
        }
    }

    pub(crate) const fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Upgrade)
    }

    pub(crate) const fn is_tunnel(self) -> bool {
        matches!(self, Self::Upgrade | Self::Connect)
    }

    pub(crate) fn draw(dice: &mut Dice) -> Self {
        match dice.below(16) {
            0..6 => Self::Get,
            6 => Self::Head,
            7..10 => Self::Post,
            10..13 => Self::Put,
            13..15 => Self::Upgrade,
            _ => Self::Connect,
        }
    }
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) worlds: u64,
    pub(crate) requests: u64,
    /// By kind, and version of the client: 1.0, 1.1, 2.
    pub(crate) kinds: [[u64; 3]; 6],
    /// Tunnels that were opened, and bytes that came through anything.
    pub(crate) tunnels: u64,
    pub(crate) bytes: u64,
    pub(crate) arrivals: u64,
    pub(crate) arrivals_in_http2: u64,
    pub(crate) paired: u64,
    pub(crate) trailers: u64,
    pub(crate) retries: u64,
    pub(crate) repeats: u64,
    pub(crate) copies: u64,
    pub(crate) forbidden: u64,
    pub(crate) secured: u64,
    pub(crate) cut: u64,
    pub(crate) left: u64,
    pub(crate) unheard: u64,
    /// Worlds by the workers of their first sidecar; reloads, drains, worlds with sidecars on both sides.
    pub(crate) workers: [u64; 3],
    pub(crate) reloads: u64,
    pub(crate) drains: u64,
    pub(crate) pairs: u64,
    pub(crate) digest: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, asked: &Asked) {
        if asked.outcome == Outcome::Unsent {
            return;
        }
        self.requests += 1;
        self.forbidden += u64::from(asked.is_forbidden);
        self.cut += u64::from(asked.outcome == Outcome::Cut);
        self.left += u64::from(asked.outcome == Outcome::Left);
        self.unheard += u64::from(asked.outcome == Outcome::Unheard);
        self.copies += asked.copies();
    }

    pub(crate) fn asks(&mut self, kind: Kind, version: usize) {
        let at = Kind::ALL.iter().position(|other| *other == kind);
        self.kinds[at.unwrap_or_default()][version] += 1;
    }

    pub(crate) fn sum(&mut self, other: &Self) {
        let of_kinds = self.kinds.iter_mut().flatten();
        of_kinds
            .zip(other.kinds.iter().flatten())
            .for_each(|(a, b)| *a += b);
        self.workers
            .iter_mut()
            .zip(other.workers)
            .for_each(|(a, b)| *a += b);
        for (own, more) in self.plain_mut().into_iter().zip(other.clone().plain_mut()) {
            *own += *more;
        }
        // Threads finish in any order.
        self.digest = self.digest.wrapping_add(other.digest);
    }

    const fn plain_mut(&mut self) -> [&mut u64; 19] {
        [
            &mut self.worlds,
            &mut self.requests,
            &mut self.tunnels,
            &mut self.bytes,
            &mut self.arrivals,
            &mut self.arrivals_in_http2,
            &mut self.paired,
            &mut self.trailers,
            &mut self.retries,
            &mut self.repeats,
            &mut self.copies,
            &mut self.forbidden,
            &mut self.secured,
            &mut self.cut,
            &mut self.left,
            &mut self.unheard,
            &mut self.reloads,
            &mut self.drains,
            &mut self.pairs,
        ]
    }

    /// Of everything that may happen, a good deal did: at least one in ten thousand requests.
    pub(crate) fn meet_everything(&self) {
        let least = self.requests / 10_000;
        let mut all = self.clone();
        // A client of HTTP/1.0 opens no tunnels, and has no bodies without a length.
        let kinds = self.kinds.iter().flat_map(|[_, one, two]| [*one, *two]);
        let old = [self.kinds[0][0], self.kinds[1][0], self.kinds[2][0]];
        let worlds = self.workers.iter().map(|count| count * 100);
        let rare = [self.reloads, self.drains, self.pairs].map(|count| count * 100);
        let mut plain = all.plain_mut().into_iter().map(|count| *count).take(16);
        assert!(
            plain.all(|count| count >= least)
                && kinds
                    .chain(old)
                    .chain(worlds)
                    .chain(rare)
                    .all(|count| count >= least),
            "{self}"
        );
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            worlds,
            requests,
            kinds,
            tunnels,
            bytes,
            arrivals,
            arrivals_in_http2,
            paired,
            trailers,
            ..
        } = self;
        writeln!(
            f,
            "simulated {requests} requests in {worlds} worlds, by kind and the version that the client speaks:"
        )?;
        for (kind, [old, one, two]) in Kind::ALL.iter().zip(kinds) {
            let kind = format!("{kind:?}").to_lowercase();
            writeln!(f, "  {kind:8} 1.0: {old:8}   1.1: {one:8}   2: {two:8}")?;
        }
        let [one, two, three] = self.workers;
        writeln!(
            f,
            "{arrivals} arrived at endpoints, {arrivals_in_http2} of them in HTTP/2; {paired} answers paired, {tunnels} \
             tunnels, {trailers} times trailers, {bytes} bytes of bodies; {} retries, {} sent again, {} copies for mirrors",
            self.retries, self.repeats, self.copies,
        )?;
        write!(
            f,
            "{} forbidden, {} connections told of TLS, {} answers cut, {} clients left, {} asked behind the last answer; \
             workers 1: {one}, 2: {two}, 3: {three}; {} worlds with sidecars on both sides, {} reloads, {} drains; \
             digest {:016x}",
            self.forbidden,
            self.secured,
            self.cut,
            self.left,
            self.unheard,
            self.pairs,
            self.reloads,
            self.drains,
            self.digest,
        )
    }
}
