//! Tells people at the objects of a cluster what is found in them and who refuses them, beside serving: nobody waits for it.
//!
//! Owns when it is told: what is to stand somewhere is compared with what stands there, and written where it is another, one after the
//! other and slowly. So a queue has at most what there are objects, a restart writes nothing, and replicas need no leader.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger_control::discovery::Clients;
use outrigger_control::hub::Hub;
use outrigger_control::verdicts::{Judged, Verdicts};
use outrigger_core::config::{Code, Finding, Mark};
use outrigger_kubernetes::{Board, Client, Fares, NotWritten, Wanted, Word, Words, changed, tell};
use outrigger_xds::carried::key_of;
use outrigger_xds::{Key, Object};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::wanted::{Refuser, is_ours, reason, wanted, words};

/// After something has changed, so much more is waited for.
const SETTLE: Duration = Duration::from_millis(200);

/// Judging and comparing may take this share of a CPU: one part of so many.
const SHARE: u32 = 20;

/// It is looked at again after so long also when nothing has changed: events are told again, and what others overwrote.
const AGAIN: Duration = Duration::from_secs(60);

/// So many statuses are written at once, and then as many after [`NEXT_BURST`].
const BURST: usize = 50;

/// See [`BURST`].
const NEXT_BURST: Duration = Duration::from_secs(5);

/// What we may not write is tried again after so long.
const FORBIDDEN: Duration = Duration::from_secs(600);

/// A cluster that fails is left alone for so long, twice as long each time.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is told, and how it goes.
pub(super) struct Telling {
    pub(super) board: Arc<Board>,
    words: Words,
    verdicts: Mutex<Arc<Verdicts>>,
    written: AtomicU64,
    failed: AtomicU64,
    rounds: AtomicU64,
}

/// Which of it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writes {
    pub(super) events: bool,
    pub(super) status: bool,
}

/// Whoever tells it.
pub(super) struct Teller {
    telling: Arc<Telling>,
    client: Client,
    hub: Arc<Hub>,
    clients: Arc<Clients>,
    writes: Writes,
    /// What of a status was written last, by a hash, and when.
    last: HashMap<Key, (u64, Instant)>,
    /// What may not be written, and since when.
    forbidden: BTreeMap<&'static str, Instant>,
    /// Of what of it was told.
    told: BTreeSet<&'static str>,
}

/// Who refuses an object: the first of them by name, and the pods of all.
type Refusers = BTreeMap<Key, (Refuser, Vec<Key>)>;

/// A status that is to be another.
struct Due {
    object: Object,
    wanted: Wanted,
    /// Of what is wanted, and of which generation.
    hash: u64,
}

/// The cluster fails: there is no use in going on now.
struct Fails;

impl Telling {
    pub(super) fn new(client: &Client, board: Arc<Board>) -> Self {
        Self {
            board,
            words: Words::new(client.clone()),
            verdicts: Mutex::default(),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
        }
    }

    /// What was found when everything was judged last.
    pub(super) fn verdicts(&self) -> Arc<Verdicts> {
        let verdicts = self.verdicts.lock();
        Arc::clone(&verdicts.unwrap_or_else(PoisonError::into_inner))
    }

    /// What is found of the cluster itself: kinds that may not be read.
    pub(super) fn left_out(&self) -> Vec<Finding> {
        let kinds = self.board.kinds();
        let left_out = kinds.iter().filter_map(|(kind, fares)| match fares {
            Fares::LeftOut(why) => Some((kind, why)),
            _ => None,
        });
        left_out
            .map(|(kind, why)| {
                let dot = if kind.group.is_empty() { "" } else { "." };
                let file = format!("{}{dot}{}", kind.plural, kind.group);
                let message =
                    format!("control may not read this kind, and it counts as empty: {why}");
                Finding::new(
                    Code::KindForbidden,
                    &file.as_str().into(),
                    Mark::default(),
                    message,
                )
            })
            .collect()
    }

    /// Counters and gauges: name, kind, help and value.
    pub(super) fn rows(&self) -> [(&'static str, &'static str, &'static str, u64); 7] {
        let verdicts = self.verdicts();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (written, failed) = (of(&self.written), of(&self.failed));
        let events = self.words.written();
        let warnings = verdicts.warnings + self.left_out().len() as u64;
        [
            (
                "errors",
                "gauge",
                "errors found in the mesh as a whole",
                verdicts.errors,
            ),
            ("warnings", "gauge", "warnings found in it", warnings),
            (
                "events_written",
                "counter",
                "events written to Kubernetes",
                events,
            ),
            (
                "events_dropped",
                "counter",
                "events not written, there were too many",
                self.words.dropped(),
            ),
            (
                "statuses_written",
                "counter",
                "statuses written to Kubernetes",
                written,
            ),
            (
                "told",
                "counter",
                "times that what stands at objects was compared with what was found",
                of(&self.rounds),
            ),
            (
                "writes_failed",
                "counter",
                "events and statuses that could not be written",
                failed,
            ),
        ]
    }
}

impl Teller {
    pub(super) fn new(
        telling: &Arc<Telling>,
        client: &Client,
        (hub, clients): (&Arc<Hub>, Arc<Clients>),
        writes: Writes,
    ) -> Self {
        Self {
            telling: Arc::clone(telling),
            client: client.clone(),
            hub: Arc::clone(hub),
            clients,
            writes,
            last: HashMap::new(),
            forbidden: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Tells it for as long as the program runs.
    pub(super) async fn run(mut self) {
        let mut pushes = self.hub.pushes();
        let mut refusals = self.clients.refusals();
        let mut statuses = self.telling.board.changes();
        let (mut judged, mut pause) = (0, BACKOFF.0);
        let mut is_news = true;
        loop {
            let pushed = *pushes.borrow_and_update();
            is_news |= pushed != judged || refusals.has_changed().unwrap_or_default();
            refusals.mark_unchanged();
            statuses.mark_unchanged();
            let begun = Instant::now();
            if pushed != judged {
                judged = pushed;
                self.judge().await;
            }
            let (refused, due) = if pushed == 0 {
                <_>::default()
            } else {
                self.due()
            };
            let rest = SETTLE.max(begun.elapsed() * SHARE);
            let is_more = due.len() > BURST;
            let told = match self.statuses(due).await {
                Ok(()) if is_news => self.events(&refused).await,
                told => told,
            };
            let again = match told {
                Ok(()) => {
                    pause = BACKOFF.0;
                    self.telling
                        .rounds
                        .fetch_add(u64::from(pushed > 0), Ordering::Relaxed);
                    if is_more { NEXT_BURST } else { AGAIN }
                }
                Err(Fails) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF.1);
                    Duration::ZERO
                }
            };
            is_news = told.is_err();
            tokio::select! {
                changed = pushes.changed() => if changed.is_err() { return },
                _ = refusals.changed() => is_news = true,
                _ = statuses.changed() => {}
                () = sleep(again) => is_news |= !is_more,
            }
            sleep(rest).await;
        }
    }

    /// Judges everything.
    async fn judge(&self) {
        let all = self.hub.ask(Judged::of);
        // It panics for no input; if it does, what was found before stays.
        if let Ok(verdicts) = tokio::task::spawn_blocking(|| all.judge()).await {
            let (errors, warnings) = (verdicts.errors, verdicts.warnings);
            let known = self.telling.verdicts.lock();
            let mut known = known.unwrap_or_else(PoisonError::into_inner);
            if (known.errors, known.warnings) != (errors, warnings) {
                info!(target: "config", "the mesh as a whole: {errors} errors and {warnings} warnings, see /findings");
            }
            *known = Arc::new(verdicts);
        }
    }

    /// Who refuses what, and what is to be another in statuses now.
    fn due(&mut self) -> (Refusers, Vec<Due>) {
        let now = Instant::now();
        self.last
            .retain(|_, (_, when)| now.duration_since(*when) < AGAIN);
        self.forbidden
            .retain(|_, since| now.duration_since(*since) < FORBIDDEN);
        let refused = self.refused();
        if !self.writes.status {
            return (refused, Vec::new());
        }
        let verdicts = self.telling.verdicts();
        let mut keys: BTreeSet<Key> = self.telling.board.with(is_ours).into_iter().collect();
        keys.extend(verdicts.findings.keys().cloned());
        keys.extend(verdicts.routes.keys().cloned());
        keys.extend(refused.keys().cloned());
        let due = keys.iter().filter_map(|key| {
            let refuser = refused.get(key).map(|(refuser, _)| refuser);
            self.status(key, &verdicts, refuser)
        });
        let due = due.collect();
        (refused, due)
    }

    /// Who refuses which object as it is now: the first of them by name, and the pods of all.
    fn refused(&self) -> Refusers {
        let mut refused = Refusers::new();
        for client in self.clients.refusing() {
            let pod = client.viewer.pod();
            let who = pod.as_ref().map_or_else(
                || client.viewer.id.clone(),
                |pod| format!("{}/{}", pod.namespace, pod.name),
            );
            for (kind, name, refusal) in client.refused.objects() {
                let Ok(key) = key_of(kind, name) else {
                    continue;
                };
                let version = refusal.version.clone();
                let is_now = self.hub.ask(|world| world.version(&key) == Some(&*version));
                if !is_now {
                    continue;
                }
                let refuser = Refuser {
                    who: who.clone(),
                    why: refusal.why.clone(),
                };
                let entry = refused
                    .entry(key)
                    .or_insert_with(|| (refuser.clone(), Vec::new()));
                if refuser.who < entry.0.who {
                    entry.0 = refuser;
                }
                entry.1.extend(pod.clone());
            }
        }
        refused
    }

    /// What is to stand in the status of an object, where it does not.
    fn status(&self, key: &Key, verdicts: &Verdicts, refuser: Option<&Refuser>) -> Option<Due> {
        let object = self.hub.ask(|world| world.object(key))?;
        let wanted = wanted(&object, verdicts, refuser)?;
        let generation = &object.json["metadata"]["generation"];
        let stands = self.telling.board.status(key);
        changed(generation, &stands, &wanted, "")?;
        // The same is written again only after a while: it may have been, and we were not told yet; or somebody disagrees.
        let hash = hash(generation.as_i64(), &wanted);
        let is_last = |last: &(u64, Instant)| last.0 == hash;
        let is_over = self.last.get(key).is_some_and(is_last);
        (!is_over && !self.forbidden.contains_key(key.kind.plural)).then_some(Due {
            object,
            wanted,
            hash,
        })
    }

    async fn statuses(&mut self, due: Vec<Due>) -> Result<(), Fails> {
        for due in due.into_iter().take(BURST) {
            let Due {
                object,
                wanted,
                hash,
            } = due;
            let plural = object.key.kind.plural;
            if self.forbidden.contains_key(plural) {
                continue;
            }
            let told = tell(&self.client, &object, &wanted).await;
            if let Some(is_written) = self.went(plural, told)? {
                self.telling
                    .written
                    .fetch_add(u64::from(is_written), Ordering::Relaxed);
                self.last.insert(object.key, (hash, Instant::now()));
            }
        }
        Ok(())
    }

    async fn events(&mut self, refused: &Refusers) -> Result<(), Fails> {
        if !self.writes.events {
            return Ok(());
        }
        let verdicts = self.telling.verdicts();
        for (key, findings) in &verdicts.findings {
            for finding in findings {
                let reason = reason(finding.code);
                self.event(key, &reason, &words(finding)).await?;
            }
        }
        for (key, (Refuser { why, .. }, pods)) in refused {
            let text = format!("proxies refuse it, and go on with its last good form: {why}");
            self.event(key, "Refused", &text).await?;
            let (kind, namespace, name) = (key.kind.kind, &key.namespace, &key.name);
            let text = format!("the proxy refuses {kind} {namespace}/{name}: {why}");
            for pod in pods {
                self.event(pod, "Refuses", &text).await?;
            }
        }
        Ok(())
    }

    async fn event(&mut self, key: &Key, reason: &str, message: &str) -> Result<(), Fails> {
        if self.forbidden.contains_key("events") {
            return Ok(());
        }
        let Some(object): Option<Object> = self.hub.ask(|world| world.object(key)) else {
            return Ok(());
        };
        let word = Word {
            reason,
            message,
            is_warning: true,
        };
        let told = self.telling.words.event(&object, word).await;
        self.went("events", told).map(|_| ())
    }

    /// What came of a write; none where it may not be made.
    fn went(
        &mut self,
        what: &'static str,
        told: Result<bool, NotWritten>,
    ) -> Result<Option<bool>, Fails> {
        let why = match told {
            Ok(is_written) => return Ok(Some(is_written)),
            Err(why) => why,
        };
        self.telling.failed.fetch_add(1, Ordering::Relaxed);
        if why.is_invalid() {
            // It is no reason to say nothing of others.
            warn!(target: "kubernetes", "{why}");
            return Ok(Some(false));
        }
        if !why.is_forbidden() {
            debug!(target: "kubernetes", "{why}; trying again");
            return Err(Fails);
        }
        self.forbidden.insert(what, Instant::now());
        if self.told.insert(what) {
            warn!(target: "kubernetes", "{why}; no more is said of this, and everything else goes on");
        }
        Ok(None)
    }
}

fn hash(generation: Option<i64>, wanted: &Wanted) -> u64 {
    let mut hasher = DefaultHasher::new();
    (generation, format!("{wanted:?}")).hash(&mut hasher);
    hasher.finish()
}
