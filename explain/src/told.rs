//! A request that has ended, as lists of requests show it: a few facts to find it by, and its story.
//!
//! Owns which facts these are; the filter language asks for the same ones. The story itself is a rendering of the record
//! (`outrigger_core::decision`).

use outrigger_core::decision::Record;
use outrigger_core::message::Known;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Duration;
use serde::{Serialize, Serializer};

/// What is told of a request. Machines read it: fields may be added, none is renamed or removed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Its method; `-`, as logs have it, when its head could not be read.
    pub method: String,
    /// Host and port, as they were forwarded.
    pub host: String,
    /// Path and query, as they came; `-` likewise.
    pub path: String,
    /// The status its client saw; 0 when it saw none.
    pub status: u16,
    /// Response flags, as the access log writes them.
    pub flags: String,
    /// Response code details.
    pub details: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// The route's name.
    pub route: Option<String>,
    /// The address of the endpoint that counts.
    pub endpoint: Option<String>,
    /// Attempts that were made.
    pub attempts: usize,
    /// `x-request-id`.
    pub request_id: Option<String>,
    /// Its random number: `outrigger explain --random` draws the same by it. A text, because not all who read JSON have
    /// numbers of 64 bits.
    #[serde(serialize_with = "as_text")]
    pub random: u64,
    /// The revision of the configuration that decided it.
    pub revision: Option<u64>,
    /// The whole story.
    pub story: String,
}

impl Told {
    /// Tells a request.
    #[must_use]
    pub fn new(record: &Record, snapshot: &Snapshot) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let unread = || "-".to_owned();
        Self {
            method: record.method().map_or_else(unread, ToString::to_string),
            host: text(&record.request.authority),
            path: record
                .method()
                .map_or_else(unread, |_| text(record.original_path())),
            status: record.status,
            flags: record.flags().to_string(),
            details: record.details.to_string(),
            duration_ms: millis(record.ended.since(record.began)),
            route: record.route_name(snapshot).map(str::to_owned),
            endpoint: record.upstream_host(snapshot).map(str::to_owned),
            attempts: record.attempts.len(),
            request_id: record.request.headers.get(Known::XRequestId).map(text),
            random: record.entropy.0,
            revision: record.revision,
            story: record.story(snapshot).to_string(),
        }
    }
}

/// As text.
pub(crate) fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// Milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    // Tenths of a microsecond are more than anybody reads.
    (time.as_secs_f64() * 1e7).round() / 1e4
}
