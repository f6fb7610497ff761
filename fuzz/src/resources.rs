//! What must hold for resources that mean something and refer to each other: they are read and compiled without a panic, twice to
//! the same, nothing in the snapshot names what is not there, and each host that is known is decided. Bytes choose the resources, which
//! a target of plain bytes would hardly ever find. The fuzz target calls [`compiled_twice`].

#[path = "resources/written.rs"]
mod written;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Compiled, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Resources, Source, load};
use outrigger_core::message::RequestHead;
use outrigger_core::policy::route;
use outrigger_core::snapshot::{Action, DestinationCluster, Snapshot};

use crate::draws::Draws;

fn compiled(resources: &Resources, workload: &Workload) -> Compiled {
    let (mesh, answers) = (MeshConfig::default(), Answers::new());
    compile(
        resources,
        workload,
        &mesh,
        &[],
        &answers,
        &mut Registry::default(),
        0,
    )
}

/// Gives back how many virtual hosts and clusters are made of what the bytes choose.
pub fn compiled_twice(bytes: &[u8]) -> usize {
    let mut draws = Draws(bytes);
    let text = written::resources(&mut draws);
    let source = Source {
        name: "resources.yaml",
        bytes: text.as_bytes(),
    };
    let labels = [("app".to_owned(), draws.of(&["a", "b"]).to_owned())];
    let workload = Workload {
        namespace: draws.of(&["default", "n"]).into(),
        labels: labels.into(),
        ..Workload::default()
    };
    let loaded = load(&[source], &workload.namespace);
    for finding in &loaded.findings {
        assert!(
            finding.line > 0,
            "of something that is written: {finding}\n{text}"
        );
    }
    let (first, second) = (
        compiled(&loaded.resources, &workload),
        compiled(&loaded.resources, &workload),
    );
    assert_eq!(first.findings, second.findings, "{text}");
    assert_eq!(first.names, second.names, "{text}");
    assert_eq!(
        format!("{:?}", first.snapshot),
        format!("{:?}", second.snapshot),
        "{text}"
    );
    check(&first.snapshot, &text);
    first.snapshot.virtual_hosts.len() + first.snapshot.clusters.len()
}

fn check(snapshot: &Snapshot, text: &str) {
    for (name, host) in snapshot.hosts.iter() {
        assert!(!host.ports.is_empty(), "{name}\n{text}");
        for port in &host.ports {
            let virtual_host = snapshot.virtual_host(port.virtual_host);
            let request = RequestHead {
                authority: name.clone().into_bytes(),
                path: b"/a?b=c".to_vec(),
                ..RequestHead::default()
            };
            let found = route::find(virtual_host, &request, "http", None);
            assert!(
                found.is_none_or(|at| at < virtual_host.rules.len()),
                "{name}\n{text}"
            );
        }
    }
    let clusters = snapshot.clusters.len();
    for rule in snapshot.virtual_hosts.iter().flat_map(|host| &*host.rules) {
        if let Some(origin) = &rule.origin {
            assert!(
                (origin.resource.0 as usize) < snapshot.resources.len(),
                "{text}"
            );
        }
        if let Action::Forward(forward) = &*rule.action {
            for destination in &*forward.destinations {
                let known = match &destination.cluster {
                    DestinationCluster::Known(id) => Some(id.0 as usize),
                    DestinationCluster::Missing(_) | DestinationCluster::Passthrough => None,
                };
                assert!(known.is_none_or(|at| at < clusters), "{text}");
            }
        }
    }
}
