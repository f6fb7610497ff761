//! The lane of one collector: spans come in, batches leave, one at a time.
//!
//! A batch that the collector may take later is tried again a few times, with longer waits between; meanwhile others wait
//! behind it, as many as there is room for.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outrigger_core::snapshot::{Collector, CollectorProtocol};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::counts::Counts;
use super::identity::Identity;
use super::post::{Failed, Line, Protect};
use super::span::Told;
use super::{SpanNotice, Tell, otlp, zipkin};

/// A batch of so many spans leaves at once.
const BATCH: usize = 512;

/// A smaller one leaves after this long.
const LINGER: Duration = Duration::from_secs(1);

/// The waits before a batch is tried again.
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// What all lanes share.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) identity: Arc<Identity>,
    pub(super) counts: Arc<Counts>,
    pub(super) tell: Tell,
    pub(super) protect: Arc<dyn Protect>,
    /// The process ends: nothing is waited for.
    pub(super) ending: watch::Receiver<bool>,
}

pub(super) struct Lane {
    collector: Arc<Collector>,
    line: Line,
    around: Around,
    /// The last batch was not taken, which was told.
    is_down: bool,
}

impl Lane {
    pub(super) fn new(collector: Arc<Collector>, around: Around) -> Self {
        Self {
            line: Line::new(Arc::clone(&collector), Arc::clone(&around.protect)),
            collector,
            around,
            is_down: false,
        }
    }

    /// Until nobody has spans for it any more.
    pub(super) async fn run(mut self, mut spans: mpsc::UnboundedReceiver<Told>) {
        while let Some(first) = spans.recv().await {
            let batch = self.gather(first, &mut spans).await;
            self.send(&batch).await;
        }
    }

    async fn gather(
        &mut self,
        first: Told,
        spans: &mut mpsc::UnboundedReceiver<Told>,
    ) -> Vec<Told> {
        let until = Instant::now() + LINGER;
        let mut count = first.spans.len();
        let mut batch = vec![first];
        let mut ending = self.around.ending.clone();
        while count < BATCH {
            let mut ended = pin!(ending.wait_for(|is_ending| *is_ending));
            let next = timeout_at(until, async {
                tokio::select! {
                    biased;
                    told = spans.recv() => told,
                    _ = &mut ended => None,
                }
            });
            let Ok(Some(told)) = next.await else { break };
            count += told.spans.len();
            batch.push(told);
        }
        batch
    }

    async fn send(&mut self, batch: &[Told]) {
        let spans = batch.iter().map(|told| told.spans.len() as u64).sum();
        let identity = &self.around.identity;
        let bytes: Bytes = match self.collector.protocol {
            CollectorProtocol::OtlpGrpc | CollectorProtocol::OtlpHttp { .. } => {
                otlp::encode(batch, identity).into()
            }
            CollectorProtocol::Zipkin { .. } => zipkin::encode(batch, identity).into(),
        };
        let refused = match self.post(bytes).await {
            Ok(refused) => {
                if std::mem::take(&mut self.is_down) {
                    let collector = self.collector.name.to_string();
                    (self.around.tell)(SpanNotice::Taken { collector });
                }
                refused.min(spans)
            }
            Err(failed) => {
                self.tell_down(&failed);
                spans
            }
        };
        self.around.counts.settle(spans - refused, refused);
    }

    /// How many were refused.
    async fn post(&mut self, bytes: Bytes) -> Result<u64, Failed> {
        for wait in WAITS {
            match self.line.post(bytes.clone()).await {
                Err(failed @ Failed::Later(_)) => self.tell_down(&failed),
                judged => return judged,
            }
            let mut ending = self.around.ending.clone();
            tokio::select! {
                () = sleep(wait) => {}
                _ = ending.wait_for(|is_ending| *is_ending) => break,
            }
        }
        self.line.post(bytes).await
    }

    /// Told once until it takes something again.
    fn tell_down(&mut self, failed: &Failed) {
        if !std::mem::replace(&mut self.is_down, true) {
            (self.around.tell)(SpanNotice::NotTaken {
                collector: self.collector.name.to_string(),
                reason: failed.to_string(),
            });
        }
    }
}
