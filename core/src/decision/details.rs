//! Why a response is what it is, in Envoy's words (`%RESPONSE_CODE_DETAILS%`), and the text of local replies.

use core::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::cluster::Counted;
use crate::jose::TokenFault;
use crate::peer::TlsFaultKind;

/// Why an attempt ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetReason {
    /// The endpoint refused the connection or was unreachable.
    RemoteConnectionFailure,
    /// The connection was made, and TLS could not be agreed on.
    Tls(TlsFaultKind),
    /// We could not even begin to connect (no socket, no address).
    LocalConnectionFailure,
    /// The connection was not made in time.
    ConnectionTimeout,
    /// The connection ended under the request.
    ConnectionTermination,
    /// The endpoint gave the request's stream up.
    RemoteReset,
    /// The endpoint did not look at the request (HTTP/2 REFUSED_STREAM, or GOAWAY).
    RemoteRefusedStreamReset,
    /// The upstream broke the protocol.
    ProtocolError,
    /// A circuit limit of the cluster was reached.
    Overflow(Overflow),
    /// The endpoint's name could not be resolved.
    Unresolved,
    /// The attempt took longer than `perTryTimeout`.
    PerTryTimeout,
    /// We gave the attempt up.
    LocalReset,
}

/// Which circuit limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// What is counted.
    pub counted: Counted,
    /// How many there may be.
    pub limit: u32,
}

impl ResetReason {
    /// As Envoy writes it in local replies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RemoteConnectionFailure | Self::Tls(_) => "remote connection failure",
            Self::LocalConnectionFailure => "local connection failure",
            Self::ConnectionTimeout => "connection timeout",
            Self::ConnectionTermination => "connection termination",
            Self::RemoteReset => "remote reset",
            Self::RemoteRefusedStreamReset => "remote refused stream reset",
            Self::ProtocolError => "protocol error",
            Self::Overflow(_) => "overflow",
            Self::Unresolved => "dns resolution failure",
            Self::PerTryTimeout => "per try timeout",
            Self::LocalReset => "local reset",
        }
    }

    /// What stood in the way beneath HTTP, as Envoy adds it to local replies; the rest of it is for logs, not for clients.
    #[must_use]
    pub fn transport_failure(self) -> Option<&'static str> {
        match self {
            Self::Tls(_) => self.as_detail().split_once(':').map(|(_, word)| word),
            Self::RemoteConnectionFailure
            | Self::LocalConnectionFailure
            | Self::ConnectionTimeout
            | Self::ConnectionTermination
            | Self::RemoteReset
            | Self::RemoteRefusedStreamReset
            | Self::ProtocolError
            | Self::Overflow(_)
            | Self::Unresolved
            | Self::PerTryTimeout
            | Self::LocalReset => None,
        }
    }

    /// As Envoy writes it in response code details. What stands in the way of TLS is named as BoringSSL names it.
    #[must_use]
    pub const fn as_detail(self) -> &'static str {
        match self {
            Self::RemoteConnectionFailure => "remote_connection_failure",
            Self::Tls(kind) => match kind {
                TlsFaultKind::NotTls | TlsFaultKind::HelloTooLong => {
                    "remote_connection_failure|TLS_error:WRONG_VERSION_NUMBER"
                }
                TlsFaultKind::Refused => "remote_connection_failure|TLS_error:PEER_ALERT",
                TlsFaultKind::Untrusted | TlsFaultKind::WrongName => {
                    "remote_connection_failure|TLS_error:CERTIFICATE_VERIFY_FAILED"
                }
                TlsFaultKind::NoCertificate => {
                    "remote_connection_failure|TLS_error:PEER_DID_NOT_RETURN_A_CERTIFICATE"
                }
                TlsFaultKind::NoIdentity => {
                    "remote_connection_failure|TLS_error:NO_CERTIFICATE_SET"
                }
                TlsFaultKind::NothingInCommon => {
                    "remote_connection_failure|TLS_error:HANDSHAKE_FAILURE"
                }
            },
            Self::LocalConnectionFailure => "local_connection_failure",
            Self::ConnectionTimeout => "connection_timeout",
            Self::ConnectionTermination => "connection_termination",
            Self::RemoteReset => "remote_reset",
            Self::RemoteRefusedStreamReset => "remote_refused_stream_reset",
            Self::ProtocolError => "protocol_error",
            Self::Overflow(_) => "overflow",
            Self::Unresolved => "dns_resolution_failure",
            Self::PerTryTimeout => "per_try_timeout",
            Self::LocalReset => "local_reset",
        }
    }
}

/// A message the codec or the connection rules refused, with the status it earns.
///
/// Each reason is documented where it is decided (`http1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status to answer a client with; an upstream's refused message is answered 502 whatever this says.
    pub status: u16,
    /// Response code details, such as `http1.content_length_and_chunked_not_allowed`.
    pub details: &'static str,
    /// What was wrong, for people.
    pub explain: &'static str,
    /// The limit of HTTP/1 that it does not keep to, if it is that.
    pub limit: Option<Http1Limit>,
}

/// What a peer may not have without end in a message of HTTP/1. Each is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http1Limit {
    /// Bytes of a head.
    HeadBytes,
    /// Fields of a head or of trailers.
    HeadFields,
    /// Bytes of the line before a chunk.
    ChunkLineBytes,
    /// Bytes of all extensions of the chunks of a message.
    ChunkExtensionBytes,
    /// Bytes of trailers.
    TrailerBytes,
    /// Interim responses (1xx) to a request, of all its attempts.
    InterimResponses,
    /// Time without a request on a connection.
    IdleTime,
}

impl Http1Limit {
    /// The names that all are counted under, in order.
    pub const NAMES: [&'static str; 7] = [
        "head_bytes",
        "head_fields",
        "chunk_line_bytes",
        "chunk_extension_bytes",
        "trailer_bytes",
        "interim_responses",
        "idle_time",
    ];
}

/// Why the response is what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// There was no response.
    #[default]
    None,
    /// The upstream said so.
    ViaUpstream,
    /// No rule of the virtual host matched, or there is no virtual host.
    RouteNotFound,
    /// The rule names a cluster that does not exist.
    ClusterNotFound,
    /// The cluster has no endpoint to pick.
    NoHealthyUpstream,
    /// The rule answers by itself: direct response, redirect, or blocked egress.
    DirectResponse,
    /// A CORS preflight was answered.
    CorsPreflight,
    /// The attempt ended before a response began.
    ResetBeforeResponse(ResetReason),
    /// The attempt ended after the response had begun: the client's stream was cut.
    ResetAfterResponse(ResetReason),
    /// The request was refused.
    Refused(Refused),
    /// The client went away.
    DownstreamRemoteDisconnect,
    /// The client reset the request's stream.
    DownstreamRemoteReset,
    /// The client broke the protocol on the request's stream, which was reset for it.
    DownstreamProtocolError,
    /// The route's timeout ran out.
    ResponseTimeout,
    /// An attempt took longer than `perTryTimeout` and was not tried again.
    PerTryTimeout,
    /// An abort was injected.
    FaultAbort,
    /// Nothing of the request or its response moved for too long.
    StreamIdleTimeout,
    /// A gRPC call took longer than its client waits.
    MaxDurationTimeout,
    /// Nothing passed on a connection that is not HTTP for too long.
    ConnectionIdleTimeout,
    /// A connection that is not HTTP lasted for as long as it may.
    MaxConnectionDuration,
    /// An AuthorizationPolicy refused it: the rule that did, by name, or none that says that it may pass.
    AccessDenied(Option<Arc<str>>),
    /// A provider of an AuthorizationPolicy refused it.
    ExternalAuthorizationDenied,
    /// A provider of an AuthorizationPolicy could not be asked.
    ExternalAuthorizationError,
    /// A local rate limit had no token for the request.
    RateLimited,
    /// The service that keeps global rate limits says that the request is over one.
    RequestRateLimited,
    /// That service could not be asked.
    RateLimiterError,
    /// A token was not accepted, or a required one is missing.
    JwtDenied(TokenFault),
    /// The cluster had as many requests under way as its response times allow.
    ConcurrencyLimit,
    /// The proxy itself has no room for new work.
    Overload,
}

/// In a recording it is what Envoy calls it.
impl Details {
    /// Whether it is why we ended a connection that is not HTTP (`%CONNECTION_TERMINATION_DETAILS%`).
    #[must_use]
    pub const fn ends_connections(&self) -> bool {
        matches!(
            self,
            Self::ConnectionIdleTimeout | Self::MaxConnectionDuration | Self::AccessDenied(_)
        )
    }
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "-",
            Self::ViaUpstream => "via_upstream",
            Self::RouteNotFound => "route_not_found",
            Self::ClusterNotFound => "cluster_not_found",
            Self::NoHealthyUpstream => "no_healthy_upstream",
            Self::DirectResponse => "direct_response",
            Self::CorsPreflight => "cors_response",
            Self::ResetBeforeResponse(reason) => {
                return write!(
                    f,
                    "upstream_reset_before_response_started{{{}}}",
                    reason.as_detail()
                );
            }
            Self::ResetAfterResponse(reason) => {
                return write!(
                    f,
                    "upstream_reset_after_response_started{{{}}}",
                    reason.as_detail()
                );
            }
            Self::Refused(refused) => refused.details,
            Self::DownstreamRemoteDisconnect => "downstream_remote_disconnect",
            Self::DownstreamRemoteReset => "http2.remote_reset",
            Self::DownstreamProtocolError => "http2.violation.of.messaging.rule",
            Self::ResponseTimeout => "response_timeout",
            Self::PerTryTimeout => "upstream_per_try_timeout",
            Self::FaultAbort => "fault_filter_abort",
            Self::StreamIdleTimeout => "stream_idle_timeout",
            Self::MaxDurationTimeout => "max_duration_timeout",
            Self::ConnectionIdleTimeout => "tcp_session_idle_timeout",
            Self::MaxConnectionDuration => "max_connection_duration_reached",
            Self::AccessDenied(by) => {
                let by = by.as_deref().unwrap_or("none");
                return write!(f, "rbac_access_denied_matched_policy[{by}]");
            }
            Self::ExternalAuthorizationDenied => "ext_authz_denied",
            Self::ExternalAuthorizationError => "ext_authz_error",
            Self::RateLimited => "local_rate_limited",
            Self::RequestRateLimited => "request_rate_limited",
            Self::Overload => "overload",
            Self::RateLimiterError => "rate_limiter_error",
            Self::JwtDenied(fault) => {
                f.write_str("jwt_authn_access_denied{")?;
                for (at, word) in fault.as_str().split(' ').enumerate() {
                    f.write_str(if at > 0 { "_" } else { "" })?;
                    f.write_str(word)?;
                }
                return f.write_str("}");
            }
            Self::ConcurrencyLimit => "reached_concurrency_limit",
        })
    }
}
