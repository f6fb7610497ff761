//! Heads of HTTP/1.1 from bytes.

use bytes::BytesMut;
use http::Method;
use outrigger_core::http1::{Asked, Limits, Reader};
use outrigger_core::message::{RequestHead, ResponseHead};

use super::{Operation, Run};
use crate::frames::{REQUEST, RESPONSE_HEAD};

pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new("parse/request", 1000, request),
        Operation::new("parse/response", 1000, response),
    ]
}

fn request() -> Run {
    let mut reader = Reader::requests(&Limits::REQUEST);
    let (mut inbox, mut head) = (BytesMut::with_capacity(1 << 20), RequestHead::default());
    Box::new(move || {
        inbox.extend_from_slice(REQUEST);
        let read = reader.request_head(&mut inbox, &mut head);
        assert!(matches!(read, Ok(Some(_))), "it is whole");
    })
}

/// One without a body: the answer to a HEAD.
fn response() -> Run {
    let mut reader = Reader::responses(&Limits::RESPONSE);
    let (mut inbox, mut head) = (BytesMut::with_capacity(1 << 20), ResponseHead::default());
    Box::new(move || {
        inbox.extend_from_slice(RESPONSE_HEAD);
        let asked = Asked {
            method: &Method::HEAD,
            upgrade: false,
        };
        let read = reader.response_head(&mut inbox, asked, &mut head);
        assert!(matches!(read, Ok(Some(_))), "it is whole");
        assert!(reader.body(&mut inbox).is_ok(), "it has none");
    })
}
