//! What is known of a cluster beside its objects: how each kind fares, and what stands in the statuses of objects, which travel to
//! nobody. Whoever watches notes it here, whoever writes and shows reads it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outrigger_xds::{KINDS, Key, Kind};
use serde_json::{Map, Value};
use tokio::sync::watch;

/// What of a status is kept: what we write, and what others write beside it.
const KEPT: [&str; 4] = [
    "conditions",
    "validationMessages",
    "observedGeneration",
    "parents",
];

/// How a kind fares. Secrets are asked for one by one, and are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fares {
    /// Nothing has come yet.
    #[default]
    Awaited,
    /// What there is has come, and changes come.
    Followed,
    /// The cluster has no such kind; it is looked for again.
    Absent,
    /// It may not be read, and counts as empty until it may, for these words of the API.
    LeftOut(String),
    /// It cannot be read, for these words: what was told last is in effect, and before anything was, everybody waits for it.
    Failing(String),
}

/// All of it.
#[derive(Debug, Default)]
pub struct Board {
    kinds: Mutex<BTreeMap<&'static Kind, Fares>>,
    statuses: Mutex<HashMap<Key, Value>>,
    changed: watch::Sender<()>,
}

impl Board {
    /// How each kind fares, in the order of [`KINDS`].
    #[must_use]
    pub fn kinds(&self) -> Vec<(&'static Kind, Fares)> {
        let known = lock(&self.kinds);
        let kinds = KINDS.iter().filter(|kind| !is_secret(kind));
        kinds
            .map(|kind| (kind, known.get(kind).cloned().unwrap_or_default()))
            .collect()
    }

    /// What stands in the status of an object, null where nothing does.
    #[must_use]
    pub fn status(&self, key: &Key) -> Value {
        lock(&self.statuses).get(key).cloned().unwrap_or_default()
    }

    /// The objects that have a status in which something of this sort stands.
    #[must_use]
    pub fn with(&self, is_so: impl Fn(&Value) -> bool) -> Vec<Key> {
        let statuses = lock(&self.statuses);
        let found = statuses.iter().filter(|(_, status)| is_so(status));
        found.map(|(key, _)| key.clone()).collect()
    }

    /// Tells of changes from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether a kind counts as empty because it may not be read.
    pub(crate) fn is_left_out(&self, kind: &'static Kind) -> bool {
        matches!(lock(&self.kinds).get(kind), Some(Fares::LeftOut(_)))
    }

    pub(crate) fn fares(&self, kind: &'static Kind, fares: Fares) {
        if is_secret(kind) {
            return;
        }
        let mut kinds = lock(&self.kinds);
        if kinds.insert(kind, fares.clone()) != Some(fares) {
            self.changed.send_replace(());
        }
    }

    /// An object as it came, before anything is left out.
    pub(crate) fn note(&self, key: &Key, json: &Value) {
        if !has_status(key.kind) {
            return;
        }
        let fields = json["status"].as_object().into_iter().flatten();
        let kept = fields.filter(|(name, _)| KEPT.contains(&name.as_str()));
        let kept: Map<String, Value> = kept
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut statuses = lock(&self.statuses);
        let before = if kept.is_empty() {
            statuses.remove(key)
        } else {
            let now = Value::Object(kept);
            if statuses.get(key) == Some(&now) {
                return;
            }
            statuses.insert(key.clone(), now);
            Some(Value::Null)
        };
        if before.is_some() {
            self.changed.send_replace(());
        }
    }

    pub(crate) fn gone(&self, key: &Key) {
        lock(&self.statuses).remove(key);
    }

    /// These are all of a kind.
    pub(crate) fn keep(&self, kind: &'static Kind, keys: &BTreeSet<&Key>) {
        lock(&self.statuses).retain(|key, _| key.kind != kind || keys.contains(key));
    }
}

fn is_secret(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Secret"
}

/// Whether objects of that kind have a status in which we have a part.
fn has_status(kind: &Kind) -> bool {
    kind.group.ends_with(".istio.io")
        || kind.group == "gateway.networking.k8s.io" && kind.kind.ends_with("Route")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(api_version: &str, kind: &str) -> Key {
        Key {
            kind: Kind::named(api_version, kind).unwrap(),
            namespace: "shop".into(),
            name: "a".into(),
        }
    }

    #[test]
    fn statuses_in_which_we_have_a_part_are_known() {
        let board = Board::default();
        let (rule, service) = (
            key("networking.istio.io/v1", "VirtualService"),
            key("v1", "Service"),
        );
        let json = json!({"status": {"conditions": [1], "other": 2}});
        for key in [&rule, &service] {
            board.note(key, &json);
        }
        assert_eq!(board.status(&rule), json!({"conditions": [1]}));
        assert_eq!(board.with(|_| true), std::slice::from_ref(&rule));
        let mut changes = board.changes();
        board.note(&rule, &json);
        assert!(!changes.has_changed().unwrap(), "it is the same");
        board.note(&rule, &json!({"status": {}}));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(board.status(&rule), Value::Null);
        board.note(&rule, &json);
        board.keep(rule.kind, &BTreeSet::new());
        assert_eq!(board.status(&rule), Value::Null, "it was not listed");
    }

    #[test]
    fn kinds_are_awaited_until_something_is_known() {
        let board = Board::default();
        let kind = Kind::named("v1", "Service").unwrap();
        let changes = board.changes();
        board.fares(kind, Fares::Failing("no".to_owned()));
        assert!(changes.has_changed().unwrap());
        let all = board.kinds();
        assert_eq!(all.len(), KINDS.len() - 1, "all but secrets");
        let told = all.iter().filter(|(_, fares)| *fares != Fares::Awaited);
        assert_eq!(
            told.collect::<Vec<_>>(),
            [&(kind, Fares::Failing("no".to_owned()))]
        );
    }
}
