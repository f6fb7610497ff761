//! How an attempt ended, and which time was up: what an end alone does not say, the record and the rule do.

use core::fmt::{self, Display, Formatter};

use super::{At, Span};
use crate::decision::{Attempt, AttemptEnd, Details, Record, ResetReason};
use crate::request::plan;
use crate::snapshot::Snapshot;

/// The end of an attempt of a request, for people.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The attempt.
    pub attempt: &'a Attempt,
    /// The request.
    pub record: &'a Record,
}

impl Display for Ending<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { attempt, record } = self;
        if attempt.end != AttemptEnd::Reset(ResetReason::LocalReset) {
            return attempt.end.fmt(f);
        }
        match (&record.details, record.timeouts.whole) {
            (Details::ResponseTimeout, Some(whole)) => {
                write!(f, "given up: the timeout of {} was up", Span(whole))
            }
            (Details::StreamIdleTimeout, _) => {
                f.write_str("given up: nothing had moved for the idle timeout")
            }
            (Details::MaxDurationTimeout, _) => f.write_str("given up: its grpc-timeout was up"),
            (_, _) => attempt.end.fmt(f),
        }
    }
}

/// The time that ended the request, and where it stands.
pub(super) fn tell_timeout(
    f: &mut Formatter<'_>,
    record: &Record,
    snapshot: &Snapshot,
) -> fmt::Result {
    let Some(plan) = plan::of(record, snapshot) else {
        return Ok(());
    };
    if record.details == Details::StreamIdleTimeout {
        return match plan.rule.field("idleTimeout") {
            Some(origin) => writeln!(f, "  timeout      by {}", At(&origin, snapshot)),
            None => writeln!(f, "  timeout      by the idle timeout of the proxy"),
        };
    }
    let whole = record.timeouts.whole;
    let Some(whole) = whole.filter(|_| record.details == Details::ResponseTimeout) else {
        return Ok(());
    };
    write!(f, "  timeout      {} for the whole request, ", Span(whole))?;
    let is_of_rule = plan.forward.timeout == Some(whole);
    match plan.rule.field("timeout").filter(|_| is_of_rule) {
        Some(origin) => writeln!(f, "{}", At(&origin, snapshot)),
        None if is_of_rule => writeln!(f, "which is the default"),
        None => writeln!(f, "as its grpc-timeout asks"),
    }
}
