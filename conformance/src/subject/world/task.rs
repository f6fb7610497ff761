//! Tasks that are known to be busy from when they are woken until they have been polled.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::{Side, World, WorldState};

thread_local! {
    /// The task that this thread is polling.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// A task and how often it had been polled. What a task waits for is what it said in its last turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    task: u64,
    polls: u64,
}

impl Turn {
    /// That of the task being polled on this thread.
    pub(super) fn current() -> Option<Waits> {
        TURN.get().map(Waits::Task)
    }
}

/// Who waits for what is about to happen.
#[derive(Clone, Debug)]
pub(crate) enum Waits {
    /// A task, in what it said in this turn.
    Task(Turn),
    /// Whoever has this waker, until it has been woken.
    Waker(Arc<Ring>),
}

/// A waker of which it is known whether it has been woken.
#[derive(Debug)]
pub(crate) struct Ring {
    waker: Waker,
    has_rung: AtomicBool,
}

impl Ring {
    pub(crate) fn around(waker: &Waker) -> Arc<Self> {
        Arc::new(Self {
            waker: waker.clone(),
            has_rung: AtomicBool::new(false),
        })
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        // Whom it wakes is busy before it waits no more.
        self.waker.wake_by_ref();
        self.has_rung.store(true, Ordering::Release);
    }
}

/// What the world knows of a task.
#[derive(Debug)]
pub(super) struct KnownTask {
    side: Side,
    is_busy: bool,
    is_woken: bool,
    polls: u64,
}

impl WorldState {
    /// Whether somebody still waits: a task has not been polled again since, and a waker has not been woken.
    pub(super) fn still_waits(&self, who: &Waits) -> bool {
        match who {
            Waits::Task(turn) => {
                let entry = self.tasks.get(&turn.task);
                entry.is_some_and(|entry| entry.polls == turn.polls)
            }
            Waits::Waker(ring) => !ring.has_rung.load(Ordering::Acquire),
        }
    }

    fn wake_task(&mut self, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else {
            return;
        };
        entry.is_woken = true;
        if !std::mem::replace(&mut entry.is_busy, true) {
            self.busy[entry.side as usize] += 1;
        }
    }

    fn remove_task(&mut self, number: u64) {
        if let Some(entry) = self.tasks.remove(&number)
            && entry.is_busy
        {
            self.busy[entry.side as usize] -= 1;
        }
    }
}

/// A future whose every turn is counted. It is polled only when it was woken.
#[derive(Debug)]
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    mark: Arc<Mark>,
}

/// Wakes a task, and lets the world know before.
#[derive(Debug)]
struct Mark {
    world: Arc<World>,
    number: u64,
    /// How its executor wakes it.
    waker: Mutex<Option<Waker>>,
}

impl World {
    /// A task of this side; it is busy from now on.
    pub(crate) fn task<F: Future>(self: &Arc<Self>, side: Side, future: F) -> Task<F> {
        let number = self.change(|state| {
            let number = state.number();
            let entry = KnownTask {
                side,
                is_busy: false,
                is_woken: false,
                polls: 0,
            };
            state.tasks.insert(number, entry);
            state.wake_task(number);
            number
        });
        let mark = Mark {
            world: Arc::clone(self),
            number,
            waker: Mutex::default(),
        };
        Task {
            future: Box::pin(future),
            mark: Arc::new(mark),
        }
    }
}

impl Mark {
    fn set_waker(&self, waker: &Waker) {
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.world.change(|state| state.wake_task(self.number));
        let waker = {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Puts back the turn that was before, also when a poll panics.
struct Before(Option<Turn>);

impl Drop for Before {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mark = Arc::clone(&self.mark);
        mark.set_waker(cx.waker());
        let begun = mark.world.change(|state| {
            let entry = state.tasks.get_mut(&mark.number)?;
            if !std::mem::take(&mut entry.is_woken) {
                return None;
            }
            entry.polls += 1;
            Some(Turn {
                task: mark.number,
                polls: entry.polls,
            })
        });
        let Some(turn) = begun else {
            return Poll::Pending;
        };
        let _before = Before(TURN.replace(Some(turn)));
        let waker = Waker::from(Arc::clone(&mark));
        let poll = self.future.as_mut().poll(&mut Context::from_waker(&waker));
        mark.world.change(|state| match &poll {
            Poll::Ready(_) => state.remove_task(mark.number),
            Poll::Pending => {
                if let Some(entry) = state.tasks.get_mut(&mark.number)
                    && !entry.is_woken
                    && std::mem::take(&mut entry.is_busy)
                {
                    state.busy[entry.side as usize] -= 1;
                }
            }
        });
        poll
    }
}

impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        let number = self.mark.number;
        self.mark.world.change(|state| state.remove_task(number));
    }
}
