//! gRPC calls: what their endpoint is counted for.

use super::*;

const CALL: &[u8] =
    b"POST /pkg.Service/Call HTTP/1.1\r\nHost: h.test\r\nTE: trailers\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n";

/// A response with these fields, and behind a message with these trailers.
fn streamed(fields: &str, trailers: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n1\r\nm\r\n0\r\n{trailers}\r\n"
    )
    .into_bytes()
}

/// One with these fields and nothing behind them.
fn whole(status: &str, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes()
}

#[test]
fn an_endpoint_is_counted_by_the_status_of_the_call_wherever_that_stands() {
    let get = GET.to_vec();
    for (request, response, failures) in [
        (CALL, streamed("", "grpc-status: 0\r\n"), 0),
        (CALL, streamed("", "grpc-status: 5\r\n"), 0),
        (CALL, streamed("", "grpc-status: 14\r\n"), 1),
        (CALL, streamed("", "grpc-status: nonsense\r\n"), 1),
        // The call has ended without a status.
        (CALL, streamed("", ""), 1),
        (CALL, whole("200 OK", ""), 1),
        // What the head says is not the end of a call of which more follows.
        (
            CALL,
            streamed("grpc-status: 14\r\n", "grpc-status: 0\r\n"),
            0,
        ),
        (CALL, whole("200 OK", "grpc-status: 0\r\n"), 0),
        (CALL, whole("200 OK", "grpc-status: 8\r\n"), 0),
        (CALL, whole("200 OK", "grpc-status: 13\r\n"), 1),
        (
            CALL,
            whole("503 Service Unavailable", "grpc-status: 0\r\n"),
            1,
        ),
        (CALL, whole("404 Not Found", "grpc-status: 12\r\n"), 1),
        // Who does not ask in gRPC is answered in HTTP.
        (&get, streamed("", "grpc-status: 14\r\n"), 0),
        (&get, whole("200 OK", "grpc-status: 14\r\n"), 0),
    ] {
        let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
        let host = d.worker.view().snapshot.clusters[0].endpoints[0]
            .state
            .clone();
        let (_, client) = d.round(request, &response);
        assert!(!client.is_empty());
        let counted = (host.active(), host.requests(), host.failures());
        let case = response.escape_ascii();
        assert_eq!(counted, (0, 1, failures), "{case}");
    }
}

#[test]
fn a_call_that_is_cut_has_failed_and_one_that_its_client_gives_up_has_not() {
    for (side, failures) in [(Side::Upstream, 1), (Side::Downstream, 0)] {
        let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
        let host = d.worker.view().snapshot.clusters[0].endpoints[0]
            .state
            .clone();
        let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nm\r\n";
        d.round(CALL, begun);
        d.input(side, Input::Eof);
        assert!(d.outputs().contains(&Said::Ended));
        let counted = (host.active(), host.failures());
        assert_eq!(counted, (0, failures), "{side:?}");
    }
}
