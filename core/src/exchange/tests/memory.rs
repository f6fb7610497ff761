//! What the connections of a worker hold together, and what happens when that is too much.

use super::*;
use crate::decision::{MirrorFate, Mirrored};
use crate::local::Buffered;

const LIMIT: u64 = 1024 * 1024;

const UPLOAD: &[u8] = b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000000\r\n\r\n";

/// Several clients of one worker.
struct Crowd(Driver);

impl Crowd {
    fn new(snapshot: Arc<Snapshot>, connections: u16) -> Self {
        let settings = WorkerSettings {
            max_buffered_bytes: Some(LIMIT),
            ..WorkerSettings::default()
        };
        Self(Driver::crowd(snapshot, settings, 1, connections.into()))
    }

    fn sends(&mut self, at: usize, side: Side, bytes: &[u8]) {
        self.0.of(at).sends(side, bytes);
    }

    fn receives(&mut self, at: usize, side: Side) -> usize {
        let d = self.0.of(at);
        let count = d.outbox(side).len();
        if count > 0 {
            d.input(side, Input::Wrote(count));
        }
        count
    }

    /// Begins a request, with its connection to the endpoint.
    fn begins(&mut self, at: usize, head: &[u8]) {
        self.sends(at, Side::Downstream, head);
        self.0.of(at).connects();
    }

    /// A client sends as much as it can while nothing is taken from it; returns how much that was.
    fn pours(&mut self, at: usize, from: Side) -> usize {
        let mut sent = 0;
        while self.0.of(at).reads(from) {
            self.sends(at, from, &[b'x'; 16 * 1024]);
            sent += 16 * 1024;
            assert!(sent < 10_000_000, "reading never stops");
        }
        sent
    }

    fn counted(&self) -> Buffered {
        self.0.worker.counts().buffered
    }
}

/// Uploads that nobody takes, downloads that nobody reads and tunnels hold no more together than they may, and whoever holds
/// little goes on.
#[test]
fn all_bodies_together_are_bounded() {
    const MANY: u16 = 40;
    const EACH: u64 = 64 * 1024;
    let upgrade =
        b"GET /a HTTP/1.1\r\nHost: h.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switched =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    for (name, request, response, from) in [
        ("upload", UPLOAD, &b""[..], Side::Downstream),
        ("download", GET, &long[..], Side::Upstream),
        ("tunnel up", &upgrade[..], &switched[..], Side::Downstream),
        ("tunnel down", &upgrade[..], &switched[..], Side::Upstream),
    ] {
        let mut crowd = Crowd::new(snapshot(SERVICE), MANY);
        for at in 0..MANY.into() {
            crowd.begins(at, request);
            crowd.receives(at, Side::Upstream);
            if !response.is_empty() {
                crowd.sends(at, Side::Upstream, response);
            }
            crowd.pours(at, from);
        }
        let held = crowd.counted().bytes;
        let most = LIMIT + u64::from(MANY) * EACH;
        assert!((LIMIT..most).contains(&held), "{name}: {held}");
        assert_eq!(crowd.counted().overflows, 1, "{name}");
        let to = match from {
            Side::Downstream => Side::Upstream,
            Side::Upstream | Side::Aside => Side::Downstream,
        };
        // The last one held little, and goes on step by step once its peer takes bytes.
        let last = usize::from(MANY) - 1;
        let mut moved = 0;
        while moved < 1_000_000 {
            moved += crowd.receives(last, to);
            assert!(crowd.pours(last, from) > 0, "{name} stands still");
        }
        // So does the first one, which held most.
        crowd.receives(0, to);
        assert!(crowd.pours(0, from) > 0, "{name}");
        for at in 0..MANY.into() {
            crowd.0.of(at).input(Side::Downstream, Input::Broken);
        }
        assert_eq!(crowd.counted().bytes, 0, "{name}");
    }
}

/// While memory is short, a long body is not kept for another attempt, and the request goes through all the same.
#[test]
fn who_finds_no_memory_is_not_retried_and_not_refused() {
    let rule = "retries: {attempts: 2, retryOn: 5xx}, mirror: {host: h.test}";
    for (is_short, length, statuses, abandoned, fate) in [
        (false, 100_000, "200", 0, MirrorFate::Sent),
        (true, 100_000, "503", 1, MirrorFate::BodyTooLong),
        (true, 60_000, "200", 0, MirrorFate::Sent),
    ] {
        let mut crowd = Crowd::new(with_rule(rule), 8);
        if is_short {
            for at in 1..8 {
                crowd.begins(at, UPLOAD);
                crowd.pours(at, Side::Downstream);
            }
        }
        let before = crowd.counted();
        assert_eq!(before.bytes >= LIMIT, is_short);
        let head = format!("POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {length}\r\n\r\n");
        crowd.begins(0, head.as_bytes());
        let mut left = length;
        let mut taken = 0;
        while left > 0 {
            let count = left.min(16 * 1024);
            assert!(crowd.0.of(0).reads(Side::Downstream));
            crowd.sends(0, Side::Downstream, &vec![b'x'; count]);
            taken += crowd.receives(0, Side::Upstream);
            left -= count;
        }
        assert!(taken > length, "the endpoint gets all of it");
        // The copy's endpoint takes its bytes, as a mirror that is well does.
        for copy in 8..crowd.0.parties.len() {
            crowd.0.of(copy).connects();
            while crowd.receives(copy, Side::Upstream) > 0 {}
            crowd.sends(copy, Side::Upstream, OK);
        }
        crowd.sends(
            0,
            Side::Upstream,
            b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        );
        let due = crowd.0.of(0).deadline();
        if due.is_some_and(|(_, timer)| timer == Timer::Backoff) {
            crowd.0.wait_for(Timer::Backoff);
            crowd.0.connects();
            let mut again = 0;
            while !crowd.0.outbox(Side::Upstream).is_empty() {
                again += crowd.receives(0, Side::Upstream);
            }
            assert!(again > length);
            crowd.sends(0, Side::Upstream, OK);
        }
        let record = crowd.0.of(0).record();
        assert_eq!(record.status.to_string(), statuses, "{is_short} {length}");
        assert!(
            matches!(record.mirrors[..], [Mirrored { fate: f, .. }] if f == fate),
            "{:?}",
            record.mirrors
        );
        let counted = crowd.counted();
        assert_eq!(counted.abandoned - before.abandoned, abandoned);
    }
}

/// While no connection is there, less of a body is taken; it goes on with the connection.
#[test]
fn a_body_waits_for_its_connection_in_little_memory() {
    for (is_short, most) in [(false, 1_300_000), (true, 150_000)] {
        let mut crowd = Crowd::new(with_rule("retries: {attempts: 2}"), 8);
        if is_short {
            for at in 1..8 {
                crowd.begins(at, UPLOAD);
                crowd.pours(at, Side::Downstream);
            }
        }
        crowd.sends(0, Side::Downstream, UPLOAD);
        let waits = crowd.pours(0, Side::Downstream);
        assert!((most / 2..most).contains(&waits), "{is_short}: {waits}");
        crowd.0.of(0).connects();
        let mut got = 0;
        while got < 3_000_000 {
            let count = crowd.receives(0, Side::Upstream);
            got += count;
            assert!(count + crowd.pours(0, Side::Downstream) > 0, "it goes on");
        }
    }
}
