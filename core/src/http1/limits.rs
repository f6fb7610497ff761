//! How much of a message's overhead is taken before it is refused.
//!
//! Bodies have no limit here: they stream, and their owner stops reading when it must.

/// The most field lines a head may have, whatever [`Limits::fields`] says.
pub const MAX_FIELDS: usize = 256;

/// Bounds on everything a peer can send that is not body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, from its first line to its empty line.
    pub head_bytes: usize,
    /// Field lines of a head or of trailers; at most [`MAX_FIELDS`].
    pub fields: usize,
    /// Bytes of one chunk-size line with its extensions.
    pub chunk_line: usize,
    /// Bytes of all chunk extensions of one message: a peer must not send megabytes that carry nothing.
    pub extension_bytes: usize,
    /// Bytes of a trailer section.
    pub trailer_bytes: usize,
}

impl Limits {
    /// What a client may send: Envoy's 60 KiB and 100 fields (`max_request_headers_kb`, `max_headers_count`).
    pub const REQUEST: Self = Self {
        head_bytes: 60 * 1024,
        fields: 100,
        chunk_line: 4096,
        extension_bytes: 16 * 1024,
        trailer_bytes: 16 * 1024,
    };

    /// What an upstream may send: Envoy's 80 KiB and 100 fields.
    pub const RESPONSE: Self = Self {
        head_bytes: 80 * 1024,
        ..Self::REQUEST
    };
}
