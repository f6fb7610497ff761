//! A kept connection costs no heap allocation for its heads once their memory has grown.

use bytes::BytesMut;
use outrigger_core::http2::heads::{
    Asked, HeadLimits, read_request, read_response, read_trailers, write_request, write_response,
    write_trailers,
};
use outrigger_core::http2::hpack::{Decoder, Encoder};
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::stream::{Answer, Begins, BodyLength};

fn block(encoder: &mut Encoder, fields: &[(&str, &str)]) -> BytesMut {
    let mut block = BytesMut::new();
    encoder.begin(&mut block);
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes(), &mut block);
    }
    block
}

const REQUEST: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/shop.Cart/Add"),
    (":authority", "cart.shop.svc.cluster.local:8080"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("user-agent", "grpc-go/1.70.0"),
    ("grpc-timeout", "998m"),
    ("cookie", "a=0123456789012345678901234567890"),
    ("cookie", "b=2"),
    ("cookie", "c=3"),
    ("x-request-id", "4a5a2bb9-4b1f-4d5e-9d1c-0a6d0a1c0001"),
];

const RESPONSE: &[(&str, &str)] = &[
    (":status", "200"),
    ("content-type", "application/grpc"),
    ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
    ("content-length", "5"),
];

#[test]
fn heads_of_a_kept_connection_allocate_nothing() {
    let (mut client, mut service) = (Encoder::new(), Encoder::new());
    let (mut from_client, mut from_service) = (Decoder::new(4096), Decoder::new(4096));
    let (mut up, mut down) = (Encoder::new(), Encoder::new());
    let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
    let (mut trailers, mut out) = (Headers::default(), BytesMut::new());
    let requests: Vec<_> = (0..220).map(|_| block(&mut client, REQUEST)).collect();
    let responses: Vec<_> = (0..220)
        .map(|_| {
            (
                block(&mut service, RESPONSE),
                block(&mut service, &[("grpc-status", "0")]),
            )
        })
        .collect();
    let mut round = |at: usize| {
        out.clear();
        let begins = read_request(
            &mut from_client,
            &requests[at],
            false,
            &HeadLimits::REQUEST,
            &mut request,
        );
        assert_eq!(
            begins.unwrap().unwrap(),
            Begins {
                body: BodyLength::Unknown,
                upgrade: None
            }
        );
        write_request(&mut up, &request, &Begins::default(), &mut out);
        let (head, end) = &responses[at];
        let limits = HeadLimits::RESPONSE;
        let answer = read_response(
            &mut from_service,
            head,
            false,
            &Asked::Usual,
            &limits,
            &mut response,
        );
        assert_eq!(
            answer.unwrap().unwrap(),
            Answer::Final(BodyLength::Known(5))
        );
        write_response(&mut down, &response, BodyLength::Known(5), &mut out);
        let read = read_trailers(&mut from_service, end, &HeadLimits::TRAILERS, &mut trailers);
        assert_eq!(read.unwrap(), Ok(()));
        write_trailers(&mut down, &trailers, &mut out);
    };
    (0..20).for_each(&mut round);
    let counted = allocation_counter::measure(|| (20..220).for_each(&mut round));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
