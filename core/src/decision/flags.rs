//! Response flags: the two or three letters by which Envoy's users search their logs.

use core::fmt;

/// One reason why a response was not an ordinary one. Declared in the order Envoy prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ResponseFlag {
    /// UH: no healthy upstream host.
    NoHealthyUpstream,
    /// UT: the request timed out.
    UpstreamRequestTimeout,
    /// LR: we reset the upstream stream.
    LocalReset,
    /// UR: the upstream reset the stream.
    UpstreamRemoteReset,
    /// UF: no connection to the upstream could be made.
    UpstreamConnectionFailure,
    /// UC: the upstream closed the connection under a request.
    UpstreamConnectionTermination,
    /// UO: a circuit limit was reached.
    UpstreamOverflow,
    /// NR: no route matched.
    NoRouteFound,
    /// DI: a delay was injected.
    DelayInjected,
    /// FI: an abort was injected.
    FaultInjected,
    /// DC: the client went away.
    DownstreamConnectionTermination,
    /// URX: retries were used up.
    UpstreamRetryLimitExceeded,
    /// SI: the stream was idle for too long.
    StreamIdleTimeout,
    /// DPE: the client broke the protocol.
    DownstreamProtocolError,
    /// UPE: the upstream broke the protocol.
    UpstreamProtocolError,
    /// NC: the route's cluster does not exist.
    NoClusterFound,
    /// DF: the upstream's name could not be resolved.
    DnsResolutionFailed,
}

const ALL: [(ResponseFlag, &str); 17] = [
    (ResponseFlag::NoHealthyUpstream, "UH"),
    (ResponseFlag::UpstreamRequestTimeout, "UT"),
    (ResponseFlag::LocalReset, "LR"),
    (ResponseFlag::UpstreamRemoteReset, "UR"),
    (ResponseFlag::UpstreamConnectionFailure, "UF"),
    (ResponseFlag::UpstreamConnectionTermination, "UC"),
    (ResponseFlag::UpstreamOverflow, "UO"),
    (ResponseFlag::NoRouteFound, "NR"),
    (ResponseFlag::DelayInjected, "DI"),
    (ResponseFlag::FaultInjected, "FI"),
    (ResponseFlag::DownstreamConnectionTermination, "DC"),
    (ResponseFlag::UpstreamRetryLimitExceeded, "URX"),
    (ResponseFlag::StreamIdleTimeout, "SI"),
    (ResponseFlag::DownstreamProtocolError, "DPE"),
    (ResponseFlag::UpstreamProtocolError, "UPE"),
    (ResponseFlag::NoClusterFound, "NC"),
    (ResponseFlag::DnsResolutionFailed, "DF"),
];

/// A set of response flags. Prints as Envoy does: joined by commas in a fixed order, `-` when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseFlags(u32);

impl ResponseFlags {
    /// Adds a flag.
    pub const fn insert(&mut self, flag: ResponseFlag) {
        self.0 |= 1 << flag as u8;
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn contains(self, flag: ResponseFlag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut first = true;
        for (_, text) in ALL.iter().filter(|(flag, _)| self.contains(*flag)) {
            f.write_str(if first { "" } else { "," })?;
            f.write_str(text)?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_envoy_does() {
        let mut flags = ResponseFlags::default();
        assert_eq!(flags.to_string(), "-");
        flags.insert(ResponseFlag::UpstreamRetryLimitExceeded);
        flags.insert(ResponseFlag::UpstreamConnectionFailure);
        assert_eq!(flags.to_string(), "UF,URX");
        for (at, (flag, _)) in ALL.iter().enumerate() {
            assert_eq!(
                *flag as usize, at,
                "the table stands in the order of the variants"
            );
        }
    }
}
