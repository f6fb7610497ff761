//! `docs/findings.md` lists every finding code, in the order and the words of the table in `outrigger_core::config`.
//! After a change there, `UPDATE_DOCS=1 cargo test -p outrigger-conformance --test findings_page` writes it again.

use std::fmt::Write as _;
use std::path::Path;

use outrigger_core::config::Code;

const HEAD: &str = "\
# Findings

What `outrigger check` and `outrigger run` may say about configuration. A code is never renamed and never changes its
meaning, so scripts can filter on it. An *error* is about something that can not be done as it is written; a *warning* says that
what is written probably does not do what its author meant; an *info* is worth knowing.

`check` fails on every error. `run` refuses a configuration, at start as on reload, when an error is in a file or a resource
that the proxy uses. It tells and goes on with errors in kinds that it does not use (WasmPlugin, WorkloadGroup and so on).
`--lenient` of both takes what istiod would put into effect, as a warning: `unknown-subset`, whose requests get a 503, and
`no-such-field`, which is ignored.

What is no field of a resource is an error where `kubectl apply` refuses it, which validates strictly by default
(`--validate=strict`): in `metadata`, and in the `spec` of every kind of Istio's, because their CRDs have structural schemas.
Where a schema keeps what it does not know (`patch.value` of an EnvoyFilter), and in the mesh configuration, which is mere
text to an API server, it is the warning `unknown-field`. Fields that Istio had once are warnings too (`removed-field`,
`abort-percent`), because older CRDs have them, and fields may be written in snake case, which Istio reads from files.

| code | severity | meaning |
|---|---|---|
";

#[test]
fn the_page_lists_every_code() {
    let mut page = HEAD.to_owned();
    for code in Code::ALL {
        let meaning = code.meaning().replace('|', "\\|");
        writeln!(page, "| `{code}` | {} | {meaning} |", code.severity())
            .expect("a string takes all");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/findings.md is not up to date: UPDATE_DOCS=1 cargo test -p outrigger-conformance --test findings_page"
    );
}
