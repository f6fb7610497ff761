//! Keys of issuers (JWKS), fetched in the background and again and again; the last good ones are kept.
//!
//! Owns which sets are fetched and what is known of each. What a set means is core's business, when it is put to work
//! `control`'s. All of it runs on the control thread: no worker waits for keys, no start does, and no issuer for another one.
//! Until its keys are there, the tokens of an issuer are refused.

mod counts;
mod failure;
mod fetch;
mod transport;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use outrigger_core::compile::JwksAnswers;
use outrigger_core::jose::KeySet;
use outrigger_core::snapshot::{JwksAddress, JwksPlace, JwtKeys, Snapshot};
use outrigger_dns::{Backoff, jitter};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::{info, warn};

use counts::COUNTS;
pub(super) use counts::counted;
use failure::Failure;
pub(super) use transport::Trusted;

/// While a set goes on failing for the same reason, it is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// The sets of keys of the configuration in force.
pub(super) struct KeyFetcher {
    sets: BTreeMap<JwksPlace, Set>,
    heard: UnboundedReceiver<Heard>,
    /// For the tasks that fetch.
    sender: UnboundedSender<Heard>,
    trusted: Arc<Trusted>,
    refresh: Duration,
}

/// A set of keys, and the task that fetches it until this is dropped.
struct Set {
    timeout: Duration,
    good: Option<Box<str>>,
    failing: Option<Failing>,
    task: AbortHandle,
}

impl Drop for Set {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Failing {
    why: Failure,
    told: Instant,
    times: u64,
}

/// What came of fetching.
struct Heard {
    place: JwksPlace,
    outcome: Result<Box<str>, Failure>,
}

impl KeyFetcher {
    /// `trusted` is who may speak for an address of https; a set that was fetched is fetched again after `refresh`.
    pub(super) fn new(trusted: Arc<Trusted>, refresh: Duration) -> Self {
        let (sender, heard) = unbounded_channel();
        Self {
            sets: BTreeMap::new(),
            heard,
            sender,
            trusted,
            refresh,
        }
    }

    /// Fetches the sets of this snapshot and no others from now on. Those that were fetched before keep what is known of them.
    /// Called within the control thread's runtime.
    pub(super) fn watch(&mut self, snapshot: &Snapshot) {
        let wanted = wanted(snapshot);
        self.sets
            .retain(|place, set| wanted.get(place) == Some(&set.timeout));
        for (place, timeout) in wanted {
            if self.sets.contains_key(&place) {
                continue;
            }
            let address = JwksAddress {
                place: place.clone(),
                timeout,
            };
            let (trusted, sender) = (Arc::clone(&self.trusted), self.sender.clone());
            let fetching = keep_fetching(address, trusted, self.refresh, sender);
            let set = Set {
                timeout,
                good: None,
                failing: None,
                task: tokio::spawn(fetching).abort_handle(),
            };
            self.sets.insert(place, set);
        }
        self.count_sets();
    }

    /// The last good sets.
    pub(super) fn answers(&self) -> JwksAnswers {
        let good = self.sets.iter();
        good.filter_map(|(place, set)| Some((place.clone(), set.good.clone()?)))
            .collect()
    }

    /// Waits until something has come of a set, and says whether its keys are others now. Whoever stops waiting loses nothing.
    pub(super) async fn hear(&mut self) -> bool {
        match self.heard.recv().await {
            Some(heard) => self.take(heard, Instant::now()),
            // Not while we hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, heard: Heard, now: Instant) -> bool {
        let Heard { place, outcome } = heard;
        // An answer may come after nobody asks any more.
        let Some(set) = self.sets.get_mut(&place) else {
            return false;
        };
        let changed = match outcome {
            Ok(keys) => {
                COUNTS.success.fetch_add(1, Relaxed);
                set.fetched(&place, keys)
            }
            Err(why) => {
                COUNTS.failed.fetch_add(1, Relaxed);
                set.failed(&place, why, now);
                false
            }
        };
        self.count_sets();
        changed
    }

    fn count_sets(&self) {
        let sets = self.sets.values();
        let missing = sets.filter(|set| set.good.is_none()).count();
        COUNTS.sets.store(self.sets.len() as u64, Relaxed);
        COUNTS.missing.store(missing as u64, Relaxed);
    }
}

impl Set {
    fn fetched(&mut self, place: &JwksPlace, keys: Box<str>) -> bool {
        let failing = self.failing.take();
        let changed = self.good.as_ref() != Some(&keys);
        if changed || failing.is_some() {
            let count = KeySet::read(keys.as_bytes()).map_or(0, |set| set.keys.len());
            let after = failing.map(|failing| format!(", after {} failures", failing.times));
            info!(target: "jwks", "{}: {count} keys were fetched{}", named(place), after.unwrap_or_default());
        }
        self.good = Some(keys);
        changed
    }

    fn failed(&mut self, place: &JwksPlace, why: Failure, now: Instant) {
        let before = self.failing.take();
        let times = before.as_ref().map_or(1, |before| before.times + 1);
        let is_news = before.as_ref().is_none_or(|before| {
            before.why != why || now.saturating_duration_since(before.told) >= TOLD_EVERY
        });
        let told = before.map_or(now, |before| if is_news { now } else { before.told });
        if is_news {
            let effect = match self.good {
                Some(_) => "the keys that were fetched last stay",
                None => "its tokens are refused",
            };
            warn!(target: "jwks", "{}: keys are not fetched: {why}; {effect}; this was try {times}", named(place));
        }
        self.failing = Some(Failing { why, told, times });
    }
}

fn named(place: &JwksPlace) -> &str {
    match place {
        JwksPlace::Uri(uri) => uri,
        JwksPlace::Issuer(issuer) => issuer,
    }
}

/// The sets that a snapshot asks for. Of several times that one set may take, the longest counts.
fn wanted(snapshot: &Snapshot) -> BTreeMap<JwksPlace, Duration> {
    let mut wanted: BTreeMap<JwksPlace, Duration> = BTreeMap::new();
    let rules = snapshot.request_authentication.iter();
    for rule in rules.flat_map(|auth| &auth.rules) {
        if let JwtKeys::Remote { at, .. } = &rule.keys {
            let timeout = wanted.entry(at.place.clone()).or_default();
            *timeout = at.timeout.max(*timeout);
        }
    }
    wanted
}

/// Fetches a set again and again.
async fn keep_fetching(
    at: JwksAddress,
    trusted: Arc<Trusted>,
    refresh: Duration,
    sender: UnboundedSender<Heard>,
) {
    let mut backoff = Backoff::default();
    loop {
        let outcome = fetch::fetch(&at, &trusted).await;
        let random = RandomState::new().hash_one(());
        let wait = match &outcome {
            Ok(_) => {
                backoff.succeeded();
                refresh - jitter(refresh, random)
            }
            Err(_) => backoff.failed(random),
        };
        let place = at.place.clone();
        if sender.send(Heard { place, outcome }).is_err() {
            return;
        }
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
