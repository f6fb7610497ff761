//! How many configuration dumps there may be at a time, and that they share what they can.
//!
//! A dump of a large mesh is tens of megabytes, and readers may be slow. Owns that readers of one revision share one
//! text for a moment, that making it does not keep other pages waiting, and that only so many are held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use outrigger_runtime::Handle;

use super::config_dump;

/// Dumps that are made or read at the same time; more are refused with 503.
pub(super) const AT_ONCE: usize = 16;

/// For how long a dump is given to others: what it says of live state is that old.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The dumps of one proxy.
#[derive(Clone, Default)]
pub(super) struct Dumps(Arc<Shared>);

#[derive(Default)]
struct Shared {
    latest: Mutex<Option<Latest>>,
    /// Has a clone for each dump that is made or read.
    readers: Arc<()>,
}

struct Latest {
    revision: u64,
    made: Instant,
    text: Arc<str>,
}

/// A text for one reader; it counts until it is read or given up.
struct Reading {
    text: Arc<str>,
    _counts: Arc<()>,
}

impl AsRef<[u8]> for Reading {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Dumps {
    /// The configuration in use; `None` when too many are reading.
    pub(super) async fn of(&self, handle: &Handle) -> Option<Bytes> {
        let counts = self.place()?;
        let snapshot = handle.snapshot();
        let revision = snapshot.revision;
        let text = match self.latest(revision) {
            Some(text) => text,
            None => {
                let now = handle.now();
                let make = move || Arc::<str>::from(config_dump::json(&snapshot, now));
                // Away from the thread that answers `/ready`.
                let text = tokio::task::spawn_blocking(make).await.ok()?;
                *self.lock() = Some(Latest {
                    revision,
                    made: Instant::now(),
                    text: Arc::clone(&text),
                });
                text
            }
        };
        Some(Bytes::from_owner(Reading {
            text,
            _counts: counts,
        }))
    }

    /// A place among those who read at the same time.
    fn place(&self) -> Option<Arc<()>> {
        // One is ours.
        (Arc::strong_count(&self.0.readers) <= AT_ONCE).then(|| Arc::clone(&self.0.readers))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Latest>> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self, revision: u64) -> Option<Arc<str>> {
        let mut latest = self.lock();
        // What nobody will be given is not held.
        let is_good = |l: &Latest| l.revision == revision && l.made.elapsed() < SHARED_FOR;
        if !latest.as_ref().is_some_and(is_good) {
            *latest = None;
        }
        latest.as_ref().map(|l| Arc::clone(&l.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_read_at_a_time() {
        let dumps = Dumps::default();
        let mut places: Vec<_> = (0..AT_ONCE).map(|_| dumps.clone().place()).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(dumps.place().is_none());
        places.pop();
        assert!(dumps.place().is_some());
    }
}
