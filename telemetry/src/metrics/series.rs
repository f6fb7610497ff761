//! One series of Istio's standard metrics: what is counted of requests with the same labels.

use outrigger_core::decision::Record;
use outrigger_runtime::Counter;

use super::histogram::{Distribution, Histogram};
use super::kept::Cells;

/// What one worker counts.
#[derive(Debug, Default)]
pub(crate) struct Series {
    requests: Counter,
    /// In microseconds: thousandths of what is told.
    duration: Histogram,
    /// In bytes.
    request_bytes: Histogram,
    response_bytes: Histogram,
}

/// What all have counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesSum {
    /// Requests that ended.
    pub requests: u64,
    /// From the first byte of a request to the last of its response, in microseconds.
    pub duration: Distribution,
    /// Bytes of bodies of requests.
    pub request_bytes: Distribution,
    /// Bytes of bodies of responses.
    pub response_bytes: Distribution,
}

impl Series {
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
}

impl SeriesSum {
    /// Adds another series with the same labels.
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.duration.add(other.duration);
        self.request_bytes.add(other.request_bytes);
        self.response_bytes.add(other.response_bytes);
    }
}
