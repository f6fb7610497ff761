//! A span as collectors take it, whatever they speak.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::decision::{SpanId, TraceId};
use outrigger_core::snapshot::TracePolicy;

/// The spans of one request, and where they go.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) policy: Arc<TracePolicy>,
    /// The request's own first.
    pub(crate) spans: Vec<Span>,
}

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    /// The parent is somebody else's.
    pub(crate) is_entry: bool,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Since 1970-01-01 UTC.
    pub(crate) began: Duration,
    pub(crate) lasted: Duration,
    /// Why it is an error, if it is one.
    pub(crate) error: Option<String>,
    /// In the order in which they were set; each name once.
    pub(crate) tags: Vec<Tag>,
    /// Who is on the other side.
    pub(crate) remote: Option<SocketAddr>,
}

/// Which side of a request a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    Client,
}

/// A name and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: Cow<'static, str>,
}

impl Tag {
    pub(crate) fn new(
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}
