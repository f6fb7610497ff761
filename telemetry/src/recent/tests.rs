//! Which requests are kept, how many, and what is counted of the others.

use outrigger_core::decision::Refused;
use outrigger_core::entropy::Entropy;
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ExchangeId, ListenerKind, Peer};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::Facts;

use super::*;

const SETTINGS: RecentSettings = RecentSettings {
    keep: 3,
    slow: Some(Duration::from_secs(1)),
    sample: PerMillion::from_fraction(0, 1),
    bytes: 1 << 20,
};

fn record(status: u16, details: Details, millis: u64) -> Record {
    let mut record = Record::default();
    record.status = status;
    record.details = details;
    record.ended = Instant::from_millis(millis);
    record
}

/// Ends requests that failed, with these paths, at these times in milliseconds.
fn end(writer: &mut RecentWriter, requests: impl IntoIterator<Item = (String, u64)>) {
    let snapshot = Arc::new(Snapshot::default());
    for (path, at) in requests {
        let mut record = record(503, Details::NoHealthyUpstream, 0);
        record.request.path = path.into_bytes();
        writer.on_end(&Ended {
            id: ExchangeId::default(),
            record: &record,
            snapshot: &snapshot,
            response: &ResponseHead::default(),
            peer: Peer {
                remote: ([10, 0, 0, 1], 1).into(),
                local: ([10, 0, 0, 2], 2).into(),
                original: None,
                listener: ListenerKind::Outbound,
            },
            listener: Some(0),
            facts: &Facts::CLEAR,
            client_tls: None,
            now: Instant::from_millis(at),
        });
    }
}

fn paths(read: &RecentRequests) -> Vec<&str> {
    let mut paths: Vec<_> = read.requests.iter().map(|of| &*of.told.path).collect();
    // They began at nearly the same moment by the calendar.
    paths.sort_unstable();
    paths
}

#[test]
fn what_failed_or_was_slow_is_kept() {
    let refused = Details::Refused(Refused {
        status: 400,
        details: "x",
        explain: "x",
        limit: None,
    });
    for (record, want) in [
        (record(200, Details::ViaUpstream, 10), None),
        (record(404, Details::ViaUpstream, 10), None),
        (record(500, Details::ViaUpstream, 10), Some(Why::Failed)),
        (record(0, Details::None, 10), Some(Why::Failed)),
        (record(404, Details::RouteNotFound, 10), Some(Why::Failed)),
        (record(404, Details::DirectResponse, 10), None),
        (record(502, Details::DirectResponse, 10), Some(Why::Failed)),
        (record(429, Details::RateLimited, 10), Some(Why::Failed)),
        (record(400, refused, 10), Some(Why::Failed)),
        (record(200, Details::CorsPreflight, 10), None),
        (record(200, Details::ViaUpstream, 999), None),
        (record(200, Details::ViaUpstream, 1000), Some(Why::Slow)),
        (record(503, Details::ViaUpstream, 1000), Some(Why::Failed)),
    ] {
        assert_eq!(SETTINGS.why(&record), want, "{record:?}");
    }
    let patient = RecentSettings {
        slow: None,
        ..SETTINGS
    };
    assert_eq!(patient.why(&record(200, Details::ViaUpstream, 9999)), None);
}

#[test]
fn samples_are_drawn_by_the_number_of_the_request() {
    let settings = RecentSettings {
        sample: PerMillion::from_percent(25.0),
        ..SETTINGS
    };
    let sampled = (0..4000).filter(|number| {
        let mut record = record(200, Details::ViaUpstream, 1);
        record.entropy = Entropy(*number);
        settings.why(&record) == Some(Why::Sampled)
    });
    let count = sampled.count();
    assert!((900..1100).contains(&count), "{count}");
}

#[test]
fn the_last_ones_are_kept_within_their_bytes() {
    let rings = RecentRings::new(SETTINGS);
    let mut writer = rings.of_worker();
    end(&mut writer, (0..5).map(|n| (format!("/{n}"), 1)));
    let read = rings.read();
    assert_eq!(paths(&read), ["/2", "/3", "/4"]);
    assert_eq!((read.kept, read.passed_over), (5, 0));
    assert!(read.requests[0].told.story.contains("no_healthy_upstream"));
    // Of two workers as many as of one.
    let mut other = rings.of_worker();
    end(&mut other, [("/x".to_owned(), 1)]);
    assert_eq!(rings.read().requests.len(), 3);
    let small = RecentSettings {
        bytes: 3000,
        ..SETTINGS
    };
    let rings = RecentRings::new(small);
    let mut writer = rings.of_worker();
    end(
        &mut writer,
        (0..3).map(|n| (format!("/{n}{}", "x".repeat(1500)), 1)),
    );
    let read = rings.read();
    assert_eq!(read.requests.len(), 1, "{} bytes", read.bytes);
    assert!(read.requests[0].told.path.starts_with("/2"));
    assert!(read.requests[0].told.path.len() <= MOST_FACT_BYTES + '…'.len_utf8());
}

#[test]
fn only_so_many_are_told_in_a_second() {
    let rings = RecentRings::new(SETTINGS);
    let mut writer = rings.of_worker();
    let most = u64::from(TOLD_A_SECOND);
    end(&mut writer, (0..most + 7).map(|n| (format!("/{n}"), 1500)));
    let read = rings.read();
    assert_eq!((read.kept, read.passed_over), (most, 7));
    end(&mut writer, [("/later".to_owned(), 2500)]);
    assert_eq!(rings.read().kept, most + 1);
}

#[test]
fn nobody_waits_for_a_reader() {
    let rings = RecentRings::new(SETTINGS);
    let mut writer = rings.of_worker();
    let ring = Arc::clone(&writer.ring);
    let reading = ring.lock();
    end(&mut writer, [("/".to_owned(), 1)]);
    drop(reading);
    let read = rings.read();
    assert_eq!((read.kept, read.passed_over), (0, 1));
}
