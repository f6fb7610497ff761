//! `/config_dump`: the snapshot in use as JSON, with where each rule came from.
//!
//! The shape is ours: what Envoy dumps is what a control plane sent it, and there is none here.

mod faults;
mod hashing;
mod localities;
mod outlier;
mod rate_limits;
mod request_authentication;
mod retries;
mod tracing;
mod upstream_protocol;

use std::time::Duration;

use outrigger_core::snapshot::{
    Action, Cluster, Condition, CorsPolicy, Destination, DestinationCluster, Endpoint, Forward,
    HeaderOps, Limits, Origin, PathMatch, PathNormalization, PathRewrite, PerMillion, Redirect,
    RedirectPath, RedirectPort, Rule, Snapshot, StreamIdle, TextMatch, UnknownHosts, VirtualHost,
};
use outrigger_core::time::Instant;
use serde_json::{Value, json};

use super::clusters::balancing_name;

/// The whole snapshot, indented.
pub(super) fn json(snapshot: &Snapshot, now: Instant) -> String {
    let dump = Dump(snapshot, now);
    let value = json!({
        "revision": snapshot.revision,
        "settings": {
            "path_normalization": normalization(snapshot.settings.path_normalization),
            "unknown_hosts": dump.unknown_hosts(),
            "connect_timeout": duration(snapshot.settings.connect_timeout),
        },
        "virtual_hosts": list(&*snapshot.virtual_hosts, |v| dump.virtual_host(v)),
        "inbound": list(&*snapshot.inbound, |id| json!(snapshot.virtual_host(*id).name)),
        "clusters": list(snapshot.clusters.iter(), cluster),
        "rate_limits": list(&snapshot.rate_limits, |l| dump.rate_limit(l)),
        "global_rate_limits": list(snapshot.global_rate_limits.iter(), |l| dump.global_rate_limit(l)),
        "tracing": tracing::of(&snapshot.tracing),
        "request_authentication": (snapshot.request_authentication.as_deref())
            .map(|auth| dump.request_authentication(auth)),
    });
    format!("{value:#}\n")
}

/// A snapshot, and the time for which what lives is shown.
struct Dump<'a>(&'a Snapshot, Instant);

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
            "rules": list(&*virtual_host.rules, |r| self.rule(r)),
            "grpc_web": virtual_host.grpc_web,
            "rate_limits": virtual_host.limits.as_deref().map(rate_limits::of_host),
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

    /// What is not set is left out.
    fn forward(&self, forward: &Forward) -> Value {
        let idle = match forward.stream_idle {
            StreamIdle::Unsaid => None,
            StreamIdle::Never => Some(Duration::ZERO),
            StreamIdle::After(idle) => Some(idle),
        };
        let rewritten = &forward.rewrite;
        let mirrors = || {
            list(
                &forward.mirrors,
                |mirror| json!({ "cluster": self.cluster(&mirror.cluster), "percent": percent(mirror.share) }),
            )
        };
        let cors =
            |cors: &CorsPolicy| json!({ "allow_origins": list(&cors.allow_origins, text_match) });
        let set = [
            (
                "destinations",
                Some(list(&forward.destinations, |d| self.destination(d))),
            ),
            ("timeout", forward.timeout.map(|time| duration(time).into())),
            ("idle_timeout", idle.map(|time| duration(time).into())),
            ("fault", forward.fault.as_deref().map(faults::policy)),
            ("retries", forward.retry.as_deref().map(retries::policy)),
            ("rewrite_path", rewritten.path.as_ref().map(rewrite)),
            (
                "rewrite_authority",
                rewritten.authority.as_deref().map(Value::from),
            ),
            ("cors", forward.cors.as_deref().map(cors)),
            ("mirrors", (!forward.mirrors.is_empty()).then(mirrors)),
        ];
        let set = set.into_iter();
        set.filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
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
    let endpoint = |endpoint: &Endpoint| {
        json!({
            "address": endpoint.text,
            "weight": endpoint.weight,
            "locality": endpoint.locality,
            "priority": endpoint.priority,
        })
    };
    json!({
        "name": cluster.name,
        "lb_policy": balancing_name(cluster.balancing),
        "protocol": upstream_protocol::protocol(cluster.protocol),
        "localities": localities::policy(&cluster.locality_policy),
        "slow_start": cluster.warm_up.map(localities::slow_start),
        "consistent_hash": hashing::consistent_hash(cluster.balancing),
        "hash_policy": cluster.hash_policy.as_deref().map(hashing::hash_policy),
        "connect_timeout": duration(cluster.connect_timeout),
        "idle_timeout": cluster.idle_timeout.map(duration),
        "max_connection_duration": cluster.max_connection_duration.map(duration),
        "max_requests_per_connection": cluster.max_requests_per_connection,
        "circuit_limits": cluster.limits.map(limits),
        "adaptive_concurrency": cluster.adaptive.map(|settings| json!({
            "min": settings.min,
            "max": settings.max,
            "initial": settings.initial,
            "buffer": settings.buffer,
            "interval": duration(settings.interval),
            "window": settings.window,
        })),
        "retry_budget": cluster.token_budget.map(retries::token_budget),
        "outlier_detection": cluster.outlier_detection.as_deref().map(outlier::detection),
        "endpoints": list(&cluster.endpoints, endpoint),
    })
}

/// Only what is limited, by Envoy's names.
fn limits(limits: Limits) -> Value {
    let named = [
        ("max_connections", limits.connections),
        ("max_pending_requests", limits.pending),
        ("max_requests", limits.requests),
    ];
    let limited = named.into_iter().filter(|(_, max)| *max < u32::MAX);
    limited
        .map(|(name, max)| (name.to_owned(), json!(max)))
        .chain(retries::limit(limits.retries))
        .collect()
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
    let path = match &redirect.path {
        RedirectPath::Keep => "keep".into(),
        RedirectPath::Full(path) => json!({ "full": path }),
        RedirectPath::Prefix(prefix) => json!({ "prefix": prefix }),
    };
    let port = match redirect.port {
        RedirectPort::Keep => "keep".into(),
        RedirectPort::Default => "FROM_PROTOCOL_DEFAULT".into(),
        RedirectPort::Number(port) => Value::from(port),
    };
    json!({
        "status": redirect.status.as_u16(),
        "scheme": redirect.scheme,
        "authority": redirect.authority,
        "path": path,
        "port": port,
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

/// As the mesh configuration writes it.
const fn normalization(normalization: PathNormalization) -> &'static str {
    match normalization {
        PathNormalization::None => "NONE",
        PathNormalization::Base => "BASE",
        PathNormalization::MergeSlashes => "MERGE_SLASHES",
        PathNormalization::DecodeAndMergeSlashes => "DECODE_AND_MERGE_SLASHES",
    }
}

/// A JSON array of what `show` makes of each.
fn list<T>(all: impl IntoIterator<Item = T>, show: impl FnMut(T) -> Value) -> Value {
    all.into_iter().map(show).collect()
}

fn percent(share: PerMillion) -> f64 {
    f64::from(share.get()) / 10_000.0
}

fn duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::compile::from_yaml;

    #[test]
    fn a_rule_is_shown_with_where_it_came_from() {
        let compiled = from_yaml(
            "apiVersion: networking.istio.io/v1\n\
             kind: ServiceEntry\n\
             metadata: {name: shop, namespace: default}\n\
             spec:\n\
             \x20 hosts: [shop.example]\n\
             \x20 location: MESH_INTERNAL\n\
             \x20 resolution: STATIC\n\
             \x20 ports: [{number: 80, name: http, protocol: HTTP}]\n\
             \x20 endpoints: [{address: 127.0.0.1}]\n\
             ---\n\
             apiVersion: networking.istio.io/v1\n\
             kind: VirtualService\n\
             metadata: {name: shop, namespace: default}\n\
             spec:\n\
             \x20 hosts: [shop.example]\n\
             \x20 http:\n\
             \x20 - match: [{uri: {prefix: /old}, headers: {who: {exact: me}}}]\n\
             \x20   redirect: {uri: /new, redirectCode: 302}\n\
             \x20 - route: [{destination: {host: shop.example}}]\n\
             \x20   rewrite: {uri: /v1}\n\
             \x20   mirrors: [{destination: {host: shop.example}, percentage: {value: 12.5}}]\n",
        );
        let dump: Value = serde_json::from_str(&json(&compiled.snapshot, Instant::ZERO)).unwrap();
        let hosts = dump["virtual_hosts"].as_array().unwrap();
        let host = hosts.iter().find(|v| v["name"] == "shop.example:80");
        let rules = &host.unwrap()["rules"];
        let conditions = &rules[0]["match"];
        assert_eq!(conditions[0]["path"]["prefix"], "/old");
        assert_eq!(
            conditions[1],
            json!({ "header": "who", "value": { "exact": "me" } })
        );
        assert_eq!(rules[0]["action"]["redirect"]["path"]["full"], "/new");
        assert_eq!(
            rules[0]["origin"]["resource"],
            "VirtualService default/shop"
        );
        let forward = &rules[1]["action"]["forward"];
        assert_eq!(forward["rewrite_path"]["prefix"], "/v1");
        assert_eq!(
            forward["mirrors"][0],
            json!({ "cluster": "outbound|80||shop.example", "percent": 12.5 })
        );
        let cluster = &forward["destinations"][0]["cluster"];
        assert_eq!(cluster, "outbound|80||shop.example");
        assert_eq!(dump["settings"]["path_normalization"], "BASE");
    }
}
