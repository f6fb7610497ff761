//! Every reason to refuse a message, with the status it earns a client and Envoy's details.
//!
//! The rule that leads to each one stands where it is applied. An upstream's refused message is answered 502; the
//! reader replaces the status.

use crate::decision::{Http1Limit, Refused};

const fn bad(details: &'static str, explain: &'static str) -> Refused {
    Refused {
        status: 400,
        details,
        explain,
        limit: None,
    }
}

const fn with(status: u16, refused: Refused) -> Refused {
    Refused { status, ..refused }
}

const fn beyond(limit: Http1Limit, refused: Refused) -> Refused {
    Refused {
        limit: Some(limit),
        ..refused
    }
}

const CODEC: &str = "http1.codec_error";

pub(super) const BARE_LF: Refused = bad(CODEC, "a line ends with LF alone");
pub(super) const BARE_CR: Refused = bad(CODEC, "CR without LF");
pub(super) const START_LINE: Refused = bad(CODEC, "malformed start line");
pub(super) const TLS: Refused = bad(
    CODEC,
    "it begins as a TLS handshake does (ClientHello), and plain HTTP is spoken here",
);
pub(super) const VERSION: Refused = with(505, bad(CODEC, "HTTP version is not 1.0 or 1.1"));
pub(super) const FIELD_NAME: Refused = bad(
    "http1.invalid_characters",
    "malformed field line or illegal character in a field name",
);
pub(super) const FIELD_VALUE: Refused = bad(
    "http1.invalid_characters",
    "illegal character in a field value",
);
pub(super) const HEAD_TOO_LARGE: Refused = beyond(
    Http1Limit::HeadBytes,
    with(
        431,
        bad(
            "http1.headers_too_large",
            "the head is larger than the limit",
        ),
    ),
);
pub(super) const TOO_MANY_FIELDS: Refused = beyond(
    Http1Limit::HeadFields,
    with(
        431,
        bad(
            "http1.too_many_headers",
            "the head has more fields than the limit",
        ),
    ),
);
pub(super) const PROOF: Refused = bad(
    CODEC,
    "the answer to a websocket's key is not what the key asks for",
);
pub(super) const HEAD_CUT: Refused = bad(CODEC, "the connection ended inside a head");
pub(super) const BODY_CUT: Refused = bad(CODEC, "the connection ended inside a body");

pub(super) const TARGET: Refused = bad("http1.invalid_url", "malformed request target");
pub(super) const FRAGMENT: Refused = bad("path_normalization_failed", "`#` in the request target");
pub(super) const NO_HOST: Refused = bad("missing_host_header", "no host");
pub(super) const MANY_HOSTS: Refused = bad(CODEC, "more than one Host field");
pub(super) const BAD_HOST: Refused = bad("http1.invalid_host", "malformed host");

pub(super) const CONNECTION_OPTIONS: Refused = bad(
    "http1.connection_header_rejected",
    "too many connection options",
);
pub(super) const LENGTH: Refused = bad(
    CODEC,
    "Content-Length is repeated or not a decimal number below 2^63",
);
pub(super) const LENGTH_AND_CHUNKED: Refused = bad(
    "http1.content_length_and_chunked_not_allowed",
    "both Content-Length and Transfer-Encoding",
);
pub(super) const LENGTH_NOT_ALLOWED: Refused = bad(
    "http1.content_length_not_allowed",
    "Content-Length on a message that cannot have a body",
);
pub(super) const CODING: Refused = with(
    501,
    bad(
        "http1.invalid_transfer_encoding",
        "Transfer-Encoding is not exactly `chunked`",
    ),
);
pub(super) const CODING_NOT_ALLOWED: Refused = bad(
    "http1.transfer_encoding_not_allowed",
    "Transfer-Encoding on a message that cannot have one",
);

pub(super) const CHUNK_SIZE: Refused = bad(CODEC, "malformed chunk size");
pub(super) const CHUNK_EXTENSION: Refused = bad(CODEC, "malformed chunk extension");
pub(super) const CHUNK_LINE_TOO_LONG: Refused = beyond(
    Http1Limit::ChunkLineBytes,
    bad(CODEC, "a chunk's line is longer than the limit"),
);
pub(super) const EXTENSIONS_TOO_LONG: Refused = beyond(
    Http1Limit::ChunkExtensionBytes,
    bad(CODEC, "chunk extensions are longer than the limit"),
);
pub(super) const CHUNK_END: Refused = bad(CODEC, "chunk data is not followed by CRLF");
pub(super) const TRAILERS_TOO_LARGE: Refused = beyond(
    Http1Limit::TrailerBytes,
    with(
        431,
        bad(
            "http1.trailers_too_large",
            "trailers are larger than the limit",
        ),
    ),
);

pub(super) const STATUS: Refused = bad(CODEC, "the status code is not 100 to 999");
pub(super) const SWITCHED_UNASKED: Refused =
    bad(CODEC, "101 without a request to switch protocols");
