//! What people are told at the objects of a cluster: events, and conditions of their status.
//!
//! Owns that it is told once: an event's name is made of what it says, so that replicas write the same one; a condition is written only
//! where it is another.

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

/// So often a condition that others are in the way of is tried.
const TRIES: u32 = 5;

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

/// One condition of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// Such as Istio's `Reconciled`, or the Gateway API's `Accepted`.
    pub kind: &'a str,
    /// Whether it is so.
    pub is_so: bool,
    /// One word, such as `Invalid`.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
}

/// Whoever tells events.
pub struct Words {
    client: Client,
    told: Mutex<Told>,
    dropped: AtomicU64,
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
        }
    }

    /// Events that were not written because there were too many.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes an event, unless the same was written in the last half an hour, or there are too many. Says whether it was written.
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
        let now = Timestamp::now().to_string();
        let event = event(object, word, (namespace, &name), &now);
        let written = match request::json(&self.client, post(&place, &event)).await {
            // Told by another replica, or by us some time ago.
            Err(trouble) if trouble.what == What::Conflict => {
                let patch = json!({"lastTimestamp": now});
                request::json(&self.client, merge(&format!("{place}/{name}"), &patch)).await
            }
            other => other,
        };
        match written {
            Ok(_) => Ok(true),
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
    let mut end = word.message.len().min(LONGEST);
    while !word.message.is_char_boundary(end) {
        end -= 1;
    }
    let kind = if word.is_warning { "Warning" } else { "Normal" };
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": object.json["apiVersion"], "kind": object.key.kind.kind, "namespace": &*object.key.namespace,
            "name": &*object.key.name, "uid": object.json["metadata"]["uid"],
        },
        "reason": word.reason, "message": &word.message[..end], "type": kind, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": TELLER}, "reportingComponent": TELLER, "reportingInstance": TELLER,
    })
}

/// Writes a condition into an object's `status.conditions` where it is another; those of other types stay. `messages` are written as Istio's
/// `status.validationMessages`, for objects of Istio's. Says whether anything was written: nothing is when the object has been changed since
/// (its new form is judged anew), or is gone.
///
/// # Errors
/// It may not be written.
pub async fn condition(
    client: &Client,
    object: &Object,
    condition: Condition<'_>,
    messages: Option<&[Value]>,
) -> Result<bool, NotWritten> {
    let place = format!("{}/status", place(object));
    let failed =
        |trouble: Trouble| NotWritten::new(&format!("the status of {}", called(object)), &trouble);
    for _ in 0..TRIES {
        let now = match request::json(client, get(&place)).await {
            Ok((_, now)) => now,
            Err(trouble) if trouble.what == What::Absent => return Ok(false),
            Err(trouble) => return Err(failed(trouble)),
        };
        let meta = &now["metadata"];
        let is_judged = ["uid", "generation"]
            .iter()
            .all(|field| meta[*field] == object.json["metadata"][*field]);
        let status =
            is_judged.then(|| changed(&now, condition, messages, &Timestamp::now().to_string()));
        let Some(status) = status.flatten() else {
            return Ok(false);
        };
        let patch =
            json!({"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": status});
        match request::json(client, merge(&place, &patch)).await {
            Ok(_) => return Ok(true),
            Err(trouble) if trouble.what == What::Conflict => {}
            Err(trouble) if trouble.what == What::Absent => return Ok(false),
            Err(trouble) => return Err(failed(trouble)),
        }
    }
    Ok(false)
}

/// What of the status is to be another; none when nothing is.
fn changed(
    object: &Value,
    condition: Condition<'_>,
    messages: Option<&[Value]>,
    time: &str,
) -> Option<Value> {
    let status = &object["status"];
    let said = if condition.is_so { "True" } else { "False" };
    let generation = &object["metadata"]["generation"];
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let at = conditions
        .iter()
        .position(|known| known["type"] == condition.kind);
    let before = at.map(|at| conditions[at].clone()).unwrap_or_default();
    // Since when it is so is another time only where it was not so before.
    let since = if before["status"] == said {
        before["lastTransitionTime"].clone()
    } else {
        json!(time)
    };
    let mut new = json!({
        "type": condition.kind, "status": said, "reason": condition.reason, "message": condition.message,
        "lastTransitionTime": since,
    });
    let is_istio = object["apiVersion"]
        .as_str()
        .is_some_and(|version| version.contains("istio.io/"));
    // Istio has one for the whole status, as a text.
    if !is_istio {
        new["observedGeneration"] = generation.clone();
    }
    let written = json!(generation.as_i64().unwrap_or_default().to_string());
    let same_messages = messages.is_none_or(|messages| {
        status["validationMessages"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            == messages
    });
    let same_generation = !is_istio || status["observedGeneration"] == written;
    if new == before && same_messages && same_generation {
        return None;
    }
    match at {
        Some(at) => conditions[at] = new,
        None => conditions.push(new),
    }
    let mut status = json!({"conditions": conditions});
    if is_istio {
        status["observedGeneration"] = written;
    }
    if let Some(messages) = messages {
        status["validationMessages"] = json!(messages);
    }
    Some(status)
}

/// Where an object stands, in the version in which it came.
fn place(object: &Object) -> String {
    let plural = object.key.kind.plural;
    let api_version = object.json["apiVersion"].as_str().unwrap_or("v1");
    let root = if api_version.contains('/') {
        "/apis"
    } else {
        "/api"
    };
    let namespace = match &*object.key.namespace {
        "" => String::new(),
        namespace => format!("/namespaces/{namespace}"),
    };
    format!(
        "{root}/{api_version}{namespace}/{plural}/{}",
        object.key.name
    )
}

fn called(object: &Object) -> String {
    format!(
        "{} {}/{}",
        object.key.kind.kind, object.key.namespace, object.key.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_written_where_it_is_another() {
        let condition = Condition {
            kind: "Accepted",
            is_so: true,
            reason: "Accepted",
            message: "",
        };
        let mut object = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "metadata": {"generation": 2},
            "status": {"conditions": [{"type": "Other"}, {"type": "Accepted", "status": "True", "lastTransitionTime": "then"}]},
        });
        let status = changed(&object, condition, None, "now").unwrap();
        let accepted = json!({
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "then", "observedGeneration": 2,
        });
        assert_eq!(status, json!({"conditions": [{"type": "Other"}, accepted]}));
        object["status"] = status;
        assert_eq!(changed(&object, condition, None, "later"), None);
        let status = changed(
            &object,
            Condition {
                is_so: false,
                ..condition
            },
            None,
            "later",
        )
        .unwrap();
        assert_eq!(status["conditions"][1]["lastTransitionTime"], "later");
    }

    #[test]
    fn istio_has_one_generation_and_messages() {
        let condition = Condition {
            kind: "Reconciled",
            is_so: true,
            reason: "",
            message: "",
        };
        let mut object =
            json!({"apiVersion": "networking.istio.io/v1", "metadata": {"generation": 3}});
        let messages = [json!({"level": "ERROR"})];
        let status = changed(&object, condition, Some(&messages), "now").unwrap();
        assert_eq!(status["observedGeneration"], "3");
        object["status"] = status;
        assert_eq!(changed(&object, condition, Some(&messages), "later"), None);
        let status = changed(&object, condition, Some(&[]), "later").unwrap();
        assert_eq!(
            status["validationMessages"],
            json!([]),
            "what is mended is taken away"
        );
    }
}
