//! Replays the fuzz corpus through the bodies of the fuzz targets, so that what fuzzing once found stays found.

use proptest::prelude::*;

#[path = "../../fuzz/src/authorization.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod authorization;
#[path = "../../fuzz/src/config.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod config;
#[path = "../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../fuzz/src/draws.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod draws;
#[path = "../../fuzz/src/h2_peer.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod h2_peer;
#[path = "../../fuzz/src/hpack.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod hpack;
#[path = "../../fuzz/src/http1.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod http1;
#[path = "../../fuzz/src/http2.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod http2;
#[path = "../../fuzz/src/hyper_peer.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod hyper_peer;
#[path = "../../fuzz/src/jose.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod jose;
#[path = "../../fuzz/src/proxy_protocol.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod proxy_protocol;
#[path = "../../fuzz/src/sniff.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod sniff;
#[path = "../../fuzz/src/worker.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod worker;

fn replay(target: &str, run: impl FnMut(&[u8])) {
    corpus::replay(env!("CARGO_MANIFEST_DIR"), target, run);
}

#[test]
fn http1_request() {
    replay("http1_request", http1::requests);
}

#[test]
fn http1_response() {
    replay("http1_response", http1::responses);
}

#[test]
fn jose() {
    replay("jose", jose::token_and_keys);
}

#[test]
fn proxy_protocol() {
    replay("proxy_protocol", proxy_protocol::headers);
}

#[test]
fn sniff() {
    replay("sniff", sniff::beginnings);
}

#[test]
fn hpack() {
    replay("hpack", hpack::blocks);
}

#[test]
fn http2_connection() {
    replay("http2_connection", |bytes| drop(http2::connection(bytes)));
}

#[test]
fn http2_cuts() {
    replay("http2_cuts", http2::cuts);
}

/// How often two agreed over what was found.
fn agreed(targets: &[&str], agree: impl Fn(&[u8]) -> usize) -> usize {
    let both = std::cell::Cell::new(0);
    for target in targets {
        replay(target, |bytes| both.set(both.get() + agree(bytes)));
    }
    both.get()
}

#[test]
fn hyper_requests() {
    let both = agreed(
        &["hyper_requests", "http1_request"],
        hyper_peer::same_requests,
    );
    assert!(both > 50, "{both}");
}

#[test]
fn h2_streams() {
    let both = agreed(&["h2_streams"], h2_peer::same_streams);
    assert!(both > 50, "{both}");
}

proptest! {
    /// Frames that nobody chose.
    #[test]
    fn h2_understands_the_same(program in prop::collection::vec(any::<u8>(), 0..300)) {
        h2_peer::same_streams(&program);
    }
}

#[test]
fn worker_streams() {
    replay("worker_streams", worker::streams);
}

proptest! {
    /// Programs that nobody chose.
    #[test]
    fn workers_are_left_empty(program in prop::collection::vec(any::<u8>(), 0..1500)) {
        worker::streams(&program);
    }
}

#[test]
fn authorization() {
    let judged = std::cell::Cell::new(0);
    replay("authorization", |bytes| {
        let is_read = authorization::as_the_model(bytes);
        judged.set(judged.get() + u32::from(is_read));
    });
    assert!(judged.get() > 10, "most are refused: {judged:?}");
}

proptest! {
    /// Policies as somebody writes them, and requests, that nobody chose.
    #[test]
    fn policies_decide_as_the_model(program in prop::collection::vec(any::<u8>(), 0..600)) {
        authorization::as_the_model(&program);
    }
}

#[test]
fn config_load() {
    replay("config_load", config::load_and_compile);
}
