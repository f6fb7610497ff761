//! From rate limits to Envoy's filters: one for each limit, off until a route turns it on; what a service keeps is told in
//! `global_rate_limits`.
//!
//! So routes share a bucket where they share it in a snapshot. Which requests have a descriptor was settled by the
//! compiler as conditions; each becomes an action that makes an entry if it holds.

use std::collections::{BTreeMap, BTreeSet};

use outrigger_core::snapshot::{
    DescribedBy, Descriptor, EntryMatch, Limit, Limiter, Place, RateLimit, RateLimitId,
    SizedBucket, Snapshot, TextMatch,
};
use outrigger_core::time::Duration;
use serde_json::{Value, json};

use super::words::{duration, extension, runtime_share, type_url};
use super::{Derived, fields, global_rate_limits, matching};

/// Envoy's shortest interval between fills.
const SHORTEST_FILL: Duration = Duration::from_millis(50);

/// gRPC's RESOURCE_EXHAUSTED and UNAVAILABLE.
const EXHAUSTED: u8 = 8;
const UNAVAILABLE: u8 = 14;

/// The name of a limit's filter.
fn filter_name(limit: RateLimitId) -> String {
    format!("local_ratelimit.{}", limit.0)
}

/// Turns filters on for a route.
pub(super) fn turn_on(limiters: &[Limiter], route: &mut Value) {
    for limiter in limiters {
        let (name, said) = match &limiter.limit {
            Limit::Local { id, .. } => (filter_name(*id), json!({})),
            Limit::Global { id, described } => (
                global_rate_limits::filter_name(*id),
                global_rate_limits::for_route(described),
            ),
        };
        let kind = type_url("envoy.config.route.v3.FilterConfig");
        let on = json!({ "@type": kind, "config": said });
        route["typed_per_filter_config"][name] = on;
    }
}

/// The filters of a place, local ones first: where both kinds stand at one place, no case asks in which order.
pub(super) fn filters(snapshot: &Snapshot, place: Place) -> Derived<Vec<Value>> {
    let mut used: BTreeMap<RateLimitId, &[DescribedBy]> = BTreeMap::new();
    let hosts = snapshot
        .virtual_hosts
        .iter()
        .filter_map(|h| h.limits.as_ref());
    let lists = hosts.flat_map(|limits| limits.rules.iter().chain([&limits.otherwise]));
    let unknown = snapshot.unknown_host_limits.iter().map(|(_, list)| list);
    let mut global = BTreeSet::new();
    for limiter in lists
        .chain(unknown)
        .flatten()
        .filter(|limiter| limiter.place == place)
    {
        match &limiter.limit {
            Limit::Local { id, described } => {
                let known = used.entry(*id).or_insert(described);
                if **known != **described {
                    return Err("one rate limit, and each route describes requests in another way");
                }
            }
            Limit::Global { id, .. } => {
                global.insert(*id);
            }
        }
    }
    let filter = |(id, described): (&RateLimitId, &&[DescribedBy])| {
        let limit = snapshot.rate_limit(*id);
        let kind = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
        let mut filter = extension(&filter_name(*id), kind, config(limit, described)?);
        filter["disabled"] = true.into();
        Ok(filter)
    };
    let local = used.iter().map(filter);
    let global = global
        .iter()
        .map(|id| global_rate_limits::filter(snapshot, *id));
    local.chain(global).collect()
}

fn config(limit: &RateLimit, described: &[DescribedBy]) -> Derived<Value> {
    let mut config = json!({
        "stat_prefix": if limit.stat_prefix.is_empty() { "limit" } else { &*limit.stat_prefix },
        "status": { "code": limit.status.as_u16() },
        "filter_enabled": runtime_share(limit.enabled),
        "filter_enforced": runtime_share(limit.enforced),
        "response_headers_to_add": fields::options(&limit.response),
        "request_headers_to_add_when_not_enforced": fields::options(&limit.request),
        "local_rate_limit_per_downstream_connection": limit.per_connection,
        "always_consume_default_token_bucket": limit.always_takes,
    });
    if let Some(sized) = &limit.bucket {
        config["token_bucket"] = bucket(sized);
    }
    if limit.tells_clients {
        config["enable_x_ratelimit_headers"] = "DRAFT_VERSION_03".into();
    }
    match limit.grpc_status {
        None | Some(UNAVAILABLE) => {}
        Some(EXHAUSTED) => config["rate_limited_as_resource_exhausted"] = true.into(),
        Some(_) => return Err("Envoy refuses gRPC requests with 8 or 14 only"),
    }
    let (mut descriptors, mut actions) = (Vec::new(), Vec::new());
    for by in described {
        let (entries, made) = describe(by)?;
        let Descriptor { sized, .. } = &limit.descriptors[by.descriptor as usize];
        descriptors.push(json!({ "entries": entries, "token_bucket": bucket(sized) }));
        actions.extend(made);
    }
    if !descriptors.is_empty() {
        config["descriptors"] = descriptors.into();
        config["rate_limits"] = actions.into();
    }
    Ok(config)
}

/// A bucket; Envoy fills it no more often than it can, with more tokens at a time.
fn bucket(sized: &SizedBucket) -> Value {
    let period = sized.size.period();
    let tokens = SHORTEST_FILL.as_nanos().div_ceil(period.as_nanos()).max(1) as u32;
    json!({
        "max_tokens": sized.size.max_tokens(),
        "tokens_per_fill": tokens,
        "fill_interval": duration(period * tokens),
    })
}

/// The entries that a descriptor has, and the actions that make them.
fn describe(by: &DescribedBy) -> Derived<(Value, Vec<Value>)> {
    let number = by.descriptor.to_string();
    let mut entries: Option<Vec<Value>> = None;
    let mut actions = Vec::new();
    for all in &by.any {
        let made: Vec<(Value, Value)> = (0..)
            .zip(all)
            .map(|(at, entry)| action(entry, &format!("entry{at}"), &number))
            .collect();
        let (these, mut list): (Vec<Value>, Vec<Value>) = made.into_iter().unzip();
        let these = match these.is_empty() {
            false => these,
            true => {
                list.push(json!({ "generic_key": { "descriptor_value": number } }));
                vec![json!({ "key": "generic_key", "value": number })]
            }
        };
        if *entries.get_or_insert_with(|| these.clone()) != these {
            return Err("one bucket for requests that are described in two ways");
        }
        actions.push(json!({ "actions": list }));
    }
    Ok((entries.unwrap_or_default().into(), actions))
}

/// The entry that an action makes when it holds, and the action.
fn action(entry: &EntryMatch, key: &str, value: &str) -> (Value, Value) {
    let (headers, expect) = match entry {
        EntryMatch::RemoteAddress(ip) => {
            let entry = json!({ "key": "remote_address", "value": ip.to_string() });
            return (entry, json!({ "remote_address": {} }));
        }
        EntryMatch::Field(name, wanted) => {
            let wanted = TextMatch::Exact(wanted.clone());
            (vec![matching::header(name.as_str(), &wanted)], true)
        }
        EntryMatch::Absent(name) => {
            let absent = json!({ "name": name.as_str(), "present_match": false });
            (vec![absent], true)
        }
        EntryMatch::Headers { all, expect } => (
            all.iter().map(global_rate_limits::header).collect(),
            *expect,
        ),
    };
    let entry = json!({ "key": key, "value": value });
    let matched = json!({
        "descriptor_key": key,
        "descriptor_value": value,
        "expect_match": expect,
        "headers": headers,
    });
    (entry, json!({ "header_value_match": matched }))
}
