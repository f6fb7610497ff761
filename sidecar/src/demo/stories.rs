//! The stories of requests that the demo's sidecars tell: of each step one, which must tell what the step shows.
//!
//! They are made from the records of the real run; without `--stories` nobody hears of these.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_core::peer::ListenerKind;
use outrigger_runtime::Ended;
use outrigger_telemetry::Hears;
use tokio::sync::Notify;

use super::steps::Teller;

/// Then a step is left without a story.
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
    /// Whose it is.
    teller: Teller,
    /// Words that the story must have.
    tells: &'static str,
    story: Option<String>,
}

impl Stories {
    /// What hears of each request.
    pub(super) fn hears(&self) -> Hears {
        let stories = self.clone();
        Arc::new(move |ended| stories.hear(ended))
    }

    /// From now on it is listened for a request that ran on these rules and whose story, told by this sidecar, has these words.
    pub(super) fn listen(&self, revision: u64, teller: Teller, tells: &'static str) {
        *self.ear() = Ear {
            revision,
            teller,
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

    fn hear(&self, ended: &Ended<'_>) {
        let record = ended.record;
        let teller = match ended.peer.listener {
            ListenerKind::Outbound | ListenerKind::Gateway(_) => Teller::Caller,
            ListenerKind::Inbound(_) => Teller::Asked,
        };
        let mut ear = self.ear();
        if record.revision != Some(ear.revision) || ear.teller != teller || ear.story.is_some() {
            return;
        }
        let story = record.story(ended.snapshot).to_string();
        if story.contains(ear.tells) {
            ear.story = Some(story);
            self.heard.notify_one();
        }
    }

    fn ear(&self) -> MutexGuard<'_, Ear> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
