//! The whole story of one request, written as it happens and read by everything that shows it.

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::authentication::Authentication;
use super::authorization::AuthorizationSeen;
use super::connection::Connection;
use super::details::{Details, ResetReason};
use super::external::{Checked, ToldFields};
use super::grpc_web::GrpcWeb;
use super::hashing::RequestHash;
use super::picked::{Picked, PickedBy};
use super::trace::{SpanId, Trace};
use crate::cluster::{Limited, Permit, Reason, RetriesFull};
use crate::entropy::Entropy;
use crate::jose::Token;
use crate::message::RequestHead;
use crate::peer::TlsFault;
use crate::snapshot::{ClusterId, Endpoint, RateLimitId, Snapshot, VirtualHostId};
use crate::time::{Duration, Instant};

/// Which rule applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteDecision {
    /// The request never reached routing.
    #[default]
    NotReached,
    /// No service has this host; the egress policy decided.
    UnknownHost,
    /// A virtual host was found, and none of its rules matched.
    NoRule {
        /// The virtual host whose rules were tried.
        virtual_host: VirtualHostId,
    },
    /// This rule matched.
    Rule {
        /// The virtual host.
        virtual_host: VirtualHostId,
        /// The position of the rule in the virtual host.
        rule: u32,
        /// The position of the destination in the rule, for rules that forward.
        destination: Option<u32>,
    },
    /// This is no client's request but the copy of one, for a mirror of the rule that applied to that one.
    Mirror {
        /// The virtual host.
        virtual_host: VirtualHostId,
        /// The position of the rule in the virtual host.
        rule: u32,
        /// The position of the mirror in the rule.
        mirror: u32,
    },
}

/// What became of the copy for one mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorFate {
    /// There is none: the request ended before it was received whole.
    Incomplete,
    /// It went its own way, and has a record of its own.
    Sent,
    /// There is none: the mirror's service, port or subset does not exist.
    NoCluster,
    /// There is none: the mirror has no endpoint to pick.
    NoEndpoint,
    /// There is none: the body is longer than what is kept of one.
    BodyTooLong,
    /// It was dropped: the worker has as many copies under way as it may.
    Dropped,
}

/// A mirror that was to get a copy of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The position of the mirror in the rule.
    pub mirror: u32,
    /// What became of it.
    pub fate: MirrorFate,
}

/// What a local rate limit made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitSeen {
    /// Which limit.
    pub limit: RateLimitId,
    /// Whose bucket decided: the position of one of its descriptors, or its own.
    pub descriptor: Option<u32>,
    /// What it did.
    pub limited: Limited,
    /// Tokens that were left then; `u32::MAX` for a limit without a bucket.
    pub tokens: u32,
    /// How long until there was one; zero while there were some.
    pub next_token: Duration,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// It has not.
    #[default]
    Open,
    /// With a response of this status.
    Response(u16),
    /// Without one.
    Reset(ResetReason),
    /// On a kept connection that turned out dead before anything came back; replaced by another attempt.
    StaleConnection,
    /// The client went away first.
    Cancelled,
    /// Another attempt beside it was answered first.
    Overtaken,
    /// With a response whose head says how a gRPC call went (trailers-only). What trailers say comes after the end.
    Call {
        /// The response's status.
        status: u16,
        /// `grpc-status`: 0 to 16, or another number that the service wrote there.
        code: u8,
    },
    /// The endpoint said that it has not looked at it (REFUSED_STREAM, GOAWAY), or took no other stream on this connection;
    /// replaced by another attempt.
    Unprocessed,
    /// With a connection, on which bytes passed that nobody understood.
    Connected,
}

/// What the retry policy made of an attempt's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Followed {
    /// Nothing: there is no policy, or the end is none that it retries.
    #[default]
    Nothing,
    /// It would have retried, but the request cannot be sent again: too much of it has gone by, or the client has seen a
    /// response begin.
    CannotRepeat,
    /// Another attempt, after this wait.
    Retry {
        /// The back-off.
        wait: Duration,
    },
    /// Another attempt, after a wait that the response asked for (`retry-after`).
    RetryAfter {
        /// What it asked for, and some more by chance.
        wait: Duration,
    },
    /// It took longer than `perTryTimeout` and goes on; another attempt beside it, after this wait.
    Hedge {
        /// The back-off.
        wait: Duration,
    },
    /// No retry, because all were made.
    NoRetriesLeft {
        /// How many the policy allows.
        allowed: u32,
    },
    /// No retry, because a limit of the cluster does not allow one more.
    RetriesFull(RetriesFull),
}

/// The position of an endpoint that the configuration in use does not have any more.
pub const GONE: u32 = u32::MAX;

/// One attempt to have the request answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The cluster; `None` for the passthrough of a host that no service has.
    pub cluster: Option<ClusterId>,
    /// The position of the endpoint in the cluster; 0 for passthrough, and [`GONE`] if a reload has taken it away since.
    pub endpoint: u32,
    /// Why that endpoint.
    pub picked: Picked,
    /// Whether a kept connection was used.
    pub reused: bool,
    /// When it began.
    pub began: Instant,
    /// How it ended.
    pub end: AttemptEnd,
    /// When that was known: with the head of its response, or when it failed. Meaningless while it is open.
    #[serde(skip)]
    pub ended: Instant,
    /// What the retry policy made of that.
    pub followed: Followed,
    /// Why its endpoint was ejected, if this attempt was one error too many.
    pub ejected: Option<Reason>,
}

impl Attempt {
    /// The endpoint, if it is one of a cluster; `None` for passthrough.
    #[must_use]
    pub fn endpoint<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Endpoint> {
        if self.picked.by == PickedBy::OriginalDestination {
            return None;
        }
        let cluster = snapshot.cluster(self.cluster?);
        cluster.endpoints.get(self.endpoint as usize)
    }
}

/// How long a request and its attempts may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// The whole request, from the moment it is complete; `None` is unlimited.
    pub whole: Option<Duration>,
    /// Each attempt, from the moment it has a connection and the request is complete; `None` is unlimited.
    pub per_try: Option<Duration>,
    /// An attempt goes on beyond its time, and another one is made beside it.
    pub hedges: bool,
}

/// What the sidecar of the other side says of its workload (`x-envoy-peer-metadata`): for who comes in the client's, for who goes
/// out the endpoint's.
#[derive(Clone, Debug, Default)]
pub struct PeerMetadata {
    /// As it came; empty where nothing did, or too much.
    pub told: Vec<u8>,
    /// The client asks for a name of what we tell.
    pub wants_id: bool,
    /// The client asks for what we tell.
    pub wants_value: bool,
}

impl PeerMetadata {
    /// Forgets it and keeps the memory.
    fn clear(&mut self) {
        self.told.clear();
        (self.wants_id, self.wants_value) = (false, false);
    }
}

/// How many messages passed in a gRPC call. One that was cut off is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrpcMessages {
    /// From the client, once each, however often they were sent on.
    pub request: u64,
    /// To the client.
    pub response: u64,
}

/// One request, from its first byte to its last.
///
/// What it names by position stands in the snapshot that decided it. Whoever serves the request holds that.
///
/// A recording holds it field for field, in this order. Details stand there as Envoy's words (`D`), because they point
/// into memory. Heads are left out: a replay compares the bytes that they become.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record<D = Details> {
    /// The revision of the snapshot that decided it; `None` before its head was complete.
    pub revision: Option<u64>,
    /// Its one random number.
    pub entropy: Entropy,
    /// Its head: as received at first, then as forwarded (normalised, rewritten, header operations applied), which is
    /// what Envoy's log shows too.
    #[serde(skip)]
    pub request: RequestHead,
    /// It is gRPC-Web, and goes on as gRPC.
    #[serde(skip)]
    pub grpc_web: Option<GrpcWeb>,
    /// The trace that it is part of; `None` where nothing is traced. It follows from the head and the random number.
    #[serde(skip)]
    pub trace: Option<Trace>,
    /// What the sidecar of the other side said of its workload.
    #[serde(skip)]
    pub peer_metadata: PeerMetadata,
    /// It is no request but a connection that is not HTTP, of which there is no head. It follows from where it was to go and its
    /// first bytes.
    #[serde(skip)]
    pub connection: Option<Box<Connection>>,
    /// Which rule applied.
    pub route: RouteDecision,
    /// How long it may take, by the rule and, for gRPC, by its own `grpc-timeout`.
    pub timeouts: Timeouts,
    /// What it hashes to, once it goes to a cluster that looks hashes up.
    pub hash: Option<RequestHash>,
    /// The mirrors whose roll fell so.
    pub mirrors: SmallVec<[Mirrored; 2]>,
    /// Attempts in the order in which they began.
    pub attempts: SmallVec<[Attempt; 1]>,
    /// Which attempt counts, where it is not the last one: an older one has outlived or overtaken it.
    #[serde(skip)]
    pub(crate) older_counts: Option<usize>,
    /// How many attempts were retries by the route's policy.
    pub retries: u32,
    /// What counts the retry under way against the cluster's limit.
    #[serde(skip)]
    pub(crate) retry_slot: Option<Permit>,
    /// The status the client saw; 0 when it saw none.
    pub status: u16,
    /// Why the response is what it is. [`Record::flags`] are derived from this and the attempts.
    pub details: D,
    /// Why TLS could not be agreed on with an endpoint, the last time that it could not
    /// (`%UPSTREAM_TRANSPORT_FAILURE_REASON%`).
    pub transport_failure: Option<Box<TlsFault>>,
    /// A delay was injected, of this length.
    pub delayed: Option<Duration>,
    /// What became of its tokens; `None` where nobody asks for any.
    pub authentication: Option<Authentication>,
    /// The token that says who asks, once it is accepted.
    #[serde(skip)]
    pub token: Option<Arc<Token>>,
    /// What AuthorizationPolicies made of it; `None` where none hold.
    pub authorization: Option<AuthorizationSeen>,
    /// What those said of it who were asked about it.
    pub checks: Vec<Checked>,
    /// What they say to its client; `None` where nobody was asked.
    #[serde(skip)]
    pub told_fields: Option<Box<ToldFields>>,
    /// What the last local rate limit that looked at it made of it.
    pub rate_limit: Option<RateLimitSeen>,
    /// Body bytes from the client.
    pub bytes_received: u64,
    /// Body bytes to the client.
    pub bytes_sent: u64,
    /// When its first byte arrived.
    pub began: Instant,
    /// When its last byte arrived, the body's too; `None` when it never did.
    #[serde(skip)]
    pub received: Option<Instant>,
    /// When the head of the endpoint's response was here that its client saw; `None` when there was none.
    #[serde(skip)]
    pub answered: Option<Instant>,
    /// When its last byte left.
    pub ended: Instant,
    /// How a gRPC call went, where the trailers of its response say so; where the head does, it stands there.
    #[serde(skip)]
    pub grpc_status: Option<u64>,
    /// The messages of a gRPC call; `None` for what is none. They follow from the bodies.
    #[serde(skip)]
    pub grpc_messages: Option<GrpcMessages>,
    /// Milliseconds from the request's end to the response's head (`x-envoy-upstream-service-time`).
    pub upstream_service_ms: Option<u64>,
}

impl Record {
    /// Begins the story of another request and keeps the memory of the last.
    pub fn restart(&mut self, now: Instant, entropy: Entropy) {
        // Each where it stands: a whole new story would be written, moved and dropped for every request, though most of what one
        // may hold is seldom there.
        let Self {
            revision,
            entropy: number,
            request,
            grpc_web,
            trace,
            peer_metadata,
            connection,
            route,
            timeouts,
            hash,
            mirrors,
            attempts,
            older_counts,
            retries,
            retry_slot,
            status,
            details,
            transport_failure,
            delayed,
            authentication,
            token,
            authorization,
            checks,
            told_fields,
            rate_limit,
            bytes_received,
            bytes_sent,
            began,
            received,
            answered,
            ended,
            grpc_status,
            grpc_messages,
            upstream_service_ms,
        } = self;
        request.clear();
        attempts.clear();
        mirrors.clear();
        checks.clear();
        told_fields.iter_mut().for_each(|told| told.clear());
        peer_metadata.clear();
        (*number, *began, *ended) = (entropy, now, Instant::default());
        (*retries, *status, *bytes_received, *bytes_sent) = (0, 0, 0, 0);
        (*route, *timeouts, *details) = Default::default();
        (*revision, *grpc_web, *trace, *connection) = (None, None, None, None);
        (*hash, *older_counts, *retry_slot) = (None, None, None);
        (*transport_failure, *delayed, *authentication) = (None, None, None);
        (*token, *authorization, *rate_limit) = (None, None, None);
        (*received, *answered, *grpc_status) = (None, None, None);
        (*grpc_messages, *upstream_service_ms) = (None, None);
    }

    /// The method; `None` for a request whose head could not be read so far that there is one, and for a connection.
    #[must_use]
    pub const fn method(&self) -> Option<&Method> {
        if self.connection.is_some() {
            return None;
        }
        let request = &self.request;
        // One that was refused for a later part of its head has had its first line read.
        let is_read =
            self.revision.is_some() || !request.path.is_empty() || !request.authority.is_empty();
        if is_read { Some(&request.method) } else { None }
    }

    /// Whether this is the story of a copy that nobody waited for: no client saw its status.
    #[must_use]
    pub const fn is_mirror(&self) -> bool {
        matches!(self.route, RouteDecision::Mirror { .. })
    }

    /// Says what the retry policy made of the end of the last attempt.
    pub(crate) fn follow(&mut self, followed: Followed) {
        if let Some(attempt) = self.attempt_mut() {
            attempt.followed = followed;
        }
    }

    /// Another attempt begins, and counts.
    pub(crate) fn begin_attempt(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
        self.older_counts = None;
    }

    /// The position of the last attempt.
    pub(crate) fn last_attempt(&self) -> Option<usize> {
        self.attempts.len().checked_sub(1)
    }

    /// The attempt that counts: the one under way, the one that was answered, or the last.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        match self.older_counts {
            Some(at) => self.attempts.get(at),
            None => self.attempts.last(),
        }
    }

    /// The same, to write into.
    pub(crate) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match self.older_counts {
            Some(at) => self.attempts.get_mut(at),
            None => self.attempts.last_mut(),
        }
    }

    /// The span of an attempt. What was sent again because an endpoint had not looked at it has one that nobody was told.
    #[must_use]
    pub fn span_of_attempt(&self, at: usize) -> SpanId {
        let was_told = |attempt: &Attempt| match attempt.end {
            AttemptEnd::StaleConnection | AttemptEnd::Unprocessed => false,
            AttemptEnd::Open
            | AttemptEnd::Response(_)
            | AttemptEnd::Connected
            | AttemptEnd::Reset(_)
            | AttemptEnd::Cancelled
            | AttemptEnd::Overtaken
            | AttemptEnd::Call { .. } => true,
        };
        if !self.attempts.get(at).is_some_and(was_told) {
            return SpanId::of_untold(self.entropy, at);
        }
        let before = self.attempts.iter().take(at);
        let retries = before.filter(|attempt| was_told(attempt)).count();
        SpanId::of_try(self.entropy, retries as u32)
    }

    /// The endpoint of the attempt that counts, as logs write it.
    #[must_use]
    pub fn upstream_host<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s str> {
        let endpoint = self.attempt()?.endpoint(snapshot)?;
        Some(&endpoint.text)
    }
}
