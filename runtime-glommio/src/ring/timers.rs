//! Deadlines of one thread, in order, and who waits for each.

use std::collections::BTreeSet;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use slab::Slab;

/// All timers. A timer that is dropped or moved leaves nothing behind, however far its deadline was.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, usize)>,
    timers: Slab<Timer>,
}

#[derive(Debug)]
struct Timer {
    at: Instant,
    has_fired: bool,
    waker: Option<Waker>,
}

impl Timers {
    /// A new timer; says its number.
    pub(super) fn add(&mut self, at: Instant) -> usize {
        let number = self.timers.insert(Timer {
            at,
            has_fired: false,
            waker: None,
        });
        self.order.insert((at, number));
        number
    }

    /// Moves a timer, which may have fired.
    pub(super) fn set(&mut self, number: usize, at: Instant) {
        let timer = &mut self.timers[number];
        self.order.remove(&(timer.at, number));
        timer.at = at;
        timer.has_fired = false;
        self.order.insert((at, number));
    }

    pub(super) fn poll(&mut self, number: usize, cx: &mut Context<'_>) -> Poll<()> {
        let timer = &mut self.timers[number];
        if timer.has_fired {
            return Poll::Ready(());
        }
        wait(&mut timer.waker, cx);
        Poll::Pending
    }

    pub(super) fn remove(&mut self, number: usize) {
        let timer = self.timers.remove(number);
        self.order.remove(&(timer.at, number));
    }

    /// When the next one fires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Fires what is due.
    pub(super) fn fire(&mut self, now: Instant, woken: &mut Vec<Waker>) {
        while let Some(&(at, number)) = self.order.first()
            && at <= now
        {
            self.order.pop_first();
            let timer = &mut self.timers[number];
            timer.has_fired = true;
            woken.extend(timer.waker.take());
        }
    }
}

/// Remembers who waits. The last one counts.
pub(super) fn wait(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_fire_once_in_their_time_wherever_they_moved() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let [a, b, c, d] = [5, 3, 3, 9].map(|ms| timers.add(at(ms)));
        timers.set(a, at(1));
        timers.set(d, at(7));
        timers.remove(c);
        let mut cx = Context::from_waker(Waker::noop());
        let mut fired = |timers: &mut Timers, ms| {
            timers.fire(at(ms), &mut Vec::new());
            [a, b, d].map(|n| timers.poll(n, &mut cx).is_ready())
        };
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(fired(&mut timers, 0), [false, false, false]);
        assert_eq!(fired(&mut timers, 1), [true, false, false]);
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(fired(&mut timers, 8), [true, true, true]);
        assert_eq!(timers.next(), None);
        timers.set(b, at(8));
        assert_eq!(fired(&mut timers, 7), [true, false, true]);
        for number in [a, b, d] {
            timers.remove(number);
        }
        assert_eq!(timers.next(), None);
        assert!(timers.timers.is_empty());
    }
}
