//! From events to standard error: a bounded queue, and a thread that writes.
//!
//! Owns that nobody who tells something waits or fails. A full disk, a closed pipe or a reader that stopped costs lines,
//! never a request, a reload or a signal; lines lost are counted (`outrigger.notices_dropped`).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write as _;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::Duration;

use tracing::error;

use super::fold::Fold;
use super::line::Line;
use crate::options::LogFormat;

/// Lines that wait to be written, at most.
const QUEUE: usize = 16 * 1024;

/// How long the end of the program waits for lines that are not written yet.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the thread gets.
enum Told {
    Line(Line),
    /// Answered when all before it is written.
    Flush(Sender<()>),
}

static QUEUED: OnceLock<Option<SyncSender<Told>>> = OnceLock::new();
static FORMAT: OnceLock<LogFormat> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How lines look. Only the first call counts.
pub(crate) fn write_as(format: LogFormat) {
    let _ = FORMAT.set(format);
}

/// Writes a line to stderr, some time soon.
pub(crate) fn put(line: Line) {
    let dropped = || DROPPED.fetch_add(1, Ordering::Relaxed);
    match queue().map(|queue| queue.try_send(Told::Line(line))) {
        Some(Ok(())) => {}
        Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
            dropped();
        }
    }
}

/// From now on panics are told like everything else. The hook of the standard library writes to stderr itself, so that a
/// panic that ends one connection would hold its worker for as long as nobody reads.
pub(crate) fn panics() {
    panic::set_hook(Box::new(|panic| {
        error!(target: "main", "{}", words(panic));
        // The end of this thread is the end of the program, and nobody else waits for its last words.
        if thread::current().name() == Some("main") {
            flush();
        }
    }));
}

/// What the standard library's hook says.
fn words(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let words = format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        format!("{words}\nstack backtrace:\n{backtrace}")
    } else {
        words
    }
}

/// Lines that nobody will read.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits a moment for what was told; called when the program ends.
pub(crate) fn flush() {
    let (done, is_done) = channel();
    let sent = queue().is_some_and(|queue| queue.try_send(Told::Flush(done)).is_ok());
    if sent {
        let _ = is_done.recv_timeout(LAST_WORDS);
    }
}

/// `None` when no thread could be started: then every line is counted as dropped.
fn queue() -> Option<&'static SyncSender<Told>> {
    let start = || {
        let (queue, lines) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("notices".into());
        thread.spawn(move || write(&lines)).ok().map(|_| queue)
    };
    QUEUED.get_or_init(start).as_ref()
}

fn write(lines: &Receiver<Told>) {
    let mut fold = Fold::default();
    loop {
        let told = match fold.wait() {
            Some(wait) => lines.recv_timeout(wait),
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match told {
            Ok(Told::Line(line)) => fold.take(line).for_each(|line| write_line(&line)),
            Ok(Told::Flush(done)) => {
                fold.end().iter().for_each(write_line);
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => fold.end().iter().for_each(write_line),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn write_line(line: &Line) {
    let mut text = line.text(FORMAT.get().copied().unwrap_or_default());
    text.push('\n');
    // One call a line, so that lines of several processes on one terminal stay whole.
    if anstream::stderr().write_all(text.as_bytes()).is_err() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// More than a pipe holds, so that who writes to stderr himself waits for ever.
    #[test]
    fn panics_go_on_when_nobody_reads_stderr() {
        let mut child = Command::new(std::env::current_exe().expect("this test has a program"))
            .args(["--exact", "run::events::queue::tests::where_threads_panic"])
            .args(["--ignored", "--nocapture"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let unread = child.stderr.take();
        assert!(child.wait().expect("it ends").success());
        drop(unread);
    }

    #[test]
    #[ignore = "changes what panics do in the whole process; panics_go_on_when_nobody_reads_stderr runs it"]
    fn where_threads_panic() {
        crate::run::events::start(&crate::event_levels::Levels::default(), LogFormat::Text);
        panics();
        for _ in 0..1000 {
            let panicking = thread::spawn(|| panic!("{}", "as this test wants it ".repeat(10)));
            assert!(panicking.join().is_err());
        }
        flush();
    }
}
