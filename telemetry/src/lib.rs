//! What is shown of requests: one sink at the end of a record, and behind it the parts that make something of it.
//!
//! A worker tells its sink of each request that has ended ([`outrigger_runtime::Sink`]). The sink hands that to the parts
//! that are on: metrics, the access log, and the last requests that failed. A part that is off is not there, and when all are
//! off there is no sink. Facts
//! of a request stand in one place each: who needs one takes it from [`outrigger_runtime::Ended`].
//!
//! Nothing here waits on a worker's thread. What writes has a thread of its own behind a bounded queue, and what does not fit
//! is dropped and counted; who asks for counters adds up those of all workers on his own thread.

#![forbid(unsafe_code)]

mod access_log;
pub mod exposition;
mod label_text;
pub mod metrics;
mod recent;
mod refusals;
mod sink;
mod spans;

pub use access_log::{Hear, LogFiles, LogSettings};
pub use recent::{Recent, RecentRequests, RecentSettings, TOLD_A_SECOND, Why};
pub use refusals::Limit;
pub use sink::{Hears, Settings, Telemetry};
pub use spans::{Protect, Protecting, SpanCounts, SpanNotice, SpanSettings, Wire};
