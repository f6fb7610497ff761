//! Deadlines that are noticed late: before anybody is told that a time is up, sockets are looked at once more.
//!
//! A process that was stopped, or had no CPU, finds all times up that passed meanwhile, and in the sockets what came meanwhile: answers that
//! were in time. Who did not look is late, not who answered; an endpoint that is ejected for it would be ejected for a pause of ours.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A worker that has enough to do notices a deadline so late and thinks nothing of it.
const LATE: Duration = Duration::from_millis(10);

/// Whether sockets have been looked at since a deadline was found to have passed.
#[derive(Default)]
pub(crate) enum Late {
    #[default]
    No,
    Looking(Pin<Box<dyn Future<Output = ()>>>),
    /// What came has been taken.
    Looked,
}

impl Late {
    /// Ready when it may be told that a deadline has passed, `by` so much; else the task is woken once `look` has looked, and takes what
    /// came before it asks again.
    pub(crate) fn poll<F: Future<Output = ()> + 'static>(
        &mut self,
        cx: &mut Context<'_>,
        by: Duration,
        look: impl FnOnce() -> F,
    ) -> Poll<()> {
        if let Self::No = self {
            if by < LATE {
                return Poll::Ready(());
            }
            *self = Self::Looking(Box::pin(look()));
        }
        match std::mem::take(self) {
            Self::No | Self::Looked => Poll::Ready(()),
            Self::Looking(mut looking) => {
                if looking.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                    *self = Self::Looked;
                } else {
                    *self = Self::Looking(looking);
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use super::*;

    #[test]
    fn who_is_late_looks_once_before_anybody_is_told() {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut late = Late::default();
        let soon = LATE - Duration::from_nanos(1);
        assert!(late.poll(cx, soon, pending).is_ready());
        for _ in 0..2 {
            assert!(late.poll(cx, LATE, || ready(())).is_pending());
            assert!(late.poll(cx, LATE, pending).is_ready());
        }
        assert!(late.poll(cx, LATE, pending).is_pending());
        assert!(
            late.poll(cx, LATE, || ready(())).is_pending(),
            "it looks already"
        );
    }
}
