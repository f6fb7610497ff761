//! How much a peer can make us do or hold, and what is counted when it tries more.
//!
//! Bodies have no limit here: they stream, and windows bound what is in memory.

use serde::{Deserialize, Serialize};

use super::heads::HeadLimits;
use crate::outbox::LOW_WATER;
use crate::time::Duration;

/// How often something may happen: `burst` times at once, and `per_second` times a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// In the long run; at least 1.
    pub per_second: u32,
}

/// When the peer is asked whether it is still there, as Istio's `http2KeepAlive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// How long after the connection began, and after each answer, a PING is sent.
    pub interval: Duration,
    /// How long its answer may take.
    pub timeout: Duration,
}

/// Bounds on everything a peer can send or make us send. Each has a counter in [`Counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Streams at once. Those that a peer opens beyond are answered REFUSED_STREAM; as a client, we open no more. As many
    /// again may have been reset without their owners being done with them: a peer that resets does not get rid of what it
    /// began.
    pub concurrent_streams: u32,
    /// Of one head, decoded. One that is larger costs its stream.
    pub heads: HeadLimits,
    /// Of trailers, likewise.
    pub trailers: HeadLimits,
    /// Bytes of one header block, as it is sent. A larger one costs the connection, since what follows cannot be decoded.
    /// More than [`HeadLimits::list_bytes`], so that a head that is just too large costs only its stream.
    pub block_bytes: usize,
    /// CONTINUATION frames of one header block.
    pub continuation_frames: u32,
    /// How long a header block may take from its first frame to its last.
    pub block_time: Duration,
    /// Interim heads of one response that nobody has taken yet.
    pub interim_heads: usize,
    /// Streams that the peer resets before they end.
    pub resets: Rate,
    /// Streams that the peer makes us reset, by breaking rules or opening too many.
    pub made_resets: Rate,
    /// Frames that answer the peer (SETTINGS and PING acknowledged, RST_STREAM) and wait because it does not read.
    pub control_frames: usize,
    /// Frames in a row that carry nothing and end nothing: DATA of one stream, or HEADERS and CONTINUATION.
    pub empty_frames: u32,
    /// PRIORITY frames for each stream that was opened, and one more.
    pub priority_frames: u32,
    /// WINDOW_UPDATE frames for each DATA frame that we sent; there are a few more for each stream.
    pub window_updates: u32,
    /// How long a stream may have something to send and no credit for any of it.
    pub stalled: Duration,
    /// How long our SETTINGS may wait to be acknowledged (RFC 9113 §6.5.3).
    pub settings_time: Duration,
    /// Bytes that the peer may send on one stream before we have passed them on; at most 2^31 - 1.
    pub stream_window: u32,
    /// Bytes on all streams that may be on their way; at most 2^31 - 1. It is given back as soon as they are here, so that
    /// a stream that is stuck does not stop the others; what is held is bounded by the windows of the streams.
    pub connection_window: u32,
    /// The owner of a stream is told when fewer unsent bytes than this are left: no more than whoever stops at a mark while
    /// memory is short goes on below.
    pub unsent_mark: usize,
    /// Whether and when the peer is asked if it is still there.
    pub keepalive: Option<KeepAlive>,
}

impl Limits {
    /// What a client may do: what Envoy advises for edges (streams, windows) and has by default (heads, control frames,
    /// empty frames, priorities, window updates), and nghttp2's defaults (CONTINUATION frames, rates of resets).
    pub const SERVER: Self = Self {
        concurrent_streams: 100,
        heads: HeadLimits::REQUEST,
        trailers: HeadLimits::TRAILERS,
        block_bytes: 128 * 1024,
        continuation_frames: 8,
        block_time: Duration::from_secs(15),
        interim_heads: 16,
        resets: Rate {
            burst: 1000,
            per_second: 33,
        },
        made_resets: Rate {
            burst: 1000,
            per_second: 33,
        },
        control_frames: 1000,
        empty_frames: 1,
        priority_frames: 100,
        window_updates: 10,
        stalled: Duration::from_secs(5 * 60),
        settings_time: Duration::from_secs(30),
        stream_window: 64 * 1024,
        connection_window: 1024 * 1024,
        unsent_mark: LOW_WATER,
        keepalive: None,
    };

    /// What an endpoint may do. It may be asked more at once than a client may ask.
    pub const CLIENT: Self = Self {
        concurrent_streams: 1024,
        heads: HeadLimits::RESPONSE,
        ..Self::SERVER
    };
}

/// How often each limit was met on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams that were opened beyond [`Limits::concurrent_streams`].
    pub refused_streams: u64,
    /// Heads and trailers beyond [`Limits::heads`] or [`Limits::trailers`], or malformed: each cost its stream.
    pub refused_heads: u64,
    /// Header blocks beyond [`Limits::block_bytes`].
    pub block_bytes: u64,
    /// Header blocks of more CONTINUATION frames than [`Limits::continuation_frames`].
    pub continuation_frames: u64,
    /// Header blocks that took longer than [`Limits::block_time`].
    pub block_time: u64,
    /// Responses with more interim heads than [`Limits::interim_heads`].
    pub interim_heads: u64,
    /// Streams that the peer reset before they ended.
    pub resets: u64,
    /// Connections that ended because of [`Limits::resets`].
    pub reset_floods: u64,
    /// Streams that the peer made us reset.
    pub made_resets: u64,
    /// Connections that ended because of [`Limits::made_resets`].
    pub made_reset_floods: u64,
    /// Connections that ended because of [`Limits::control_frames`].
    pub control_frames: u64,
    /// Connections that ended because of [`Limits::empty_frames`].
    pub empty_frames: u64,
    /// Connections that ended because of [`Limits::priority_frames`].
    pub priority_frames: u64,
    /// Connections that ended because of [`Limits::window_updates`].
    pub window_updates: u64,
    /// Streams that were reset because of [`Limits::stalled`].
    pub stalled: u64,
    /// Connections that ended because of [`Limits::settings_time`].
    pub settings_time: u64,
    /// More came than a window allowed: [`Limits::stream_window`] or [`Limits::connection_window`].
    pub windows: u64,
    /// Connections that ended because a PING was not answered within [`KeepAlive::timeout`].
    pub keepalive: u64,
    /// Frames of streams that had been closed or reset, which were ignored.
    pub late_frames: u64,
}

impl Counts {
    /// The names of all of them, in order.
    pub const NAMES: [&'static str; 19] = [
        "refused_streams",
        "refused_heads",
        "block_bytes",
        "continuation_frames",
        "block_time",
        "interim_heads",
        "resets",
        "reset_floods",
        "made_resets",
        "made_reset_floods",
        "control_frames",
        "empty_frames",
        "priority_frames",
        "window_updates",
        "stalled",
        "settings_time",
        "windows",
        "keepalive",
        "late_frames",
    ];

    /// All of them, in the order of their names.
    #[must_use]
    pub const fn values(&self) -> [u64; Self::NAMES.len()] {
        [
            self.refused_streams,
            self.refused_heads,
            self.block_bytes,
            self.continuation_frames,
            self.block_time,
            self.interim_heads,
            self.resets,
            self.reset_floods,
            self.made_resets,
            self.made_reset_floods,
            self.control_frames,
            self.empty_frames,
            self.priority_frames,
            self.window_updates,
            self.stalled,
            self.settings_time,
            self.windows,
            self.keepalive,
            self.late_frames,
        ]
    }

    /// What these values are, in the order of their names.
    #[must_use]
    pub const fn of(values: [u64; Self::NAMES.len()]) -> Self {
        let [
            refused_streams,
            refused_heads,
            block_bytes,
            continuation_frames,
            block_time,
            interim_heads,
            resets,
            reset_floods,
            made_resets,
            made_reset_floods,
            control_frames,
            empty_frames,
            priority_frames,
            window_updates,
            stalled,
            settings_time,
            windows,
            keepalive,
            late_frames,
        ] = values;
        Self {
            refused_streams,
            refused_heads,
            block_bytes,
            continuation_frames,
            block_time,
            interim_heads,
            resets,
            reset_floods,
            made_resets,
            made_reset_floods,
            control_frames,
            empty_frames,
            priority_frames,
            window_updates,
            stalled,
            settings_time,
            windows,
            keepalive,
            late_frames,
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, more: &Self) {
        let (mine, theirs) = (self.values(), more.values());
        *self = Self::of(core::array::from_fn(|at| mine[at] + theirs[at]));
    }
}

/// What there is to count of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// How often limits were met since the last report, if any was.
    pub met: Option<Counts>,
    /// Streams whose owners are not done.
    pub streams: usize,
    /// Bytes that it holds: those that wait on streams in either direction, and a header block that is not whole.
    pub held: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_names_in_one_order() {
        let mut values = core::array::from_fn(|at| at as u64);
        let mut counts = Counts::of(values);
        assert_eq!(counts.values(), values);
        assert_eq!(size_of::<Counts>(), size_of_val(&values), "no other");
        let told = format!("{counts:?}");
        let told = told.strip_prefix("Counts { ").expect("its name");
        let named = Counts::NAMES.iter().zip(values);
        let named: Vec<_> = named.map(|(name, at)| format!("{name}: {at}")).collect();
        assert_eq!(told, named.join(", ") + " }");
        counts.add(&counts.clone());
        values.iter_mut().for_each(|value| *value *= 2);
        assert_eq!(counts.values(), values);
    }
}
