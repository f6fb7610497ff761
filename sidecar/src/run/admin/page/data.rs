//! `/page.json`: what the page shows, as it is counted already. The page makes rates of it by asking again.
//!
//! Owns what is shown and how much of it: an answer costs what is in use and what is looked at, however many services are known.
//! Requests with their stories and explanations the page asks for where they are.

use outrigger_core::cluster::{Counted, RetryEvent, RetryLimit};
use outrigger_core::snapshot::{Cluster, Endpoint, Snapshot};
use outrigger_core::time::Instant;
use outrigger_telemetry::metrics::{
    ClusterEvent, ClusterRequests, Collected, Distribution, MirrorFates, StatusCounts,
};
use serde_json::{Value, json};

use super::super::clusters::{balancing_name, sweep};
use super::super::parameters::Parameters;
use super::super::{Sources, about};

/// Endpoints that are shown of what somebody has open; of clusters beyond that only the sums are.
const MOST_ENDPOINTS: usize = 5000;

/// Services that are in use and shown, those with most requests; and as many of those that somebody looks for.
const MOST_SERVICES: usize = 200;

/// What somebody looks at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::run::admin) struct Looks {
    /// A part of the name or of an endpoint's address, in lower case; empty looks for nothing.
    find: String,
    /// Those without traffic, too.
    all: bool,
    /// Names of those whose endpoints are shown.
    open: Vec<String>,
}

impl Looks {
    /// Takes `find`, `all` and `open`, names with commas between.
    ///
    /// # Errors
    /// `all` has a value.
    pub(in crate::run::admin) fn new(parameters: &Parameters) -> Result<Self, String> {
        let text = |name| parameters.get(name).unwrap_or_default();
        let open = text("open").split(',').filter(|name| !name.is_empty());
        Ok(Self {
            find: text("find").trim().to_lowercase(),
            all: parameters.flag("all")?,
            open: open.map(str::to_owned).collect(),
        })
    }

    /// Whether somebody looks for this one.
    fn finds(&self, cluster: &Cluster) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.find);
        match self.find.is_empty() {
            true => self.all,
            false => has(&cluster.name) || cluster.endpoints.iter().any(|e| has(&e.text)),
        }
    }
}

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

/// Everything that is looked at, as it is at this moment.
pub(in crate::run::admin) fn json(sources: &Sources, looks: &Looks) -> String {
    let Sources {
        handle,
        telemetry,
        reloads,
        about,
        ..
    } = sources;
    let (snapshot, stats, now) = (handle.snapshot(), handle.stats(), handle.now());
    let collected = telemetry.collect(&snapshot);
    let (shown, left_out) = shown(&snapshot, &collected, looks, now);
    let mut room = MOST_ENDPOINTS;
    let services = shown.iter().map(|(cluster, counted, found)| {
        let is_open = looks.open.iter().any(|name| **name == *cluster.name);
        let mut told = service(cluster, *counted, now, is_open.then_some(&mut room));
        told["found"] = (*found).into();
        told
    });
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
        "mirrors": mirrors(&collected.mirrors),
        "bounds_ms": BOUNDS.iter().map(|micros| *micros as f64 / 1000.0).collect::<Vec<_>>(),
        "find": looks.find,
        "services": services.collect::<Value>(),
        "services_known": snapshot.clusters.len(),
        "services_left_out": left_out,
    });
    value.to_string()
}

type Shown<'a> = (&'a Cluster, Option<&'a ClusterRequests>, bool);

/// Those that are in use, or looked for, in the order of their names, and how many of them there is no room for.
fn shown<'a>(
    snapshot: &'a Snapshot,
    collected: &'a Collected,
    looks: &Looks,
    now: Instant,
) -> (Vec<Shown<'a>>, usize) {
    let (mut used, mut quiet) = (Vec::new(), Vec::new());
    let mut left_out = 0;
    for cluster in snapshot.clusters.iter() {
        sweep(cluster, now);
        let counted = collected.clusters.get(&*cluster.name);
        let found = looks.finds(cluster);
        let is_ejected = |e: &Endpoint| e.state.is_ejected();
        if counted.is_some() || cluster.endpoints.iter().any(is_ejected) {
            used.push((cluster, counted, found));
        } else if found && quiet.len() < MOST_SERVICES {
            quiet.push((cluster, counted, found));
        } else {
            left_out += usize::from(found);
        }
    }
    if used.len() > MOST_SERVICES {
        left_out += used.len() - MOST_SERVICES;
        let requests = |of: &Shown<'_>| of.1.map_or(0, |counted| counted.codes.total());
        // What is looked for comes first.
        used.sort_by_key(|of| std::cmp::Reverse((of.2 && !looks.find.is_empty(), requests(of))));
        used.truncate(MOST_SERVICES);
    }
    used.append(&mut quiet);
    used.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    (used, left_out)
}

/// What became of copies for mirrors.
fn mirrors(fates: &MirrorFates) -> Value {
    json!({
        "sent": fates.sent,
        "incomplete": fates.incomplete,
        "without a cluster": fates.no_cluster,
        "without an endpoint": fates.no_endpoint,
        "with a long body": fates.body_too_long,
        "dropped, too many": fates.dropped,
    })
}

/// What limits have refused: places, and retries.
fn refused(cluster: &Cluster, counted: Option<&ClusterRequests>) -> Value {
    let event = |event: ClusterEvent| counted.map_or(0, |counted| counted.events[event as usize]);
    json!({
        "circuit": event(ClusterEvent::PendingOverflow),
        "concurrency": event(ClusterEvent::ConcurrencyLimited),
        "retries": cluster.state.counted_retries(RetryEvent::Overflow),
    })
}

fn listeners(sources: &Sources, collected: &Collected) -> Value {
    let stats = sources.handle.stats();
    let told = stats.listeners.iter().map(|stats| {
        let (direction, addr) = (about::direction(stats.kind), stats.addr);
        let counted = collected.listeners.get(stats.at);
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

/// `counted` has responses that no endpoint gave, too: to whom a limit left no place, for whom no endpoint was left. `room`: for
/// endpoints, where they are looked at.
fn service(
    cluster: &Cluster,
    counted: Option<&ClusterRequests>,
    now: Instant,
    room: Option<&mut usize>,
) -> Value {
    let all = cluster.endpoints.len();
    let shown = room.filter(|room| all <= **room).map(|room| {
        *room -= all;
        cluster
            .endpoints
            .iter()
            .map(|e| endpoint(e, now))
            .collect::<Value>()
    });
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
        "refused": refused(cluster, counted),
        "endpoints": shown,
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

    /// Two endpoints, and a limit.
    fn shop(name: &str) -> String {
        format!(
            "kind: ServiceEntry\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {{name: {name}}}\n\
             spec: {{hosts: [{name}.example], resolution: STATIC, \
             endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}], \
             ports: [{{number: 80, name: http, protocol: HTTP}}]}}\n\
             ---\n\
             kind: DestinationRule\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {{name: {name}}}\n\
             spec: {{host: {name}.example, trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: 7}}}}}}}}\n---\n"
        )
    }

    #[test]
    fn a_service_is_told_with_its_limits_and_as_many_endpoints_as_there_is_room_for() {
        let snapshot = from_yaml(&shop("shop")).snapshot;
        let mut shop = snapshot.clusters.iter();
        let shop = shop
            .find(|cluster| &*cluster.host == "shop.example")
            .unwrap();
        let mut room = 3;
        let told = service(shop, None, Instant::ZERO, Some(&mut room));
        assert_eq!(
            told["limits"],
            json!([{ "name": "requests", "now": 0, "most": 7 }])
        );
        assert_eq!(
            (&told["requests"], &told["times"]),
            (&json!(0), &Value::Null)
        );
        assert_eq!(told["refused"]["circuit"], 0);
        assert_eq!(told["endpoints"][1]["address"], "10.0.0.2:80");
        let told = service(shop, None, Instant::ZERO, Some(&mut room));
        assert_eq!(
            (&told["members"], &told["endpoints"]),
            (&json!(2), &Value::Null)
        );
    }

    #[test]
    fn what_is_in_use_and_what_is_looked_for_is_shown() {
        let yaml: String = (0..300).map(|n| shop(&format!("shop-{n}"))).collect();
        let snapshot = from_yaml(&yaml).snapshot;
        let used = |names: &[&str]| {
            let mut collected = Collected::default();
            for name in names {
                let name = format!("outbound|80||{name}.example");
                let counted = ClusterRequests::default();
                collected.clusters.insert(name.into(), counted);
            }
            collected
        };
        let look = |query: &str, used: &Collected| {
            let parameters = Parameters::read("/page.json", query, &["find", "all", "open"]);
            let looks = Looks::new(&parameters.unwrap()).unwrap();
            let (shown, left_out) = shown(&snapshot, used, &looks, Instant::ZERO);
            let names = shown.iter().map(|of| of.0.host.to_string());
            (names.collect::<Vec<_>>(), left_out)
        };
        let one = used(&["shop-7"]);
        assert_eq!(look("", &one), (vec!["shop-7.example".to_owned()], 0));
        assert_eq!(look("find=SHOP-299", &one).0.len(), 2);
        assert_eq!(look("find=10.0.0.2:80", &one).0.len(), MOST_SERVICES + 1);
        let (all, left_out) = look("all", &one);
        assert_eq!(all.len() + left_out, snapshot.clusters.len());
        assert_eq!(all.len(), MOST_SERVICES + 1);
        let names: Vec<String> = (0..300).map(|n| format!("shop-{n}")).collect();
        let busy = used(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (all, left_out) = look("find=shop-299", &busy);
        assert!(all.contains(&"shop-299.example".to_owned()));
        assert_eq!((all.len(), left_out), (MOST_SERVICES, 100));
    }
}
