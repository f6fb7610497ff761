//! What must hold for configuration files whatever is in them: no panic, every finding shows a place that exists, the
//! same bytes mean the same, and what was read compiles. The fuzz target calls [`load_and_compile`].

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Finding, Source, load, load_mesh, snippet};

/// A user may hand over any file, as resources or as the mesh configuration.
pub fn load_and_compile(bytes: &[u8]) {
    let source = Source {
        name: "input.yaml",
        bytes,
    };
    let workload = Workload::default();
    let loaded = load(&[source], &workload.namespace);
    assert_eq!(loaded, load(&[source], &workload.namespace));
    for finding in &loaded.findings {
        check(finding, bytes);
    }
    let (mesh, findings) = load_mesh(source);
    for finding in &findings {
        check(finding, bytes);
    }
    for mesh in [&MeshConfig::default(), &mesh] {
        let registry = &mut Registry::default();
        let compiled = compile(
            &loaded.resources,
            &workload,
            mesh,
            &[],
            &Answers::new(),
            registry,
            0,
        );
        assert_eq!(compiled.snapshot.revision, 1);
        // The same endpoints again: their state is kept, and a second snapshot follows the first.
        let again = compile(
            &loaded.resources,
            &workload,
            mesh,
            &[],
            &Answers::new(),
            registry,
            1,
        );
        assert_eq!(again.snapshot.revision, 2);
        assert_eq!(again.findings, compiled.findings);
    }
}

fn check(finding: &Finding, bytes: &[u8]) {
    assert_eq!(finding.severity, finding.code.severity());
    assert!(!finding.message.is_empty(), "{finding:?}");
    let shown = finding.to_string();
    assert!(!shown.contains('\n'), "one line: {shown:?}");
    if finding.line > 0 && finding.column > 0 {
        let shown = snippet(bytes, finding, 80);
        assert!(shown.is_some(), "no such line: {finding}");
    }
}
