//! `docs/findings.md` lists every finding code, in the order and the words of the table in `outrigger_core::config`.
//! After a change there, `UPDATE_DOCS=1 cargo test -p outrigger-conformance --test findings_page` writes it again.

use std::fmt::Write as _;
use std::path::Path;

use outrigger_core::config::Code;

const HEAD: &str = "\
# Findings

What `outrigger check` and `outrigger run` may say about configuration. A code is never renamed and never changes its
meaning, so scripts can filter on it. An *error* rejects the resource; a *warning* accepts it and says that it probably
does not do what its author meant; an *info* is worth knowing.

`check` fails on every error. `run` refuses a configuration, at start as on reload, when an error is in a file or a resource
that the proxy uses. It tells and goes on with errors in kinds that it does not use (Gateway, AuthorizationPolicy and so on),
and with those between resources, such as `unknown-subset`: only the requests that come upon them fail.

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
