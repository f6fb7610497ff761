//! From global rate limits to Envoy's filters, which ask the same services; and what routes tell them of requests.

use outrigger_core::snapshot::{
    Describes, DescriptorAction, GlobalRateLimit, GlobalRateLimitId, HeaderMatch, Snapshot,
};
use serde_json::{Value, json};

use super::routes::cluster_name;
use super::words::{duration_or_none, extension, runtime_share, type_url};
use super::{Derived, fields, matching};

/// gRPC's RESOURCE_EXHAUSTED.
const EXHAUSTED: u8 = 8;

/// The name of a limit's filter.
pub(super) fn filter_name(limit: GlobalRateLimitId) -> String {
    format!("ratelimit.{}", limit.0)
}

/// The filter of a limit, off until a route turns it on.
pub(super) fn filter(snapshot: &Snapshot, id: GlobalRateLimitId) -> Derived<Value> {
    let limit = snapshot.global_rate_limit(id);
    let kind = "envoy.extensions.filters.http.ratelimit.v3.RateLimit";
    let mut filter = extension(&filter_name(id), kind, config(snapshot, limit)?);
    filter["disabled"] = true.into();
    Ok(filter)
}

fn config(snapshot: &Snapshot, limit: &GlobalRateLimit) -> Derived<Value> {
    let metadata = limit.metadata.iter();
    let metadata: Vec<_> = metadata
        .map(|(name, value)| json!({ "key": name.as_str(), "value": value }))
        .collect();
    let mut config = json!({
        "domain": limit.domain,
        "timeout": duration_or_none(limit.timeout),
        "filter_enabled": runtime_share(limit.enabled),
        "filter_enforced": runtime_share(limit.enforced),
        "failure_mode_deny_percent": runtime_share(limit.denied_on_failure),
        "rate_limited_status": { "code": limit.status.as_u16() },
        "status_on_error": { "code": limit.status_on_error.as_u16() },
        "disable_x_envoy_ratelimited_header": !limit.says_limited,
        "response_headers_to_add": fields::options(&limit.response),
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {
                "envoy_grpc": {
                    "cluster_name": cluster_name(snapshot, &limit.cluster),
                    "authority": limit.authority,
                },
                "initial_metadata": metadata,
            },
        },
    });
    if limit.tells_clients {
        config["enable_x_ratelimit_headers"] = "DRAFT_VERSION_03".into();
    }
    match limit.grpc_status {
        None => {}
        Some(EXHAUSTED) => config["rate_limited_as_resource_exhausted"] = true.into(),
        Some(_) => return Err("Envoy refuses gRPC requests with 8 or by their status only"),
    }
    Ok(config)
}

/// What a route tells the filter, which has been settled for it: in the place of all that other routes say.
pub(super) fn for_route(described: &[Describes]) -> Value {
    let lists: Vec<Value> = described.iter().map(rate_limit).collect();
    json!({
        "@type": type_url("envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute"),
        "rate_limits": lists,
    })
}

fn rate_limit(by: &Describes) -> Value {
    let actions: Vec<Value> = by.actions.iter().map(action).collect();
    let mut list = json!({ "actions": actions });
    if let Some(number) = by.hits {
        list["hits_addend"] = json!({ "number": number });
    }
    list
}

fn action(action: &DescriptorAction) -> Value {
    match action {
        DescriptorAction::GenericKey(key, value) => json!({
            "generic_key": { "descriptor_key": key, "descriptor_value": value },
        }),
        DescriptorAction::RequestHeader {
            name,
            key,
            skip_if_absent,
        } => json!({ "request_headers": {
            "header_name": name.as_str(),
            "descriptor_key": key,
            "skip_if_absent": skip_if_absent,
        } }),
        DescriptorAction::HeaderValueMatch {
            key,
            value,
            expect_match,
            headers,
        } => json!({ "header_value_match": {
            "descriptor_key": key,
            "descriptor_value": value,
            "expect_match": expect_match,
            "headers": headers.iter().map(header).collect::<Vec<_>>(),
        } }),
        DescriptorAction::RemoteAddress => json!({ "remote_address": {} }),
    }
}

/// A match on a header field as Envoy has it.
pub(super) fn header(wanted: &HeaderMatch) -> Value {
    let mut header = match &wanted.value {
        Some(text) => matching::header(wanted.name.as_str(), text),
        None => json!({ "name": wanted.name.as_str(), "present_match": wanted.present }),
    };
    header["invert_match"] = wanted.invert.into();
    header
}
