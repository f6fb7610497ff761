//! The ring itself: entries in, completions out, one system call between.
//!
//! Owns the flags that the ring is made with and what an entry may point to. What a completion means is the driver's.

use std::io;
use std::time::Duration;

use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{IoUring, squeue};

/// Entries that may wait to be submitted; a full queue is submitted at once.
const SUBMISSIONS: u32 = 512;

/// Completions that may wait to be looked at. More are kept by the kernel, which costs it memory and us a call.
const COMPLETIONS: u32 = 4096;

/// One thing that has happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) user_data: u64,
    /// What the call of the same name would have returned, or a negative error number.
    pub(super) result: i32,
    pub(super) flags: u32,
}

/// How long a turn may wait for something to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    ForEver,
    AtMost(Duration),
}

/// For so long a wait may hope for more than one completion, in microseconds. It passes only when a short send that nobody
/// waits for does not complete at once, because its peer has not read for long. A timer that is nearer than the system's own tick would cost
/// more, at each wait of a thread that has little to do, than the call that is saved.
const HOPE: u32 = 10_000;

/// A ring that only the thread that made it uses.
pub(super) struct Queue {
    ring: IoUring,
    /// Entries in the queue whose completions are of no interest by themselves.
    quiet: usize,
    /// Completions that were taken out of the ring before anybody could look at them, to make room.
    early: Vec<Completion>,
}

impl Queue {
    pub(super) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .dontfork()
            .setup_cqsize(COMPLETIONS)
            // An entry that is wrong fails alone.
            .setup_submit_all()
            // One thread uses it, and completions are made inside its own calls, where otherwise the kernel would
            // interrupt it for each.
            .setup_single_issuer()
            .setup_defer_taskrun()
            // By which it is seen, without a call, that an enter which does not wait has completions to make.
            .setup_taskrun_flag()
            .build(SUBMISSIONS)?;
        let (quiet, early) = (0, Vec::new());
        Ok(Self { ring, quiet, early })
    }

    /// Gives the kernel a table of buffers to receive into.
    ///
    /// # Errors
    /// The kernel refuses it.
    #[expect(unsafe_code, reason = "the table is shared with the kernel")]
    pub(super) fn lend(&self, buffers: &mut super::buffers::Buffers) -> io::Result<()> {
        let (address, entries, group) = buffers.table();
        let submitter = self.ring.submitter();
        // SAFETY: the table is a mapping of that many entries; `Driver` ends all operations before it drops it.
        unsafe { submitter.register_buf_ring_with_flags(address, entries, group, 0) }
    }

    /// Puts an entry in the queue. When it is full, what is in it is submitted first. The kernel may take nothing more as
    /// long as there are completions that it finds no place for, so those that have one are moved away.
    ///
    /// # Safety
    /// What the entry points to stays where it is until its completion has been seen, or until all operations have been
    /// ended.
    #[expect(
        unsafe_code,
        reason = "the kernel reads and writes what an entry points to"
    )]
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: the caller's promise.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.enter(Wait::No);
            self.early.extend(completions(&mut self.ring));
        }
    }

    /// The entry pushed last is a short send: it nearly always completes while it is submitted, and nobody waits for it.
    pub(super) fn last_is_quiet(&mut self) {
        self.quiet += 1;
    }

    /// Somebody waits for a short send after all: to send more, to say that it was the last, or to close.
    pub(super) fn is_awaited(&mut self) {
        // It may have been submitted before; then a wait ends early once.
        self.quiet = self.quiet.saturating_sub(1);
    }

    /// How many completions a wait would hope for besides one.
    #[cfg(test)]
    pub(super) const fn quiet(&self) -> usize {
        self.quiet
    }

    /// Submits what is in the queue, lets the kernel make completions, and waits for one if it may.
    ///
    /// Short sends complete as they are submitted, so a wait for one completion would end with the first of them. It waits
    /// for one more than there are of them, for a moment; then for any.
    pub(super) fn enter(&mut self, wait: Wait) {
        let wait = if self.early.is_empty() {
            wait
        } else {
            Wait::No
        };
        let quiet = std::mem::take(&mut self.quiet);
        let time;
        let mut args = SubmitArgs::new();
        let mut wanted = match wait {
            Wait::No => 0,
            Wait::ForEver => 1,
            Wait::AtMost(most) => {
                time = Timespec::from(most);
                args = args.timespec(&time);
                1
            }
        };
        if wanted > 0 && quiet > 0 && self.ring.params().is_feature_min_timeout() {
            wanted += quiet;
            args = args.min_wait_usec(HOPE);
        }
        match self.ring.submitter().submit_with_args(wanted, &args) {
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                // The time is over, a signal came, or completions must be taken before more can be submitted.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => panic!("io_uring refuses to be entered: {error}"),
            },
        }
    }

    /// Ends all operations. When it returns the kernel refers to nothing of ours any more.
    pub(super) fn cancel_all(&self) {
        let all = CancelBuilder::any();
        // That there was nothing to cancel is an error too.
        let _ = self.ring.submitter().register_sync_cancel(None, all);
    }

    /// Moves all completions there are to the end of `into`.
    pub(super) fn take(&mut self, into: &mut Vec<Completion>) {
        into.append(&mut self.early);
        into.extend(completions(&mut self.ring));
    }
}

fn completions(ring: &mut IoUring) -> impl Iterator<Item = Completion> {
    ring.completion().map(|entry| Completion {
        user_data: entry.user_data(),
        result: entry.result(),
        flags: entry.flags(),
    })
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// An error number of a completion as an error.
pub(super) fn error(result: i32) -> io::Error {
    io::Error::from_raw_os_error(-result)
}
