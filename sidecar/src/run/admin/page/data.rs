//! `/page.json`: what the page shows, as it is counted already. The page makes rates of it by asking again.
//!
//! Owns what is shown and how much of it. Requests with their stories and explanations the page asks for where they are.

use outrigger_core::cluster::{Counted, RetryEvent, RetryLimit};
use outrigger_core::snapshot::{Cluster, Endpoint};
use outrigger_core::time::Instant;
use outrigger_telemetry::metrics::{ClusterRequests, Collected, Distribution, StatusCounts};
use serde_json::{Value, json};

use super::super::clusters::{balancing_name, sweep};
use super::super::{Sources, about};

/// Endpoints that are shown; of clusters beyond that only the sums are.
const MOST_ENDPOINTS: usize = 5000;

/// Bounds of times, in microseconds: ten to each power of ten, from a tenth of a millisecond to a minute and a half. Counts below
/// them are exact.
const BOUNDS: [u64; 60] = {
    const STEPS: [u64; 10] = [100, 125, 160, 200, 250, 320, 400, 500, 630, 800];
    let (mut bounds, mut at, mut power) = ([0; 60], 0, 1);
    while at < bounds.len() {
        bounds[at] = STEPS[at % STEPS.len()] * power;
        at += 1;
        if at % STEPS.len() == 0 {
            power *= 10;
        }
    }
    bounds
};

/// Everything, as it is at this moment.
pub(in crate::run::admin) fn json(sources: &Sources) -> String {
    let Sources {
        handle,
        telemetry,
        reloads,
        about,
        ..
    } = sources;
    let (snapshot, stats, now) = (handle.snapshot(), handle.stats(), handle.now());
    let collected = telemetry.collect(&snapshot);
    let mut room = MOST_ENDPOINTS;
    let services: Value = snapshot
        .clusters
        .iter()
        .map(|cluster| {
            sweep(cluster, now);
            service(
                cluster,
                collected.clusters.get(&*cluster.name),
                now,
                &mut room,
            )
        })
        .collect();
    let (findings, found) = reloads.history().findings();
    let value = json!({
        "workload": about.workload(),
        "namespace": about.namespace,
        "labels": about.labels(),
        "version": env!("CARGO_PKG_VERSION"),
        "runtime": about.runtime,
        "workers": stats.workers,
        "state": about::state(handle),
        "uptime_s": about.started.elapsed().as_secs(),
        // Rates are made by the proxy's clock, because a browser may be suspended.
        "now_ms": now.as_nanos() / 1_000_000,
        "revision": snapshot.revision,
        "revision_in_use": stats.revision,
        "reloads": reloads.history().events(),
        "findings": findings,
        "found": found,
        "listeners": listeners(sources, &collected),
        "bounds_ms": BOUNDS.iter().map(|micros| *micros as f64 / 1000.0).collect::<Vec<_>>(),
        "services": services,
    });
    value.to_string()
}

fn listeners(sources: &Sources, collected: &Collected) -> Value {
    let stats = sources.handle.stats();
    let named = about::named_listeners(&sources.handle).zip(&stats.listeners);
    let told = named.enumerate().map(|(at, ((direction, addr), stats))| {
        let counted = collected.listeners.get(at);
        json!({
            "name": about::listener_name(direction, addr),
            "direction": direction,
            "addr": addr.to_string(),
            "connections": stats.active,
            "requests": counted.map_or(0, |counted| counted.codes.total()),
            "failures": counted.map_or(0, |counted| failures(&counted.codes)),
            "times": counted.map_or(Value::Null, |counted| times(&counted.time)),
        })
    });
    told.collect()
}

/// Responses that blame us or those behind us, and those that never came.
fn failures(codes: &StatusCounts) -> u64 {
    codes.class(5) + codes.class(0)
}

/// How many there are below each bound and not below the one before, and beyond all; nothing where there are none.
fn times(times: &Distribution) -> Value {
    let all = times.count();
    if all == 0 {
        return Value::Null;
    }
    let mut before = 0;
    let mut counts: Vec<u64> = (times.at_most(&BOUNDS).into_iter())
        .map(|below| below - std::mem::replace(&mut before, below))
        .collect();
    counts.push(all - before);
    json!(counts)
}

/// `counted` has responses that no endpoint gave, too: to whom a limit left no place, for whom no endpoint was left.
fn service(
    cluster: &Cluster,
    counted: Option<&ClusterRequests>,
    now: Instant,
    room: &mut usize,
) -> Value {
    let all = cluster.endpoints.len();
    let shown = if all <= *room { all } else { 0 };
    *room -= shown;
    let sum = |count: fn(&Endpoint) -> u64| cluster.endpoints.iter().map(count).sum::<u64>();
    let retries = [
        RetryEvent::BackOff,
        RetryEvent::RetryAfter,
        RetryEvent::Hedge,
    ];
    let retries = retries.map(|event| cluster.state.counted_retries(event));
    json!({
        "name": cluster.name,
        "host": cluster.host,
        "port": cluster.port,
        "subset": cluster.subset,
        "balancing": balancing_name(cluster.balancing),
        "requests": counted.map_or(0, |counted| counted.codes.total()),
        "failures": counted.map_or(0, |counted| failures(&counted.codes)),
        "times": counted.map_or(Value::Null, |counted| times(&counted.time)),
        "active": sum(|endpoint| endpoint.state.active().into()),
        "retries": retries.iter().sum::<u64>(),
        "members": all,
        "ejected": cluster.endpoints.iter().filter(|e| e.state.is_ejected()).count(),
        "limits": limits(cluster),
        "endpoints": cluster.endpoints[..shown].iter().map(|e| endpoint(e, now)).collect::<Value>(),
    })
}

/// What is counted against what it may be. Nothing is counted where nothing is limited.
fn limits(cluster: &Cluster) -> Value {
    let mut limits = Vec::new();
    if let Some(most) = cluster.limits {
        let retries = match most.retries {
            RetryLimit::Count(most) => most,
            // A share of what is under way has no number to be held against.
            RetryLimit::Share(_) => u32::MAX,
        };
        limits = vec![
            (Counted::Connections, most.connections),
            (Counted::Pending, most.pending),
            (Counted::Requests, most.requests),
            (Counted::Retries, retries),
        ];
    }
    if let Some(settings) = &cluster.adaptive {
        let most = cluster.state.adaptive().limit(settings);
        limits.push((Counted::Concurrency, most));
    }
    let limited = limits.into_iter().filter(|(_, most)| *most < u32::MAX);
    let gauges = cluster.state.gauges();
    limited
        .map(|(counted, most)| {
            json!({ "name": counted.as_str(), "now": gauges.current(counted), "most": most })
        })
        .collect()
}

fn endpoint(endpoint: &Endpoint, now: Instant) -> Value {
    let state = &endpoint.state;
    let ejected = state.ejected().map(|ejected| {
        json!({
            "reason": ejected.reason.to_string(),
            "left_ms": ejected.until.since(now).as_millis() as u64,
            "of_ms": ejected.until.since(ejected.since).as_millis() as u64,
        })
    });
    json!({
        "address": endpoint.text,
        "weight": endpoint.weight,
        "priority": endpoint.priority,
        "locality": endpoint.locality,
        "ejected": ejected,
        "ejections": state.ejections(),
        "active": state.active(),
        "connections": state.connections(),
        "connect_failures": state.connect_failures(),
        "requests": state.requests(),
        "failures": state.failures(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::compile::from_yaml;

    #[test]
    fn a_service_is_told_with_its_limits_and_as_many_endpoints_as_there_is_room_for() {
        let snapshot = from_yaml(
            "kind: ServiceEntry\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {name: shop}\n\
             spec: {hosts: [shop.example], resolution: STATIC, \
             endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}], \
             ports: [{number: 80, name: http, protocol: HTTP}]}\n\
             ---\n\
             kind: DestinationRule\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {name: shop}\n\
             spec: {host: shop.example, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 7}}}}\n",
        )
        .snapshot;
        let mut shop = snapshot.clusters.iter();
        let shop = shop
            .find(|cluster| &*cluster.host == "shop.example")
            .unwrap();
        let mut room = 3;
        let told = service(shop, None, Instant::ZERO, &mut room);
        assert_eq!(
            told["limits"],
            json!([{ "name": "requests", "now": 0, "most": 7 }])
        );
        assert_eq!(
            (&told["requests"], &told["times"]),
            (&json!(0), &Value::Null)
        );
        assert_eq!(told["endpoints"][1]["address"], "10.0.0.2:80");
        let told = service(shop, None, Instant::ZERO, &mut room);
        assert_eq!(
            (&told["members"], &told["endpoints"]),
            (&json!(2), &json!([]))
        );
    }
}
