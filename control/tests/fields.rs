//! Fields of Istio's types by the names that `outrigger_xds` has for them, and by those that `outrigger_core` reads: they are the same.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::path::Path;

use outrigger_core::config::{self, Code, Finding, Source};
use outrigger_xds::{Asked, Kind};
use serde_json::{Value, json};

fn documents(kind: &Kind) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xds/tests/istio");
    let text = std::fs::read_to_string(path.join(format!("{}.txt", kind.kind))).unwrap();
    let lines = text.lines().skip(1).step_by(2);
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn findings(kind: &Kind, spec: Value) -> Vec<Finding> {
    if kind.is_mesh_config() {
        let bytes = serde_json::to_vec_pretty(&spec).unwrap();
        return config::load_mesh(Source {
            name: "mesh",
            bytes: &bytes,
        })
        .1;
    }
    let document = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "a", "namespace": "shop"}, "spec": spec,
    });
    let bytes = serde_json::to_vec_pretty(&document).unwrap();
    config::load(
        &[Source {
            name: "a",
            bytes: &bytes,
        }],
        "shop",
    )
    .findings
}

#[test]
fn every_field_that_istiod_may_send_is_known() {
    let mut unheard_of = Vec::new();
    for kind in Asked::Istiod.kinds() {
        let mut seen = 0;
        for document in documents(kind) {
            for finding in findings(kind, document) {
                seen += 1;
                if matches!(finding.code, Code::NoSuchField | Code::UnknownField) {
                    unheard_of.push(format!(
                        "{}: {}: {}",
                        kind.kind, finding.path, finding.message
                    ));
                }
            }
        }
        // What stands in them was drawn: it is read, and most of it is no good.
        assert!(seen > 0 || kind.kind == "ProxyConfig", "{}", kind.kind);
    }
    assert_eq!(unheard_of, [""; 0]);
}
