//! From requests that have ended to lines in files, without a request ever waiting for a file.
//!
//! Each worker writes lines into blocks of its own, one for each file. Full blocks, and others after a short while, go through
//! a bounded queue to the one thread of their file. Lines are counted as dropped when that thread is stuck and when its file
//! fails. Which requests are logged where, and how lines look, is in the snapshot that decided them.

mod block;
mod files;
mod room;

pub use files::{Hear, LogFiles, LogSettings};

use std::sync::Arc;
use std::time::Duration;

use outrigger_core::decision::access_log::{self, Logged, Place};
use outrigger_core::snapshot::telemetry::AccessLogs;
use outrigger_runtime::Ended;

use block::LogBuffer;

/// A shorter block than a full one is handed over after this long.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// One worker's end of all access logs.
#[derive(Debug)]
pub(crate) struct WorkerLogs {
    files: Arc<LogFiles>,
    place: Arc<Place>,
    /// Where the lines of these go is known.
    known: Arc<AccessLogs>,
    /// The position in `buffers` of each log of `known`: of the outbound ones, then of the inbound ones.
    places: Vec<Option<usize>>,
    buffers: Vec<(Arc<str>, LogBuffer)>,
    flush_is_due: bool,
}

impl WorkerLogs {
    pub(crate) fn new(files: &Arc<LogFiles>, place: &Arc<Place>) -> Self {
        Self {
            files: Arc::clone(files),
            place: Arc::clone(place),
            known: Arc::default(),
            places: Vec::new(),
            buffers: Vec::new(),
            flush_is_due: false,
        }
    }

    /// Adds lines; says when a flush is due, if that has not been said. A copy for a mirror has none: as in Envoy, what
    /// became of it is counted at its cluster.
    pub(crate) fn add(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        ended.listener?;
        let logs = &ended.snapshot.access_logs;
        if logs.is_empty() {
            return None;
        }
        if !Arc::ptr_eq(&self.known, logs) {
            self.look_at(logs);
        }
        let is_inbound = ended.peer.listener.is_inbound();
        let mut of_side = logs.of(is_inbound).iter();
        if !of_side.any(|log| access_log::may_take(log, ended.record)) {
            return None;
        }
        let before = if is_inbound { logs.outbound.len() } else { 0 };
        let logged = Logged {
            record: ended.record,
            snapshot: ended.snapshot,
            response: ended.response,
            around: ended.surroundings(),
            tls: ended.client_tls,
            place: &self.place,
        };
        let places = self.places.get(before..).unwrap_or_default();
        let mut has_waiting = false;
        for (log, place) in logs.of(is_inbound).iter().zip(places) {
            if !access_log::takes(log, &logged) {
                continue;
            }
            match place.and_then(|at| self.buffers.get_mut(at)) {
                Some((_, buffer)) => {
                    has_waiting |= buffer.add(|out| access_log::write(&log.format, &logged, out));
                }
                None => self.files.count_dropped(1),
            }
        }
        let is_news = has_waiting && !std::mem::replace(&mut self.flush_is_due, has_waiting);
        is_news.then_some(FLUSH_AFTER)
    }

    /// Whether anything is logged.
    pub(crate) fn is_on(&self) -> bool {
        self.files.is_on()
    }

    /// Finds out where lines go. Files that nobody writes to any more are let go of.
    fn look_at(&mut self, logs: &Arc<AccessLogs>) {
        self.flush();
        self.buffers
            .retain(|(path, _)| logs.all().any(|log| log.path == *path));
        self.places = logs.all().map(|log| self.place_of(&log.path)).collect();
        self.known = Arc::clone(logs);
    }

    fn place_of(&mut self, path: &Arc<str>) -> Option<usize> {
        let mut known = self.buffers.iter();
        known.position(|(known, _)| known == path).or_else(|| {
            let buffer = self.files.buffer(path)?;
            self.buffers.push((Arc::clone(path), buffer));
            Some(self.buffers.len() - 1)
        })
    }

    /// Hands over what there is.
    pub(crate) fn flush(&mut self) {
        self.flush_is_due = false;
        self.buffers
            .iter_mut()
            .for_each(|(_, buffer)| buffer.hand_over());
    }
}

#[cfg(test)]
mod tests;
