//! What holds for a request as a whole, whatever its attempts do (Envoy's connection manager): for how long nothing may
//! move, and how long a gRPC call to the application may last.
//!
//! The answer is 408 while the request is incomplete and 504 afterwards; no operations of the rule run on it.

use bytes::Bytes;
use http::StatusCode;

use super::{Verdict, grpc, plan};
use crate::decision::{Details, Record};
use crate::message::{Known, ResponseHead, Version};
use crate::peer::Peer;
use crate::policy::grpc_timeout;
use crate::snapshot::{Snapshot, StreamIdle};
use crate::stream::{Begins, BodyLength};
use crate::time::Duration;

/// Which of them is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamTimeout {
    /// Nothing moved for too long.
    Idle,
    /// The call takes longer than its client waits.
    Duration,
}

impl StreamTimeout {
    const fn details(self) -> Details {
        match self {
            Self::Idle => Details::StreamIdleTimeout,
            Self::Duration => Details::MaxDurationTimeout,
        }
    }
}

/// For how long nothing may move: what the rule says, else the proxy's own setting.
#[must_use]
pub fn stream_idle_timeout(
    record: &Record,
    snapshot: &Snapshot,
    setting: Option<Duration>,
) -> Option<Duration> {
    let plan = plan::of(record, snapshot);
    match plan.map(|plan| plan.forward.stream_idle) {
        Some(StreamIdle::After(time)) => Some(time),
        Some(StreamIdle::Never) => None,
        Some(StreamIdle::Unsaid) | None => setting,
    }
}

/// For how long nothing may move while the client owes some of the request: where it has said how long that is, and in HTTP/1, whose
/// connection it holds meanwhile. A stream of HTTP/2 may say nothing for hours and still be a call; what it holds is bounded by its
/// window. A rule by which requests may stand still for ever means this, too.
#[must_use]
pub fn body_timeout(
    record: &Record,
    snapshot: &Snapshot,
    begins: &Begins,
    setting: Option<Duration>,
) -> Option<Duration> {
    let is_owed = match begins.body {
        BodyLength::None => false,
        BodyLength::Known(_) => true,
        BodyLength::Unknown => record.request.version != Version::Http2,
    };
    let plan = plan::of(record, snapshot);
    let is_never = plan.is_some_and(|plan| plan.forward.stream_idle == StreamIdle::Never);
    setting.filter(|_| is_owed && begins.upgrade.is_none() && !is_never)
}

/// How long a call to the application may last from its first byte on: what its `grpc-timeout` says (Istio's inbound
/// `grpc_timeout_header_max`). Outbound it counts as the rule's timeout does.
#[must_use]
pub fn max_duration(peer: &Peer, record: &Record) -> Option<Duration> {
    let is_inbound = peer.listener.is_inbound();
    if !is_inbound || !grpc::is_request(&record.request) {
        return None;
    }
    let asked = record.request.headers.get(Known::GrpcTimeout)?;
    grpc_timeout::parse(asked).filter(|time| !time.is_zero())
}

/// The time is up before a response began. `is_complete`: the whole request has arrived.
pub fn stream_timed_out(
    timeout: StreamTimeout,
    is_complete: bool,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    record.details = timeout.details();
    response.clear();
    response.status = if is_complete {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::REQUEST_TIMEOUT
    };
    let text: &'static [u8] = match timeout {
        StreamTimeout::Idle => b"stream timeout",
        StreamTimeout::Duration => {
            grpc::set_status(response, grpc::DEADLINE_EXCEEDED);
            b"downstream duration timeout"
        }
    };
    Verdict::Reply(Bytes::from_static(text))
}

/// The time is up and the response had begun.
pub fn on_stream_cut(timeout: StreamTimeout, record: &mut Record) {
    record.details = timeout.details();
}
