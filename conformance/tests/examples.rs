//! The examples run as they stand, and the old spelling means what the current one means.

use std::fs;
use std::path::{Path, PathBuf};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Workload, compile};
use outrigger_core::config::{Finding, MeshConfig, Severity, Source, lint, load};
use outrigger_core::snapshot::{Snapshot, UpstreamProtocol};

fn tutorial() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tutorial")
}

/// The numbered steps of a folder, sorted.
fn steps(folder: &Path) -> Vec<PathBuf> {
    let mut steps: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the examples are there")
        .map(|entry| entry.expect("a folder is readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .filter(|path| !path.ends_with("services.yaml"))
        .collect();
    steps.sort();
    steps
}

/// A step beside the services of its folder: what it comes to, and what is said about it.
fn compiled(step: &Path) -> (Snapshot, Vec<Finding>) {
    let texts = [step.with_file_name("services.yaml"), step.to_owned()].map(|path| {
        (
            path.display().to_string(),
            fs::read(path).expect("an example is readable"),
        )
    });
    let sources = texts.each_ref().map(|(name, bytes)| Source { name, bytes });
    let workload = Workload::default();
    let mesh = MeshConfig::default();
    let loaded = load(&sources, &workload.namespace);
    let mut findings = loaded.findings;
    findings.extend(lint(&loaded.resources, &mesh));
    let compiled = compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    findings.extend(compiled.findings);
    (compiled.snapshot, findings)
}

/// The rules of the virtual hosts; what the spelling may change (names of subsets, numbers of clusters) gives way to
/// the endpoints that stand behind it.
fn meaning(snapshot: &Snapshot) -> Vec<String> {
    let rules = snapshot
        .virtual_hosts
        .iter()
        .flat_map(|host| host.rules.iter());
    rules
        .map(|rule| {
            let text = format!("{:?} {:?}", rule.condition, rule.action);
            let clusters = snapshot.clusters.iter().enumerate();
            clusters.fold(text, |text, (number, cluster)| {
                let endpoints: Vec<&str> = cluster.endpoints.iter().map(|e| &*e.text).collect();
                text.replace(&format!("ClusterId({number})"), &endpoints.join(" "))
            })
        })
        .collect()
}

#[test]
fn examples_are_accepted_and_the_current_spelling_is_not_called_old() {
    for folder in [tutorial(), tutorial().join("old-spelling")] {
        for step in steps(&folder) {
            for finding in compiled(&step).1 {
                assert_ne!(finding.severity, Severity::Error, "{finding}");
                let old = [
                    "deprecated-field",
                    "removed-field",
                    "unknown-field",
                    "no-such-field",
                    "abort-percent",
                ];
                let is_current = folder == tutorial();
                assert!(
                    !(is_current && old.contains(&finding.code.as_str())),
                    "{finding}"
                );
            }
        }
    }
}

/// What people copy into a mesh of gRPC says nothing that is not in effect.
#[test]
fn calls_of_grpc_are_routed_without_a_finding() {
    for name in ["35-grpc-canary.yaml", "36-grpc-retry.yaml"] {
        let (snapshot, findings) = compiled(&tutorial().join(name));
        assert!(findings.is_empty(), "{name}: {findings:?}");
        let clusters = snapshot.clusters.iter();
        let called: Vec<_> = clusters
            .filter(|cluster| cluster.name.contains("recommendation-grpc"))
            .map(|cluster| cluster.protocol)
            .collect();
        assert!(!called.is_empty(), "{name} names the service");
        for protocol in called {
            assert!(
                matches!(protocol, UpstreamProtocol::Http2(_)),
                "{protocol:?}"
            );
        }
    }
}

#[test]
fn both_spellings_mean_the_same() {
    let old = steps(&tutorial().join("old-spelling"));
    assert!(old.len() >= 18);
    for old in &old {
        let current = tutorial().join(old.file_name().expect("a file has a name"));
        let [(old, _), (current, _)] = [old, &current].map(|step| compiled(step));
        assert!(!meaning(&current).is_empty());
        assert_eq!(meaning(&old), meaning(&current));
    }
}
