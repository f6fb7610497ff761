//! Probes of the application go by way of the agent: the kubelet has no certificate of the mesh, and what it asks a captured port would
//! have to pass the policies for it.
//!
//! Each probe is replaced by one that asks `15020/app-health/CONTAINER/…`; what it was stands in a variable of the sidecar, in the
//! form that Istio's agent reads.

use serde_json::{Map, Value, json};

use crate::names::{AGENT_PORT, PROXY};

/// A field of a container, and what stands for it in paths.
const PROBES: &[(&str, &str)] = &[
    ("livenessProbe", "livez"),
    ("readinessProbe", "readyz"),
    ("startupProbe", "startupz"),
];

/// What a probe asks; `exec` asks nothing over the network.
const HANDLERS: &[&str] = &["httpGet", "tcpSocket", "grpc"];

/// Replaces the probes of a pod. What they were, by path; and what is told.
pub(crate) fn rewrite(spec: &mut Value) -> (Map<String, Value>, Vec<String>) {
    let mut originals = Map::new();
    let mut told = Vec::new();
    for field in ["initContainers", "containers"] {
        let containers = spec.get_mut(field).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            if name == PROXY {
                continue;
            }
            for (probe, word) in PROBES {
                let path = format!("/app-health/{name}/{word}");
                match replace(container, probe, &path) {
                    Replaced::Nothing => {}
                    Replaced::Original(original) => drop(originals.insert(path, original)),
                    Replaced::Unknown(port) => told.push(format!(
                        "`{probe}` of container `{name}` is left as it is: no port is called `{port}`"
                    )),
                }
            }
        }
    }
    (originals, told)
}

enum Replaced {
    Nothing,
    /// What it was.
    Original(Value),
    /// Its port has a name that no port has.
    Unknown(String),
}

fn replace(container: &mut Value, probe: &str, path: &str) -> Replaced {
    let Some((handler, asked)) = handler(&container[probe]) else {
        return Replaced::Nothing;
    };
    // Another host is none of this pod's.
    let is_elsewhere = asked["host"].as_str().is_some_and(|host| !host.is_empty());
    if is_elsewhere || goes_to_agent(&asked) {
        return Replaced::Nothing;
    }
    let mut original = asked;
    match port(container, &original["port"]) {
        Ok(number) => original["port"] = number.into(),
        Err(name) => return Replaced::Unknown(name),
    }
    let mut kept = json!({ handler: original });
    let Some(fields) = container[probe].as_object_mut() else {
        return Replaced::Nothing;
    };
    if let Some(seconds) = fields.get("timeoutSeconds") {
        kept["timeoutSeconds"] = seconds.clone();
    }
    fields.remove(handler);
    let get = json!({"path": path, "port": AGENT_PORT});
    fields.insert("httpGet".into(), get);
    Replaced::Original(kept)
}

fn handler(probe: &Value) -> Option<(&'static str, Value)> {
    let known = |name: &&&'static str| probe.get(**name).is_some_and(Value::is_object);
    let handler = HANDLERS.iter().find(known)?;
    Some((handler, probe[*handler].clone()))
}

fn goes_to_agent(asked: &Value) -> bool {
    let path = asked["path"].as_str().unwrap_or_default();
    asked["port"] == AGENT_PORT && path.starts_with("/app-health/")
}

/// The number of a port that may be given by its name.
fn port(container: &Value, port: &Value) -> Result<u16, String> {
    let number = |value: &Value| value.as_u64().and_then(|n| u16::try_from(n).ok());
    if let Some(number) = number(port) {
        return Ok(number);
    }
    let name = port
        .as_str()
        .map_or_else(|| port.to_string(), str::to_owned);
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let ports = container["ports"].as_array().into_iter().flatten();
    let mut named = ports.filter(|port| port["name"] == name.as_str());
    let found = named.next().and_then(|port| number(&port["containerPort"]));
    found.ok_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_go_by_way_of_the_agent() {
        for (container, want, original) in [
            (
                json!({"livenessProbe": {"httpGet": {"path": "/up", "port": "http", "scheme": "HTTPS",
                        "httpHeaders": [{"name": "a", "value": "b"}]}, "periodSeconds": 3, "timeoutSeconds": 2},
                       "ports": [{"name": "http", "containerPort": 8080}]}),
                json!({"httpGet": {"path": "/app-health/app/livez", "port": 15020}, "periodSeconds": 3,
                       "timeoutSeconds": 2}),
                json!({"/app-health/app/livez": {"httpGet": {"path": "/up", "port": 8080, "scheme": "HTTPS",
                        "httpHeaders": [{"name": "a", "value": "b"}]}, "timeoutSeconds": 2}}),
            ),
            (
                json!({"livenessProbe": {"tcpSocket": {"port": 3306}}}),
                json!({"httpGet": {"path": "/app-health/app/livez", "port": 15020}}),
                json!({"/app-health/app/livez": {"tcpSocket": {"port": 3306}}}),
            ),
            (
                json!({"livenessProbe": {"grpc": {"port": 9000, "service": "s"}}}),
                json!({"httpGet": {"path": "/app-health/app/livez", "port": 15020}}),
                json!({"/app-health/app/livez": {"grpc": {"port": 9000, "service": "s"}}}),
            ),
            (
                json!({"livenessProbe": {"exec": {"command": ["a"]}}}),
                json!({"exec": {"command": ["a"]}}),
                json!({}),
            ),
            (
                json!({"livenessProbe": {"httpGet": {"host": "example.com", "port": 80}}}),
                json!({"httpGet": {"host": "example.com", "port": 80}}),
                json!({}),
            ),
        ] {
            let mut spec = json!({"containers": [container]});
            spec["containers"][0]["name"] = "app".into();
            let (originals, told) = rewrite(&mut spec);
            assert_eq!(spec["containers"][0]["livenessProbe"], want);
            assert_eq!(Value::Object(originals), original);
            assert!(told.is_empty(), "{told:?}");
            let once = spec.clone();
            assert!(rewrite(&mut spec).0.is_empty(), "twice is once");
            assert_eq!(spec, once);
        }
    }

    #[test]
    fn a_port_that_has_no_name_is_told() {
        let mut spec = json!({"containers": [{"name": "a", "readinessProbe": {"tcpSocket": {"port": "web"}}}]});
        let before = spec.clone();
        let (originals, told) = rewrite(&mut spec);
        assert_eq!((spec, originals.len()), (before, 0));
        assert_eq!(
            told,
            ["`readinessProbe` of container `a` is left as it is: no port is called `web`"]
        );
    }
}
