//! What clients send beyond a limit of size or number: the default, the option, the answer and the counter.

use std::io::Write;

use crate::stage::{Stage, endpoint, honest, rest, runtimes};

/// One limit.
struct Case {
    /// What of it is sent, so large or so often.
    sends: fn(usize) -> Vec<u8>,
    /// As much as passes by default; one more does not.
    most: usize,
    /// The option, with a value by which less passes, and how much.
    less: (&'static str, usize),
    /// The option with a value by which one more than by default passes.
    more: &'static str,
    answer: &'static str,
    counter: &'static str,
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";

/// A head of so many bytes.
fn head(bytes: usize) -> Vec<u8> {
    let begin = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\nx-a: ";
    let filled = "a".repeat(bytes - begin.len() - 4);
    format!("{begin}{filled}\r\n\r\n").into_bytes()
}

/// A head of so many fields.
fn fields(count: usize) -> Vec<u8> {
    let more = "x-a: 1\r\n".repeat(count - 2);
    let head = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n";
    format!("{head}{more}\r\n").into_bytes()
}

/// A line before a chunk of so many bytes.
fn chunk_line(bytes: usize) -> Vec<u8> {
    let extension = "a".repeat(bytes - "1;\r\n".len());
    format!("{CHUNKED}1;{extension}\r\nx\r\n0\r\n\r\n").into_bytes()
}

/// So many bytes of extensions, four for each chunk.
fn extensions(bytes: usize) -> Vec<u8> {
    let last = "a".repeat(bytes % 4 + 3);
    let chunks = "1;abc\r\nx\r\n".repeat(bytes / 4 - 1);
    format!("{CHUNKED}{chunks}1;{last}\r\nx\r\n0\r\n\r\n").into_bytes()
}

/// Trailers of so many bytes.
fn trailers(bytes: usize) -> Vec<u8> {
    let value = "a".repeat(bytes - "x-a: \r\n\r\n".len());
    format!("{CHUNKED}0\r\nx-a: {value}\r\n\r\n").into_bytes()
}

/// So many trailers.
fn trailer_fields(count: usize) -> Vec<u8> {
    let fields = "x-a: 1\r\n".repeat(count);
    format!("{CHUNKED}0\r\n{fields}\r\n").into_bytes()
}

const CASES: [Case; 6] = [
    Case {
        sends: head,
        most: 60 * 1024,
        less: ("--max-request-head-bytes=1KiB", 1024),
        more: "--max-request-head-bytes=1MiB",
        answer: "431",
        counter: "head_bytes",
    },
    Case {
        sends: fields,
        most: 100,
        less: ("--max-head-fields=10", 10),
        more: "--max-head-fields=256",
        answer: "431",
        counter: "head_fields",
    },
    Case {
        sends: chunk_line,
        most: 4096,
        less: ("--max-chunk-line-bytes=64", 64),
        more: "--max-chunk-line-bytes=8KiB",
        answer: "400",
        counter: "chunk_line_bytes",
    },
    Case {
        sends: extensions,
        most: 16 * 1024,
        less: ("--max-chunk-extension-bytes=100", 100),
        more: "--max-chunk-extension-bytes=17KiB",
        answer: "400",
        counter: "chunk_extension_bytes",
    },
    Case {
        sends: trailers,
        most: 16 * 1024,
        less: ("--max-trailer-bytes=100", 100),
        more: "--max-trailer-bytes=17KiB",
        answer: "431",
        counter: "trailer_bytes",
    },
    Case {
        sends: trailer_fields,
        most: 100,
        less: ("--max-head-fields=10", 10),
        more: "--max-head-fields=101",
        answer: "431",
        counter: "head_fields",
    },
];

#[test]
fn each_limit_of_http1_holds_at_its_default_and_as_its_option_says() {
    for runtime in runtimes() {
        let open = |option: Option<&str>| {
            let flags: Vec<&str> = ["--runtime", runtime].into_iter().chain(option).collect();
            let name = format!("sizes-{runtime}-{}", option.unwrap_or_default());
            Stage::open(&name, &flags, endpoint(honest), "")
        };
        let default = open(None);
        for (at, case) in CASES.iter().enumerate() {
            let what = format!("{runtime}, {} (case {at})", case.counter);
            let counter = format!("outrigger.http1.downstream.{}", case.counter);
            let counted = default.stat(&counter);
            let is = |stage: &Stage, size: usize, status: &str| {
                let heard = stage.hears(&(case.sends)(size));
                let begin = format!("HTTP/1.1 {status} ");
                assert!(heard.starts_with(&begin), "{what}: {size}: {heard}");
            };
            is(&default, case.most, "200");
            assert_eq!(default.stat(&counter), counted, "{what}");
            is(&default, case.most + 1, case.answer);
            default.counts(&counter, counted + 1);
            default.serves_others();
            let (option, most) = case.less;
            let less = open(Some(option));
            is(&less, most, "200");
            is(&less, most + 1, case.answer);
            less.counts(&counter, 1);
            let more = open(Some(case.more));
            is(&more, case.most + 1, "200");
            assert_eq!(more.stat(&counter), 0, "{what}");
        }
    }
}

#[test]
fn a_body_that_is_too_long_is_413_and_counted() {
    for runtime in runtimes() {
        let flags = ["--runtime", runtime, "--max-request-body", "10"];
        let stage = Stage::open(&format!("body-{runtime}"), &flags, endpoint(honest), "");
        let told =
            b"POST / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\ncontent-length: 11\r\n\r\n01234567890";
        let chunked = format!("{CHUNKED}b\r\n01234567890\r\n");
        for (count, sent) in (1..).zip([&told[..], chunked.as_bytes()]) {
            let heard = stage.hears(sent);
            assert!(heard.starts_with("HTTP/1.1 413 "), "{runtime}: {heard}");
            stage.counts(&stage.http("downstream_rq_too_large"), count);
        }
    }
}

const RULES: &str = r#"---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec:
  jwtRules:
  - issuer: "https://issuer.test"
    jwks: '{"keys":[{"crv":"P-256","kty":"EC","x":"GHNX6Xly-eLDr14UrNc4RvB4pKUv8sf9dmtAPIyL61Q","y":"oy4d9RhnMCDXdHrNHPb0rBVaEzxByOfNrqZnntJhbFk"}]}'
"#;

#[test]
fn tokens_are_bounded_in_number_and_length() {
    for runtime in runtimes() {
        for (at, (options, tokens, length, counter)) in [
            (&[][..], 9, 10, "jwt_too_many"),
            (&["--max-tokens=1"], 2, 10, "jwt_too_many"),
            (&[], 1, 16 * 1024 + 1, "jwt_too_long"),
            (&["--max-token-bytes=1KiB"], 1, 1025, "jwt_too_long"),
            // What is no token is refused for that where limits let it through.
            (&["--max-tokens=9"], 9, 10, ""),
            (&["--max-token-bytes=17KiB"], 1, 16 * 1024 + 1, ""),
        ]
        .into_iter()
        .enumerate()
        {
            let application = endpoint(honest);
            let inbound = format!("127.0.0.1:0={application}");
            let mut flags = vec!["--runtime", runtime, "--inbound", &*inbound];
            flags.extend(options);
            let name = format!("tokens-{runtime}-{at}");
            let stage = Stage::open(&name, &flags, application, RULES);
            let token = format!("authorization: Bearer {}\r\n", "a".repeat(length));
            let head = "GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n";
            let sent = format!("{head}{}\r\n", token.repeat(tokens));
            let heard = stage.proxy.ask("inbound", &sent);
            assert!(
                heard.starts_with("HTTP/1.1 401 "),
                "{runtime} {at}: {heard}"
            );
            for one in ["jwt_too_many", "jwt_too_long"] {
                let name = format!("http.inbound.jwt_authn.{one}");
                stage.counts(&name, u64::from(one == counter));
            }
        }
    }
}

#[test]
fn a_thousand_requests_at_once_whose_answers_nobody_reads_are_held_back() {
    const MANY: usize = 5_000;
    for runtime in runtimes() {
        let flags = ["--runtime", runtime];
        let stage = Stage::open(&format!("flood-{runtime}"), &flags, endpoint(honest), "");
        let mut client = stage.client();
        let mut writer = client.try_clone().unwrap();
        let flood = std::thread::spawn(move || {
            let head = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n".repeat(MANY);
            let last = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
            writer.write_all((head + last).as_bytes())
        });
        // Nobody reads, and others are served.
        stage.serves_others();
        assert!(
            stage.stat("outrigger.buffered_bytes") < 1 << 20,
            "{runtime}"
        );
        // Whoever reads at last has lost nothing.
        let heard = rest(&mut client);
        flood.join().unwrap().unwrap();
        let answers = heard.matches("HTTP/1.1 200 OK\r\n").count();
        assert_eq!(answers, MANY + 1, "{runtime}");
    }
}
