//! What was decided for a request, and why: plain data.
//!
//! The access log, `explain`, tests and replay are renderings of these values; nothing is logged on the side. Flags and
//! details are derived from outcomes here, in one place, in Envoy's words (`docs/differences.md` lists where we differ).

pub mod access_log;
mod authentication;
mod authorization;
mod connection;
mod details;
mod external;
mod flags;
mod grpc_web;
mod hashing;
mod picked;
mod record;
mod trace;
mod upstream;

pub use authentication::Authentication;
pub use authorization::{Access, AuthorizationSeen};
pub use connection::{Connection, ToldBy};
pub use details::{Details, Http1Limit, Overflow, Refused, ResetReason};
pub use external::{Checked, ToldFields, Whom, Word};
pub use flags::{ResponseFlag, ResponseFlags};
pub use grpc_web::GrpcWeb;
pub use hashing::{HashedBy, LoadBound, RequestHash};
pub use picked::{LocalityChoice, Picked, PickedBy};
pub use record::{
    Attempt, AttemptEnd, Followed, GONE, GrpcMessages, MirrorFate, Mirrored, PeerMetadata,
    RateLimitSeen, Record, RouteDecision, Timeouts,
};
pub use trace::{RequestIdMark, Sampled, SpanId, Trace, TraceForms, TraceId};
pub use upstream::Upstream;
