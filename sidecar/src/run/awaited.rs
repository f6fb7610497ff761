//! What a start waits for before anything is served, in words for whoever asks meanwhile, and what he asks to be done then.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outrigger_runtime::Direction;

/// Why it has not come yet, where something went wrong.
pub(super) type Fault = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What is waited for.
#[derive(Default)]
pub(super) struct Awaited {
    what: Mutex<Option<(String, Fault)>>,
    /// Which listeners are not to accept once there are any.
    drained: AtomicU8,
}

const NONE: u8 = 0;
const INBOUND: u8 = 1;
const ALL: u8 = 2;

impl Awaited {
    fn lock(&self) -> MutexGuard<'_, Option<(String, Fault)>> {
        // Each change is one step.
        self.what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is waited for now.
    pub(super) fn set(&self, what: &str, fault: Fault) {
        *self.lock() = Some((what.to_owned(), fault));
    }

    /// It has come: everything else is a matter of moments.
    pub(super) fn over(&self) {
        *self.lock() = None;
    }

    /// Whether something is waited for that may take its time.
    pub(super) fn is_waiting(&self) -> bool {
        self.lock().is_some()
    }

    /// In words, with what went wrong last.
    pub(super) fn words(&self) -> String {
        match &*self.lock() {
            None => "the configuration".into(),
            Some((what, fault)) => match fault() {
                None => what.clone(),
                Some(fault) => format!("{what}; {fault}"),
            },
        }
    }

    /// Somebody wants these listeners drained.
    pub(super) fn drain(&self, direction: Direction) {
        let wanted = match direction {
            Direction::Inbound => INBOUND,
            Direction::All => ALL,
        };
        self.drained.fetch_max(wanted, Ordering::SeqCst);
    }

    /// Which somebody wants drained.
    pub(super) fn drained(&self) -> Option<Direction> {
        match self.drained.load(Ordering::SeqCst) {
            NONE => None,
            INBOUND => Some(Direction::Inbound),
            _ => Some(Direction::All),
        }
    }
}

impl fmt::Debug for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Awaited").field(&self.words()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_with_what_went_wrong() {
        let awaited = Awaited::default();
        assert_eq!(awaited.words(), "the configuration");
        awaited.set("a first certificate", Box::new(|| None));
        assert_eq!(awaited.words(), "a first certificate");
        awaited.set("a configuration", Box::new(|| Some("refused".into())));
        assert_eq!(awaited.words(), "a configuration; refused");
        assert!(awaited.is_waiting());
        awaited.over();
        assert!(!awaited.is_waiting());
    }

    #[test]
    fn who_is_drained_stays_it() {
        let awaited = Awaited::default();
        assert_eq!(awaited.drained(), None);
        for (asked, want) in [
            (Direction::Inbound, Direction::Inbound),
            (Direction::All, Direction::All),
            (Direction::Inbound, Direction::All),
        ] {
            awaited.drain(asked);
            assert_eq!(awaited.drained(), Some(want));
        }
    }
}
