//! The stories of requests that the demo's sidecars tell: of each step, one worth telling.
//!
//! They come the way of every access log, from the records of the real run; without `--stories` there is no log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger_core::decision::{Record, RouteDecision};
use outrigger_core::exchange::ListenerKind;
use outrigger_runtime::{AccessLog, Request};

/// Between a story's rank and its text.
const RANKED: u8 = 0x1f;
/// After a story.
const END: u8 = 0x1e;

/// A log is handed over by then.
const PATIENCE: Duration = Duration::from_millis(200);

/// Looks before a step is left without a story.
const LOOKS: u32 = 20;

/// The best story so far, by rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Stories(Arc<Mutex<Option<(usize, String)>>>);

impl Stories {
    /// A log that tells stories.
    pub(super) fn log(&self) -> AccessLog {
        AccessLog {
            format: tell,
            writer: Box::new(self.clone()),
        }
    }

    /// The best story since the last call.
    pub(super) async fn best(&self) -> Option<String> {
        for _ in 0..LOOKS {
            tokio::time::sleep(PATIENCE).await;
            let best = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((_, story)) = best {
                return Some(story);
            }
        }
        None
    }

    /// Of equal ones the first is kept.
    fn hear(&self, story: &[u8]) {
        let mut parts = story.splitn(2, |byte| *byte == RANKED);
        let (Some(rank), Some(text)) = (parts.next(), parts.next()) else {
            return;
        };
        let rank = String::from_utf8_lossy(rank).parse().unwrap_or(0);
        let mut best = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if best.as_ref().is_none_or(|(most, _)| rank > *most) {
            *best = Some((rank, String::from_utf8_lossy(text).into_owned()));
        }
    }
}

/// Blocks of a log hold whole stories.
impl Write for Stories {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        block
            .split(|byte| *byte == END)
            .for_each(|story| self.hear(story));
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Inbound listeners only pass on; what rules decide is decided by who calls.
fn tell(record: &Record, request: &Request, out: &mut Vec<u8>) {
    if request.peer.listener == ListenerKind::Outbound {
        let (rank, story) = (rank(record), record.story());
        let (ranked, end) = (char::from(RANKED), char::from(END));
        let _ = write!(out, "{rank}{ranked}{story}{end}");
    }
}

/// How much there is to tell: a rule that somebody wrote, the service that most rules are for, something unusual, every
/// attempt, every second.
fn rank(record: &Record) -> usize {
    let is_written = record.view.as_ref().is_some_and(|view| match record.route {
        RouteDecision::Rule {
            virtual_host, rule, ..
        } => {
            let rules = &view.snapshot.virtual_host(virtual_host).rules;
            rules.get(rule as usize).is_some_and(|r| r.origin.is_some())
        }
        RouteDecision::NotReached
        | RouteDecision::UnknownHost
        | RouteDecision::NoRule { .. }
        | RouteDecision::Mirror { .. } => false,
    });
    let is_last = record.request.authority.starts_with(b"recommendation");
    let is_unusual = !record.flags().is_empty() || record.status >= 500;
    let seconds = record.ended.since(record.began).as_secs().min(9);
    100 * usize::from(is_written)
        + 50 * usize::from(is_last)
        + 20 * usize::from(is_unusual)
        + record.attempts.len()
        + seconds as usize
}
