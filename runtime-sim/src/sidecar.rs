//! A simulated sidecar: its threads, what was published to them, and what they share.
//!
//! What one thread does stands in `thread`.

use core::ops::Range;
use std::sync::Arc;

use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::View;
use smallvec::SmallVec;

use crate::fabric::Fabric;
use crate::invariants::{UnderWay, Watch};
use crate::thread::Thread;

/// A sidecar.
#[derive(Debug)]
pub(crate) struct Sidecar {
    /// Its threads among those of all sidecars.
    pub(crate) threads: Range<usize>,
    /// The newest configuration.
    pub(crate) published: Arc<Snapshot>,
    /// No new connection is taken.
    pub(crate) is_draining: bool,
    /// `None` where nobody checks.
    watch: Option<Watch>,
}

impl Sidecar {
    pub(crate) fn new(threads: Range<usize>, snapshot: Arc<Snapshot>, is_checked: bool) -> Self {
        Self {
            threads,
            watch: is_checked.then(|| Watch::new(&snapshot)),
            published: snapshot,
            is_draining: false,
        }
    }

    /// One of its threads takes what was published last.
    pub(crate) fn adopt(
        &mut self,
        thread: usize,
        threads: &mut [Thread],
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        let newest = Arc::clone(&self.published);
        threads[thread].adopt(newest, self.watch.as_mut(), fabric)
    }

    /// Looks at everything that must hold between two steps, if anything can have changed in this one.
    pub(crate) fn check(&mut self, threads: &mut [Thread]) -> Result<(), String> {
        let mut is_touched = false;
        for at in self.threads.clone() {
            if threads[at].take_touched() {
                is_touched = true;
                let checked = threads[at].check();
                checked.map_err(|what| format!("thread {at}: {what}"))?;
            }
        }
        if !is_touched {
            return Ok(());
        }
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        let own = &threads[self.threads.clone()];
        let mut under_way = UnderWay::default();
        for of_thread in own.iter().map(Thread::under_way) {
            under_way.attempts += of_thread.attempts;
            under_way.kept += of_thread.kept;
            under_way.idle += of_thread.idle;
        }
        let in_force: SmallVec<[&View; 4]> = own.iter().map(|thread| &**thread.view()).collect();
        let checked = watch.check(&in_force, under_way);
        checked.map_err(|what| format!("sidecar of threads {:?}: {what}", self.threads))
    }

    /// Says what is left when nobody wants anything any more.
    pub(crate) fn at_rest(&self, threads: &[Thread], now: Instant) -> Result<(), String> {
        let mut own = threads[self.threads.clone()].iter();
        own.try_for_each(Thread::at_rest)?;
        match &self.watch {
            Some(watch) => watch.at_rest(now),
            None => Watch::new(&self.published).at_rest(now),
        }
    }
}
