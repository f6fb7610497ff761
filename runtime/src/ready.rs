//! Which sockets of a worker have something to do: each has a waker of its own, and waking it puts the socket's name in a
//! queue that the worker's one task for traffic empties.
//!
//! A thread's system wakes its own sockets, and those go into a queue of the thread. Wakers must be usable from any thread, so
//! there is a queue with a lock, too, for those who wake from elsewhere.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use outrigger_core::peer::ConnId;

/// The sockets that were woken.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    woken: Vec<Arc<Bell>>,
    /// Of the task that empties the queue; gone when it has been used.
    task: Option<Waker>,
}

/// The queue of a thread, and whose it is: that of the first worker that takes there.
struct Own {
    /// By its address, at which it is as long as this says so: see [`Taking`].
    of: Option<usize>,
    queue: Queue,
}

thread_local! {
    static OWN: RefCell<Own> = const {
        RefCell::new(Own {
            of: None,
            queue: Queue {
                woken: Vec::new(),
                task: None,
            },
        })
    };
}

/// A socket's own.
#[derive(Debug)]
pub(crate) struct Bell {
    id: ConnId,
    is_rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// What wakes a socket.
    pub(crate) fn bell(self: &Arc<Self>, id: ConnId) -> Arc<Bell> {
        Arc::new(Bell {
            id,
            is_rung: AtomicBool::new(false),
            ready: Arc::clone(self),
        })
    }

    /// Wakes the task itself.
    pub(crate) fn wake(&self) {
        let task = match with_own(self.address(), |queue| queue.task.take()) {
            Some(task) => task,
            None => self.queue().task.take(),
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Nothing panics while it has the lock.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something with the thread's queue, if it is of that one. What is done comes back here by no way.
fn with_own<R>(ready: usize, act: impl FnOnce(&mut Queue) -> R) -> Option<R> {
    let here = OWN.try_with(|own| {
        let own = &mut *own.borrow_mut();
        (own.of == Some(ready)).then(|| act(&mut own.queue))
    });
    // A thread that ends has none any more.
    here.ok().flatten()
}

/// Who takes what was woken. While it is there, its thread's queue is used without a lock.
#[derive(Debug)]
pub(crate) struct Taking(Arc<Ready>);

impl Taking {
    /// On this thread, from now on.
    pub(crate) fn new(ready: &Arc<Ready>) -> Self {
        OWN.with_borrow_mut(|own| {
            if own.of.is_none() {
                own.of = Some(ready.address());
            }
        });
        Self(Arc::clone(ready))
    }

    /// Takes the names of those that were woken since, those that the thread has woken first, each kind in order; and wants to
    /// be woken when there are more.
    pub(crate) fn take(&self, into: &mut Vec<ConnId>, task: &Waker) {
        with_own(self.0.address(), |queue| queue.take(into, task));
        self.0.queue().take(into, task);
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        // Bells hold whose they are: what is left is let go of, when nothing is borrowed any more.
        if with_own(self.0.address(), mem::take).is_some() {
            OWN.with_borrow_mut(|own| own.of = None);
        }
    }
}

impl Queue {
    fn take(&mut self, into: &mut Vec<ConnId>, task: &Waker) {
        match &mut self.task {
            Some(known) => known.clone_from(task),
            none @ None => *none = Some(task.clone()),
        }
        for bell in self.woken.drain(..) {
            // From here on it can be woken again.
            bell.is_rung.store(false, Ordering::Release);
            into.push(bell.id);
        }
    }

    /// What is to be woken besides.
    fn put(&mut self, bell: Arc<Bell>) -> Option<Waker> {
        self.woken.push(bell);
        self.task.take()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Where one is rung here and elsewhere at once, its name is taken twice.
        if self.is_rung.load(Ordering::Acquire) {
            return;
        }
        self.is_rung.store(true, Ordering::Release);
        let ready = self.ready.address();
        let mut bell = Some(self);
        let own = |queue: &mut Queue| bell.take().and_then(|bell| queue.put(bell));
        let task = with_own(ready, own).flatten();
        let task = match bell {
            Some(bell) => {
                let ready = Arc::clone(&bell.ready);
                ready.queue().put(bell)
            }
            None => task,
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.load(Ordering::Acquire) {
            Arc::clone(self).wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;
    use crate::busy::tests::Count;

    #[test]
    fn each_is_named_once_in_order_and_the_task_is_woken_once_until_it_looks() {
        let (ready, count) = (Arc::<Ready>::default(), Arc::<Count>::default());
        let task = Waker::from(Arc::clone(&count));
        let mut names = SlotMap::with_key();
        let ids: Vec<_> = (0..3).map(|_| ConnId::Client(names.insert(()))).collect();
        let wakers: Vec<_> = (ids.iter())
            .map(|id| Waker::from(ready.bell(*id)))
            .collect();
        let mut named = Vec::new();
        let taking = Taking::new(&ready);
        taking.take(&mut named, &task);
        assert_eq!(named, []);
        for round in 1..3 {
            for at in [2, 0, 2, 0] {
                wakers[at].wake_by_ref();
            }
            assert_eq!(count.0.load(Ordering::Relaxed), round, "woken once");
            taking.take(&mut named, &task);
            assert_eq!(mem::take(&mut named), [ids[2], ids[0]]);
        }
    }

    /// Two workers on one thread, of which one has its queue, and a thread that is neither's.
    #[test]
    fn nobody_misses_what_was_woken_elsewhere() {
        let mut names = SlotMap::with_key();
        let workers = [(); 2].map(|()| {
            let (ready, count) = (Arc::<Ready>::default(), Arc::<Count>::default());
            let ids = [(); 2].map(|()| ConnId::Client(names.insert(())));
            let wakers = ids.map(|id| Waker::from(ready.bell(id)));
            (Taking::new(&ready), ids, wakers, count)
        });
        let take = |(taking, _, _, count): &(Taking, [ConnId; 2], [Waker; 2], Arc<Count>)| {
            let mut named = Vec::new();
            taking.take(&mut named, &Waker::from(Arc::clone(count)));
            named
        };
        for round in 1..3 {
            for worker in &workers {
                assert_eq!(take(worker), []);
                let (_, ids, [first, second], count) = worker;
                first.wake_by_ref();
                assert_eq!(count.0.load(Ordering::Relaxed), 2 * round - 1, "here");
                assert_eq!(take(worker), [ids[0]]);
                std::thread::scope(|scope| {
                    scope.spawn(|| second.wake_by_ref());
                });
                assert_eq!(count.0.load(Ordering::Relaxed), 2 * round, "elsewhere");
                assert_eq!(take(worker), [ids[1]]);
            }
        }
    }

    #[test]
    fn a_thread_has_no_queue_once_its_worker_is_gone() {
        let mut names = SlotMap::with_key();
        for _ in 0..2 {
            let ready = Arc::<Ready>::default();
            let taking = Taking::new(&ready);
            taking.take(&mut Vec::new(), Waker::noop());
            let waker = Waker::from(ready.bell(ConnId::Client(names.insert(()))));
            waker.wake();
            assert_eq!(with_own(ready.address(), |own| own.woken.len()), Some(1));
            drop(taking);
            assert_eq!(with_own(ready.address(), |_| ()), None);
            assert_eq!(Arc::strong_count(&ready), 1, "what was left is let go of");
        }
    }
}
