//! The sidecar itself: a container that runs `outrigger run`.

use serde_json::{Map, Value, json};

use crate::interception::Interception;
use crate::names::{
    AGENT_PORT, APP_METRICS, APP_PROBERS, METRICS_PORT, PROXY, PROXY_ID, READY_PORT,
};
use crate::settings::Settings;
use crate::volumes::{self, POD_LABELS, ROOT_CERT, TOKEN};
use crate::wishes::Wishes;

/// What of its pod a sidecar is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pod {
    /// The application's containers.
    pub(crate) containers: Vec<String>,
    /// What its probes were, by path.
    pub(crate) probes: Map<String, Value>,
    /// Where its metrics are, in Istio's form.
    pub(crate) metrics: Option<String>,
    /// What made it, such as a Deployment.
    pub(crate) workload: Option<Workload>,
}

/// What makes pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// `apps/v1`.
    pub(crate) api_version: String,
    /// `Deployment`.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is; the pod's namespace where it is not said.
    pub(crate) namespace: String,
}

/// The container.
pub(crate) fn container(pod: &Pod, wishes: &Wishes, settings: &Settings) -> Value {
    let mut container = json!({
        "name": PROXY,
        "image": wishes.image,
        "args": args(wishes, settings),
        "env": env(pod, wishes, settings),
        "ports": [
            {"name": "http-envoy-prom", "containerPort": METRICS_PORT, "protocol": "TCP"},
            {"name": "status-port", "containerPort": READY_PORT, "protocol": "TCP"},
            {"name": "http-agent", "containerPort": AGENT_PORT, "protocol": "TCP"},
        ],
        "startupProbe": probe(0, 1, 600),
        "readinessProbe": probe(wishes.ready.delay, wishes.ready.period, wishes.ready.failures),
        "lifecycle": lifecycle(wishes),
        "securityContext": security_context(wishes, settings),
        "resources": wishes.resources,
        "volumeMounts": volumes::mounts(wishes),
    });
    if wishes.native {
        container["restartPolicy"] = "Always".into();
    }
    if let Some(policy) = &settings.image_pull_policy {
        container["imagePullPolicy"] = policy.clone().into();
    }
    container
}

fn args(wishes: &Wishes, settings: &Settings) -> Vec<String> {
    let mut args: Vec<String> = vec![
        "run".into(),
        format!("--xds={}", wishes.discovery_address),
        format!("--ca={}", settings.ca_address),
        format!("--ca-roots={ROOT_CERT}"),
        format!("--token={TOKEN}"),
        "--namespace=$(POD_NAMESPACE)".into(),
        // Followed: what is put on a pod later selects it, too.
        format!("--labels-file={POD_LABELS}"),
        format!("--interception={}", wishes.interception.word()),
        "--outbound=127.0.0.1:15001".into(),
        format!("--health=0.0.0.0:{READY_PORT}"),
        format!("--agent=0.0.0.0:{AGENT_PORT}"),
        format!("--prometheus=0.0.0.0:{METRICS_PORT}"),
    ];
    if wishes.interception != Interception::None {
        args.push("--inbound=0.0.0.0:15006".into());
    }
    if wishes.dns {
        args.push("--dns=127.0.0.1:15053".into());
    }
    let option = |flag: &str, value: Option<String>| value.map(|value| format!("--{flag}={value}"));
    args.extend(option("workers", wishes.workers.map(|n| n.to_string())));
    args.extend(option("drain-time", wishes.drain.map(|n| n.to_string())));
    let listener_drain = wishes.listener_drain.map(|n| n.to_string());
    args.extend(option("listener-drain-time", listener_drain));
    args.extend(option("log-level", wishes.log_level.clone()));
    args.extend(settings.arguments.iter().cloned());
    args
}

/// Variables, in the order in which later ones may name earlier ones.
fn env(pod: &Pod, wishes: &Wishes, settings: &Settings) -> Vec<Value> {
    let mut env: Vec<Value> = [
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("INSTANCE_IP", "status.podIP"),
        ("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        ("HOST_IP", "status.hostIP"),
        ("ISTIO_META_NODE_NAME", "spec.nodeName"),
    ]
    .iter()
    .map(|(name, path)| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}))
    .collect();
    let mut say = |name: &str, value: &str| env.push(json!({"name": name, "value": value}));
    say("CA_ADDR", &settings.ca_address);
    say("TRUST_DOMAIN", &settings.trust_domain);
    say("ISTIO_META_CLUSTER_ID", &settings.cluster_id);
    say("ISTIO_META_INTERCEPTION_MODE", wishes.interception.word());
    say("ISTIO_META_APP_CONTAINERS", &pod.containers.join(","));
    if let Some(workload) = &pod.workload {
        say("ISTIO_META_WORKLOAD_NAME", &workload.name);
        say("ISTIO_META_OWNER", &owner(workload));
    }
    if !pod.probes.is_empty() {
        say(APP_PROBERS, &Value::Object(pod.probes.clone()).to_string());
    }
    if let Some(metrics) = &pod.metrics {
        say(APP_METRICS, metrics);
    }
    for (name, value) in &wishes.environment {
        say(name, value);
    }
    env
}

/// As Istio writes who made a pod.
fn owner(workload: &Workload) -> String {
    let Workload {
        api_version,
        kind,
        name,
        namespace,
    } = workload;
    let kind = kind.to_lowercase();
    format!("kubernetes://apis/{api_version}/namespaces/{namespace}/{kind}s/{name}")
}

fn probe(delay: u32, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": {"path": "/healthz/ready", "port": READY_PORT},
        "initialDelaySeconds": delay,
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    })
}

/// Before it is told to end, it drains; a sidecar that is no init container may hold up the application until it is ready.
fn lifecycle(wishes: &Wishes) -> Value {
    let mut lifecycle = json!({"preStop": {"exec": {"command": ["outrigger", "drain"]}}});
    if wishes.hold && !wishes.native {
        lifecycle["postStart"] = json!({"exec": {"command": ["outrigger", "wait"]}});
    }
    lifecycle
}

/// Nobody, with no rights. Under TPROXY it binds addresses of others, for which it needs NET_ADMIN, and so to be root; its
/// connections are then known by its group.
fn security_context(wishes: &Wishes, settings: &Settings) -> Value {
    let is_tproxy = wishes.interception == Interception::Tproxy;
    let mut capabilities = json!({"drop": ["ALL"]});
    if is_tproxy {
        capabilities["add"] = json!(["NET_ADMIN"]);
    }
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": capabilities,
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "runAsGroup": PROXY_ID,
        "runAsNonRoot": !is_tproxy,
        "runAsUser": if is_tproxy { 0 } else { PROXY_ID },
    });
    if !settings.seccomp_profile.is_null() {
        context["seccompProfile"] = settings.seccomp_profile.clone();
    }
    context
}
