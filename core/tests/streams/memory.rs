//! How much many streams hold together when nobody takes anything, and that it is counted.

use outrigger_core::http2::Limits;
use outrigger_core::stream::Protocol::{Http1, Http2};
use outrigger_core::worker::WorkerSettings;

use crate::mesh::{Mesh, service};
use crate::name;

const LIMIT: u64 = 1024 * 1024;

const STUCK: u64 = 100;

const BODY: usize = 150_000;

/// What a stream may hold however short memory is: what its endpoint or its client may send without credit, its low mark, and
/// what one read adds.
const EACH: u64 = (64 + 32 + 16) * 1024;

fn stuck(endpoint: outrigger_core::stream::Protocol, upload: bool, most: Option<u64>) -> Mesh {
    let settings = WorkerSettings {
        max_buffered_bytes: most,
        client_streams: Limits {
            concurrent_streams: 1 + STUCK as u32,
            ..Limits::SERVER
        },
        ..WorkerSettings::default()
    };
    let mut mesh = Mesh::with(Http2, endpoint, &service(name(endpoint), ""), settings);
    // The first answer lets the client know how many streams there may be, and makes a connection.
    mesh.ask("GET", "/first", &[], None);
    mesh.play();
    mesh.is_stuck = true;
    mesh.endpoints_are_stuck(upload);
    for _ in 0..STUCK {
        match upload {
            true => mesh.ask("POST", "/up", &[], Some(&[b'x'; BODY])),
            false => mesh.ask("GET", &format!("/bytes/{BODY}"), &[], None),
        };
    }
    mesh.play();
    mesh
}

#[test]
fn streams_that_nobody_takes_are_bounded_together() {
    for endpoint in [Http1, Http2] {
        for upload in [false, true] {
            let what = format!("{endpoint:?}, upload: {upload}");
            let mut mesh = stuck(endpoint, upload, Some(LIMIT));
            let counted = mesh.worker.counts().buffered;
            let most = LIMIT + STUCK * EACH;
            assert!(
                (LIMIT..most).contains(&counted.bytes),
                "{what}: {counted:?}"
            );
            assert!(counted.overflows > 0, "{what}: {counted:?}");
            assert_eq!(mesh.worker.protocols().1.clients.streams, STUCK, "{what}");
            // Everything goes through in the end.
            mesh.take_all();
            let left = mesh.got.iter().filter(|got| !got.is_whole);
            let left: Vec<_> = left.map(|got| (got.status, got.body.len())).collect();
            assert!(left.is_empty(), "{what}: {left:?}");
            assert_eq!(mesh.worker.counts().buffered.bytes, 0, "{what}");
            assert_eq!(mesh.worker.protocols().1.clients.streams, 0, "{what}");
        }
    }
}

#[test]
fn what_streams_hold_is_counted_on_both_sides() {
    for (upload, least) in [(false, BODY - 64 * 1024), (true, 64 * 1024)] {
        let mesh = stuck(Http2, upload, None);
        let held = mesh.worker.counts().buffered.bytes;
        assert!(held >= STUCK * least as u64, "{upload}: {held}");
    }
}
