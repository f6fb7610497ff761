//! All that Envoy is started with, and what its files become with each reload.

use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use serde_json::{Value, json};

use super::words::type_url;
use super::{Derived, clusters, hosts, listener, zones};

/// Where Envoy listens and finds its files.
#[derive(Clone, Debug)]
pub struct Site {
    /// The port of the outbound listener.
    pub outbound: u16,
    /// The port of the inbound listener.
    pub inbound: u16,
    /// The port of its admin interface.
    pub admin: u16,
    /// Makes a path of a file's name.
    pub folder: String,
}

/// The files that can be replaced while Envoy runs, with the counter that says how often Envoy took one.
pub(crate) const FILES: [(&str, &str); 3] = [
    ("clusters.json", "cluster_manager.cds.update_success"),
    ("outbound.json", "http.outbound.rds.outbound.update_success"),
    ("inbound.json", "http.inbound.rds.inbound.update_success"),
];

/// What Envoy is started with.
///
/// # Errors
/// Envoy can not be told of something.
pub fn bootstrap(snapshot: &Snapshot, settings: &WorkerSettings, site: &Site) -> Derived<Value> {
    let path = |file: &str| format!("{}/{file}", site.folder);
    let doors = [("outbound", site.outbound), ("inbound", site.inbound)];
    let listeners = doors
        .into_iter()
        .filter(|(name, _)| *name == "outbound" || !snapshot.inbound.is_empty())
        .map(|(name, port)| {
            let routes = path(&format!("{name}.json"));
            let is_inbound = name == "inbound";
            let place = listener::Place {
                name,
                port,
                is_inbound,
                routes: &routes,
                folder: &site.folder,
            };
            listener::listener(place, snapshot, settings)
        })
        .collect::<Derived<Vec<_>>>()?;
    let passthrough = clusters::passthrough(snapshot.settings.connect_timeout);
    let mut bootstrap = json!({
        "node": { "id": "sidecar", "cluster": "case" },
        "admin": {
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": site.admin } },
        },
        "dynamic_resources": {
            "cds_config": { "path_config_source": { "path": path("clusters.json") } },
        },
        "static_resources": { "listeners": listeners, "clusters": [passthrough] },
    });
    zones::tell(snapshot, &mut bootstrap)?;
    Ok(bootstrap)
}

/// The contents of the files that it finds the rest in, by their names. Those that a snapshot has no use for are not there.
///
/// # Errors
/// Envoy can not be told of something.
pub fn files(snapshot: &Snapshot, site: &Site) -> Result<Vec<(&'static str, Value)>, &'static str> {
    let clusters = snapshot.clusters.iter();
    let clusters = clusters.map(|cluster| clusters::cluster(cluster, &site.folder));
    let clusters = clusters.collect::<Derived<Vec<_>>>()?;
    let routes = "envoy.config.route.v3.RouteConfiguration";
    let mut files = vec![
        (
            "clusters.json",
            resources("envoy.config.cluster.v3.Cluster", clusters),
        ),
        (
            "outbound.json",
            resources(routes, vec![hosts::outbound(snapshot)?]),
        ),
    ];
    if let Some(id) = snapshot.inbound.first() {
        let inbound = hosts::inbound(snapshot, *id)?;
        files.push(("inbound.json", resources(routes, vec![inbound])));
    }
    Ok(files)
}

/// Envoy's `DiscoveryResponse`.
fn resources(kind: &str, mut all: Vec<Value>) -> Value {
    for resource in &mut all {
        resource["@type"] = type_url(kind);
    }
    json!({ "resources": all })
}
