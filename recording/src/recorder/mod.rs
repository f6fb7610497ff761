//! Recording a run: what enters core and what core says to it, in the order in which it happened, to a file.
//!
//! Core is a function of what it is given, except that the workers of a process share counters. So while a run is
//! recorded the workers take turns: whoever gives core something holds the one block that frames are appended to until
//! core has taken it, and so does the program while it compiles a configuration, which counts endpoints. Within a turn
//! nothing waits and no system call is made.
//!
//! Full blocks go through a bounded queue to a thread that writes them. Nobody waits for that thread: when the queue is
//! full, or the file has its size, the recording ends with a notice and the run goes on.

mod tap;
mod writer;

pub use tap::{Tap, WorkerTurn};

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::file::{HEADER, MAX_SEGMENT, SEGMENT_HEAD};
use crate::frame::{End, Frame};

/// A block this long is handed over at once.
const BLOCK: usize = 64 * 1024;

/// The longest last frame: two numbers of variants and a number of bytes, each as short as it can be.
const END: usize = 12;

/// The lowest limit that a file can keep.
pub const MIN_LIMIT: u64 = (HEADER.len() + SEGMENT_HEAD + END) as u64;

/// Blocks that may wait for the writer.
const QUEUE: usize = 64;

/// A recording under way. Copies mean the same one.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    is_on: AtomicBool,
    state: Mutex<Recording>,
    thread: Mutex<Option<JoinHandle<()>>>,
    on_end: OnEnd,
}

/// Whom to tell that a recording ended before the run.
type OnEnd = Box<dyn Fn(RecordingEnd) + Send + Sync>;

/// Why a recording ended before the run: it is complete up to there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// The file has the size that it may have.
    Full {
        /// In bytes.
        limit: u64,
    },
    /// The file took the bytes too slowly, and no worker waits for it.
    Slow,
    /// The file could not be written, in the system's words.
    Failed(String),
    /// Handling a connection panicked: what follows cannot be repeated.
    Panicked,
}

impl fmt::Display for RecordingEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => write!(f, "it may have {limit} bytes (--record-limit)"),
            Self::Slow => f.write_str("its file is written too slowly"),
            Self::Failed(error) => write!(f, "its file cannot be written: {error}"),
            Self::Panicked => f.write_str("a connection ended by a fault of this program"),
        }
    }
}

/// What whoever has the turn holds.
struct Recording {
    /// Frames not yet handed over, behind the room for the head of a segment.
    block: Vec<u8>,
    /// `None` once the recording has ended; then `block` is the last one.
    queue: Option<SyncSender<Vec<u8>>>,
    /// Bytes handed over, the header of the file among them.
    handed_over: u64,
    limit: u64,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begins a recording of at most `limit` bytes, and never of less than [`MIN_LIMIT`]. `file` belongs to a thread of its own and may block. `on_end` is
    /// called at most once, by whoever noticed.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        file: Box<dyn Write + Send>,
        limit: u64,
        on_end: impl Fn(RecordingEnd) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (queue, blocks) = sync_channel(QUEUE);
        let inner = Arc::new(Inner {
            is_on: AtomicBool::new(true),
            state: Mutex::new(Recording {
                block: empty_block(),
                queue: Some(queue),
                handed_over: HEADER.len() as u64,
                limit,
            }),
            thread: Mutex::default(),
            on_end: Box::new(on_end),
        });
        let recorder = Self(Arc::clone(&inner));
        let thread = thread::Builder::new()
            .name("recording".into())
            .spawn(move || writer::write_all(&inner, &blocks, file))?;
        *lock(&recorder.0.thread) = Some(thread);
        if let Some(mut turn) = recorder.turn() {
            turn.put(&Frame::Program(Cow::Borrowed(env!("CARGO_PKG_VERSION"))));
        }
        Ok(recorder)
    }

    /// The turn, once it is free; `None` when the recording has ended. Nobody else gives core anything until it is
    /// dropped.
    #[must_use]
    pub fn turn(&self) -> Option<Turn<'_>> {
        if !self.0.is_on.load(Ordering::Relaxed) {
            return None;
        }
        let state = lock(&self.0.state);
        let is_on = state.queue.is_some();
        is_on.then_some(Turn {
            inner: &self.0,
            state,
        })
    }

    /// Ends the recording, if it has not ended yet, and waits until it is written.
    pub fn finish(&self) {
        if let Some(turn) = self.turn() {
            turn.end(End::Finished);
        }
        let thread = lock(&self.0.thread).take();
        // A writer that panicked has nothing left to wait for.
        let _ = thread.map(JoinHandle::join);
    }
}

/// The one who may give core something, and has it recorded.
pub struct Turn<'a> {
    inner: &'a Inner,
    state: MutexGuard<'a, Recording>,
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl Turn<'_> {
    /// Appends a frame.
    pub fn put(&mut self, frame: &Frame<'_>) {
        if self.state.queue.is_none() {
            return;
        }
        let before = self.state.block.len();
        frame.put(&mut self.state.block);
        let length = self.state.block.len();
        let limit = self.state.limit;
        // What is there may be handed over before the last frame comes, which then has a segment of its own.
        let with_end = self.state.handed_over + (length + SEGMENT_HEAD + END) as u64;
        if with_end > limit || length - SEGMENT_HEAD > MAX_SEGMENT {
            self.state.block.truncate(before);
            return self.stop(End::Full { limit });
        }
        if length >= BLOCK {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let block = std::mem::replace(&mut self.state.block, empty_block());
        let length = block.len() as u64;
        let Some(queue) = &self.state.queue else {
            return;
        };
        match queue.try_send(block) {
            Ok(()) => self.state.handed_over += length,
            Err(TrySendError::Full(block)) => {
                self.state.block = block;
                self.stop(End::Slow);
            }
            // The writer has said why.
            Err(TrySendError::Disconnected(_)) => self.state.queue = None,
        }
    }

    /// Ends the recording.
    fn end(mut self, end: End) {
        self.stop(end);
    }

    /// The block that is left goes to the writer after those that wait, however many these are.
    fn stop(&mut self, end: End) {
        if self.state.queue.take().is_none() {
            return;
        }
        self.inner.is_on.store(false, Ordering::Relaxed);
        Frame::End(end.clone()).put(&mut self.state.block);
        let reason = match end {
            End::Finished => return,
            End::Full { limit } => RecordingEnd::Full { limit },
            End::Slow => RecordingEnd::Slow,
            End::Panicked => RecordingEnd::Panicked,
        };
        (self.inner.on_end)(reason);
    }
}

/// A block without frames.
fn empty_block() -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK + BLOCK / 4);
    block.resize(SEGMENT_HEAD, 0);
    block
}

/// A panic elsewhere leaves nothing half done here: frames are appended whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
