//! What a mesh wants to know of a cluster, told as it is and as it changes.

mod desk;
mod feed;
mod lines;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use outrigger_xds::{Change, KINDS, Kind};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{AbortHandle, JoinSet};
use tracing::warn;

use desk::{Desk, Name, Outcome};
use feed::{Feed, Told};
use place::Only;

use crate::board::Board;

/// Changes that wait between those who follow kinds and whoever listens.
const WAITING: usize = 256;

/// The ConfigMap that has the mesh's settings, as Istio calls it.
const MESH_CONFIG: &str = "istio";

/// What is watched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The mesh's root namespace: of all ConfigMaps, `istio` there is the one that is read.
    pub root_namespace: String,
    /// Most secrets that are followed; of more that Gateways name, those that come later are left.
    pub max_secrets: usize,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take, and how much comes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Objects of a page of a list.
    pub page: u32,
    /// How long the cluster is left alone after it failed, first; twice as long each time.
    pub backoff: Duration,
    /// And at most.
    pub most_backoff: Duration,
    /// How long a stream is before it is begun again.
    pub stream: Duration,
    /// A stream on which nothing comes for so long is lost, where the cluster says each minute how far it is (bookmarks).
    pub silence: Duration,
    /// A kind that the cluster has not is looked for again after so long.
    pub look_again: Duration,
    /// A kind that may not be read (403) is asked for so long before it counts as empty.
    pub patience: Duration,
}

impl Selection {
    /// The usual one.
    #[must_use]
    pub fn of(root_namespace: &str) -> Self {
        Self {
            root_namespace: root_namespace.to_owned(),
            max_secrets: 1024,
            timing: Timing::default(),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            page: 500,
            backoff: Duration::from_millis(500),
            most_backoff: Duration::from_secs(30),
            stream: Duration::from_secs(290),
            silence: Duration::from_secs(180),
            look_again: Duration::from_secs(60),
            patience: Duration::from_secs(5),
        }
    }
}

/// Tells what a cluster has of all kinds that travel ([`KINDS`]): [`Change::All`] of each kind first of all, also of those that it does not
/// serve, and then what changes. Runs until nobody listens; what goes wrong meanwhile is told in the log, and tried again.
///
/// Of ConfigMaps only the mesh's is read, of secrets only those that Gateways name. A kind that may not be read counts as empty until it
/// may; without what decides who is let in (`security.istio.io`, the mesh's settings) there is no first telling of it. How kinds fare, and
/// what stands in statuses, is noted on the board.
pub async fn watch(
    client: Client,
    selection: Selection,
    board: Arc<Board>,
    changes: Sender<Change>,
) {
    let (tells, mut told) = channel(WAITING);
    let mut watch = Watch::new(client, selection, board, tells);
    loop {
        let told = tokio::select! {
            told = told.recv() => told,
            () = changes.closed() => None,
        };
        let Some((number, change)) = told else {
            return;
        };
        for change in watch.take(number, change) {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

struct Watch {
    client: Client,
    selection: Selection,
    board: Arc<Board>,
    tells: Sender<Told>,
    desk: Desk,
    secret: &'static Kind,
    /// Those who follow; they end with us.
    feeds: JoinSet<()>,
    /// Who follows which secret.
    secrets: BTreeMap<Name, (u64, AbortHandle)>,
    /// The same by number.
    names: BTreeMap<u64, Name>,
    numbers: u64,
    beyond: usize,
}

impl Watch {
    fn new(client: Client, selection: Selection, board: Arc<Board>, tells: Sender<Told>) -> Self {
        let is_secret = |kind: &&'static Kind| kind.group.is_empty() && kind.kind == "Secret";
        let secret = KINDS
            .iter()
            .find(is_secret)
            .expect("secrets are of the table");
        let naming: Vec<&'static Kind> =
            KINDS.iter().filter(|kind| kind.kind == "Gateway").collect();
        let mut watch = Self {
            desk: Desk::new(secret, &naming, selection.max_secrets),
            client,
            selection,
            board,
            tells,
            secret,
            feeds: JoinSet::new(),
            secrets: BTreeMap::new(),
            names: BTreeMap::new(),
            numbers: 0,
            beyond: 0,
        };
        for kind in KINDS.iter().filter(|kind| *kind != secret) {
            let mut only = Only::default();
            if kind.group.is_empty() && kind.kind == "ConfigMap" {
                only.namespace = Some(watch.selection.root_namespace.as_str().into());
                only.name = Some(MESH_CONFIG.into());
            }
            watch.feed(kind, only);
        }
        watch
    }

    fn feed(&mut self, kind: &'static Kind, only: Only) -> (u64, AbortHandle) {
        self.numbers += 1;
        let tells = (self.numbers, self.tells.clone());
        let timing = self.selection.timing;
        let feed = Feed::new(&self.client, kind, only, timing, &self.board, tells);
        (self.numbers, self.feeds.spawn(feed.run()))
    }

    /// What is told because of a change.
    fn take(&mut self, number: u64, change: Change) -> Vec<Change> {
        let is_secret = match &change {
            Change::Is(object) => object.key.kind == self.secret,
            Change::Gone(key) => key.kind == self.secret,
            Change::All(kind, _) => *kind == self.secret,
        };
        if is_secret {
            // Of one that is not followed any more there may be a last word.
            let Some(name) = self.names.get(&number) else {
                return Vec::new();
            };
            return self.desk.secret(name, change).tell;
        }
        let outcome = self.desk.take(change);
        self.follow(&outcome);
        outcome.tell
    }

    fn follow(&mut self, outcome: &Outcome) {
        for name in &outcome.leave {
            if let Some((number, feed)) = self.secrets.remove(name) {
                feed.abort();
                self.names.remove(&number);
            }
        }
        while self.feeds.try_join_next().is_some() {}
        for name in &outcome.follow {
            let (namespace, of) = name.split_once('/').unwrap_or(("", name));
            let only = Only {
                namespace: Some(namespace.into()),
                name: Some(of.into()),
            };
            let (number, feed) = self.feed(self.secret, only);
            self.names.insert(number, name.clone());
            self.secrets.insert(name.clone(), (number, feed));
        }
        if outcome.beyond > self.beyond {
            let (most, beyond) = (self.selection.max_secrets, outcome.beyond);
            warn!(target: "kubernetes", "Gateways name {beyond} secrets more than the {most} that are followed; theirs have no certificate");
        }
        self.beyond = outcome.beyond;
    }
}
