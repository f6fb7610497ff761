//! One deadline that moves often and rarely passes.
//!
//! Every request sets deadlines that are later than the last ones, and almost none is reached. Moving a timer costs work
//! in the system's wheel or heap, so it is moved only when the new deadline is earlier than the one set; when the timer
//! fires too early, it is set again. A busy connection then touches its timer about once in a timeout's length.

use std::task::{Context, Poll};

use outrigger_core::time::Instant;

use crate::clock::Clock;
use crate::system::Timer;

/// A lazily moved timer.
#[derive(Debug)]
pub(crate) struct Alarm<T> {
    timer: Option<T>,
    set_for: Instant,
}

impl<T> Default for Alarm<T> {
    fn default() -> Self {
        Self {
            timer: None,
            set_for: Instant::default(),
        }
    }
}

impl<T: Timer> Alarm<T> {
    /// Ready when `deadline` has passed, which may be after `now`; otherwise the task is woken then, or earlier. `make`
    /// makes a timer, the first time one is needed.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        make: impl FnOnce(std::time::Instant) -> T,
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
            make(clock.timer(deadline))
        });
        if deadline < *set_for {
            timer.set(clock.timer(deadline));
            *set_for = deadline;
        }
        while timer.poll(cx).is_ready() {
            if *set_for == deadline {
                return Poll::Ready(());
            }
            timer.set(clock.timer(deadline));
            *set_for = deadline;
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::Waker;
    use std::time::Duration;

    /// A timer over a clock that the test moves, which counts how often it is moved itself.
    struct Fake {
        at: std::time::Instant,
        now: Rc<Cell<std::time::Instant>>,
        moves: Rc<Cell<u32>>,
    }

    impl Timer for Fake {
        fn set(&mut self, at: std::time::Instant) {
            self.at = at;
            self.moves.set(self.moves.get() + 1);
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
            match self.now.get() >= self.at {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }
    }

    #[test]
    fn is_never_early_nor_late_wherever_the_deadline_moved_and_moves_its_timer_rarely() {
        let clock = Clock::start(std::time::Instant::now());
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        // Deadlines in milliseconds, one set after the other at time 0; the last one counts. Moves of the timer.
        let cases: [(&[u64], u32); 5] = [
            (&[5], 0),
            (&[3600, 5], 1),
            (&[5, 20], 1),
            (&[5, 10, 15, 20], 1),
            (&[20, 5, 10], 2),
        ];
        for (deadlines, want) in cases {
            let now = Rc::new(Cell::new(clock.timer(at(0))));
            let moves = Rc::new(Cell::new(0));
            let mut alarm = Alarm::default();
            let mut poll = |ms: u64, deadline: u64| {
                let make = |at| Fake {
                    at,
                    now: Rc::clone(&now),
                    moves: Rc::clone(&moves),
                };
                now.set(clock.timer(at(0)) + Duration::from_millis(ms));
                let mut cx = Context::from_waker(Waker::noop());
                // As a task does: the time it was woken at may be older than the timer's.
                alarm.poll(&mut cx, make, clock, at(0), at(deadline))
            };
            let last = deadlines.iter().copied().fold(0, |_, deadline| {
                assert!(poll(0, deadline).is_pending());
                deadline
            });
            for ms in 0..last {
                assert!(poll(ms, last).is_pending(), "{deadlines:?} ended at {ms}");
            }
            assert!(poll(last, last).is_ready(), "{deadlines:?}");
            assert_eq!(moves.get(), want, "{deadlines:?}");
        }
    }

    #[test]
    fn a_deadline_in_the_past_needs_no_timer() {
        let mut alarm = Alarm::<Fake>::default();
        let mut cx = Context::from_waker(Waker::noop());
        let now = Instant::from_nanos(7);
        let make = |_| unreachable!("nothing is waited for");
        assert!(
            alarm
                .poll(
                    &mut cx,
                    make,
                    Clock::start(std::time::Instant::now()),
                    now,
                    now
                )
                .is_ready()
        );
    }
}
