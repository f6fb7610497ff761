//! What endpoints send without an end: the client hears 502 or a response that is cut, the limit's counter tells, and nobody waits.

use std::io::Write;

use crate::stage::{Stage, endpoint, honest, runtimes};

/// Everything to the end of time, in pieces of this.
fn pours(
    begin: &'static str,
    again: &'static str,
) -> impl Fn(&str, &mut std::net::TcpStream) + Clone {
    move |head, stream| {
        if head.contains("/honest") {
            return honest(head, stream);
        }
        let piece = again.repeat(1000);
        let mut took = stream.write_all(begin.as_bytes());
        while took.is_ok() {
            took = stream.write_all(piece.as_bytes());
        }
    }
}

#[test]
fn endpoints_that_never_end_a_head_or_what_surrounds_a_body_are_given_up() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for runtime in runtimes() {
        for (option, begin, again, status, counter) in [
            (None, "HTTP/1.1 200 OK\r\nx: ", "y", "502", "head_bytes"),
            (
                Some("--max-response-head-bytes=64"),
                "HTTP/1.1 200 OK\r\nx: ",
                "y",
                "502",
                "head_bytes",
            ),
            (None, "HTTP/1.1 200 OK\r\n", "x: y\r\n", "502", "head_bytes"),
            (
                Some("--max-head-fields=3"),
                "HTTP/1.1 200 OK\r\na: b\r\nc: d\r\ne: f\r\ng: h\r\n\r\n",
                "",
                "502",
                "head_fields",
            ),
            (
                None,
                "",
                "HTTP/1.1 103 Early Hints\r\n\r\n",
                "103",
                "interim_responses",
            ),
            (
                Some("--max-interim-responses=0"),
                "",
                "HTTP/1.1 103 Early Hints\r\n\r\n",
                "502",
                "interim_responses",
            ),
            (None, CHUNKED, "a", "200", "chunk_line_bytes"),
            (
                None,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
                "a",
                "200",
                "chunk_line_bytes",
            ),
            (
                None,
                CHUNKED,
                "1;ab\r\nx\r\n",
                "200",
                "chunk_extension_bytes",
            ),
            (
                Some("--max-chunk-extension-bytes=0"),
                CHUNKED,
                "1;ab\r\nx\r\n",
                "200",
                "chunk_extension_bytes",
            ),
            (
                None,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
                "x: y\r\n",
                "200",
                "trailer_bytes",
            ),
        ] {
            let flags: Vec<&str> = ["--runtime", runtime].into_iter().chain(option).collect();
            let what = format!("{runtime} {option:?} {begin:?} {again:?}");
            let stage = Stage::open(
                &format!("endless-{runtime}"),
                &flags,
                endpoint(pours(begin, again)),
                "",
            );
            let heard =
                stage.hears(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
            assert!(
                heard.starts_with(&format!("HTTP/1.1 {status} ")),
                "{what}: {heard:.200}"
            );
            match status {
                "103" => assert!(heard.contains("HTTP/1.1 502 "), "{what}"),
                // Without its last chunk it is not whole.
                "200" => assert!(!heard.contains("\r\n0\r\n\r\n"), "{what}"),
                _ => {}
            }
            // Istio tries twice more where nothing has begun.
            let counter = format!("outrigger.http1.upstream.{counter}");
            stage.wait_for(&counter, |count| count >= 1);
            let answer = stage.proxy.ask(
                "outbound",
                "GET /honest HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n",
            );
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n"),
                "{what}: {answer}"
            );
        }
    }
}
