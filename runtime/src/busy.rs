//! Busy polling: for a while after something happened a worker looks again instead of going to sleep.
//!
//! Owns when a thread is kept awake. How events are looked for without waiting is the system's: it does so by itself as
//! long as a task is runnable, and the task here is. Off, which is the default, an idle worker uses no CPU.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use outrigger_core::time::Instant;

/// When something last happened on a thread, and who wants to know of the next time.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    last: Cell<Instant>,
    is_awaited: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Activity {
    /// Something happened.
    pub(crate) fn on_event(&self, now: Instant) {
        self.last.set(now);
        if self.is_awaited.replace(false)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// Runs for ever: stays runnable until nothing has happened for `time`, then waits for something to happen.
pub(crate) async fn keep_awake(
    activity: &Activity,
    time: Duration,
    now: impl Fn() -> Instant,
) -> std::convert::Infallible {
    poll_fn(|cx| {
        match now().since(activity.last.get()) < time {
            true => cx.waker().wake_by_ref(),
            false => {
                *activity.waker.borrow_mut() = Some(cx.waker().clone());
                activity.is_awaited.set(true);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
pub(crate) mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    pub(crate) struct Count(pub(crate) AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn awake_for_a_while_after_each_event_and_asleep_otherwise() {
        let clock = Cell::new(Instant::from_nanos(1_000_000));
        let (activity, count) = (Activity::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut task = pin!(keep_awake(&activity, Duration::from_micros(50), || clock.get()));
        // When, whether something happens then, and whether the task is runnable after it has looked.
        let steps = [
            (1000, false, false),
            (1010, false, false),
            (1020, true, true),
            (1060, false, true),
            (1069, true, true),
            (1118, false, true),
            (1119, false, false),
            (1500, false, false),
            (1600, true, true),
            (1650, false, false),
        ];
        for (micros, is_event, is_runnable) in steps {
            clock.set(Instant::from_nanos(micros * 1000));
            let was_asleep = activity.is_awaited.get();
            if is_event {
                activity.on_event(clock.get());
            }
            let woken = count.0.swap(0, Ordering::Relaxed);
            assert!(
                !is_event || !was_asleep || woken == 1,
                "not woken at {micros}"
            );
            let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
            let woken = count.0.load(Ordering::Relaxed);
            assert_eq!(woken == 1, is_runnable, "at {micros} us");
        }
    }
}
