//! What is told of traffic, compiled: which access logs there are, how their lines look, and which requests they take.
//!
//! Plain data. Lines are written and filters decided in `decision`.

mod access_log;
mod expression;
mod log_format;
mod metrics;

pub use access_log::{AccessLog, AccessLogs, OnlySome};
pub use expression::{Arithmetic, Attribute, Comparison, Expression, Literal, Real, To};
pub use log_format::{
    AddressForm, FieldOf, GrpcStatusForm, LogField, LogFormat, LogJson, LogOperator, LogPart,
    LogText, Moment, Span, TimePart, TimeUnit, TlsPart, Whose,
};
pub use metrics::{Metric, MetricRule, MetricRules, SideRules, TagRule};
