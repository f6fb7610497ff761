//! One pod, or the template of many: what injection puts where.

use serde_json::{Value, json};

use crate::annotations::Annotations;
use crate::container::{self, Pod, Workload};
use crate::names::{INIT, PROXY, PROXY_ID};
use crate::overlay;
use crate::refused::Refused;
use crate::settings::Settings;
use crate::wishes::Wishes;
use crate::{init, probes, prometheus, status, volumes};

/// Puts a sidecar into a pod of `metadata` and `spec`; what is to be told of it.
pub(crate) fn inject(
    pod: &mut Value,
    workload: Option<Workload>,
    settings: &Settings,
) -> Result<Vec<String>, Refused> {
    check(pod)?;
    let own = pod["metadata"]["annotations"].clone();
    let own = Annotations(Some(&own));
    let mut wishes = Wishes::read(own, settings)?;
    let init = init::container(own, &wishes, settings)?;
    let mut told = std::mem::take(&mut wishes.warnings);
    let is_job = workload
        .as_ref()
        .is_some_and(|workload| workload.kind == "Job");
    if is_job && !wishes.native {
        told.push(
            "the sidecar of a Job is no native one: the Job ends only once somebody has told it (`POST 127.0.0.1:15020/quitquitquit`)"
                .into(),
        );
    }
    told.extend(warn_of_uid(&pod["spec"]));
    told.extend(warn_of_hooks(&pod["spec"]));
    status::label(&mut pod["metadata"], workload.as_ref(), settings);
    let metrics = prometheus::merge(&mut pod["metadata"], own, settings)?;
    let mut about = Pod {
        metrics,
        containers: names(&pod["spec"]["containers"]),
        workload,
        ..Pod::default()
    };
    if wishes.rewrite_probes {
        let (originals, unnamed) = probes::rewrite(&mut pod["spec"]);
        about.probes = originals;
        told.extend(unnamed);
    }
    let mut proxy = container::container(&about, &wishes, settings);
    if let Some(theirs) = take_out(&mut pod["spec"], PROXY) {
        overlay::put_over(&mut proxy, theirs);
    }
    let first = names(&pod["spec"]["containers"]).into_iter().next();
    let put_in = put(pod, init, proxy, &wishes, settings);
    status::annotate(&mut pod["metadata"], first.as_deref(), &put_in, settings);
    Ok(told)
}

/// Refuses what is no pod, before anything of it is changed.
fn check(pod: &Value) -> Result<(), Refused> {
    let wrong = |what: &str| Err(Refused(format!("`{what}` is not what it has to be")));
    let is_map = |value: &Value| value.is_null() || value.is_object();
    for field in ["metadata", "spec"] {
        if !is_map(&pod[field]) {
            return wrong(field);
        }
    }
    for field in ["labels", "annotations"] {
        if !is_map(&pod["metadata"][field]) {
            return wrong(&format!("metadata.{field}"));
        }
    }
    for field in ["containers", "initContainers", "volumes"] {
        let list = &pod["spec"][field];
        let are_maps = |items: &Vec<Value>| items.iter().all(Value::is_object);
        if !list.is_null() && !list.as_array().is_some_and(are_maps) {
            return wrong(&format!("spec.{field}"));
        }
    }
    match pod["spec"]["containers"].as_array() {
        Some(containers) if !containers.is_empty() => Ok(()),
        Some(_) | None => Err(Refused("it has no containers".into())),
    }
}

/// What was put in, for the status.
fn put(
    pod: &mut Value,
    init: Option<Value>,
    proxy: Value,
    wishes: &Wishes,
    settings: &Settings,
) -> Value {
    let spec = &mut pod["spec"];
    let mut before: Vec<Value> = init.into_iter().collect();
    let mut init_names: Vec<&str> = before.iter().map(|_| INIT).collect();
    let mut container_names = Vec::new();
    if wishes.native {
        before.push(proxy);
        init_names.push(PROXY);
    } else {
        container_names.push(PROXY);
        let containers = list(spec, "containers");
        // Containers start in their order, one after the hook of another.
        let at = if wishes.hold { 0 } else { containers.len() };
        containers.insert(at, proxy);
    }
    if !before.is_empty() {
        take_out(spec, INIT);
        list(spec, "initContainers").splice(0..0, before);
    }
    let volumes = volumes::volumes(wishes, settings);
    let all = list(spec, "volumes");
    all.retain(|volume| !volumes.iter().any(|ours| ours["name"] == volume["name"]));
    all.extend(volumes.iter().cloned());
    status::put_in(&init_names, &container_names, &volumes, &settings.revision)
}

fn list<'a>(spec: &'a mut Value, field: &str) -> &'a mut Vec<Value> {
    let place = &mut spec[field];
    if !place.is_array() {
        *place = json!([]);
    }
    place.as_array_mut().expect("it was made a list above")
}

/// The container of this name, which is taken away.
fn take_out(spec: &mut Value, name: &str) -> Option<Value> {
    ["initContainers", "containers"].iter().find_map(|field| {
        let containers = spec.get_mut(*field)?.as_array_mut()?;
        let at = containers.iter().position(|one| one["name"] == name)?;
        Some(containers.remove(at))
    })
}

/// The application's containers.
fn names(containers: &Value) -> Vec<String> {
    let names = containers.as_array().into_iter().flatten();
    let names = names.filter_map(|container| container["name"].as_str());
    names
        .filter(|name| *name != PROXY)
        .map(str::to_owned)
        .collect()
}

/// Who runs as the sidecar does is taken for it.
fn warn_of_uid(spec: &Value) -> Vec<String> {
    let of_pod = &spec["securityContext"]["runAsUser"];
    let mut told = Vec::new();
    for field in ["initContainers", "containers"] {
        for container in spec[field].as_array().into_iter().flatten() {
            let own = &container["securityContext"]["runAsUser"];
            let user = if own.is_null() { of_pod } else { own };
            if *user == PROXY_ID && container["name"] != PROXY {
                let name = container["name"].as_str().unwrap_or_default();
                told.push(format!(
                    "container `{name}` runs as {PROXY_ID}, as the sidecar does: its connections are not captured"
                ));
            }
        }
    }
    told
}

/// What the kubelet calls when a container starts or ends comes to the sidecar like any other request, without a certificate.
fn warn_of_hooks(spec: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for field in ["initContainers", "containers"] {
        for container in spec[field].as_array().into_iter().flatten() {
            for hook in ["postStart", "preStop"] {
                let mut calls = ["httpGet", "tcpSocket"].iter();
                if calls.any(|call| container["lifecycle"][hook][*call].is_object()) {
                    let name = container["name"].as_str().unwrap_or_default();
                    told.push(format!(
                        "`{hook}` of container `{name}` calls it from outside of the mesh: where policies want mutual TLS it is refused"
                    ));
                }
            }
        }
    }
    told
}
