//! From request records to log lines on a writer, without a request ever waiting for the writer.
//!
//! Each worker formats into a block of its own. Full blocks, and others after a short while, go through a bounded queue
//! to one thread that writes them. Lines are counted as dropped when that thread is stuck and when its writer fails.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use outrigger_runtime::Ended;

/// A block this long is handed over at once.
const BLOCK: usize = 32 * 1024;

/// A shorter block is handed over after this long.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// Blocks that may wait for the writer.
const QUEUE: usize = 64;

/// How long the end of the runtime waits for lines that are not written yet; a reader that stopped is not waited for.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Appends one request's line, with its line end, to a block.
pub type Format = fn(&Ended<'_>, &mut Vec<u8>);

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
    /// Lines that were dropped, and lines that the writer did not take.
    dropped: Arc<AtomicU64>,
    /// Taken when no more lines will come.
    ends: Mutex<Option<Ends>>,
}

/// What the thread is told by, and tells by.
#[derive(Debug)]
struct Ends {
    queue: SyncSender<Block>,
    /// Nothing is ever sent: the other end goes with the thread.
    writing: Receiver<()>,
}

impl LogThread {
    pub(crate) fn start(log: AccessLog) -> io::Result<Self> {
        let (queue, blocks) = sync_channel(QUEUE);
        let (ended, writing) = channel();
        let dropped = Arc::<AtomicU64>::default();
        let lost = Arc::clone(&dropped);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&blocks, log.writer, &lost, ended))?;
        Ok(Self {
            format: log.format,
            dropped,
            ends: Mutex::new(Some(Ends { queue, writing })),
        })
    }

    /// A worker's end; `None` when the log has ended.
    pub(crate) fn buffer(&self) -> Option<LogBuffer> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = ends.as_ref()?.queue.clone();
        Some(LogBuffer {
            format: self.format,
            queue,
            dropped: Arc::clone(&self.dropped),
            block: Block::default(),
            flush_is_due: false,
        })
    }

    /// Lines that are in no file.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, a while at most. All workers' ends must be gone.
    pub(crate) fn finish(&self) {
        let ends = self.ends.lock();
        let ends = ends.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ends { queue, writing }) = ends {
            drop(queue);
            let _ = writing.recv_timeout(LAST_LINES);
        }
    }
}

/// A failing writer (a closed pipe, a full disk) loses lines; nothing better can be done with them than to count them.
fn write_all(
    blocks: &Receiver<Block>,
    mut writer: Box<dyn Write + Send>,
    lost: &AtomicU64,
    ended: Sender<()>,
) {
    for block in blocks {
        lost.fetch_add(write(&block, &mut writer), Ordering::Relaxed);
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
    dropped: Arc<AtomicU64>,
    block: Block,
    flush_is_due: bool,
}

#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    lines: u64,
}

impl LogBuffer {
    /// Adds a line; says when a flush is due, if that has not been said. A copy for a mirror has none: as in Envoy, what
    /// became of it is counted at its cluster.
    pub(crate) fn add(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        ended.listener?;
        (self.format)(ended, &mut self.block.bytes);
        self.block.lines += 1;
        if self.block.bytes.len() >= BLOCK {
            self.hand_over();
            return None;
        }
        let is_known = std::mem::replace(&mut self.flush_is_due, true);
        (!is_known).then_some(FLUSH_AFTER)
    }

    /// Hands over what there is.
    pub(crate) fn flush(&mut self) {
        self.flush_is_due = false;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.lines == 0 {
            return;
        }
        match self.queue.try_send(block) {
            Ok(()) => {}
            Err(TrySendError::Full(block) | TrySendError::Disconnected(block)) => {
                self.dropped.fetch_add(block.lines, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use outrigger_core::decision::Record;
    use outrigger_core::message::ResponseHead;
    use outrigger_core::peer::{ListenerKind, Peer};
    use outrigger_core::time::Instant;
    use outrigger_core::worker::Facts;

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
            format: |_, out| out.extend_from_slice(b"a line\n"),
            queue,
            dropped: Arc::default(),
            block: Block::default(),
            flush_is_due: false,
        };
        (buffer, blocks)
    }

    /// Lets a request end, of a client or a copy of one.
    fn add(buffer: &mut LogBuffer, listener: Option<usize>) -> Option<Duration> {
        let local = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        buffer.add(&Ended {
            record: &Record::default(),
            snapshot: &Arc::default(),
            response: &ResponseHead::default(),
            peer: Peer {
                remote: local,
                local,
                listener: ListenerKind::Outbound,
            },
            listener,
            facts: Facts::default(),
            now: Instant::ZERO,
        })
    }

    #[test]
    fn a_flush_is_asked_for_once_for_all_lines_that_wait() {
        let (mut buffer, blocks) = buffer();
        for _ in 0..3 {
            assert_eq!(add(&mut buffer, None), None, "a copy is not logged");
            assert_eq!(add(&mut buffer, Some(0)), Some(FLUSH_AFTER));
            assert_eq!(add(&mut buffer, Some(0)), None);
            buffer.flush();
            assert_eq!(blocks.try_recv().unwrap().lines, 2);
        }
        assert_eq!(buffer.dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn each_line_that_finds_no_room_is_counted() {
        let (mut buffer, blocks) = buffer();
        for (lines, want) in [(1, 0), (3, 3), (2, 5)] {
            for _ in 0..lines {
                add(&mut buffer, Some(0));
            }
            buffer.flush();
            assert_eq!(buffer.dropped.load(Ordering::Relaxed), want);
        }
        assert_eq!(blocks.try_recv().unwrap().lines, 1);
    }
}
