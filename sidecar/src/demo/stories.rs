//! The stories of requests that the demo's sidecars tell: of each step one, which must tell what the step shows.
//!
//! They come the way of every access log, from the records of the real run; without `--stories` there is no log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_core::peer::ListenerKind;
use outrigger_runtime::Ended;
use outrigger_telemetry::AccessLog;
use tokio::sync::Notify;

/// Between the number of the rules that a request ran on and its story.
const NUMBERED: u8 = 0x1f;
/// After a story.
const END: u8 = 0x1e;

/// Then a step is left without a story. A log is handed over after a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hears all stories and keeps the one that is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Stories {
    ear: Arc<Mutex<Ear>>,
    /// Told when there is one.
    heard: Arc<Notify>,
}

/// What is listened for, and what was heard.
#[derive(Debug, Default)]
struct Ear {
    /// Stories of other rules are passed over.
    revision: u64,
    /// Words that the story must have.
    tells: &'static str,
    story: Option<String>,
}

impl Stories {
    /// A log that tells stories.
    pub(super) fn log(&self) -> AccessLog {
        AccessLog {
            format: tell,
            writer: Box::new(self.clone()),
        }
    }

    /// From now on it is listened for a request that ran on these rules and whose story has these words.
    pub(super) fn listen(&self, revision: u64, tells: &'static str) {
        *self.ear() = Ear {
            revision,
            tells,
            story: None,
        };
    }

    /// The first story that was listened for; `None` if there is none, although a while has passed.
    pub(super) async fn told(&self) -> Option<String> {
        let told = async {
            loop {
                // What is told before somebody waits for it is kept.
                let heard = self.heard.notified();
                if let Some(story) = self.ear().story.take() {
                    return story;
                }
                heard.await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await.ok()
    }

    fn hear(&self, story: &[u8]) {
        let mut parts = story.splitn(2, |byte| *byte == NUMBERED);
        let (Some(revision), Some(text)) = (parts.next(), parts.next()) else {
            return;
        };
        let text = String::from_utf8_lossy(text);
        let mut ear = self.ear();
        let is_wanted = ear.revision.to_string().as_bytes() == revision && text.contains(ear.tells);
        if is_wanted && ear.story.is_none() {
            ear.story = Some(text.into_owned());
            self.heard.notify_one();
        }
    }

    fn ear(&self) -> MutexGuard<'_, Ear> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
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
fn tell(ended: &Ended<'_>, out: &mut Vec<u8>) {
    let record = ended.record;
    let (ListenerKind::Outbound, Some(revision)) = (ended.peer.listener, record.revision) else {
        return;
    };
    let story = record.story(ended.snapshot);
    let (numbered, end) = (char::from(NUMBERED), char::from(END));
    let _ = write!(out, "{revision}{numbered}{story}{end}");
}
