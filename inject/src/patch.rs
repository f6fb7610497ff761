//! What changes from one document to another, as RFC 6902 (JSON Patch) says it, in as few words as lists allow that only grow.

use serde::Serialize;
use serde_json::{Map, Value};

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// A value comes in: as a new key, in the place of an old one, or before an item of a list.
    Add {
        /// Where, as RFC 6901 says it.
        path: String,
        /// What.
        value: Value,
    },
    /// A value goes.
    Remove {
        /// Which.
        path: String,
    },
    /// Another value in the place of one.
    Replace {
        /// Of which.
        path: String,
        /// What is there from now on.
        value: Value,
    },
}

impl Operation {
    /// Where it happens.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Replace { path, .. } => path,
        }
    }
}

/// The steps of a path (RFC 6901).
pub(crate) fn steps(path: &str) -> impl Iterator<Item = String> {
    let steps = path.split('/').skip(1);
    steps.map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// What makes `new` of `old`.
#[must_use]
pub(crate) fn between(old: &Value, new: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    differ(&mut operations, "", old, new);
    operations
}

fn differ(out: &mut Vec<Operation>, path: &str, old: &Value, new: &Value) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(old), Value::Object(new)) => differ_in_maps(out, path, old, new),
        (Value::Array(old), Value::Array(new)) => differ_in_lists(out, path, old, new),
        (_, new) => out.push(Operation::Replace {
            path: path.to_owned(),
            value: new.clone(),
        }),
    }
}

fn differ_in_maps(
    out: &mut Vec<Operation>,
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) {
    let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        out.push(Operation::Remove { path: below(key) });
    }
    for (key, value) in new {
        match old.get(key) {
            Some(before) => differ(out, &below(key), before, value),
            None => out.push(Operation::Add {
                path: below(key),
                value: value.clone(),
            }),
        }
    }
}

/// Items that are the same at both ends stay; of those between, each changes in its place, and the rest comes or goes.
fn differ_in_lists(out: &mut Vec<Operation>, path: &str, old: &[Value], new: &[Value]) {
    let is_item = |value: &Value, other: &Value| match (value.get("name"), other.get("name")) {
        (Some(a), Some(b)) => a == b,
        _ => value == other,
    };
    let alike = |(a, b): &(&Value, &Value)| is_item(a, b);
    let ahead = old.iter().zip(new).take_while(alike).count();
    let (rest_old, rest_new) = (&old[ahead..], &new[ahead..]);
    let behind = rest_old.iter().rev().zip(rest_new.iter().rev());
    let behind = behind.take_while(alike).count();
    let (mid_old, mid_new) = (rest_old.len() - behind, rest_new.len() - behind);
    let both = mid_old.min(mid_new);
    let at = |index: usize| format!("{path}/{index}");
    for index in 0..ahead + both {
        differ(out, &at(index), &old[index], &new[index]);
    }
    for index in (ahead + both..ahead + mid_old).rev() {
        out.push(Operation::Remove { path: at(index) });
    }
    for (index, value) in new
        .iter()
        .enumerate()
        .take(ahead + mid_new)
        .skip(ahead + both)
    {
        out.push(Operation::Add {
            path: at(index),
            value: value.clone(),
        });
    }
    for from_end in (1..=behind).rev() {
        let index = new.len() - from_end;
        differ(out, &at(index), &old[old.len() - from_end], &new[index]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::yaml::Tree;

    #[test]
    fn lists_that_grow_are_told_by_what_is_new() {
        for (old, new, want) in [
            (
                json!({"a": [{"name": "x", "v": 1}]}),
                json!({"a": [{"name": "y"}, {"name": "x", "v": 2}]}),
                json!([
                    {"op": "add", "path": "/a/0", "value": {"name": "y"}},
                    {"op": "replace", "path": "/a/1/v", "value": 2}
                ]),
            ),
            (
                json!({"a/b": {"c~d": 1, "e": 2}}),
                json!({"a/b": {"c~d": 3}}),
                json!([
                    {"op": "remove", "path": "/a~1b/e"},
                    {"op": "replace", "path": "/a~1b/c~0d", "value": 3}
                ]),
            ),
            (
                json!([1, 2, 3]),
                json!([1, 3]),
                json!([{"op": "remove", "path": "/1"}]),
            ),
            (
                json!(1),
                json!({}),
                json!([{"op": "replace", "path": "", "value": {}}]),
            ),
        ] {
            let operations = between(&old, &new);
            assert_eq!(serde_json::to_value(operations).unwrap(), want);
        }
    }

    fn any_document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), (0..3i64).prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let named = ("[ab]", inner.clone()).prop_map(|(n, v)| json!({"name": n, "v": v}));
            prop_oneof![
                prop::collection::vec(prop_oneof![inner.clone(), named], 0..5)
                    .prop_map(Value::from),
                prop::collection::btree_map("[ab/~]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_between_leads_from_one_to_the_other(old in any_document(), new in any_document()) {
            let operations = between(&old, &new);
            let mut ours = Tree::of_json(&old);
            prop_assert_eq!(ours.apply(&operations), Ok(()));
            prop_assert_eq!(&ours.to_json(), &new);
            // Somebody else's reading of the RFC.
            let patch: json_patch::Patch =
                serde_json::from_value(serde_json::to_value(&operations).unwrap()).unwrap();
            let mut theirs = old;
            json_patch::patch(&mut theirs, &patch).unwrap();
            prop_assert_eq!(theirs, new);
        }
    }
}
