//! Services of a control plane that tells of endpoints apart (istiod): which clusters' endpoints they lack, and what they are with them.
//!
//! Endpoints are put into the documents of ServiceEntries as if they had been written there, so that everything behind knows of nothing new.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use outrigger_core::config::names::{covers, resolve};
use outrigger_xds::Object;
use outrigger_xds::assignments::Assignments;
use outrigger_xds::envoy::endpoint::{HEALTHY, LbEndpoint, LocalityLbEndpoints};
use outrigger_xds::envoy::places::{Address, Locality};
use outrigger_xds::structs::to_json;
use serde_json::{Map, Value};

/// `UNKNOWN` of Envoy's `HealthStatus`, which takes requests as [`HEALTHY`] does.
const UNKNOWN: i32 = 0;

/// `DEGRADED`, which does where there is nobody else.
const DEGRADED: i32 = 5;

/// Where istiod says of an endpoint what transport it takes, and by which word.
const TRANSPORT: (&str, &str) = ("envoy.transport_socket_match", "tlsMode");

/// The label that says so of a workload.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// The domain of hosts that rules name in short: istiod's default. Those that it tells of are whole.
const DOMAIN: &str = "cluster.local";

/// Subsets of hosts, as rules name them.
#[derive(Debug, Default)]
pub(super) struct Subsets {
    of_hosts: HashMap<String, Vec<Subset>>,
    of_patterns: Vec<(String, Subset)>,
}

/// The name of one, and the labels of those that are in it.
type Subset = (String, Map<String, Value>);

impl Subsets {
    /// Those of all rules among objects.
    pub(super) fn new<'a>(objects: impl Iterator<Item = &'a Object>) -> Self {
        let rules = objects.filter(|object| object.key.kind.kind == "DestinationRule");
        let mut all = Self::default();
        for rule in rules {
            let spec = &rule.json["spec"];
            let host = spec["host"].as_str().unwrap_or_default();
            let host = resolve(host, &rule.key.namespace, DOMAIN);
            let subsets = each(&spec["subsets"]).filter_map(|subset| {
                let name = subset["name"].as_str()?.to_owned();
                let labels = subset["labels"].as_object().cloned();
                Some((name, labels.unwrap_or_default()))
            });
            if host.starts_with('*') {
                let subsets = subsets.map(|subset| (host.clone(), subset));
                all.of_patterns.extend(subsets);
            } else {
                all.of_hosts.entry(host).or_default().extend(subsets);
            }
        }
        all
    }

    fn of<'a>(&'a self, host: &'a str) -> impl Iterator<Item = (&'a str, &'a Map<String, Value>)> {
        let of_host = self.of_hosts.get(host).into_iter().flatten();
        let patterns = self.of_patterns.iter();
        let covering =
            patterns.filter(move |(pattern, _)| pattern == host || covers(pattern, host));
        let all = of_host.chain(covering.map(|(_, subset)| subset));
        all.map(|(name, labels)| (name.as_str(), labels))
    }
}

/// The host and the ports of a ServiceEntry whose endpoints are told apart: one that has some, and none written.
fn lacks(object: &Object) -> Option<(&str, Vec<(u64, &str)>)> {
    let spec = &object.json["spec"];
    let is_one = object.key.kind.kind == "ServiceEntry"
        && spec["resolution"] == "STATIC"
        && each(&spec["endpoints"]).next().is_none();
    if !is_one {
        return None;
    }
    let host = each(&spec["hosts"]).next()?.as_str()?;
    let ports = each(&spec["ports"]).filter_map(|port| {
        let name = port["name"].as_str().unwrap_or_default();
        Some((port["number"].as_u64()?, name))
    });
    Some((host, ports.collect()))
}

/// The clusters whose endpoints are to be asked for.
pub(super) fn lacking<'a>(
    objects: impl Iterator<Item = &'a Object>,
    subsets: &Subsets,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (host, ports) in objects.filter_map(lacks) {
        for (port, _) in ports {
            let of_subsets = subsets.of(host).map(|(subset, _)| subset);
            let all = of_subsets.chain([""]);
            names.extend(all.map(|subset| cluster(port, subset, host)));
        }
    }
    names
}

fn cluster(port: u64, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// The document of an object with its endpoints; `None` where it lacks none, or nobody has said which it has.
pub(super) fn filled(object: &Object, subsets: &Subsets, told: &Assignments) -> Option<Value> {
    let (host, ports) = lacks(object)?;
    let mut workloads = Workloads::default();
    let mut is_told = false;
    for (port, port_name) in &ports {
        let Some(all) = told.of(&cluster(*port, "", host)) else {
            continue;
        };
        is_told = true;
        for (at, place, one) in ready(&all.endpoints) {
            workloads.add(at, place, one, port_name);
        }
        for (subset, labels) in subsets.of(host) {
            let of_subset = told.of(&cluster(*port, subset, host));
            for (at, ..) in of_subset.iter().flat_map(|all| ready(&all.endpoints)) {
                workloads.label(&at, port_name, labels);
            }
        }
    }
    is_told.then(|| {
        let mut json = object.json.clone();
        json["spec"]["endpoints"] = workloads.finish();
        if let Some(spec) = json["spec"].as_object_mut() {
            // Whom it selects stands in its endpoints.
            spec.remove("workloadSelector");
        }
        json
    })
}

/// An address without its port, and the port; a Unix socket has none.
type At = (String, Option<u32>);

/// Those that take requests.
fn ready(
    places: &[LocalityLbEndpoints],
) -> impl Iterator<Item = (At, &LocalityLbEndpoints, &LbEndpoint)> {
    let all = places
        .iter()
        .flat_map(|place| place.lb_endpoints.iter().map(move |one| (place, one)));
    all.filter_map(|(place, one)| {
        let address = one.endpoint.as_ref()?.address.as_ref()?;
        let takes = matches!(one.health_status, UNKNOWN | HEALTHY | DEGRADED);
        takes.then_some((at(address)?, place, one))
    })
}

fn at(address: &Address) -> Option<At> {
    match (&address.socket_address, &address.pipe) {
        (Some(socket), _) => Some((socket.address.clone(), Some(socket.port_value))),
        (None, Some(pipe)) => Some((format!("unix://{}", pipe.path), None)),
        (None, None) => None,
    }
}

/// Endpoints as ServiceEntries have them: one for each workload, with all its ports. Of several at one address the first of one port is
/// taken for the first of another.
#[derive(Debug, Default)]
struct Workloads {
    all: Vec<Workload>,
    /// Where those of an address are.
    at: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Workload {
    address: String,
    /// By the name of the service's port.
    ports: BTreeMap<String, Option<u32>>,
    written: Map<String, Value>,
    labels: Map<String, Value>,
}

impl Workloads {
    fn add(
        &mut self,
        (address, port): At,
        place: &LocalityLbEndpoints,
        one: &LbEndpoint,
        port_name: &str,
    ) {
        let there = self.at.entry(address.clone()).or_default();
        let has_room = |at: &&usize| !self.all[**at].ports.contains_key(port_name);
        if let Some(at) = there.iter().find(has_room) {
            self.all[*at].ports.insert(port_name.to_owned(), port);
            return;
        }
        there.push(self.all.len());
        let mut written = Map::new();
        if let Some(locality) = place
            .locality
            .as_ref()
            .map(text)
            .filter(|text| !text.is_empty())
        {
            written.insert("locality".into(), locality.into());
        }
        if let Some(weight) = one.load_balancing_weight.filter(|weight| *weight > 0) {
            written.insert("weight".into(), weight.into());
        }
        let mut labels = Map::new();
        if let Some(mode) = tls_mode(one) {
            labels.insert(TLS_MODE.into(), mode);
        }
        self.all.push(Workload {
            address,
            ports: [(port_name.to_owned(), port)].into(),
            written,
            labels,
        });
    }

    fn label(&mut self, (address, port): &At, port_name: &str, labels: &Map<String, Value>) {
        let mut there = self.at.get(address).into_iter().flatten();
        let is_it = |at: &&usize| self.all[**at].ports.get(port_name) == Some(port);
        if let Some(at) = there.find(is_it) {
            self.all[*at].labels.extend(labels.clone());
        }
    }

    fn finish(self) -> Value {
        let all = self.all.into_iter().map(|workload| {
            let mut written = workload.written;
            let ports = workload.ports.into_iter();
            let ports: Map<String, Value> = ports
                .filter_map(|(name, port)| Some((name, port?.into())))
                .collect();
            if !ports.is_empty() {
                written.insert("ports".into(), ports.into());
            }
            if !workload.labels.is_empty() {
                written.insert("labels".into(), workload.labels.into());
            }
            written.insert("address".into(), workload.address.into());
            Value::from(written)
        });
        all.collect()
    }
}

fn text(locality: &Locality) -> String {
    let parts = [&*locality.region, &*locality.zone, &*locality.sub_zone];
    parts.join("/").trim_end_matches('/').to_owned()
}

/// What an endpoint says that it takes, if it says so.
fn tls_mode(one: &LbEndpoint) -> Option<Value> {
    let (of, word) = TRANSPORT;
    let known = one.metadata.as_ref()?.filter_metadata.get(of)?;
    let known = to_json(known.clone());
    Some(known[word].as_str()?.into())
}

fn each(json: &Value) -> std::slice::Iter<'_, Value> {
    json.as_array().map_or(&[][..], Vec::as_slice).iter()
}

#[cfg(test)]
mod tests;
