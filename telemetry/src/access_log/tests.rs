//! Requests that end, and the lines that files have of them.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};

use outrigger_core::config::log_format;
use outrigger_core::decision::Record;
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ExchangeId, ListenerKind, Peer};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::snapshot::telemetry::AccessLog;
use outrigger_core::time::Instant;
use outrigger_core::worker::Facts;

use super::room::Room;
use super::*;

/// A folder of its own for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("outrigger-logs-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> Arc<str> {
        self.0.join(name).to_str().unwrap().into()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn log(path: &Arc<str>, format: &str) -> AccessLog {
    AccessLog {
        path: Arc::clone(path),
        format: Arc::new(log_format::written(format).0),
        filter: None,
        only: None,
    }
}

fn snapshot(outbound: Vec<AccessLog>, inbound: Vec<AccessLog>) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        access_logs: Arc::new(AccessLogs {
            outbound: outbound.into(),
            inbound: inbound.into(),
        }),
        ..Snapshot::default()
    })
}

/// Files, what was heard of them, and a worker's end.
fn stage() -> (Arc<LogFiles>, Arc<Mutex<Vec<String>>>, WorkerLogs) {
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let hears = Arc::clone(&heard);
    let files = Arc::new(LogFiles::new(
        1 << 20,
        Arc::new(move |words| {
            hears.lock().unwrap().push(words);
        }),
    ));
    let logs = WorkerLogs::new(&files, &Arc::default());
    (files, heard, logs)
}

/// Lets a request end, of a client or a copy of one.
fn end(
    logs: &mut WorkerLogs,
    snapshot: &Arc<Snapshot>,
    kind: ListenerKind,
    listener: Option<usize>,
) -> Option<Duration> {
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    logs.add(&Ended {
        id: ExchangeId::default(),
        record: &Record::default(),
        snapshot,
        response: &ResponseHead::default(),
        peer: Peer {
            remote: local,
            local,
            original: None,
            listener: kind,
        },
        listener,
        facts: &Facts::CLEAR,
        client_tls: None,
        now: Instant::ZERO,
    })
}

const OUT: ListenerKind = ListenerKind::Outbound;
const IN: ListenerKind = ListenerKind::Inbound(0);

#[test]
fn lines_go_where_their_snapshot_says() {
    let folder = Folder::new("where");
    let (a, b) = (folder.path("a"), folder.path("b"));
    let first = snapshot(vec![log(&a, "out")], vec![log(&a, "in"), log(&b, "in too")]);
    let second = snapshot(vec![log(&b, "later")], vec![]);
    let (files, heard, mut logs) = stage();
    files.prepare(&first.access_logs);
    assert!(files.is_on());
    assert_eq!(
        end(&mut logs, &first, OUT, None),
        None,
        "a copy is not logged"
    );
    assert_eq!(end(&mut logs, &first, OUT, Some(0)), Some(FLUSH_AFTER));
    assert_eq!(end(&mut logs, &first, IN, Some(1)), None, "a flush is due");
    logs.flush();
    files.prepare(&second.access_logs);
    assert_eq!(end(&mut logs, &second, OUT, Some(0)), Some(FLUSH_AFTER));
    assert_eq!(end(&mut logs, &second, IN, Some(1)), None);
    // One that began before.
    assert_eq!(end(&mut logs, &first, OUT, Some(0)), Some(FLUSH_AFTER));
    logs.flush();
    drop(logs);
    files.finish();
    assert_eq!(folder.read("a"), "out\nin\nout\n");
    assert_eq!(folder.read("b"), "in too\nlater\n");
    assert_eq!(files.dropped(), 0);
    assert_eq!(*heard.lock().unwrap(), [""; 0]);
}

#[test]
fn files_that_were_moved_away_are_opened_again() {
    let folder = Folder::new("moved");
    let path = folder.path("log");
    let logged = snapshot(vec![log(&path, "line")], vec![]);
    let (files, _, mut logs) = stage();
    files.prepare(&logged.access_logs);
    end(&mut logs, &logged, OUT, Some(0));
    logs.flush();
    while folder.read("log").is_empty() {
        std::thread::yield_now();
    }
    std::fs::rename(folder.0.join("log"), folder.0.join("log.1")).unwrap();
    files.reopen();
    while !folder.0.join("log").exists() {
        std::thread::yield_now();
    }
    end(&mut logs, &logged, OUT, Some(0));
    end(&mut logs, &logged, OUT, Some(0));
    logs.flush();
    drop(logs);
    files.finish();
    assert_eq!(folder.read("log.1"), "line\n");
    assert_eq!(folder.read("log"), "line\nline\n");
}

#[test]
fn files_that_cannot_be_opened_cost_lines() {
    let folder = Folder::new("missing");
    let path = folder.path("no/such/folder/log");
    let logged = snapshot(vec![log(&path, "line")], vec![]);
    let (files, heard, mut logs) = stage();
    files.prepare(&logged.access_logs);
    for _ in 0..3 {
        end(&mut logs, &logged, OUT, Some(0));
        logs.flush();
    }
    drop(logs);
    files.finish();
    assert_eq!(files.dropped(), 3);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("no/such/folder/log"), "{heard:?}");
}

/// A worker's end of a queue that nobody empties.
fn unread(most: u64) -> (LogBuffer, Arc<Room>, Arc<AtomicU64>, Receiver<block::Told>) {
    let (queue, told) = channel();
    let (room, dropped) = (Arc::new(Room::new(most)), Arc::<AtomicU64>::default());
    let buffer = LogBuffer::new(queue, Arc::clone(&room), Arc::clone(&dropped));
    (buffer, room, dropped, told)
}

#[test]
fn lines_that_find_no_room_are_counted() {
    let (mut buffer, room, dropped, told) = unread(1);
    for (lines, want) in [(1, 0), (3, 3), (2, 5)] {
        for _ in 0..lines {
            assert!(buffer.add(|out| out.extend_from_slice(b"a line\n")));
        }
        buffer.hand_over();
        assert_eq!(dropped.load(Relaxed), want);
    }
    assert_eq!(room.lines(), 1);
    let Ok(block::Told::Lines(block)) = told.try_recv() else {
        panic!("the first line waits");
    };
    assert_eq!(block.lines, 1);
}

/// Ten lines a second, each handed over by itself: what bounds them is memory, not how often they came.
#[test]
fn ten_minutes_of_light_traffic_wait_for_a_reader_that_is_stuck() {
    let (mut buffer, room, dropped, _told) = unread(16 << 20);
    for _ in 0..6000 {
        buffer.add(|out| out.extend_from_slice(&[b'a'; 400]));
        buffer.hand_over();
    }
    assert_eq!((room.lines(), dropped.load(Relaxed)), (6000, 0));
    // And memory is a bound.
    for _ in 0..100_000 {
        buffer.add(|out| out.extend_from_slice(&[b'a'; 400]));
        buffer.hand_over();
    }
    assert!(room.bytes() <= 16 << 20, "{}", room.bytes());
    assert_eq!(room.lines() + dropped.load(Relaxed), 106_000);
    assert!(dropped.load(Relaxed) > 0);
}

#[cfg(unix)]
#[test]
fn what_nobody_reads_until_the_end_is_counted() {
    let folder = Folder::new("fifo");
    let path = folder.path("log");
    let made = std::process::Command::new("mkfifo").arg(&*path).status();
    assert!(made.unwrap().success());
    let logged = snapshot(vec![log(&path, "line")], vec![]);
    let (files, _, mut logs) = stage();
    files.prepare(&logged.access_logs);
    for _ in 0..3 {
        end(&mut logs, &logged, OUT, Some(0));
        logs.flush();
    }
    assert!(files.waiting() > 0);
    drop(logs);
    files.finish_within(Duration::ZERO);
    assert_eq!(files.dropped(), 3);
}
