//! What stands in the `status` of an object by us: conditions of Istio's kinds, and our entries of a route's `parents`.
//!
//! Owns what of it is to be another ([`changed`], pure), and that it is written only there, and only to what was judged. Of what others
//! write in a status nothing is touched.

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use outrigger_xds::Object;
use serde_json::{Value, json};

use crate::request::{self, What, get, merge};
use crate::words::cut;
use crate::write::NotWritten;

/// So often a status that others are in the way of is tried.
const TRIES: u32 = 5;

/// The most entries that `status.parents` takes.
const MOST_PARENTS: usize = 32;

/// The longest message of a condition that the Gateway API takes, bytes of 32,768; people read less.
const LONGEST: usize = 4096;

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Such as Istio's `PassedAnalysis`, or the Gateway API's `Accepted`.
    pub kind: &'static str,
    /// Whether it is so.
    pub is_so: bool,
    /// One word, such as `errorsFound`.
    pub reason: String,
    /// For people; what is longer than 4,096 bytes is cut.
    pub message: String,
    /// Where it is written.
    pub when: When,
}

/// Where a condition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Where it is another.
    Always,
    /// The same, if there is one at all: what was never said to be wrong need not be said to be right.
    IfThere,
    /// Where nobody has said as much of this generation of the object. Replicas know different clients: whoever said it first is right.
    IfOlder,
    /// Where somebody has said something of an older generation.
    IfThereAndOlder,
}

/// What is to stand in a status.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// `status.conditions` and `status.validationMessages` of Istio's kinds. The messages go with the first condition.
    Istio(Vec<Condition>, Vec<Value>),
    /// `status.parents` of a route: our entries, each with its `parentRef`.
    Parents(&'static str, Vec<(Value, Vec<Condition>)>),
}

/// Writes what is to stand in an object's status, where it does not. Says whether anything was written: nothing is when the object has
/// been changed since (its new form is judged anew), or is gone.
///
/// # Errors
/// It may not be written.
pub async fn tell(client: &Client, object: &Object, wanted: &Wanted) -> Result<bool, NotWritten> {
    let place = format!("{}/status", place(object));
    let called = format!(
        "the status of {} {}/{}",
        object.key.kind.kind, object.key.namespace, object.key.name
    );
    for _ in 0..TRIES {
        let now = match request::json(client, get(&place)).await {
            Ok((_, now)) => now,
            Err(trouble) if trouble.what == What::Absent => return Ok(false),
            Err(trouble) => return Err(NotWritten::new(&called, &trouble)),
        };
        let meta = &now["metadata"];
        let is_judged = ["uid", "generation"]
            .iter()
            .all(|field| meta[*field] == object.json["metadata"][*field]);
        let time = Timestamp::now().to_string();
        let status = is_judged.then(|| changed(&meta["generation"], &now["status"], wanted, &time));
        let Some(status) = status.flatten() else {
            return Ok(false);
        };
        let patch =
            json!({"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": status});
        match request::json(client, merge(&place, &patch)).await {
            Ok(_) => return Ok(true),
            Err(trouble) if trouble.what == What::Conflict => {}
            Err(trouble) if trouble.what == What::Absent => return Ok(false),
            Err(trouble) => return Err(NotWritten::new(&called, &trouble)),
        }
    }
    Ok(false)
}

/// What of a status is to be another at this generation of its object; none when nothing is.
#[must_use]
pub fn changed(generation: &Value, status: &Value, wanted: &Wanted, time: &str) -> Option<Value> {
    match wanted {
        Wanted::Istio(conditions, messages) => {
            istio(generation, status, (conditions, messages), time)
        }
        Wanted::Parents(controller, ours) => {
            parents(generation, status, (controller, ours), time).map(|all| json!({"parents": all}))
        }
    }
}

fn istio(
    generation: &Value,
    status: &Value,
    (wanted, messages): (&[Condition], &[Value]),
    time: &str,
) -> Option<Value> {
    // As protobuf's JSON has 64 bits.
    let generation = json!(generation.as_i64().unwrap_or_default().to_string());
    let before = list(&status["conditions"]);
    let mut conditions = before.to_vec();
    let mut has_messages = false;
    for (at, condition) in wanted.iter().enumerate() {
        let is_told = put(&mut conditions, condition, &generation, time);
        has_messages |= at == 0 && is_told;
    }
    let mut new = json!({});
    if conditions != before {
        new["conditions"] = json!(conditions);
    }
    if has_messages && list(&status["validationMessages"]) != messages {
        new["validationMessages"] = json!(messages);
    }
    if new == json!({}) {
        return None;
    }
    new["observedGeneration"] = generation;
    Some(new)
}

fn parents(
    generation: &Value,
    status: &Value,
    (controller, ours): (&str, &[(Value, Vec<Condition>)]),
    time: &str,
) -> Option<Vec<Value>> {
    let before = list(&status["parents"]);
    let is_ours = |entry: &Value| entry["controllerName"] == controller;
    let mut left: Vec<&(Value, Vec<Condition>)> = ours.iter().collect();
    let entry = |known: Option<&Value>, (reference, wanted): &(Value, Vec<Condition>)| {
        let known = known.map(|known| list(&known["conditions"]));
        let mut conditions = known.unwrap_or_default().to_vec();
        for condition in wanted {
            put(&mut conditions, condition, generation, time);
        }
        json!({"parentRef": reference, "controllerName": controller, "conditions": conditions})
    };
    let mut all = Vec::new();
    // Each stays where it stands, so that controllers do not take turns in ordering them.
    for known in before {
        if !is_ours(known) {
            all.push(known.clone());
            continue;
        }
        let at = left
            .iter()
            .position(|(reference, _)| known["parentRef"] == *reference);
        if let Some(at) = at {
            all.push(entry(Some(known), left.remove(at)));
        }
    }
    let room = MOST_PARENTS.saturating_sub(all.len());
    all.extend(left.into_iter().take(room).map(|new| entry(None, new)));
    (all != before).then_some(all)
}

/// Puts a condition among others; says whether it stands there now by us.
fn put(conditions: &mut Vec<Value>, condition: &Condition, generation: &Value, time: &str) -> bool {
    let said = if condition.is_so { "True" } else { "False" };
    let mut there = conditions.iter();
    let at = there.position(|known| known["type"] == condition.kind);
    let before = at.map(|at| conditions[at].clone()).unwrap_or_default();
    let is_there = at.is_some();
    let is_older = number(&before["observedGeneration"]) < number(generation);
    let is_said = before["status"] == said;
    let is_due = match condition.when {
        When::Always => true,
        When::IfThere => is_there,
        When::IfOlder => is_older || !is_said,
        When::IfThereAndOlder => is_there && is_older,
    };
    if !is_due {
        return false;
    }
    // Since when it is so is another time only where it was not so before.
    let since = if is_said {
        before["lastTransitionTime"].clone()
    } else {
        json!(time)
    };
    let new = json!({
        "type": condition.kind, "status": said, "reason": condition.reason, "message": cut(&condition.message, LONGEST),
        "lastTransitionTime": since, "observedGeneration": generation,
    });
    match at {
        Some(at) => conditions[at] = new,
        None => conditions.push(new),
    }
    true
}

fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[][..], Vec::as_slice)
}

/// A generation, as a number or as a text; none is older than any.
fn number(json: &Value) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROLLER: &str = "example.com/ours";

    fn condition(kind: &'static str, is_so: bool, when: When) -> Condition {
        Condition {
            kind,
            is_so,
            reason: "r".to_owned(),
            message: String::new(),
            when,
        }
    }

    /// A condition as it stands: its type, status, generation and time.
    fn stands(kind: &str, status: &str, generation: impl Into<Value>, time: &str) -> Value {
        json!({"type": kind, "status": status, "reason": "r", "message": "", "lastTransitionTime": time,
               "observedGeneration": generation.into()})
    }

    #[test]
    fn conditions_are_written_where_they_are_others() {
        let (good, bad) = ("True", "False");
        for (before, is_so, when, after) in [
            // Nothing stands there.
            (None, false, When::Always, Some((bad, "2", "now"))),
            (None, true, When::IfThere, None),
            (None, false, When::IfOlder, Some((bad, "2", "now"))),
            (None, true, When::IfThereAndOlder, None),
            // The same.
            (Some((bad, "2")), false, When::Always, None),
            (Some((good, "2")), true, When::IfThere, None),
            // The same of an older generation.
            (
                Some((bad, "1")),
                false,
                When::Always,
                Some((bad, "2", "then")),
            ),
            (
                Some((bad, "1")),
                false,
                When::IfOlder,
                Some((bad, "2", "then")),
            ),
            // Another.
            (
                Some((bad, "2")),
                true,
                When::IfThere,
                Some((good, "2", "now")),
            ),
            (
                Some((good, "2")),
                false,
                When::IfOlder,
                Some((bad, "2", "now")),
            ),
            // Somebody else has said it of this generation.
            (Some((bad, "2")), true, When::IfThereAndOlder, None),
            (
                Some((bad, "1")),
                true,
                When::IfThereAndOlder,
                Some((good, "2", "now")),
            ),
        ] {
            let before = before.map(|(status, generation)| stands("K", status, generation, "then"));
            let status = json!({"conditions": before.iter().collect::<Vec<_>>()});
            let wanted = Wanted::Istio(vec![condition("K", is_so, when)], Vec::new());
            let new = changed(&json!(2), &status, &wanted, "now");
            let after = after.map(|(status, generation, time)| {
                json!({"conditions": [stands("K", status, generation, time)], "observedGeneration": "2"})
            });
            assert_eq!(new, after, "{before:?} {is_so} {when:?}");
        }
    }

    #[test]
    fn messages_go_with_their_condition_and_others_stay() {
        let mut status = json!({"conditions": [{"type": "Other"}], "addresses": ["a"]});
        let messages = vec![json!({"level": "ERROR"})];
        let bad = Wanted::Istio(vec![condition("K", false, When::Always)], messages.clone());
        let new = changed(&json!(3), &status, &bad, "now").unwrap();
        assert_eq!(new["conditions"][0], json!({"type": "Other"}));
        assert_eq!(new["validationMessages"], json!(messages));
        assert!(new["addresses"].is_null(), "a merge leaves them");
        status["conditions"] = new["conditions"].clone();
        status["validationMessages"] = new["validationMessages"].clone();
        assert_eq!(changed(&json!(3), &status, &bad, "later"), None);
        let good = Wanted::Istio(vec![condition("K", true, When::IfThere)], Vec::new());
        let new = changed(&json!(3), &status, &good, "later").unwrap();
        assert_eq!(
            new["validationMessages"],
            json!([]),
            "what is mended is taken away"
        );
        let strange = json!({"validationMessages": messages});
        assert_eq!(
            changed(&json!(3), &strange, &good, "later"),
            None,
            "these are somebody else's"
        );
    }

    #[test]
    fn entries_of_other_controllers_stay_where_they_are() {
        let other = json!({"parentRef": {"name": "b"}, "controllerName": "example.com/other", "conditions": [{"type": "Accepted"}]});
        let entry = |name: &str, generation: i64, time: &str| {
            json!({"parentRef": {"name": name}, "controllerName": CONTROLLER,
                   "conditions": [stands("Accepted", "True", generation, time)]})
        };
        let ours = |names: &[&str]| {
            let of = |name: &&str| {
                let accepted = condition("Accepted", true, When::Always);
                (json!({"name": name}), vec![accepted])
            };
            Wanted::Parents(CONTROLLER, names.iter().map(of).collect())
        };
        for (before, wanted, generation, after) in [
            (
                vec![other.clone()],
                ours(&["a"]),
                1,
                Some(vec![other.clone(), entry("a", 1, "now")]),
            ),
            (
                vec![entry("a", 1, "then"), other.clone()],
                ours(&["a"]),
                1,
                None,
            ),
            (
                vec![entry("a", 1, "then"), other.clone()],
                ours(&["a"]),
                2,
                Some(vec![entry("a", 2, "then"), other.clone()]),
            ),
            (
                vec![entry("a", 1, "then"), other.clone()],
                ours(&["b"]),
                1,
                Some(vec![other.clone(), entry("b", 1, "now")]),
            ),
            (vec![entry("a", 1, "then")], ours(&[]), 1, Some(Vec::new())),
            (vec![other.clone()], ours(&[]), 1, None),
            (vec![other; 32], ours(&["a"]), 1, None),
        ] {
            let status = json!({"parents": before});
            let new = changed(&json!(generation), &status, &wanted, "now");
            assert_eq!(new, after.map(|after| json!({"parents": after})));
        }
    }
}
