//! The files that access logs are written to: one thread each, which may wait for its file as long as it likes.
//!
//! Owns that a file can be moved away and opened again ([`LogFiles::reopen`]), and that one which cannot be opened or written
//! costs lines and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use outrigger_core::snapshot::telemetry::AccessLogs;

use super::block::{Block, LogBuffer, Told};
use super::room::Room;

/// Files at once, at most: more than anybody has, and fewer than would be a burden.
const MAX_FILES: usize = 32;

/// How long the end of the runtime waits for lines that are not written yet; a reader that stopped is not waited for.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Called, on any thread, with what somebody should know of a file.
pub type Hear = Arc<dyn Fn(String) + Send + Sync>;

/// How files are written.
pub struct LogSettings {
    /// Bytes that may wait for each file, a block at least.
    pub waiting: u64,
    /// Who hears what is wrong with one.
    pub hear: Hear,
}

/// All files.
pub struct LogFiles {
    open: Mutex<Open>,
    /// Lines that were dropped, and lines that a file did not take.
    dropped: Arc<AtomicU64>,
    /// How many of these were told of.
    told: AtomicU64,
    /// Whether anything is logged.
    is_on: AtomicBool,
    /// Bytes that may wait for each of them.
    most_waiting: u64,
    hear: Hear,
}

#[derive(Debug, Default)]
struct Open {
    files: BTreeMap<Arc<str>, LogFile>,
    /// Threads of files that are gone, which may still have something to write.
    leaving: Vec<Writing>,
    has_ended: bool,
}

/// One file's thread; it ends when nobody can tell it anything any more.
#[derive(Debug)]
struct LogFile {
    queue: Sender<Told>,
    writing: Writing,
    must_reopen: Arc<AtomicBool>,
    /// The configuration in use names it. One that only the configuration before did is kept for the requests that it decided.
    is_named: bool,
}

/// What is to be known of a thread by those who wait for it.
#[derive(Debug)]
struct Writing {
    /// What waits for it.
    room: Arc<Room>,
    /// Nothing is ever sent: the other end goes with the thread.
    ended: Receiver<()>,
}

impl Open {
    /// Files that are not named, and were not before, go when they have written what waits.
    fn keep(&mut self, is_named: impl Fn(&str) -> bool) {
        let is_there =
            |writing: &Writing| writing.ended.try_recv() != Err(TryRecvError::Disconnected);
        self.leaving.retain(is_there);
        for (path, mut file) in mem::take(&mut self.files) {
            let was_named = mem::replace(&mut file.is_named, is_named(&path));
            if was_named || file.is_named {
                self.files.insert(path, file);
            } else {
                self.leaving.push(file.writing);
            }
        }
    }
}

impl fmt::Debug for LogFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFiles").finish_non_exhaustive()
    }
}

impl LogFiles {
    pub(crate) fn new(most_waiting: u64, hear: Hear) -> Self {
        Self {
            open: Mutex::default(),
            dropped: Arc::default(),
            told: AtomicU64::default(),
            is_on: AtomicBool::default(),
            most_waiting,
            hear,
        }
    }

    /// From now on requests are logged so. Files are opened at once, so that what cannot be opened is told now.
    pub fn prepare(&self, logs: &AccessLogs) {
        self.is_on.store(!logs.is_empty(), Ordering::Relaxed);
        self.lock()
            .keep(|path| logs.all().any(|log| *log.path == *path));
        for log in logs.all() {
            let _ = self.buffer(&log.path);
        }
    }

    /// Opens all files again, which somebody has moved away (SIGUSR1).
    pub fn reopen(&self) {
        for file in self.lock().files.values() {
            file.must_reopen.store(true, Ordering::Relaxed);
            // Its thread goes after us.
            let _ = file.queue.send(Told::Look);
        }
    }

    /// Lines that are in no file.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes that wait to be written, of all files.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let open = self.lock();
        let files = open.files.values().map(|file| &file.writing);
        files.chain(&open.leaving).map(|of| of.room.bytes()).sum()
    }

    /// Those since this was asked last.
    pub(crate) fn take_dropped(&self) -> u64 {
        let dropped = self.dropped();
        dropped - self.told.swap(dropped, Ordering::Relaxed)
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Whether anything is logged.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// A worker's end of a file; `None` when there can be none.
    pub(super) fn buffer(&self, path: &Arc<str>) -> Option<LogBuffer> {
        let mut open = self.lock();
        if open.has_ended {
            return None;
        }
        if !open.files.contains_key(path) {
            if open.files.len() == MAX_FILES {
                drop(open);
                (self.hear)(format!(
                    "there are {MAX_FILES} access logs; `{path}` is not written"
                ));
                return None;
            }
            match self.start(path) {
                Ok(file) => open.files.insert(Arc::clone(path), file),
                Err(error) => {
                    drop(open);
                    (self.hear)(format!("access log `{path}`: {error}"));
                    return None;
                }
            };
        }
        let LogFile { queue, writing, .. } = open.files.get(path)?;
        Some(LogBuffer::new(
            queue.clone(),
            Arc::clone(&writing.room),
            Arc::clone(&self.dropped),
        ))
    }

    fn start(&self, path: &Arc<str>) -> io::Result<LogFile> {
        let (queue, told) = channel();
        let (alive, ended) = channel();
        let room = Arc::new(Room::new(self.most_waiting));
        let must_reopen = Arc::<AtomicBool>::default();
        let mut writer = Writer {
            path: Arc::clone(path),
            file: None,
            is_failing: false,
            must_reopen: Arc::clone(&must_reopen),
            room: Arc::clone(&room),
            dropped: Arc::clone(&self.dropped),
            hear: Arc::clone(&self.hear),
        };
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writer.run(&told, alive))?;
        Ok(LogFile {
            queue,
            writing: Writing { room, ended },
            must_reopen,
            is_named: true,
        })
    }

    /// Waits until everything is written, a while at most; what is not by then is lost. All workers' ends must be gone.
    pub(crate) fn finish(&self) {
        self.finish_within(LAST_LINES);
    }

    pub(super) fn finish_within(&self, wait: Duration) {
        let (files, leaving) = {
            let mut open = self.lock();
            open.has_ended = true;
            (mem::take(&mut open.files), mem::take(&mut open.leaving))
        };
        // Nobody tells them anything any more.
        let files: Vec<_> = files.into_values().map(|file| file.writing).collect();
        for writing in leaving.into_iter().chain(files) {
            let _ = writing.ended.recv_timeout(wait);
            self.count_dropped(writing.room.lines());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // What is in it is whole after every step.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread of a file has.
struct Writer {
    path: Arc<str>,
    file: Option<Box<dyn Write + Send>>,
    /// The last try to open it failed, which was told.
    is_failing: bool,
    must_reopen: Arc<AtomicBool>,
    room: Arc<Room>,
    dropped: Arc<AtomicU64>,
    hear: Hear,
}

impl Writer {
    /// A failing file (a closed pipe, a full disk) loses lines; nothing better can be done with them than to count them.
    fn run(&mut self, told: &Receiver<Told>, alive: Sender<()>) {
        self.open();
        for told in told {
            if self.must_reopen.swap(false, Ordering::Relaxed) || self.file.is_none() {
                self.open();
            }
            match told {
                Told::Look => {}
                Told::Lines(block) => {
                    let lost = match &mut self.file {
                        Some(file) => write(&block, file),
                        None => block.lines,
                    };
                    self.dropped.fetch_add(lost, Ordering::Relaxed);
                    self.room.leave(block.share());
                }
            }
        }
        drop(alive);
    }

    fn open(&mut self) {
        match open(&self.path) {
            Ok(file) => {
                self.file = Some(file);
                self.is_failing = false;
            }
            Err(error) => {
                // One that was moved away is still there, and better than none.
                if !mem::replace(&mut self.is_failing, true) {
                    (self.hear)(format!(
                        "access log `{}` cannot be opened: {error}; its lines are dropped",
                        self.path
                    ));
                }
            }
        }
    }
}

/// Opens a file to add to it. Standard streams are taken as they are: what is behind them may not be opened twice.
fn open(path: &str) -> io::Result<Box<dyn Write + Send>> {
    Ok(match path {
        "/dev/stdout" => standard(io::stdout())?,
        "/dev/stderr" => standard(io::stderr())?,
        path => Box::new(File::options().append(true).create(true).open(path)?),
    })
}

/// A standard stream without the standard library's buffer, which keeps the rest of a line that is not written whole and calls
/// it written, so that it is lost and not counted.
#[cfg(unix)]
fn standard(stream: impl std::os::fd::AsFd) -> io::Result<Box<dyn Write + Send>> {
    let file = stream.as_fd().try_clone_to_owned()?;
    Ok(Box::new(File::from(file)))
}

#[cfg(not(unix))]
fn standard(stream: impl Write + Send + 'static) -> io::Result<Box<dyn Write + Send>> {
    Ok(Box::new(stream))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, at most three in a call, then fails. Every other call is interrupted by a signal.
    struct Failing {
        takes: usize,
        flushes: bool,
        was_interrupted: bool,
    }

    impl Write for Failing {
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
            let mut writer = Failing {
                takes,
                flushes,
                was_interrupted: false,
            };
            assert_eq!(write(&block, &mut writer), lost, "{takes} {flushes}");
        }
    }
}
