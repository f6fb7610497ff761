//! One deadline that moves often and rarely passes.
//!
//! Every request sets deadlines that are later than the last ones, and almost none is reached. Moving a timer costs a
//! lock and list work in tokio's wheel, so it is moved only when the new deadline is earlier than the one set; when the
//! timer fires too early, it is set again. A busy connection then touches the wheel about once in a timeout's length.

use std::pin::Pin;
use std::task::{Context, Poll};

use outrigger_core::time::Instant;
use tokio::time::Sleep;

use crate::clock::Clock;

/// A lazily moved timer.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    set_for: Instant,
}

impl Alarm {
    /// Ready when `deadline` has passed, which may be after `now`; otherwise the task is woken then, or earlier.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        clock: Clock,
        now: Instant,
        deadline: Instant,
    ) -> Poll<()> {
        if now >= deadline {
            return Poll::Ready(());
        }
        let set_for = &mut self.set_for;
        let timer = self.timer.get_or_insert_with(|| {
            *set_for = deadline;
            Box::pin(tokio::time::sleep_until(clock.timer(deadline)))
        });
        if deadline < *set_for {
            timer.as_mut().reset(clock.timer(deadline));
            *set_for = deadline;
        }
        while timer.as_mut().poll(cx).is_ready() {
            if *set_for == deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(clock.timer(deadline));
            *set_for = deadline;
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    /// Deadlines in milliseconds from now, set one after the other; the last one is waited for.
    async fn check(deadlines: &[u64]) {
        let clock = Clock::start();
        let mut alarm = Alarm::default();
        let begin = clock.now();
        let at = |ms: &u64| begin + Duration::from_millis(*ms);
        let (last, before) = deadlines.split_last().unwrap();
        for ms in before {
            poll_fn(|cx| {
                let _ = alarm.poll(cx, clock, begin, at(ms));
                Poll::Ready(())
            })
            .await;
        }
        poll_fn(|cx| alarm.poll(cx, clock, clock.now(), at(last))).await;
        assert!(clock.now() >= at(last), "{deadlines:?} ended early");
    }

    #[test]
    fn is_never_early_wherever_the_deadline_moved() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            for deadlines in [
                &[5][..],
                &[3_600_000, 5],
                &[5, 20],
                &[5, 10, 15, 20],
                &[20, 5, 10],
                &[0],
            ] {
                check(deadlines).await;
            }
        });
    }
}
