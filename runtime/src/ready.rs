//! Which sockets of a worker have something to do: each has a waker of its own, and waking it puts the socket's name in a
//! queue that the worker's one task for traffic empties.
//!
//! Wakers must be usable from any thread, so there are a lock and an atomic here; nobody contends for them, because a
//! thread's system wakes its own sockets.

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

    /// Takes the names of those that were woken since, in order, and wants to be woken when there are more.
    pub(crate) fn take(&self, into: &mut Vec<ConnId>, task: &Waker) {
        let mut queue = self.queue();
        match &mut queue.task {
            Some(known) => known.clone_from(task),
            none @ None => *none = Some(task.clone()),
        }
        let mut woken = mem::take(&mut queue.woken);
        drop(queue);
        for bell in woken.drain(..) {
            // From here on it can be woken again.
            bell.is_rung.store(false, Ordering::Release);
            into.push(bell.id);
        }
        let queue = &mut self.queue().woken;
        if queue.is_empty() {
            *queue = woken;
        }
    }

    /// Wakes the task itself.
    pub(crate) fn wake(&self) {
        let task = self.queue().task.take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Nothing panics while it has the lock.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut queue = self.ready.queue();
            queue.woken.push(Arc::clone(self));
            queue.task.take()
        };
        if let Some(task) = task {
            task.wake();
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
        ready.take(&mut named, &task);
        assert_eq!(named, []);
        for round in 1..3 {
            for at in [2, 0, 2, 0] {
                wakers[at].wake_by_ref();
            }
            assert_eq!(count.0.load(Ordering::Relaxed), round, "woken once");
            ready.take(&mut named, &task);
            assert_eq!(mem::take(&mut named), [ids[2], ids[0]]);
        }
    }
}
