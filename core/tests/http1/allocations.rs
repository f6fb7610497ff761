//! A kept connection costs no heap allocation per message once its buffers have grown.

use bytes::BytesMut;
use outrigger_core::http1::{Asked, Limits, Reader, Reply, Writer};
use outrigger_core::message::{RequestHead, ResponseHead, Version};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{BodyLength, Part};

/// Both directions of a proxy, as the exchange drives them.
struct Proxy {
    down: (Reader, Writer, BytesMut, Outbox),
    up: (Reader, Writer, BytesMut, Outbox),
    request: RequestHead,
    response: ResponseHead,
}

impl Proxy {
    fn new() -> Self {
        let side = |reader| {
            (
                reader,
                Writer::default(),
                BytesMut::new(),
                Outbox::default(),
            )
        };
        Self {
            down: side(Reader::requests(&Limits::REQUEST)),
            up: side(Reader::responses(&Limits::RESPONSE)),
            request: RequestHead::default(),
            response: ResponseHead::default(),
        }
    }

    fn pass(&mut self, request: &[u8], response: &[u8]) {
        self.down.2.extend_from_slice(request);
        let facts = self
            .down
            .0
            .request_head(&mut self.down.2, &mut self.request);
        let facts = facts.unwrap().unwrap();
        let body = BodyLength::from(facts.framing);
        self.up
            .1
            .request_head(&self.request, body, None, &mut self.up.3);
        while let Part::Data(data) = self.down.0.body(&mut self.down.2).unwrap() {
            self.up.1.data(data, &mut self.up.3);
        }
        assert!(self.up.1.end(None, &mut self.up.3));
        self.up.3.advance(self.up.3.len());

        self.up.2.extend_from_slice(response);
        let asked = Asked {
            method: &self.request.method,
            upgrade: false,
        };
        let facts = self
            .up
            .0
            .response_head(&mut self.up.2, asked, &mut self.response);
        let reply = Reply {
            method: &self.request.method,
            version: Version::Http11,
            body: facts.unwrap().unwrap().framing.into(),
            keep_alive: true,
            upgrade: None,
        };
        assert!(
            self.down
                .1
                .response_head(&self.response, &reply, &mut self.down.3)
        );
        while let Part::Data(data) = self.up.0.body(&mut self.up.2).unwrap() {
            self.down.1.data(data, &mut self.down.3);
        }
        assert!(self.down.1.end(None, &mut self.down.3));
        self.down.3.advance(self.down.3.len());
        assert!(self.down.2.is_empty() && self.up.2.is_empty());
    }
}

#[test]
fn a_kept_connection_allocates_nothing() {
    let get: (&[u8], &[u8]) = (
        b"GET /path?query HTTP/1.1\r\nHost: recommendation:8080\r\nConnection: keep-alive\r\nAccept: */*\r\nX-Request-Id: 0123\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello",
    );
    let post: (&[u8], &[u8]) = (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: x-a\r\nX-A: 1\r\nTE: trailers\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=\"x\"\r\nde\r\n0\r\n\r\n",
    );
    let mut proxy = Proxy::new();
    let mut round = || {
        for (request, response) in [get, post] {
            proxy.pass(request, response);
        }
    };
    (0..20).for_each(|_| round());
    let counted = allocation_counter::measure(|| (0..200).for_each(|_| round()));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
