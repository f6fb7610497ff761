//! A call over gRPC: its head, the one message that it says, and the one that answers it.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, StatusCode};

use super::Heard;
use crate::message::{Known, RequestHead, Version};
use crate::policy::grpc_status;
use crate::time::Duration;

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The longest time that fits into eight digits (gRPC over HTTP/2, `TimeoutValue`).
const MOST_MILLIS: u128 = 99_999_999;

/// The head of a call of a method.
pub(super) fn head(path: &str, authority: &str, timeout: Option<Duration>) -> RequestHead {
    let path = path.as_bytes().to_vec();
    let mut head = super::head(Method::POST, authority.as_bytes(), path);
    head.version = Version::Http2;
    let headers = &mut head.headers;
    headers.set(Known::ContentType, grpc_status::CONTENT_TYPE);
    let _ = headers.append(b"te", b"trailers");
    if let Some(timeout) = timeout {
        let millis = timeout.as_millis().min(MOST_MILLIS);
        headers.set(Known::GrpcTimeout, format!("{millis}m").as_bytes());
    }
    head
}

/// A message with its prefix.
pub(super) fn framed(encoded: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(PREFIX + encoded.len());
    message.put_u8(0);
    // A head and the beginning of a body, both of which are bounded far below 4 GiB.
    message.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    message.extend_from_slice(encoded);
    message.freeze()
}

/// The message that answers a call; `None` for a call that failed.
pub(super) fn answer(heard: &Heard) -> Option<&[u8]> {
    let code = grpc_status::of(&heard.head.headers)
        .or_else(|| heard.trailers.as_ref().and_then(grpc_status::of));
    let is_call = heard.head.status == StatusCode::OK && code == Some(0);
    unframed(&heard.body).filter(|_| is_call)
}

/// The only message of a body, which is not compressed.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let [0, length @ ..] = prefix else {
        return None;
    };
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    (length == message.len()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ResponseHead;

    #[test]
    fn one_whole_message_answers_a_call_that_went_well() {
        let good = framed(b"ab");
        let cut = good.slice(..good.len() - 1);
        let compressed = Bytes::from_static(&[1, 0, 0, 0, 0]);
        let longer = Bytes::from_static(&[0, 0, 0, 0, 0, 0]);
        for (body, code, want) in [
            (good.clone(), Some(&b"0"[..]), Some(&b"ab"[..])),
            (good.clone(), None, None),
            (good.clone(), Some(b"7"), None),
            (good, Some(b"x"), None),
            (cut, Some(b"0"), None),
            (compressed, Some(b"0"), None),
            (longer, Some(b"0"), None),
            (Bytes::new(), Some(b"0"), None),
        ] {
            let mut head = ResponseHead::default();
            if let Some(code) = code {
                head.headers.set(Known::GrpcStatus, code);
            }
            let heard = Heard {
                head,
                body: body.clone(),
                trailers: None,
            };
            assert_eq!(answer(&heard), want, "{body:?} {code:?}");
        }
    }
}
