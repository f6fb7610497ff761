//! What people are told at the objects of a cluster as it happens: events.
//!
//! Owns that it is told once: an event's name is made of what it says, so that replicas write the same one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use outrigger_xds::Object;
use serde_json::{Value, json};

use crate::request::{self, Trouble, What, get, merge, post};
use crate::write::NotWritten;

/// Who tells it.
const TELLER: &str = "outrigger-control";

/// The same is told again after so long: Kubernetes forgets events after an hour.
const AGAIN: Duration = Duration::from_secs(1800);

/// So many are remembered.
const MOST: usize = 4096;

/// So many events at once, and then one a second: an API server has more to do.
const BURST: u32 = 25;

/// The longest message that Kubernetes takes, bytes.
const LONGEST: usize = 1024;

/// What is said of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// One word, such as `Refused`.
    pub reason: &'a str,
    /// For people; what is longer than 1,024 bytes is cut.
    pub message: &'a str,
    /// Whether something is wrong.
    pub is_warning: bool,
}

/// Whoever tells events.
pub struct Words {
    client: Client,
    told: Mutex<Told>,
    dropped: AtomicU64,
    written: AtomicU64,
}

struct Told {
    /// When each was told, by its name.
    when: HashMap<String, Instant>,
    /// How many may be told now.
    left: u32,
    since: Instant,
}

impl Words {
    /// One who has told nothing.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let told = Told {
            when: HashMap::new(),
            left: BURST,
            since: Instant::now(),
        };
        Self {
            client,
            told: Mutex::new(told),
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// Events that were not written because there were too many.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Events that were written, or counted once more.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes an event, unless the same was written in the last half an hour, by whomever, or there are too many. One that is older is
    /// counted once more (`count`, `lastTimestamp`). Says whether anything was written.
    ///
    /// # Errors
    /// It may not be written.
    pub async fn event(&self, object: &Object, word: Word<'_>) -> Result<bool, NotWritten> {
        let name = name(object, word);
        if !self.may(&name, Instant::now()) {
            return Ok(false);
        }
        let namespace = match &*object.key.namespace {
            "" => "default",
            namespace => namespace,
        };
        let place = format!("/api/v1/namespaces/{namespace}/events");
        match self.write(object, word, (namespace, &name), &place).await {
            Ok(is_written) => {
                self.written
                    .fetch_add(u64::from(is_written), Ordering::Relaxed);
                Ok(is_written)
            }
            Err(trouble) => {
                // It was not told after all.
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.when.remove(&name);
                Err(NotWritten::new(
                    &format!("an event of {}", called(object)),
                    &trouble,
                ))
            }
        }
    }

    async fn write(
        &self,
        object: &Object,
        word: Word<'_>,
        (namespace, name): (&str, &str),
        place: &str,
    ) -> Result<bool, Trouble> {
        let now = Timestamp::now();
        let there = format!("{place}/{name}");
        let told = match request::json(&self.client, get(&there)).await {
            Ok((_, told)) => told,
            Err(trouble) if trouble.what == What::Absent => {
                let event = event(object, word, (namespace, name), &now.to_string());
                return match request::json(&self.client, post(place, &event)).await {
                    Ok(_) => Ok(true),
                    // By another replica, meanwhile; or the namespace is being deleted.
                    Err(trouble) if matches!(trouble.what, What::Conflict | What::Absent) => {
                        Ok(false)
                    }
                    Err(trouble) => Err(trouble),
                };
            }
            Err(trouble) => return Err(trouble),
        };
        // By another replica, or by us before we were started again.
        let last: Option<Timestamp> = (told["lastTimestamp"].as_str()).and_then(|t| t.parse().ok());
        let again = i64::try_from(AGAIN.as_secs()).unwrap_or(i64::MAX);
        if last.is_some_and(|last| now.as_second().saturating_sub(last.as_second()) < again) {
            return Ok(false);
        }
        let count = told["count"].as_i64().unwrap_or(1).saturating_add(1);
        let patch = json!({
            "metadata": {"resourceVersion": told["metadata"]["resourceVersion"]},
            "lastTimestamp": now.to_string(), "count": count,
        });
        match request::json(&self.client, merge(&there, &patch)).await {
            Ok(_) => Ok(true),
            Err(trouble) if matches!(trouble.what, What::Conflict | What::Absent) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    fn may(&self, name: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told = told
            .when
            .get(name)
            .is_some_and(|when| now.duration_since(*when) < AGAIN);
        if is_told {
            return false;
        }
        let seconds = now.duration_since(told.since).as_secs();
        if seconds > 0 {
            told.left = told
                .left
                .saturating_add(u32::try_from(seconds).unwrap_or(BURST))
                .min(BURST);
            told.since = now;
        }
        if told.when.len() >= MOST {
            told.when
                .retain(|_, when| now.duration_since(*when) < AGAIN);
        }
        if told.left == 0 || told.when.len() >= MOST {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        told.left -= 1;
        told.when.insert(name.to_owned(), now);
        true
    }
}

/// What an event of this is called: the same for the same words about the same object.
fn name(object: &Object, word: Word<'_>) -> String {
    let uid = object.json["metadata"]["uid"].as_str().unwrap_or_default();
    let all = [object.key.kind.kind, uid, word.reason, word.message].join("\0");
    let hash = digest(&SHA256, all.as_bytes());
    let hash: String = hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Names have at most 253 bytes, and are ASCII.
    let stem = &object.key.name[..object.key.name.len().min(200)];
    format!("{}.{hash}", stem.trim_end_matches(['.', '-']))
}

fn event(object: &Object, word: Word<'_>, (namespace, name): (&str, &str), now: &str) -> Value {
    let kind = if word.is_warning { "Warning" } else { "Normal" };
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": object.json["apiVersion"], "kind": object.key.kind.kind, "namespace": &*object.key.namespace,
            "name": &*object.key.name, "uid": object.json["metadata"]["uid"],
        },
        "reason": word.reason, "message": cut(word.message, LONGEST), "type": kind, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": TELLER}, "reportingComponent": TELLER, "reportingInstance": TELLER,
    })
}

/// So many bytes of a text at most, in whole characters.
pub(crate) fn cut(message: &str, longest: usize) -> &str {
    let mut end = message.len().min(longest);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

fn called(object: &Object) -> String {
    format!(
        "{} {}/{}",
        object.key.kind.kind, object.key.namespace, object.key.name
    )
}
