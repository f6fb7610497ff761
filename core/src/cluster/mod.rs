//! What all workers of the process share: live state of endpoints, clusters and rate limits, by atomics, and nothing else.
//!
//! A snapshot is immutable; the state of its endpoints is not, and it outlives the snapshot. The registry gives an
//! endpoint that a new snapshot still names the state it had. Policies read this state through arguments; nobody else
//! in core holds an atomic.

mod adaptive;
mod atomic;
mod bucket;
mod choices;
pub mod ejection;
mod gradient;
mod health;
mod host;
mod jwt_counts;
mod limit_answers;
mod limit_counts;
mod limits;
mod outlier;
pub mod peak_ewma;
mod rates;
mod reason;
mod registry;
mod retries;
mod state;
mod tally;
mod ticks;
mod tls_counts;
mod token_bucket;
mod window;

pub use adaptive::AdaptiveLimit;
pub use bucket::{Origin, Results};
pub use choices::Choice;
pub use gradient::{AdaptiveConcurrency, Sample};
pub use host::{ActiveRequest, Ending, HostState, OpenConnection};
pub use jwt_counts::{JwtCounts, JwtEvent};
pub use limit_answers::{LimitAnswer, LimitAnswers};
pub use limit_counts::{LimitCounts, Limited};
pub use limits::{Counted, Gauges, Permit};
pub use outlier::{FailurePercentage, OutlierDetection, SuccessRate};
pub use peak_ewma::PeakEwma;
pub use reason::{Detector, Ejected, Reason};
pub use registry::{HostKey, Registry};
pub use retries::{RetriesFull, RetryBudget, RetryEvent, RetryLimit, TokenBudget};
pub use state::ClusterState;
pub use tally::Tally;
pub use tls_counts::TlsCounts;
pub use token_bucket::{Bucket, BucketSize};
