//! Answers to a gRPC-Web request that are no gRPC: from a proxy, an error page, from a service that speaks something else.

use crate::message::{Known, ResponseHead};
use crate::policy::grpc_status;

/// How much of the text of such an answer becomes `grpc-message`, in bytes before they are encoded (Envoy's number). The
/// rest is let go.
pub const ANSWER_TEXT: usize = 16 * 1024;

/// What came of the body so far.
#[derive(Clone, Debug, Default)]
pub struct AnswerText(Vec<u8>);

impl AnswerText {
    /// Takes the next bytes of the body.
    pub fn push(&mut self, data: &[u8]) {
        let room = ANSWER_TEXT.saturating_sub(self.0.len());
        self.0.extend(data.iter().take(room));
    }

    /// Puts the text and the status that stands for the HTTP one into the head. The HTTP status stays, for clients that
    /// look at it first.
    pub fn end(self, head: &mut ResponseHead) {
        grpc_status::set(head, grpc_status::of_http(head.status));
        grpc_status::set_message(head, &self.0);
        head.headers.set(Known::ContentLength, b"0");
    }
}
