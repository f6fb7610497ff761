//! `/config_dump`: the snapshot in use as JSON, with where each rule came from.
//!
//! The shape is ours: what Envoy dumps is what a control plane sent it, and there is none here.

use std::time::Duration;

use outrigger_core::snapshot::{
    Action, Cluster, Condition, Destination, DestinationCluster, Forward, HeaderOps, Origin,
    PathMatch, PathRewrite, Redirect, Rule, Snapshot, TextMatch, UnknownHosts, VirtualHost,
};
use serde_json::{Map, Value, json};

use super::clusters::balancing_name;

/// The whole snapshot, indented.
pub(super) fn json(snapshot: &Snapshot) -> String {
    let dump = Dump(snapshot);
    let value = json!({
        "revision": snapshot.revision,
        "settings": {
            "path_normalization": format!("{:?}", snapshot.settings.path_normalization),
            "unknown_hosts": dump.unknown_hosts(),
            "connect_timeout": duration(snapshot.settings.connect_timeout),
        },
        "virtual_hosts": snapshot.virtual_hosts.iter().map(|v| dump.virtual_host(v)).collect::<Vec<_>>(),
        "inbound": snapshot.inbound.iter().map(|id| &snapshot.virtual_host(*id).name).collect::<Vec<_>>(),
        "clusters": snapshot.clusters.iter().map(cluster).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

struct Dump<'a>(&'a Snapshot);

impl Dump<'_> {
    fn unknown_hosts(&self) -> Value {
        match &self.0.settings.unknown_hosts {
            UnknownHosts::AllowAny => "ALLOW_ANY".into(),
            UnknownHosts::RegistryOnly => "REGISTRY_ONLY".into(),
            UnknownHosts::EgressProxy(cluster) => json!({ "egress_proxy": self.cluster(cluster) }),
        }
    }

    fn virtual_host(&self, virtual_host: &VirtualHost) -> Value {
        json!({
            "name": virtual_host.name,
            "rules": virtual_host.rules.iter().map(|r| self.rule(r)).collect::<Vec<_>>(),
        })
    }

    fn rule(&self, rule: &Rule) -> Value {
        json!({
            "name": rule.name,
            "origin": rule.origin.as_ref().map(|o| self.origin(o)),
            "match": condition(&rule.condition),
            "action": self.action(&rule.action),
        })
    }

    fn origin(&self, origin: &Origin) -> Value {
        let resource = &self.0.resources[origin.resource.0 as usize];
        json!({
            "resource": resource.to_string(),
            "file": resource.file,
            "line": origin.line,
            "path": origin.path,
        })
    }

    fn action(&self, action: &Action) -> Value {
        match action {
            Action::Forward(forward) => json!({ "forward": self.forward(forward) }),
            Action::Redirect(redirect) => json!({ "redirect": redirect_to(redirect) }),
            Action::Respond(answer) => json!({
                "direct_response": { "status": answer.status.as_u16(), "body_bytes": answer.body.len() },
            }),
        }
    }

    fn forward(&self, forward: &Forward) -> Value {
        let destinations = forward.destinations.iter();
        let mut out = Map::new();
        let destinations: Vec<_> = destinations.map(|d| self.destination(d)).collect();
        out.insert("destinations".into(), destinations.into());
        if let Some(timeout) = forward.timeout {
            out.insert("timeout".into(), duration(timeout).into());
        }
        if let Some(path) = &forward.rewrite.path {
            out.insert("rewrite_path".into(), rewrite(path));
        }
        if let Some(authority) = &forward.rewrite.authority {
            out.insert("rewrite_authority".into(), (&**authority).into());
        }
        if let Some(cors) = &forward.cors {
            let origins: Vec<_> = cors.allow_origins.iter().map(text_match).collect();
            out.insert("cors".into(), json!({ "allow_origins": origins }));
        }
        out.into()
    }

    fn destination(&self, destination: &Destination) -> Value {
        json!({
            "weight": destination.weight,
            "cluster": self.cluster(&destination.cluster),
            "request_headers": header_ops(&destination.request),
            "response_headers": header_ops(&destination.response),
        })
    }

    fn cluster(&self, cluster: &DestinationCluster) -> Value {
        match cluster {
            DestinationCluster::Known(id) => (&*self.0.cluster(*id).name).into(),
            DestinationCluster::Missing(name) => json!({ "missing": name }),
            DestinationCluster::Passthrough => "PassthroughCluster".into(),
        }
    }
}

fn cluster(cluster: &Cluster) -> Value {
    let endpoints = cluster.endpoints.iter().map(|endpoint| {
        json!({
            "address": endpoint.text,
            "weight": endpoint.weight,
            "locality": endpoint.locality,
        })
    });
    json!({
        "name": cluster.name,
        "lb_policy": balancing_name(cluster.balancing),
        "connect_timeout": duration(cluster.connect_timeout),
        "idle_timeout": cluster.idle_timeout.map(duration),
        "max_requests_per_connection": cluster.max_requests_per_connection,
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

/// One entry for each thing that must hold; none means that the rule always applies.
fn condition(condition: &Condition) -> Value {
    let mut all = Vec::new();
    let named = [
        ("method", &condition.method),
        ("scheme", &condition.scheme),
        ("authority", &condition.authority),
    ];
    all.extend(condition.path.as_ref().map(path_match));
    for (name, value) in named {
        all.extend(value.as_ref().map(|v| json!({ name: text_match(v) })));
    }
    for field in &condition.fields {
        let key = if field.negated {
            "without_header"
        } else {
            "header"
        };
        all.push(json!({ key: field.name.as_str(), "value": text_match(&field.value) }));
    }
    for query in &condition.query {
        all.push(json!({ "query": query.name, "value": text_match(&query.value) }));
    }
    all.into()
}

fn path_match(path: &PathMatch) -> Value {
    match path {
        PathMatch::Exact { path, ignore_case } => {
            json!({ "path": { "exact": path }, "ignore_case": ignore_case })
        }
        PathMatch::Prefix { path, ignore_case } => {
            json!({ "path": { "prefix": path }, "ignore_case": ignore_case })
        }
        PathMatch::Regex(regex) => json!({ "path": { "regex": regex.pattern } }),
    }
}

fn text_match(text: &TextMatch) -> Value {
    match text {
        TextMatch::Exact(text) => json!({ "exact": text }),
        TextMatch::Prefix(text) => json!({ "prefix": text }),
        TextMatch::Regex(regex) => json!({ "regex": regex.pattern }),
        TextMatch::Present => "present".into(),
    }
}

fn rewrite(path: &PathRewrite) -> Value {
    match path {
        PathRewrite::Prefix(prefix) => json!({ "prefix": prefix }),
        PathRewrite::Regex {
            pattern,
            replacement,
        } => json!({ "regex": pattern.pattern, "replacement": replacement }),
    }
}

fn redirect_to(redirect: &Redirect) -> Value {
    json!({
        "status": redirect.status.as_u16(),
        "scheme": redirect.scheme,
        "authority": redirect.authority,
        "path": format!("{:?}", redirect.path),
        "port": format!("{:?}", redirect.port),
    })
}

fn header_ops(ops: &HeaderOps) -> Value {
    let written = ops.write.iter().map(|(name, value)| {
        let key = if value.overwrite { "set" } else { "add" };
        json!({ key: name.as_str() })
    });
    let removed = ops
        .remove
        .iter()
        .map(|name| json!({ "remove": name.as_str() }));
    removed.chain(written).collect()
}

fn duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
