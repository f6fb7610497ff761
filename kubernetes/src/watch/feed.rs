//! The objects of one kind: listed, then followed for ever.
//!
//! Owns how nothing is missed: what was told last is remembered by its `resourceVersion`, a stream that ends goes on from there,
//! and where the cluster has forgotten that version (410) all are listed again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use outrigger_xds::{Change, Key, Kind, Object, content_version};
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::Timing;
use super::lines::Lines;
use super::place::{Only, Place};
use crate::backoff::Backoff;
use crate::board::{Board, Fares};
use crate::request::{Trouble, What, get, json, send};
use crate::trim;

/// The same trouble is told again after so long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Whose change it is: a feed's number beside what it tells.
pub(crate) type Told = (u64, Change);

/// What follows the objects of a kind.
pub(crate) struct Feed {
    pub(crate) client: Client,
    pub(crate) kind: &'static Kind,
    pub(crate) only: Only,
    pub(crate) timing: Timing,
    pub(crate) number: u64,
    pub(crate) tells: Sender<Told>,
    /// What was told, by its version.
    known: HashMap<Key, Box<str>>,
    told_trouble: Option<(String, Instant)>,
    backoff: Backoff,
    board: Arc<Board>,
    /// Whether all of them were told once.
    has_told: bool,
    /// Since when nothing has come because it may not.
    forbidden: Option<Instant>,
    /// Whether this cluster says how far a stream is: then silence is a loss.
    has_bookmarks: bool,
}

/// Nobody listens any more.
pub(crate) struct Unheard;

/// Where a feed is.
enum Step {
    /// Which version is served is to be found.
    Find,
    /// All are to be listed.
    List(Place),
    /// What happens after a version is followed.
    Follow(Place, String),
}

impl Feed {
    pub(crate) fn new(
        client: &Client,
        kind: &'static Kind,
        only: Only,
        timing: Timing,
        board: &Arc<Board>,
        (number, tells): (u64, Sender<Told>),
    ) -> Self {
        Self {
            client: client.clone(),
            kind,
            only,
            timing,
            number,
            tells,
            known: HashMap::new(),
            told_trouble: None,
            backoff: Backoff::new(timing.backoff, timing.most_backoff),
            board: Arc::clone(board),
            has_told: false,
            forbidden: None,
            has_bookmarks: false,
        }
    }

    /// Runs until nobody listens.
    pub(crate) async fn run(mut self) {
        let mut step = Step::Find;
        let mut is_absent = false;
        loop {
            let taken = match step {
                Step::Find => self.find(&mut is_absent).await,
                Step::List(place) => self.list(place).await,
                Step::Follow(place, version) => self.follow(place, version).await,
            };
            match taken {
                Ok(next) => step = next,
                Err(Unheard) => return,
            }
        }
    }

    async fn find(&mut self, is_absent: &mut bool) -> Result<Step, Unheard> {
        match Place::find(&self.client, self.kind, &self.only).await {
            Ok(Some(place)) => {
                *is_absent = false;
                Ok(Step::List(place))
            }
            Ok(None) => {
                if !*is_absent {
                    *is_absent = true;
                    let (kind, group) = (self.kind.kind, self.kind.group);
                    info!(target: "kubernetes", "this cluster has no {kind} of {group}; looked for again each minute");
                    self.tell_all(Vec::new()).await?;
                    self.board.fares(self.kind, Fares::Absent);
                }
                sleep(self.timing.look_again).await;
                Ok(Step::Find)
            }
            Err(trouble) => {
                self.leave_out(&trouble).await?;
                self.wait(&trouble).await;
                Ok(Step::Find)
            }
        }
    }

    async fn list(&mut self, place: Place) -> Result<Step, Unheard> {
        match self.pages(&place).await {
            Ok((objects, version)) => {
                self.tell_all(objects).await?;
                Ok(Step::Follow(place, version))
            }
            Err(trouble) => {
                self.leave_out(&trouble).await?;
                self.wait(&trouble).await;
                if trouble.what == What::Absent {
                    Ok(Step::Find)
                } else {
                    Ok(Step::List(place))
                }
            }
        }
    }

    /// What may not be read, and of which nothing has come, counts as empty until it may: nobody else waits for it. For a while it is
    /// asked for again first, since rights come a moment later than who has them; a secret that others may not name is no such case. What
    /// decides who is let in is waited for.
    async fn leave_out(&mut self, trouble: &Trouble) -> Result<(), Unheard> {
        if trouble.what != What::Forbidden || self.has_told || decides_who_is_let_in(self.kind) {
            return Ok(());
        }
        let since = *self.forbidden.get_or_insert_with(Instant::now);
        if self.kind.kind != "Secret" && since.elapsed() < self.timing.patience {
            return Ok(());
        }
        if self.kind.kind != "Secret" {
            let (kind, group) = (self.kind.kind, self.kind.group);
            warn!(target: "kubernetes", "{kind} of {group} may not be read and counts as empty until it may: {}", trouble.text);
        }
        self.has_told = true;
        self.tell(Change::All(self.kind, Vec::new())).await?;
        self.board
            .fares(self.kind, Fares::LeftOut(trouble.text.clone()));
        Ok(())
    }

    /// All pages of a list, and the version of it.
    async fn pages(&mut self, place: &Place) -> Result<(Vec<Object>, String), Trouble> {
        let mut limit = self.timing.page;
        let mut objects = Vec::new();
        let mut token = String::new();
        loop {
            let page = json(&self.client, get(&place.list(limit, &token))).await;
            let mut page = match page {
                Ok((_, page)) => page,
                // Too slow for what the cluster remembers: all at once, then.
                Err(trouble) if trouble.what == What::Expired && !token.is_empty() => {
                    debug!(target: "kubernetes", "the list of {} was forgotten while it was read", self.kind.plural);
                    (limit, token) = (0, String::new());
                    objects.clear();
                    continue;
                }
                Err(trouble) => return Err(trouble),
            };
            if let Some(items) = page["items"].as_array_mut() {
                let items = items.iter_mut().map(Value::take);
                objects.extend(items.filter_map(|item| self.object(place, item)));
            }
            let meta = &page["metadata"];
            token = meta["continue"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                let version = meta["resourceVersion"].as_str().unwrap_or("0");
                return Ok((objects, version.to_owned()));
            }
        }
    }

    /// Follows a stream to its end.
    async fn follow(&mut self, place: Place, mut version: String) -> Result<Step, Unheard> {
        let ended = match self.open(&place, &version).await {
            Ok(lines) => self.hear(lines, &place, &mut version).await?,
            Err(trouble) => Err(trouble),
        };
        match ended {
            Ok(()) => Ok(Step::Follow(place, version)),
            Err(trouble) if trouble.what == What::Expired => {
                debug!(target: "kubernetes", "{} are listed again: {}", self.kind.plural, trouble.text);
                Ok(Step::List(place))
            }
            Err(trouble) => {
                self.wait(&trouble).await;
                if trouble.what == What::Absent {
                    Ok(Step::Find)
                } else {
                    Ok(Step::Follow(place, version))
                }
            }
        }
    }

    async fn open(&self, place: &Place, version: &str) -> Result<Lines, Trouble> {
        let seconds = self.timing.stream.as_secs().max(1);
        let answer = send(&self.client, get(&place.watch(version, seconds))).await?;
        Ok(Lines::new(answer.into_body()))
    }

    /// Tells what a stream says until it ends.
    async fn hear(
        &mut self,
        mut lines: Lines,
        place: &Place,
        version: &mut String,
    ) -> Result<Result<(), Trouble>, Unheard> {
        let began = Instant::now();
        let mut has_heard = false;
        loop {
            let silence = if self.has_bookmarks {
                self.timing.silence
            } else {
                self.timing.stream + self.timing.silence
            };
            let next = tokio::select! {
                next = timeout(silence, lines.next()) => next,
                () = self.tells.closed() => return Err(Unheard),
            };
            let event = match next {
                Err(_) => return Ok(Err(Trouble::other("a watch has gone silent"))),
                Ok(Err(trouble)) => return Ok(Err(trouble)),
                // Streams that end at once, and say nothing, are no way to be served.
                Ok(Ok(None)) if !has_heard && began.elapsed() < self.timing.backoff => {
                    return Ok(Err(Trouble::other("a watch ends before it says anything")));
                }
                Ok(Ok(None)) => return Ok(Ok(())),
                Ok(Ok(Some(event))) => event,
            };
            if let Err(trouble) = self.take(event, place, version).await? {
                return Ok(Err(trouble));
            }
            has_heard = true;
            self.well();
        }
    }

    /// Takes one event.
    async fn take(
        &mut self,
        mut event: Value,
        place: &Place,
        version: &mut String,
    ) -> Result<Result<(), Trouble>, Unheard> {
        let json = event["object"].take();
        let now = json["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned);
        match event["type"].as_str() {
            Some("ERROR") => {
                let code = json["code"].as_u64().unwrap_or(500);
                return Ok(Err(Trouble::of_status(code, &json)));
            }
            Some("BOOKMARK") => self.has_bookmarks = true,
            Some("DELETED") => {
                if let Some(object) = self.object(place, json)
                    && self.known.remove(&object.key).is_some()
                {
                    self.board.gone(&object.key);
                    self.tell(Change::Gone(object.key)).await?;
                }
            }
            Some("ADDED" | "MODIFIED") => {
                if let Some(object) = self.object(place, json) {
                    let version = object.version.clone();
                    let known = self.known.insert(object.key.clone(), version);
                    if known.as_ref() != Some(&object.version) {
                        self.tell(Change::Is(object)).await?;
                    }
                }
            }
            other => {
                debug!(target: "kubernetes", "an event of a type that is not known: {other:?}");
            }
        }
        if let Some(now) = now {
            *version = now;
        }
        Ok(Ok(()))
    }

    async fn tell_all(&mut self, objects: Vec<Object>) -> Result<(), Unheard> {
        self.well();
        self.has_told = true;
        let keys: BTreeSet<&Key> = objects.iter().map(|object| &object.key).collect();
        self.board.keep(self.kind, &keys);
        let known = objects
            .iter()
            .map(|object| (object.key.clone(), object.version.clone()));
        self.known = known.collect();
        self.tell(Change::All(self.kind, objects)).await
    }

    /// An object as it is told; what stands in its status is noted.
    fn object(&self, place: &Place, mut json: Value) -> Option<Object> {
        let kind = self.kind;
        let text = |value: &Value| value.as_str().map(Box::<str>::from);
        let meta = &json["metadata"];
        let key = Key {
            kind,
            namespace: text(&meta["namespace"]).unwrap_or_default(),
            name: text(&meta["name"])?,
        };
        self.board.note(&key, &json);
        trim::name(&mut json, &place.api_version, kind.kind);
        trim::trim(kind.group, kind.kind, &mut json);
        let version = content_version(&json);
        Some(Object { key, version, json })
    }

    async fn tell(&self, change: Change) -> Result<(), Unheard> {
        let sent = self.tells.send((self.number, change)).await;
        sent.map_err(|_| Unheard)
    }

    /// Something went as it should.
    fn well(&mut self) {
        self.backoff.reset();
        self.forbidden = None;
        self.board.fares(self.kind, Fares::Followed);
        if self.told_trouble.take().is_some() {
            info!(target: "kubernetes", "{}: followed again", self.kind.plural);
        }
    }

    /// Says what is wrong, and leaves the cluster alone for a while.
    async fn wait(&mut self, trouble: &Trouble) {
        let now = Instant::now();
        let is_known = self.told_trouble.as_ref().is_some_and(|(text, told)| {
            *text == trouble.text && now.duration_since(*told) < TELL_AGAIN
        });
        let is_left_out = self.board.is_left_out(self.kind);
        if !is_left_out {
            self.board
                .fares(self.kind, Fares::Failing(trouble.text.clone()));
        }
        if !is_known {
            let follows = match (self.has_told, is_left_out) {
                (_, true) => "it counts as empty",
                (true, false) => "what is known stays in effect",
                (false, false) if decides_who_is_let_in(self.kind) => {
                    "nothing is served without what decides who is let in"
                }
                (false, false) => "nothing is served before it has come",
            };
            warn!(target: "kubernetes", "{}: {}; {follows}", self.kind.plural, trouble.text);
            self.told_trouble = Some((trouble.text.clone(), now));
        }
        let time = self.backoff.next(trouble.retry_after);
        tokio::select! {
            () = sleep(time) => {}
            () = self.tells.closed() => {}
        }
    }
}

/// Whether a kind that is not there could let somebody in: policies, and the mesh's settings, which say how paths are read before
/// policies look at them.
fn decides_who_is_let_in(kind: &Kind) -> bool {
    kind.group == "security.istio.io" || kind.group.is_empty() && kind.kind == "ConfigMap"
}
