//! Randomness as a value.
//!
//! A request has one 64-bit number; every draw it needs is derived from that number and the purpose of the draw. The
//! number stands in the request's record, so one request can be replayed out of the middle of a log without the history
//! before it. This file owns the derivation and nothing else: no generator lives in core.
//!
//! The number itself is derived too: a run has a seed, from it each worker gets one ([`seed_of_worker`]), from that each
//! connection a number ([`Entropy::of_connection`]), and from that each request on it. So the same seed means the same
//! numbers under every runtime, however a wire cuts bytes and in whatever order connections are served.

use serde::{Deserialize, Serialize};

/// The one random number of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entropy(pub u64);

/// What a draw is for. Two purposes never share a draw, so adding a policy does not move another policy's dice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Draw {
    /// Which weighted destination of a route; the same for the whole life of the request (Envoy's stable random value).
    Destination = 1,
    /// Which priority of a cluster.
    Priority = 2,
    /// First choice of an endpoint.
    FirstChoice = 3,
    /// Second choice of an endpoint (power of two choices).
    SecondChoice = 4,
    /// The request id, when the client sent none: high half.
    RequestIdHigh = 5,
    /// The request id, when the client sent none: low half.
    RequestIdLow = 6,
    /// Whether a delay fault fires.
    FaultDelay = 7,
    /// Whether an abort fault fires.
    FaultAbort = 8,
    /// The jitter of a retry's back-off.
    Backoff = 9,
    /// Whether a mirror gets its copy; the index is the mirror's position in its rule.
    Mirror = 10,
    /// What stands in for the hash of a request that has nothing to hash.
    Hash = 11,
    /// Whether a request stays in the proxy's own locality.
    OwnZone = 20,
    /// Which other locality it goes to.
    OtherZone = 21,
    /// The jitter of a wait that a response asked for.
    RetryAfter = 30,
    /// Whether an ejection that a detector found is done.
    Enforcement = 40,
    /// Whether a rate limit looks at the request; the index is the limit's position in its order.
    RateLimitEnabled = 50,
    /// Whether a rate limit refuses what it may refuse; likewise.
    RateLimitEnforced = 51,
    /// Whether a global rate limit refuses a request that it could not be asked about; likewise.
    RateLimitFailure = 52,
    /// Whether a sampled access log takes the request.
    AccessLog = 90,
    /// The one random number of a question about the request; the index is the provider's position.
    Question = 63,
    /// The one random number of a question about rate limits; the index is the limit's position in its order.
    LimitQuestion = 64,
    /// The one random number of a copy, from which its own draws are derived; the same index.
    MirroredRequest = 60,
    /// The key of a websocket that is asked for without one: high half.
    WebsocketKeyHigh = 61,
    /// The same: low half.
    WebsocketKeyLow = 62,
    /// Whether a request that is neither failed nor slow is kept to be looked at.
    RecentSample = 65,
    /// Whether a request is traced whose id says nothing of that.
    Sampling = 80,
    /// The name of a trace that begins here: high half.
    TraceIdHigh = 81,
    /// The same: low half.
    TraceIdLow = 82,
    /// The name of a span: 0 is the request's, its attempts' count from 1.
    Span = 83,
    /// The one random number of a request, from its connection's; the index counts requests from 0.
    Request = 70,
}

/// The seed of a worker, from the seed of the run and the worker's number.
#[must_use]
pub const fn seed_of_worker(run: u64, worker: usize) -> u64 {
    mix(run.wrapping_add(worker as u64))
}

impl Entropy {
    /// The number of a connection, from the seed of the worker that accepted it and how many it had accepted before.
    #[must_use]
    pub const fn of_connection(worker: u64, before: u64) -> Self {
        Self(mix(worker ^ mix(before)))
    }

    /// The number of a request, from that of its connection and how many requests came before on it.
    #[must_use]
    pub const fn of_request(self, before: u64) -> Self {
        Self(self.draw(Draw::Request, before))
    }

    /// The number of a connection whose first request has this number: what [`Self::of_request`] makes of 0, backwards.
    #[must_use]
    pub const fn connection_of_first(self) -> Self {
        Self(unmix(self.0) ^ mix((Draw::Request as u64) << 32))
    }

    /// A number uniform in `0..2^64` for this purpose; `index` tells repeated draws of one purpose apart (attempts).
    #[must_use]
    pub const fn draw(self, purpose: Draw, index: u64) -> u64 {
        mix(self.0 ^ mix((purpose as u64) << 32 | (index & 0xffff_ffff)))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit numbers with full avalanche.
#[must_use]
pub const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What [`mix`] makes of a number, backwards. The factors are the inverses of its own, modulo 2^64.
const fn unmix(mixed: u64) -> u64 {
    let z = mixed ^ (mixed >> 31) ^ (mixed >> 62);
    let z = z.wrapping_mul(0x3196_42b2_d24d_8ec3);
    let z = z ^ (z >> 27) ^ (z >> 54);
    let z = z.wrapping_mul(0x96de_1b17_3f11_9089);
    let z = z ^ (z >> 30) ^ (z >> 60);
    z.wrapping_sub(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_differ_by_purpose_and_index() {
        let e = Entropy(7);
        assert_eq!(e.draw(Draw::Destination, 0), e.draw(Draw::Destination, 0));
        assert_ne!(e.draw(Draw::Destination, 0), e.draw(Draw::Priority, 0));
        assert_ne!(e.draw(Draw::Backoff, 0), e.draw(Draw::Backoff, 1));
    }

    #[test]
    fn a_connection_is_found_for_any_number_of_its_first_request() {
        for number in [0, 1, 7, u64::MAX, 1 << 63]
            .into_iter()
            .chain((1..999).map(mix))
        {
            assert_eq!(unmix(mix(number)), number);
            let wanted = Entropy(number);
            assert_eq!(wanted.connection_of_first().of_request(0), wanted);
        }
    }

    #[test]
    fn draws_are_near_uniform() {
        let mut counts = [0u32; 10];
        for i in 0..10_000 {
            counts[(Entropy(i).draw(Draw::Destination, 0) % 10) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
    }
}
