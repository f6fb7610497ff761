//! How large a list of fields may be.

use serde::{Deserialize, Serialize};

/// Bounds on one head or trailer section, for which memory is kept. What is above them is read all the same, since the
/// decoder must stay in step, and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadLimits {
    /// Bytes of all fields: names, values and [`ENTRY_OVERHEAD`](crate::http2::hpack::ENTRY_OVERHEAD) for each, as
    /// `SETTINGS_MAX_HEADER_LIST_SIZE` counts (RFC 9113 §6.5.2).
    pub list_bytes: usize,
    /// Fields. Each crumb of a cookie is one, those that begin with `:` are not.
    pub fields: usize,
}

impl HeadLimits {
    /// What a client may send: Envoy's 60 KiB and 100 fields (`max_request_headers_kb`, `max_headers_count`).
    pub const REQUEST: Self = Self {
        list_bytes: 60 * 1024,
        fields: 100,
    };

    /// What an upstream may send: as much as a client. By HTTP/1 it is 80 KiB, as for Envoy.
    pub const RESPONSE: Self = Self::REQUEST;

    /// What either may send behind a body: 16 KiB, as by HTTP/1.
    pub const TRAILERS: Self = Self {
        list_bytes: 16 * 1024,
        ..Self::REQUEST
    };
}
