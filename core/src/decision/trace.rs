//! The trace that a request is part of: its names, and who decided whether its spans are told.
//!
//! Plain values. How headers say them is `policy::trace_headers`, who decides is `policy::sampling`.

use core::fmt;

use crate::entropy::{Draw, Entropy};

/// The name of a trace, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId {
    /// The number. One of 64 bits has zeros in front.
    pub number: u128,
    /// It has 64 bits, and is written so where the form allows it (B3).
    pub is_short: bool,
}

/// The name of a span within its trace, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, is_short } = self;
        let digits = if *is_short { 16 } else { 32 };
        write!(f, "{number:0digits$x}")
    }
}

impl SpanId {
    /// The span of a request.
    #[must_use]
    pub const fn of_request(entropy: Entropy) -> Self {
        Self::drawn(entropy, 0)
    }

    /// The span of the attempt that follows so many retries, which its endpoint is told.
    #[must_use]
    pub const fn of_try(entropy: Entropy, retries: u32) -> Self {
        Self::drawn(entropy, retries.saturating_add(1))
    }

    /// The span of an attempt, by its place among all, of which nobody was told.
    pub(super) const fn of_untold(entropy: Entropy, at: usize) -> Self {
        /// Above every number of retries that a policy may allow.
        const UNTOLD: u32 = 1 << 31;
        Self::drawn(entropy, UNTOLD | at as u32)
    }

    const fn drawn(entropy: Entropy, at: u32) -> Self {
        match entropy.draw(Draw::Span, at as u64) {
            0 => Self(1),
            number => Self(number),
        }
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Who decided whether the spans of a request are told, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampled {
    /// The caller's trace headers: yes, or no.
    ByCaller(bool),
    /// A proxy before this one, by a mark in `x-request-id` ([`RequestIdMark`]).
    ByRequestId(RequestIdMark),
    /// The client, by `x-client-trace-id`.
    ByClient,
    /// The configured share: it is one of those, or not.
    ByChance(bool),
}

impl Sampled {
    /// Whether spans are told.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        match self {
            Self::ByCaller(yes) | Self::ByChance(yes) => yes,
            Self::ByRequestId(_) | Self::ByClient => true,
        }
    }

    /// The mark that tells proxies further on; `None` when nothing is told.
    #[must_use]
    pub const fn mark(self) -> Option<RequestIdMark> {
        match self {
            Self::ByRequestId(mark) => Some(mark),
            Self::ByClient => Some(RequestIdMark::Client),
            Self::ByCaller(true) | Self::ByChance(true) => Some(RequestIdMark::Sampled),
            Self::ByCaller(false) | Self::ByChance(false) => None,
        }
    }
}

/// What the 15th character of `x-request-id` says to Envoy, where a UUID of version 4 has its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestIdMark {
    /// `9`: it fell into the share that is sampled.
    Sampled,
    /// `a`: a proxy forced it (`x-envoy-force-trace`).
    Forced,
    /// `b`: the client forced it (`x-client-trace-id`).
    Client,
}

/// The forms in which a trace stands in a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceForms {
    /// `traceparent`, with `tracestate` beside it (W3C Trace Context).
    pub w3c: bool,
    /// `x-b3-traceid` and what belongs to it.
    pub b3_multi: bool,
    /// `b3`.
    pub b3_single: bool,
}

impl TraceForms {
    /// None of them.
    pub const NONE: Self = Self {
        w3c: false,
        b3_multi: false,
        b3_single: false,
    };

    /// Those of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            w3c: self.w3c || other.w3c,
            b3_multi: self.b3_multi || other.b3_multi,
            b3_single: self.b3_single || other.b3_single,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !(self.w3c || self.b3_multi || self.b3_single)
    }
}

/// The trace that a request is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its name.
    pub id: TraceId,
    /// The caller's span; `None` where the trace begins here.
    pub parent: Option<SpanId>,
    /// The request's own span. Its attempts have spans of their own, below it.
    pub span: SpanId,
    /// Whether spans are told, and who decided that.
    pub sampled: Sampled,
    /// The caller asks for all details (B3's debug), which is passed on.
    pub is_debug: bool,
    /// How it is passed on.
    pub forms: TraceForms,
}
