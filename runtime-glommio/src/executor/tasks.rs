//! The tasks of an executor: counted as they are polled, caught when they panic, and dropped when the executor ends.
//!
//! glommio does none of the three. It keeps no list of tasks that wait, so when an executor ends their destructors never
//! run; a panic in a task ends the thread, one in its destructor the process. So futures live in a list of our own, and
//! what glommio runs holds a place in it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;

use glommio::TaskQueueHandle;
use slab::Slab;

use super::caught;

thread_local! {
    static TASKS: RefCell<Slab<LocalTask>> = const { RefCell::new(Slab::new()) };
    static POLLS: Cell<u64> = const { Cell::new(0) };
}

struct LocalTask {
    /// None while it is polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// From the first poll on. While it is here glommio does not drop a task that nobody else could wake.
    waker: Option<Waker>,
}

impl LocalTask {
    /// Drops the future and lets glommio see that there is nothing left to poll.
    fn drop_future(self) {
        // The panic has been printed, and there is nobody to end for it.
        let _ = caught(|| drop(self.future));
        if let Some(waker) = self.waker {
            waker.wake();
        }
    }
}

/// How often tasks of this thread have been polled, all together. If it stays the same from one poll of a task to the
/// next, no other task was runnable in between.
pub(crate) fn polls() -> u64 {
    POLLS.get()
}

/// Starts a task on the executor of this thread. It is first polled after all that are runnable now, never inside this
/// call.
///
/// # Panics
/// On a thread that is not in [`run`](super::run).
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    let entry = LocalTask {
        future: Some(Box::pin(task)),
        waker: None,
    };
    let place = TaskFuture(TASKS.with_borrow_mut(|tasks| tasks.insert(entry)));
    // `spawn_local` would poll it at once, in the midst of the task that spawns it.
    glommio::spawn_local_into(place, TaskQueueHandle::default())
        .expect("the default queue is there as long as its executor")
        .detach();
}

/// Lets all others that are runnable have their turn.
pub(crate) async fn turn() {
    let mut passed = false;
    poll_fn(|cx| {
        if mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs `body`, then drops all tasks. `Err` is the panic of `body`.
pub(super) async fn to_the_end<T>(body: impl Future<Output = T>) -> thread::Result<T> {
    let mut body = pin!(body);
    let outcome = poll_fn(|cx| {
        POLLS.set(POLLS.get() + 1);
        match caught(|| body.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    let outcome = outcome.await;
    drop_all();
    // Let glommio poll what it still holds, and free it: places that nothing is behind any more.
    turn().await;
    outcome
}

fn drop_all() {
    let mut first = None;
    loop {
        let mut tasks = TASKS.with_borrow_mut(mem::take).into_iter();
        first = first.or_else(|| tasks.next());
        if tasks.len() == 0 && first.is_none() {
            return;
        }
        // A destructor may wake and spawn. What it spawns is dropped in the next round, before the first task.
        for (_, entry) in tasks.rev() {
            entry.drop_future();
        }
        if TASKS.with_borrow(Slab::is_empty)
            && let Some((_, entry)) = first.take()
        {
            entry.drop_future();
        }
    }
}

/// The place of a task in the list.
struct TaskFuture(usize);

impl Future for TaskFuture {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        POLLS.set(POLLS.get() + 1);
        let future = TASKS.with_borrow_mut(|tasks| {
            let entry = tasks.get_mut(self.0)?;
            entry.waker.get_or_insert_with(|| cx.waker().clone());
            entry.future.take()
        });
        let Some(mut future) = future else {
            return Poll::Ready(());
        };
        // The panic has been printed by the hook; who wants to know more catches it inside the task.
        if let Ok(Poll::Pending) = caught(|| future.as_mut().poll(cx)) {
            TASKS.with_borrow_mut(|tasks| {
                if let Some(entry) = tasks.get_mut(self.0) {
                    entry.future = Some(future);
                }
            });
            return Poll::Pending;
        }
        let _ = caught(|| drop(future));
        // Bound to a name so that the waker is dropped outside of the list.
        let _entry = TASKS.with_borrow_mut(|tasks| tasks.try_remove(self.0));
        Poll::Ready(())
    }
}
