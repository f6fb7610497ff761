//! Why a message is refused for what its stream does (heads by themselves are judged in `heads`), and what several kinds of
//! frames do wrong.

use super::code::{Code, Fatal, broken_rule};
use crate::decision::Refused;

const fn bad(explain: &'static str) -> Refused {
    Refused {
        status: 400,
        details: "http2.violation.of.messaging.rule",
        explain,
        limit: None,
    }
}

pub(super) const LENGTH: Refused = bad("Content-Length is unlike the length of the body");
pub(super) const ENDLESS_TRAILERS: Refused = bad("trailers do not end the message");

pub(super) const IDLE: Fatal = broken_rule(
    Code::ProtocolError,
    "a frame came for a stream that was never opened",
);
