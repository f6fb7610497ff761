//! From request records to log lines on a writer, without a request ever waiting for the writer.
//!
//! Each worker formats into a block of its own. Full blocks, and others after a short while, go through a bounded queue
//! to one thread that writes them. Lines are counted as dropped when that thread is stuck and when its writer fails.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use outrigger_core::decision::Record;
use outrigger_core::decision::access_log::Surroundings;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;

use crate::counter::Counter;

/// A block this long is handed over at once.
const BLOCK: usize = 32 * 1024;

/// A shorter block is handed over after this long.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// Blocks that may wait for the writer.
const QUEUE: usize = 64;

/// How long the end of the runtime waits for lines that are not written yet; a reader that stopped is not waited for.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What the record of a request does not hold, because only the runtime knows it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which kind of listener accepted its connection.
    pub listener: ListenerKind,
    /// The configuration that decided it.
    pub snapshot: &'a Snapshot,
    /// What a line shows beside the record.
    pub around: Surroundings,
}

/// Appends one request's line, with its line end, to a block.
pub type Format = fn(&Record, &Request<'_>, &mut Vec<u8>);

/// Where requests are logged.
pub struct AccessLog {
    /// Makes a line.
    pub format: Format,
    /// Where lines go. Owned by a thread of its own; it may block.
    pub writer: Box<dyn Write + Send>,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

/// The thread that writes; ends when all its blocks' senders are gone.
#[derive(Debug)]
pub(crate) struct LogThread {
    format: Format,
    queue: SyncSender<Block>,
    pub(crate) writing: Writing,
}

/// That the thread still writes.
#[derive(Debug)]
pub(crate) struct Writing(Receiver<()>);

impl Writing {
    /// Waits until everything is written, a while at most. All workers' ends must be gone.
    pub(crate) fn wait(self) {
        // Nothing is ever sent: the other end goes with the thread.
        let _ = self.0.recv_timeout(LAST_LINES);
    }
}

impl LogThread {
    /// Lines that its writer does not take are counted in `lost`.
    pub(crate) fn start(log: AccessLog, lost: Arc<Counter>) -> io::Result<Self> {
        let (queue, blocks) = sync_channel(QUEUE);
        let (ended, writing) = channel();
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&blocks, log.writer, &lost, ended))?;
        Ok(Self {
            format: log.format,
            queue,
            writing: Writing(writing),
        })
    }

    /// A worker's end.
    pub(crate) fn buffer(&self) -> LogBuffer {
        LogBuffer {
            format: self.format,
            queue: self.queue.clone(),
            block: RefCell::default(),
            flush_is_due: Cell::new(false),
        }
    }
}

/// A failing writer (a closed pipe, a full disk) loses lines; nothing better can be done with them than to count them.
fn write_all(
    blocks: &Receiver<Block>,
    mut writer: Box<dyn Write + Send>,
    lost: &Counter,
    ended: Sender<()>,
) {
    for block in blocks {
        lost.add(write(&block, &mut writer));
    }
    drop(ended);
}

/// Writes a block, and says how many of its lines are not wholly written.
fn write(block: &Block, writer: &mut impl Write) -> u64 {
    let mut rest = &block.bytes[..];
    while !rest.is_empty() {
        match writer.write(rest) {
            Ok(0) => break,
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    if !rest.is_empty() {
        return rest.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    match writer.flush() {
        Ok(()) => 0,
        // What it kept to itself is unknown.
        Err(_) => block.lines,
    }
}

/// One worker's end of the log.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    format: Format,
    queue: SyncSender<Block>,
    block: RefCell<Block>,
    flush_is_due: Cell<bool>,
}

#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    lines: u64,
}

impl Block {
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl LogBuffer {
    /// Adds a line; says whether the caller must see to a flush after [`FLUSH_AFTER`].
    pub(crate) fn add(&self, record: &Record, request: &Request<'_>, dropped: &Counter) -> bool {
        let mut block = self.block.borrow_mut();
        (self.format)(record, request, &mut block.bytes);
        block.lines += 1;
        if block.bytes.len() >= BLOCK {
            self.hand_over(block.take(), dropped);
            return false;
        }
        !self.flush_is_due.replace(true)
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self, dropped: &Counter) {
        self.flush_is_due.set(false);
        self.hand_over(self.block.take(), dropped);
    }

    fn hand_over(&self, block: Block, dropped: &Counter) {
        if block.lines == 0 {
            return;
        }
        match self.queue.try_send(block) {
            Ok(()) => {}
            Err(TrySendError::Full(block) | TrySendError::Disconnected(block)) => {
                dropped.add(block.lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, at most three in a call, then fails. Every other call is interrupted by a signal.
    struct Writer {
        takes: usize,
        flushes: bool,
        was_interrupted: bool,
    }

    impl Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.was_interrupted = !self.was_interrupted;
            if self.was_interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let taken = bytes.len().min(3).min(self.takes);
            self.takes -= taken;
            match taken {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                _ => Ok(taken),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            match self.flushes {
                true => Ok(()),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        }
    }

    #[test]
    fn lines_that_a_writer_does_not_take_are_counted() {
        for (takes, flushes, lost) in [
            (0, true, 3),
            (1, true, 3),
            (4, true, 3),
            (5, true, 2),
            (14, true, 1),
            (15, true, 0),
            (15, false, 3),
        ] {
            let block = Block {
                bytes: b"one1\ntwo2\nsix6\n".to_vec(),
                lines: 3,
            };
            let mut writer = Writer {
                takes,
                flushes,
                was_interrupted: false,
            };
            assert_eq!(write(&block, &mut writer), lost, "{takes} {flushes}");
        }
    }

    /// A worker's end whose blocks are looked at.
    fn buffer() -> (LogBuffer, Receiver<Block>) {
        let (queue, blocks) = sync_channel(1);
        let buffer = LogBuffer {
            format: |_, _, out| out.extend_from_slice(b"a line\n"),
            queue,
            block: RefCell::default(),
            flush_is_due: Cell::new(false),
        };
        (buffer, blocks)
    }

    fn request(snapshot: &Snapshot) -> Request<'_> {
        let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        Request {
            listener: ListenerKind::Outbound,
            snapshot,
            around: Surroundings {
                began: Duration::ZERO,
                downstream_remote: addr,
                downstream_local: addr,
                upstream_local: None,
            },
        }
    }

    #[test]
    fn a_flush_is_asked_for_once_for_all_lines_that_wait() {
        let (buffer, blocks) = buffer();
        let (record, dropped) = (Record::default(), Counter::default());
        let snapshot = Snapshot::default();
        for _ in 0..3 {
            assert!(buffer.add(&record, &request(&snapshot), &dropped));
            assert!(!buffer.add(&record, &request(&snapshot), &dropped));
            buffer.flush(&dropped);
            assert_eq!(blocks.try_recv().unwrap().lines, 2);
        }
        assert_eq!(dropped.value(), 0);
    }

    #[test]
    fn each_line_that_finds_no_room_is_counted() {
        let (buffer, blocks) = buffer();
        let (record, dropped) = (Record::default(), Counter::default());
        let snapshot = Snapshot::default();
        for (lines, want) in [(1, 0), (3, 3), (2, 5)] {
            for _ in 0..lines {
                buffer.add(&record, &request(&snapshot), &dropped);
            }
            buffer.flush(&dropped);
            assert_eq!(dropped.value(), want);
        }
        assert_eq!(blocks.try_recv().unwrap().lines, 1);
    }
}
