//! From rules to Envoy's routes.

use outrigger_core::snapshot::{
    Action, CorsPolicy, Destination, DestinationCluster, DirectResponse, Forward, HashPolicy,
    Mirror, PathRewrite, Redirect, RedirectPath, RedirectPort, Rewrite, Rule, Snapshot, StreamIdle,
    TextMatch,
};
use serde_json::{Value, json};

use super::words::{duration, duration_or_none, runtime_share, text_match, type_url};
use super::{Derived, fields, matching, resilience};

/// The filters that a route may configure.
pub(super) const CORS: &str = "envoy.filters.http.cors";
pub(super) const FAULT: &str = "envoy.filters.http.fault";

/// The cluster that leads where the client wanted to go.
pub(super) const PASSTHROUGH: &str = "PassthroughCluster";

/// A rule as a route.
pub(super) fn route(snapshot: &Snapshot, rule: &Rule) -> Derived<Value> {
    let matched = matching::route_match(&rule.condition);
    let mut route = json!({ "name": &*rule.name, "match": matched });
    match &*rule.action {
        Action::Forward(plan) => forward(snapshot, plan, &mut route)?,
        Action::Redirect(to) => {
            route["redirect"] = redirect(to);
            fields::response(&to.response, &mut route);
        }
        Action::Respond(direct) => {
            route["direct_response"] = respond(direct);
            fields::response(&direct.response, &mut route);
        }
    }
    Ok(route)
}

/// The same for CONNECT, which Envoy matches apart; `None` where a rule is about something that a CONNECT has not.
pub(super) fn tunnel(snapshot: &Snapshot, rule: &Rule) -> Derived<Option<Value>> {
    if rule.condition.path.is_some() || !matches!(&*rule.action, Action::Forward(_)) {
        return Ok(None);
    }
    let mut route = route(snapshot, rule)?;
    as_tunnel(&mut route);
    Ok(Some(route))
}

/// Makes a route that forwards one for CONNECT.
pub(super) fn as_tunnel(route: &mut Value) {
    if let Some(matched) = route["match"].as_object_mut() {
        matched.remove("prefix");
        matched.insert("connect_matcher".to_owned(), json!({}));
    }
    if let Some(action) = route.get_mut("route") {
        action["upgrade_configs"] = json!([{ "upgrade_type": "CONNECT", "connect_config": {} }]);
    }
}

/// The name of a destination's cluster, whether there is one or not.
pub(super) fn cluster_name<'a>(snapshot: &'a Snapshot, to: &'a DestinationCluster) -> &'a str {
    match to {
        DestinationCluster::Known(id) => &snapshot.cluster(*id).name,
        DestinationCluster::Missing(name) => name,
        DestinationCluster::Passthrough => PASSTHROUGH,
    }
}

fn forward(snapshot: &Snapshot, plan: &Forward, route: &mut Value) -> Derived<()> {
    // Istio lets a call's own time count, but for no more than the route's.
    let timeout = duration_or_none(plan.timeout);
    let mut action = json!({ "timeout": timeout, "max_grpc_timeout": timeout });
    destinations(snapshot, &plan.destinations, route, &mut action)?;
    rewrite(&plan.rewrite, &mut action)?;
    if plan.missing_is_500 {
        action["cluster_not_found_response_code"] = "INTERNAL_SERVER_ERROR".into();
    }
    match plan.stream_idle {
        StreamIdle::Unsaid => {}
        StreamIdle::Never => action["idle_timeout"] = "0s".into(),
        StreamIdle::After(time) => action["idle_timeout"] = duration(time),
    }
    if let Some(policy) = &plan.retry {
        action["retry_policy"] = resilience::retry(policy);
        if policy.hedge_on_per_try_timeout {
            action["hedge_policy"] = json!({ "hedge_on_per_try_timeout": true });
        }
    }
    let mirror = |mirror: &Mirror| {
        let cluster = cluster_name(snapshot, &mirror.cluster);
        json!({
            "cluster": cluster,
            "runtime_fraction": runtime_share(mirror.share),
            "disable_shadow_host_suffix_append": true,
        })
    };
    if !plan.mirrors.is_empty() {
        action["request_mirror_policies"] = plan.mirrors.iter().map(mirror).collect();
    }
    let hashes = hash_policies(snapshot, &plan.destinations)?;
    if !hashes.is_empty() {
        action["hash_policy"] = hashes.into();
    }
    route["route"] = action;
    if let Some(policy) = &plan.cors {
        route["typed_per_filter_config"][CORS] = cors(policy);
    }
    if let Some(policy) = &plan.fault {
        let mut fault = resilience::fault(policy)?;
        fault["@type"] = type_url("envoy.extensions.filters.http.fault.v3.HTTPFault");
        route["typed_per_filter_config"][FAULT] = fault;
    }
    Ok(())
}

/// One destination, or weighted ones.
fn destinations(
    snapshot: &Snapshot,
    all: &[Destination],
    route: &mut Value,
    action: &mut Value,
) -> Derived<()> {
    if let [only] = all {
        action["cluster"] = cluster_name(snapshot, &only.cluster).into();
        fields::request(&only.request, route)?;
        fields::response(&only.response, route);
        if let Some(host) = route.as_object_mut().and_then(|r| r.remove(AUTHORITY)) {
            action[AUTHORITY] = host;
        }
        return Ok(());
    }
    let weighted = |to: &Destination| {
        let name = cluster_name(snapshot, &to.cluster);
        let mut entry = json!({ "name": name, "weight": to.weight });
        fields::request(&to.request, &mut entry)?;
        fields::response(&to.response, &mut entry);
        Ok(entry)
    };
    let clusters = all.iter().map(weighted).collect::<Derived<Vec<_>>>()?;
    action["weighted_clusters"] = json!({ "clusters": clusters });
    Ok(())
}

/// Where a route and a weighted cluster both keep a new authority.
const AUTHORITY: &str = "host_rewrite_literal";

fn rewrite(rewrite: &Rewrite, action: &mut Value) -> Derived<()> {
    match &rewrite.path {
        None => {}
        Some(PathRewrite::Prefix(prefix)) if prefix.is_empty() => {
            return Err("an empty prefix to rewrite to is none to Envoy");
        }
        Some(PathRewrite::Prefix(prefix)) => action["prefix_rewrite"] = (&**prefix).into(),
        Some(PathRewrite::Regex {
            pattern,
            replacement,
        }) => {
            let pattern = json!({ "regex": pattern.pattern });
            let substitution = re2(replacement);
            action["regex_rewrite"] = json!({ "pattern": pattern, "substitution": substitution });
        }
    }
    if let Some(authority) = &rewrite.authority {
        action[AUTHORITY] = (&**authority).into();
    }
    Ok(())
}

/// A replacement of the `regex` crate in RE2's spelling: `${1}` is `\1` there.
fn re2(replacement: &str) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => out.push_str(r"\\"),
            '$' if rest.starts_with('$') => {
                rest = &rest[1..];
                out.push('$');
            }
            '$' => match rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
                Some((number, after)) => {
                    out.push('\\');
                    out.push_str(number);
                    rest = after;
                }
                None => out.push('$'),
            },
            other => out.push(other),
        }
    }
    out
}

/// As Istio, the policies of all destinations one after another.
fn hash_policies(snapshot: &Snapshot, all: &[Destination]) -> Derived<Vec<Value>> {
    let mut policies = Vec::new();
    for to in all {
        let DestinationCluster::Known(id) = &to.cluster else {
            continue;
        };
        if let Some(policy) = &snapshot.cluster(*id).hash_policy {
            let policy = hash_policy(policy);
            if !policies.contains(&policy) {
                policies.push(policy);
            }
        }
    }
    match policies.len() {
        0 | 1 => Ok(policies),
        _ => Err("a route of Envoy hashes alike for all its clusters"),
    }
}

fn hash_policy(policy: &HashPolicy) -> Value {
    match policy {
        HashPolicy::Field(field) => json!({ "header": { "header_name": field.as_str() } }),
        HashPolicy::SourceAddress => json!({ "connection_properties": { "source_ip": true } }),
        HashPolicy::QueryParameter(name) => json!({ "query_parameter": { "name": name } }),
        HashPolicy::Cookie(cookie) => {
            let mut hashed = json!({ "name": cookie.name });
            if let Some(make) = &cookie.make {
                made_cookie(make, &mut hashed);
            }
            json!({ "cookie": hashed })
        }
    }
}

/// What stands behind a made cookie's value, taken apart again. Envoy itself writes `HttpOnly`.
fn made_cookie(behind: &str, hashed: &mut Value) {
    hashed["ttl"] = "0s".into();
    let mut attributes = Vec::new();
    for part in behind.split("; ").filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "Max-Age" => hashed["ttl"] = format!("{value}s").into(),
            "Path" => hashed["path"] = value.into(),
            "HttpOnly" => {}
            _ => attributes.push(json!({ "name": name, "value": value })),
        }
    }
    if !attributes.is_empty() {
        hashed["attributes"] = attributes.into();
    }
}

fn cors(policy: &CorsPolicy) -> Value {
    let any = || json!({ "prefix": "" });
    let origin = |origin: &TextMatch| text_match(origin).unwrap_or_else(any);
    let origins: Vec<Value> = policy.allow_origins.iter().map(origin).collect();
    let mut cors = json!({
        "@type": type_url("envoy.extensions.filters.http.cors.v3.CorsPolicy"),
        "allow_origin_string_match": origins,
        "allow_methods": policy.allow_methods,
        "allow_headers": policy.allow_headers,
        "expose_headers": policy.expose_headers,
        "allow_credentials": policy.allow_credentials,
        "forward_not_matching_preflights": policy.forward_unmatched_preflights,
        "filter_enabled": { "default_value": { "numerator": 100 } },
    });
    if let Some(age) = &policy.max_age {
        cors["max_age"] = (&**age).into();
    }
    cors
}

fn redirect(to: &Redirect) -> Value {
    let status = match to.status.as_u16() {
        302 => "FOUND",
        303 => "SEE_OTHER",
        307 => "TEMPORARY_REDIRECT",
        308 => "PERMANENT_REDIRECT",
        _ => "MOVED_PERMANENTLY",
    };
    let mut redirect = json!({ "response_code": status });
    if let Some(scheme) = &to.scheme {
        redirect["scheme_redirect"] = (&**scheme).into();
    }
    if let Some(authority) = &to.authority {
        redirect["host_redirect"] = (&**authority).into();
    }
    match &to.path {
        RedirectPath::Keep => {}
        RedirectPath::Full(path) => redirect["path_redirect"] = (&**path).into(),
        RedirectPath::Prefix(prefix) => redirect["prefix_rewrite"] = (&**prefix).into(),
    }
    match to.port {
        // Istio writes no port for `FROM_PROTOCOL_DEFAULT`.
        RedirectPort::Keep | RedirectPort::Default => {}
        RedirectPort::Number(port) => redirect["port_redirect"] = port.into(),
    }
    redirect
}

fn respond(direct: &DirectResponse) -> Value {
    let mut response = json!({ "status": direct.status.as_u16() });
    if !direct.body.is_empty() {
        let text = String::from_utf8_lossy(&direct.body);
        response["body"] = json!({ "inline_string": text });
    }
    response
}
