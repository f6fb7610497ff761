//! One series of Istio's standard metrics: what is counted of requests, or of messages of gRPC, with the same labels.

use std::sync::Arc;

use outrigger_core::decision::{GrpcMessages, Record};
use outrigger_core::snapshot::telemetry::Metric;
use outrigger_core::time::Instant;
use outrigger_runtime::Counter;

use super::histogram::{Distribution, Histogram};
use super::kept::Cells;
use super::life::Life;

/// What one worker counts.
#[derive(Debug, Default)]
pub(crate) struct Series {
    life: Life,
    requests: Counter,
    /// In microseconds: thousandths of what is told.
    duration: Histogram,
    /// In bytes.
    request_bytes: Histogram,
    response_bytes: Histogram,
}

/// What all have counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesSum {
    /// Requests that ended.
    pub(crate) requests: u64,
    /// From the first byte of a request to the last of its response, in microseconds.
    duration: Distribution,
    /// Bytes of bodies of requests.
    request_bytes: Distribution,
    /// Bytes of bodies of responses.
    response_bytes: Distribution,
}

impl Series {
    /// Whether it can be counted in, now.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        self.life.goes_on(now)
    }

    /// A request has ended, after so many microseconds.
    pub(crate) fn count(&self, record: &Record, micros: u64) {
        self.requests.add(1);
        self.duration.record(micros);
        self.request_bytes.record(record.bytes_received);
        self.response_bytes.record(record.bytes_sent);
    }
}

impl Cells for Series {
    type Sum = SeriesSum;

    fn add_to(&self, sum: &mut SeriesSum) {
        sum.requests += self.requests.value();
        self.duration.add_to(&mut sum.duration);
        self.request_bytes.add_to(&mut sum.request_bytes);
        self.response_bytes.add_to(&mut sum.response_bytes);
    }

    fn life(&self) -> Option<&Life> {
        Some(&self.life)
    }
}

/// What a metric says.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// How many.
    Count(u64),
    /// In microseconds.
    Micros(&'a Distribution),
    /// In bytes.
    Bytes(&'a Distribution),
}

/// What all have counted under the same labels.
pub(super) trait Sum: Clone + Default {
    /// Adds another series with the same labels.
    fn add(&mut self, other: Self);

    /// What one of its metrics says; nothing has happened in others.
    fn told(&self, metric: Metric) -> Told<'_>;
}

impl Sum for SeriesSum {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.duration.add(other.duration);
        self.request_bytes.add(other.request_bytes);
        self.response_bytes.add(other.response_bytes);
    }

    fn told(&self, metric: Metric) -> Told<'_> {
        match metric {
            Metric::Requests => Told::Count(self.requests),
            Metric::Duration => Told::Micros(&self.duration),
            Metric::RequestBytes => Told::Bytes(&self.request_bytes),
            Metric::ResponseBytes => Told::Bytes(&self.response_bytes),
            Metric::RequestMessages
            | Metric::ResponseMessages
            | Metric::ConnectionsOpened
            | Metric::ConnectionsClosed
            | Metric::BytesSent
            | Metric::BytesReceived => Told::Count(0),
        }
    }
}

/// What one worker counts of messages of gRPC with the same labels.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    life: Life,
    request: Counter,
    response: Counter,
}

/// What all have counted of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessagesSum {
    request: u64,
    response: u64,
}

impl Messages {
    /// Whether it can be counted in, now.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        self.life.goes_on(now)
    }

    /// A call has ended in which so many passed.
    pub(crate) fn count(&self, messages: GrpcMessages) {
        self.request.add(messages.request);
        self.response.add(messages.response);
    }
}

impl Cells for Messages {
    type Sum = MessagesSum;

    fn add_to(&self, sum: &mut MessagesSum) {
        sum.request += self.request.value();
        sum.response += self.response.value();
    }

    fn life(&self) -> Option<&Life> {
        Some(&self.life)
    }
}

impl Sum for MessagesSum {
    fn add(&mut self, other: Self) {
        self.request += other.request;
        self.response += other.response;
    }

    fn told(&self, metric: Metric) -> Told<'_> {
        Told::Count(match metric {
            Metric::RequestMessages => self.request,
            Metric::ResponseMessages => self.response,
            Metric::Requests
            | Metric::Duration
            | Metric::RequestBytes
            | Metric::ResponseBytes
            | Metric::ConnectionsOpened
            | Metric::ConnectionsClosed
            | Metric::BytesSent
            | Metric::BytesReceived => 0,
        })
    }
}

/// Where requests of one place are counted.
#[derive(Debug)]
pub(crate) struct InSeries {
    pub(crate) requests: Arc<Series>,
    /// Where they are gRPC calls.
    pub(crate) messages: Option<Arc<Messages>>,
}

impl InSeries {
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        // Both are asked: each is used.
        let messages = self
            .messages
            .as_ref()
            .is_none_or(|cells| cells.goes_on(now));
        self.requests.goes_on(now) && messages
    }

    pub(crate) fn count(&self, record: &Record, micros: u64) {
        self.requests.count(record, micros);
        if let Some((cells, messages)) = self.messages.as_ref().zip(record.grpc_messages) {
            cells.count(messages);
        }
    }
}
