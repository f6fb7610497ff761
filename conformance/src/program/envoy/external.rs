//! From CUSTOM policies to Envoy's filters, as Istio's control plane makes them (`pilot/pkg/security/authz`): RBAC finds out in
//! its shadow whether a rule matches, and `ext_authz` asks the provider where one did.

use outrigger_core::snapshot::{
    Authorizer, AuthorizerProtocol, CheckedBody, HttpCheck, Snapshot, TextPattern,
};
use serde_json::{Value, json};

use super::Derived;
use super::access::{self, text_match};
use super::routes::cluster_name;
use super::words::{duration, extension};

/// How the names of its rules begin.
const RULE: &str = "istio-ext-authz";

/// The two filters of a provider, none where no policy has one.
pub(super) fn filters(snapshot: &Snapshot) -> Derived<Vec<Value>> {
    let policies = &*snapshot.authorization;
    let check = match &*policies.external {
        [] => return Ok(Vec::new()),
        [check] => check,
        _ => return Err("Istio lets a workload have one provider"),
    };
    let prefix = "istio_ext_authz_provider_";
    let rules = access::rules("DENY", RULE, &check.rules, policies)?;
    let shadow = json!({ "shadow_rules": rules, "shadow_rules_stat_prefix": prefix });
    let shadow = extension(access::FILTER, access::KIND, shadow);
    let mut asks = asks(snapshot, &check.authorizer)?;
    asks["filter_enabled_metadata"] = json!({
        "filter": access::FILTER,
        "path": [{ "key": format!("{prefix}shadow_effective_policy_id") }],
        "value": { "string_match": { "prefix": RULE } },
    });
    let kind = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";
    Ok(vec![
        shadow,
        extension("envoy.filters.http.ext_authz", kind, asks),
    ])
}

fn asks(snapshot: &Snapshot, to: &Authorizer) -> Derived<Value> {
    let cluster = cluster_name(snapshot, &to.cluster);
    let timeout = duration(to.timeout);
    let mut config = json!({
        "transport_api_version": "V3",
        "failure_mode_allow": to.fails_open,
        "status_on_error": { "code": to.status_on_error.as_u16() },
    });
    if let Some(CheckedBody {
        most,
        allow_partial,
        as_bytes,
    }) = to.body
    {
        config["with_request_body"] = json!({
            "max_request_bytes": most,
            "allow_partial_message": allow_partial,
            "pack_as_bytes": as_bytes,
        });
    }
    match &to.protocol {
        AuthorizerProtocol::Grpc => {
            config["grpc_service"] = json!({
                "envoy_grpc": { "cluster_name": cluster, "authority": to.authority },
                "timeout": timeout,
            });
        }
        AuthorizerProtocol::Http(check) => {
            let uri = json!({ "uri": format!("http://{}", to.authority), "cluster": cluster, "timeout": timeout });
            over_http(check, uri, &mut config);
        }
    }
    Ok(config)
}

fn over_http(check: &HttpCheck, uri: Value, config: &mut Value) {
    let adds = check.adds.iter();
    let adds: Vec<Value> = adds
        .map(|(name, value)| json!({ "key": name.as_str(), "value": value }))
        .collect();
    let mut service = json!({
        "server_uri": uri,
        "path_prefix": check.path_prefix,
        "authorization_request": { "headers_to_add": adds },
    });
    for (names, key) in [
        (&check.to_upstream, "allowed_upstream_headers"),
        (&check.to_refused, "allowed_client_headers"),
        (&check.to_allowed, "allowed_client_headers_on_success"),
    ] {
        if !names.is_empty() {
            service["authorization_response"][key] = patterns(names);
        }
    }
    config["http_service"] = service;
    if !check.sees.is_empty() {
        config["allowed_headers"] = patterns(&check.sees);
    }
}

/// Names of fields, in any case.
fn patterns(names: &[TextPattern]) -> Value {
    let names: Vec<Value> = names.iter().map(|name| text_match(name, true)).collect();
    json!({ "patterns": names })
}
