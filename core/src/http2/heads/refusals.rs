//! Every reason to refuse a head, with the status it earns a client and Envoy's details.
//!
//! The rule that leads to each one stands where it is applied. An upstream's refused response is answered 502.

use crate::decision::Refused;

const fn bad(details: &'static str, explain: &'static str) -> Refused {
    Refused {
        status: 400,
        details,
        explain,
        limit: None,
    }
}

const fn large(explain: &'static str) -> Refused {
    Refused {
        status: 431,
        ..bad("http2.too_many_headers", explain)
    }
}

/// The same about what an upstream sent.
pub(super) const fn of_upstream(refused: Refused) -> Refused {
    Refused {
        status: 502,
        ..refused
    }
}

const FIELD: &str = "http2.invalid.header.field";
const MESSAGE: &str = "http2.violation.of.messaging.rule";

pub(super) const NAME: Refused = bad(
    FIELD,
    "a field name is empty, or has an upper-case letter or another illegal character",
);
pub(super) const VALUE: Refused = bad(
    FIELD,
    "a field value has an illegal character, or white space at an end",
);
pub(super) const CONNECTION_FIELD: Refused =
    bad(FIELD, "a field that concerns one connection of HTTP/1");
pub(super) const TE: Refused = bad(FIELD, "`te` is not `trailers`");
pub(super) const TOO_LARGE: Refused = large("the list of fields is larger than the limit");
pub(super) const TOO_MANY_FIELDS: Refused = large("the list has more fields than the limit");

pub(super) const PSEUDO_UNKNOWN: Refused = bad(FIELD, "a pseudo-header field that is not for this");
pub(super) const PSEUDO_REPEATED: Refused = bad(FIELD, "a pseudo-header field stands twice");
pub(super) const PSEUDO_LATE: Refused = bad(FIELD, "a pseudo-header field behind another field");
pub(super) const PSEUDO_MISSING: Refused = bad(MESSAGE, "a pseudo-header field is missing");
pub(super) const PSEUDO_NOT_ALLOWED: Refused = bad(
    MESSAGE,
    "a pseudo-header field that does not go with the method",
);
pub(super) const METHOD: Refused = bad(FIELD, "malformed method");
pub(super) const SCHEME: Refused = bad(FIELD, "malformed scheme");
pub(super) const PROTOCOL: Refused = bad(FIELD, "malformed protocol, or `h2c`");
pub(super) const PATH: Refused = bad(FIELD, "malformed path");
pub(super) const FRAGMENT: Refused = bad("path_normalization_failed", "`#` in the path");
pub(super) const AUTHORITY: Refused = bad(FIELD, "malformed authority");
pub(super) const NO_AUTHORITY: Refused = bad("missing_host_header", "no authority");
pub(super) const MANY_HOSTS: Refused = bad(MESSAGE, "more than one Host field");
pub(super) const OTHER_HOST: Refused = bad(MESSAGE, "Host is not what the authority is");
pub(super) const STATUS: Refused = bad(FIELD, "the status is not a number of 100 to 999");
pub(super) const SWITCHED: Refused = bad(MESSAGE, "101, which HTTP/2 does not have");
pub(super) const INTERIM_END: Refused = bad(MESSAGE, "the stream ends with an interim response");

pub(super) const LENGTH: Refused = bad(
    MESSAGE,
    "Content-Length is repeated or not a decimal number below 2^63",
);
pub(super) const LENGTH_NOT_SENT: Refused = bad(
    MESSAGE,
    "Content-Length announces a body, and the stream ends with the head",
);
pub(super) const LENGTH_NOT_ALLOWED: Refused = bad(
    MESSAGE,
    "Content-Length on a message that cannot have a body",
);
