//! The thread of one worker: glommio's executor, the tasks on it, and how they end.
//!
//! Owns how an executor is built and which of glommio's promises we rely on; `executor/tests.rs` holds each of them to
//! what glommio does. Sockets and time are the driver's: none of glommio's own rings carries anything of ours.
//!
//! The driver is a task that is always runnable. It wakes itself at the end of each poll, which puts it behind every
//! other runnable task, and where [`polls`] says that no other task has been polled since, nothing is runnable and it
//! may block the thread in its own ring. So glommio never parks, and its three rings are entered only when an executor
//! begins. In return what glommio does between tasks is left out: its timers do not fire, and a waker that another
//! thread wakes is not served. Other threads reach a worker through the driver's ring alone.

mod tasks;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

#[cfg(test)]
pub(crate) use tasks::turn;
pub(crate) use tasks::{polls, spawn};

/// Entries in each of glommio's rings. It needs a handful: a timer, its cancellation, and the reading of its eventfd.
const RING_DEPTH: usize = 16;

/// When glommio turns from the tasks to its own rings. There is nothing in them, so this is about never.
const PREEMPT: Duration = Duration::from_secs(3600);

/// Runs `body` on this thread until it is done, and with it all tasks that are spawned meanwhile. Then the remaining
/// tasks are dropped, while [`spawn`] and wakers still work: the first one spawned comes last, so a driver that was
/// there before all others outlives them.
///
/// `place` is the CPU to stay on. A panic of a task ends that task; a panic of `body` is passed on when all is dropped.
///
/// # Errors
/// glommio cannot build its executor: no descriptors, no memory, or io_uring was taken away since it was probed.
pub(crate) fn run<T>(place: Option<usize>, body: impl Future<Output = T>) -> io::Result<T> {
    let executor = build(place)?;
    match executor.run(tasks::to_the_end(body)) {
        Ok(value) => Ok(value),
        Err(panic) => resume_unwind(panic),
    }
}

fn build(place: Option<usize>) -> io::Result<LocalExecutor> {
    let placement = place.map_or(Placement::Unbound, Placement::Fixed);
    // Where io_uring is refused, or a file of the system cannot be read, glommio panics instead of returning an error.
    let made = catch_unwind(|| {
        LocalExecutorBuilder::new(placement)
            // glommio takes its least, 64 KiB; the default of 10 MiB would be touched and pinned in each ring.
            .io_memory(0)
            .ring_depth(RING_DEPTH)
            .preempt_timer(PREEMPT)
            .make()
    });
    match made {
        Ok(Ok(executor)) => Ok(executor),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(io::Error::other(
            "glommio could not build an executor; what it said is above",
        )),
    }
}

/// Polls a future, with a panic as a value.
fn caught<T>(poll: impl FnOnce() -> T) -> std::thread::Result<T> {
    // What a panic left half done is dropped by the caller and never used again.
    catch_unwind(AssertUnwindSafe(poll))
}

#[cfg(test)]
mod tests;
