//! A container `istio-proxy` that the pod has already: what it says goes before what injection would say, as Istio documents for
//! settings that have no annotation.

use serde_json::Value;

/// Lists of things that have names, and by which field they have them.
const NAMED: &[(&str, &str)] = &[
    ("env", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
];

/// An image that stands for whichever is injected.
const AUTO: &str = "auto";

/// Puts what the pod says over what injection says.
pub(crate) fn put_over(ours: &mut Value, mut theirs: Value) {
    if theirs["image"] == AUTO
        && let Some(fields) = theirs.as_object_mut()
    {
        fields.remove("image");
    }
    merge(ours, theirs, "");
}

fn merge(ours: &mut Value, theirs: Value, field: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                match ours.get_mut(&key) {
                    Some(known) => merge(known, value, &key),
                    None => drop(ours.insert(key, value)),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => match NAMED.iter().find(|(f, _)| *f == field)
        {
            Some((_, name)) => {
                for value in theirs {
                    match ours.iter_mut().find(|known| known[*name] == value[*name]) {
                        Some(known) => *known = value,
                        None => ours.push(value),
                    }
                }
            }
            None => *ours = theirs,
        },
        (ours, theirs) => *ours = theirs,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_pod_says_goes_before() {
        let mut ours = json!({
            "name": "istio-proxy", "image": "ours", "args": ["run"],
            "env": [{"name": "A", "valueFrom": {}}, {"name": "B", "value": "1"}],
            "resources": {"requests": {"cpu": "1"}},
        });
        let theirs = json!({
            "name": "istio-proxy", "image": "auto", "args": ["run", "--lenient"],
            "env": [{"name": "A", "value": "2"}, {"name": "C", "value": "3"}],
            "resources": {"limits": {"cpu": "2"}},
            "stdin": true,
        });
        put_over(&mut ours, theirs);
        let want = json!({
            "name": "istio-proxy", "image": "ours", "args": ["run", "--lenient"],
            "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "1"}, {"name": "C", "value": "3"}],
            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
            "stdin": true,
        });
        assert_eq!(ours, want);
        put_over(&mut ours, json!({"image": "theirs"}));
        assert_eq!(ours["image"], "theirs");
    }
}
