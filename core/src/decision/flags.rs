//! Response flags: the two or three letters by which Envoy's users search their logs. They are derived from a record.

use core::fmt;

use super::details::{Details, Refused, ResetReason};
use super::record::{Followed, Record};

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
    /// RL: a rate limit refused the request.
    RateLimited,
    /// UAEX: somebody who was asked about the request refused it.
    UnauthorizedExternalService,
    /// RLSE: the service that keeps global rate limits could not be asked.
    RateLimitServiceError,
    /// DC: the client went away.
    DownstreamConnectionTermination,
    /// URX: retries were used up.
    UpstreamRetryLimitExceeded,
    /// SI: the stream was idle for too long.
    StreamIdleTimeout,
    /// DPE: the client broke the protocol.
    DownstreamProtocolError,
    /// DT: a connection lasted for as long as it may.
    DurationTimeout,
    /// UPE: the upstream broke the protocol.
    UpstreamProtocolError,
    /// NC: the route's cluster does not exist.
    NoClusterFound,
    /// OM: the proxy itself has no room for new work.
    OverloadManager,
    /// DF: the upstream's name could not be resolved.
    DnsResolutionFailed,
    /// DR: the client reset the stream.
    DownstreamRemoteReset,
}

/// Each flag, its short name, and the position of Envoy's bit for it.
const ALL: [(ResponseFlag, &str, u8); 23] = [
    (ResponseFlag::NoHealthyUpstream, "UH", 1),
    (ResponseFlag::UpstreamRequestTimeout, "UT", 2),
    (ResponseFlag::LocalReset, "LR", 3),
    (ResponseFlag::UpstreamRemoteReset, "UR", 4),
    (ResponseFlag::UpstreamConnectionFailure, "UF", 5),
    (ResponseFlag::UpstreamConnectionTermination, "UC", 6),
    (ResponseFlag::UpstreamOverflow, "UO", 7),
    (ResponseFlag::NoRouteFound, "NR", 8),
    (ResponseFlag::DelayInjected, "DI", 9),
    (ResponseFlag::FaultInjected, "FI", 10),
    (ResponseFlag::RateLimited, "RL", 11),
    (ResponseFlag::UnauthorizedExternalService, "UAEX", 12),
    (ResponseFlag::RateLimitServiceError, "RLSE", 13),
    (ResponseFlag::DownstreamConnectionTermination, "DC", 14),
    (ResponseFlag::UpstreamRetryLimitExceeded, "URX", 15),
    (ResponseFlag::StreamIdleTimeout, "SI", 16),
    (ResponseFlag::DownstreamProtocolError, "DPE", 18),
    (ResponseFlag::DurationTimeout, "DT", 22),
    (ResponseFlag::UpstreamProtocolError, "UPE", 23),
    (ResponseFlag::NoClusterFound, "NC", 24),
    (ResponseFlag::OverloadManager, "OM", 25),
    (ResponseFlag::DnsResolutionFailed, "DF", 26),
    (ResponseFlag::DownstreamRemoteReset, "DR", 28),
];

/// A set of response flags. Prints as Envoy does: joined by commas in a fixed order, `-` when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseFlags(u32);

impl ResponseFlags {
    /// Adds a flag.
    const fn insert(&mut self, flag: ResponseFlag) {
        self.0 |= 1 << flag as u8;
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn contains(self, flag: ResponseFlag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// The flags as a number, with Envoy's bit for each.
    #[must_use]
    pub fn bits(self) -> u64 {
        let set = ALL.iter().filter(|(flag, ..)| self.contains(*flag));
        set.map(|(.., bit)| 1 << bit).sum()
    }

    /// Prints the long names, such as `NoHealthyUpstream`, joined by commas.
    #[must_use]
    pub const fn long(self) -> impl fmt::Display {
        LongFlags(self)
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Record {
    /// What happened, as Envoy's flags.
    #[must_use]
    pub fn flags(&self) -> ResponseFlags {
        let mut flags = ResponseFlags::default();
        if self.delayed.is_some() {
            flags.insert(ResponseFlag::DelayInjected);
        }
        if let Some(flag) = of_details(&self.details) {
            flags.insert(flag);
        }
        for attempt in &self.attempts {
            match attempt.followed {
                Followed::NoRetriesLeft { .. } => {
                    flags.insert(ResponseFlag::UpstreamRetryLimitExceeded);
                }
                Followed::RetriesFull(_) => flags.insert(ResponseFlag::UpstreamOverflow),
                Followed::Nothing
                | Followed::CannotRepeat
                | Followed::Retry { .. }
                | Followed::RetryAfter { .. }
                | Followed::Hedge { .. } => {}
            }
        }
        flags
    }
}

const fn of_details(details: &Details) -> Option<ResponseFlag> {
    Some(match details {
        Details::None
        | Details::ViaUpstream
        | Details::DirectResponse
        | Details::CorsPreflight
        | Details::AccessDenied(_)
        | Details::JwtDenied(_)
        | Details::MaxDurationTimeout
        | Details::ConnectionIdleTimeout => return None,
        Details::MaxConnectionDuration => ResponseFlag::DurationTimeout,
        Details::StreamIdleTimeout => ResponseFlag::StreamIdleTimeout,
        Details::RouteNotFound => ResponseFlag::NoRouteFound,
        Details::ClusterNotFound => ResponseFlag::NoClusterFound,
        Details::NoHealthyUpstream => ResponseFlag::NoHealthyUpstream,
        Details::ResetBeforeResponse(reason) => before_response(*reason),
        Details::ResetAfterResponse(reason) => after_response(*reason),
        // Nothing was wrong with what came of it: Envoy has no flag for that.
        Details::Refused(Refused { status: 408, .. }) => return None,
        Details::Refused(_) => ResponseFlag::DownstreamProtocolError,
        Details::DownstreamRemoteDisconnect => ResponseFlag::DownstreamConnectionTermination,
        Details::DownstreamRemoteReset => ResponseFlag::DownstreamRemoteReset,
        Details::DownstreamProtocolError => ResponseFlag::DownstreamProtocolError,
        Details::ResponseTimeout | Details::PerTryTimeout => ResponseFlag::UpstreamRequestTimeout,
        Details::FaultAbort => ResponseFlag::FaultInjected,
        Details::RateLimited | Details::RequestRateLimited => ResponseFlag::RateLimited,
        Details::RateLimiterError => ResponseFlag::RateLimitServiceError,
        Details::ExternalAuthorizationDenied | Details::ExternalAuthorizationError => {
            ResponseFlag::UnauthorizedExternalService
        }
        Details::ConcurrencyLimit => ResponseFlag::UpstreamOverflow,
        Details::Overload => ResponseFlag::OverloadManager,
    })
}

const fn before_response(reason: ResetReason) -> ResponseFlag {
    match reason {
        ResetReason::RemoteConnectionFailure
        | ResetReason::Tls(_)
        | ResetReason::LocalConnectionFailure
        | ResetReason::ConnectionTimeout => ResponseFlag::UpstreamConnectionFailure,
        ResetReason::Unresolved => ResponseFlag::DnsResolutionFailed,
        ResetReason::ConnectionTermination => ResponseFlag::UpstreamConnectionTermination,
        ResetReason::RemoteReset | ResetReason::RemoteRefusedStreamReset => {
            ResponseFlag::UpstreamRemoteReset
        }
        ResetReason::ProtocolError => ResponseFlag::UpstreamProtocolError,
        ResetReason::Overflow(_) => ResponseFlag::UpstreamOverflow,
        ResetReason::PerTryTimeout => ResponseFlag::UpstreamRequestTimeout,
        ResetReason::LocalReset => ResponseFlag::LocalReset,
    }
}

/// A response that had begun and was cut.
const fn after_response(reason: ResetReason) -> ResponseFlag {
    match reason {
        ResetReason::RemoteReset | ResetReason::RemoteRefusedStreamReset => {
            ResponseFlag::UpstreamRemoteReset
        }
        ResetReason::ProtocolError => ResponseFlag::UpstreamProtocolError,
        ResetReason::LocalReset | ResetReason::PerTryTimeout => {
            ResponseFlag::UpstreamRequestTimeout
        }
        ResetReason::RemoteConnectionFailure
        | ResetReason::Tls(_)
        | ResetReason::LocalConnectionFailure
        | ResetReason::ConnectionTimeout
        | ResetReason::ConnectionTermination
        | ResetReason::Overflow(_)
        | ResetReason::Unresolved => ResponseFlag::UpstreamConnectionTermination,
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let set = ALL.iter().filter(|(flag, ..)| self.contains(*flag));
        for (at, (_, text, _)) in set.enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            f.write_str(text)?;
        }
        Ok(())
    }
}

/// Flags by their long names, which are those of the variants.
struct LongFlags(ResponseFlags);

impl fmt::Display for LongFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = ALL.iter().filter(|(flag, ..)| self.0.contains(*flag));
        for (at, (flag, ..)) in set.enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            write!(f, "{flag:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Counted, RetriesFull};
    use crate::decision::Overflow;

    #[test]
    fn every_failure_has_its_flag() {
        use ResetReason as R;
        for (reason, before, after) in [
            (R::RemoteConnectionFailure, "UF", "UC"),
            (R::LocalConnectionFailure, "UF", "UC"),
            (R::ConnectionTimeout, "UF", "UC"),
            (R::ConnectionTermination, "UC", "UC"),
            (R::ProtocolError, "UPE", "UPE"),
            (
                R::Overflow(Overflow {
                    counted: Counted::Pending,
                    limit: 1,
                }),
                "UO",
                "UC",
            ),
            (R::PerTryTimeout, "UT", "UT"),
            (R::LocalReset, "LR", "UT"),
            (R::Unresolved, "DF", "UC"),
        ] {
            for (details, want) in [
                (Details::ResetBeforeResponse(reason), before),
                (Details::ResetAfterResponse(reason), after),
            ] {
                let record = Record {
                    details,
                    ..Record::default()
                };
                assert_eq!(record.flags().to_string(), want, "{:?}", record.details);
            }
        }
    }

    #[test]
    fn delays_and_retries_that_were_not_made_add_theirs() {
        let mut record = Record {
            details: Details::ViaUpstream,
            delayed: Some(crate::time::Duration::from_secs(1)),
            ..Record::default()
        };
        assert_eq!(record.flags().to_string(), "DI");
        for (followed, want) in [
            (Followed::Nothing, "DI"),
            (Followed::CannotRepeat, "DI"),
            (Followed::NoRetriesLeft { allowed: 2 }, "DI,URX"),
            (
                Followed::RetriesFull(RetriesFull::Count { limit: 1 }),
                "UO,DI",
            ),
        ] {
            record.attempts = smallvec::smallvec![crate::decision::Attempt {
                cluster: None,
                endpoint: 0,
                picked: crate::decision::Picked::simply(crate::decision::PickedBy::Only),
                reused: false,
                began: crate::time::Instant::default(),
                end: crate::decision::AttemptEnd::Response(503),
                ended: crate::time::Instant::ZERO,
                followed,
                ejected: None,
            }];
            assert_eq!(record.flags().to_string(), want, "{followed:?}");
        }
    }

    #[test]
    fn prints_as_envoy_does() {
        let mut flags = ResponseFlags::default();
        assert_eq!(flags.to_string(), "-");
        flags.insert(ResponseFlag::UpstreamRetryLimitExceeded);
        flags.insert(ResponseFlag::UpstreamConnectionFailure);
        assert_eq!(flags.to_string(), "UF,URX");
        let long = "UpstreamConnectionFailure,UpstreamRetryLimitExceeded";
        assert_eq!(flags.long().to_string(), long);
        assert_eq!(flags.bits(), 0x8020);
        for (at, (flag, ..)) in ALL.iter().enumerate() {
            assert_eq!(
                *flag as usize, at,
                "the table stands in the order of the variants"
            );
        }
    }
}
