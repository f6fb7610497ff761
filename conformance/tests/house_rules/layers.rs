//! Which module of core may import which. `ARCHITECTURE.md` shows the same table and says what each module decides.

use crate::source::{Faults, Tests, rust_files};

/// Which module of core may import which, lowest layer first. A module may always import itself.
/// `ARCHITECTURE.md` shows the same order.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("entropy", &[]),
    ("jose", &[]),
    ("message", &[]),
    ("outbox", &[]),
    ("overload", &[]),
    ("peer", &[]),
    ("proxy_protocol", &[]),
    ("sniff", &[]),
    ("xxhash", &[]),
    ("cluster", &["time", "entropy", "peer"]),
    (
        "snapshot",
        &[
            "time",
            "entropy",
            "jose",
            "message",
            "xxhash",
            "peer",
            "proxy_protocol",
            "cluster",
        ],
    ),
    // Plain settings of a snapshot are named by configuration; nothing after `compile` sees configuration.
    ("config", &["time", "jose", "message", "peer", "snapshot"]),
    (
        "compile",
        &[
            "time",
            "jose",
            "message",
            "xxhash",
            "peer",
            "proxy_protocol",
            "cluster",
            "snapshot",
            "config",
        ],
    ),
    (
        "decision",
        &[
            "time", "entropy", "jose", "message", "peer", "cluster", "snapshot",
        ],
    ),
    // It says why a message is refused in the words of a decision.
    ("stream", &["message", "decision"]),
    (
        "policy",
        &[
            "time", "entropy", "jose", "message", "xxhash", "peer", "cluster", "snapshot",
            "decision",
        ],
    ),
    // Bytes and grammar: no route, no endpoint. It says why a message is refused in the words of a decision.
    (
        "http1",
        &["time", "message", "outbox", "stream", "decision"],
    ),
    // As `http1`, whose grammar of what does not depend on a version it uses. Rates of floods are buckets.
    (
        "http2",
        &[
            "time", "message", "outbox", "stream", "cluster", "decision", "http1",
        ],
    ),
    // What is said between a worker and its runtime.
    ("io", &["peer", "snapshot"]),
    (
        "local",
        &[
            "time",
            "entropy",
            "jose",
            "xxhash",
            "message",
            "outbox",
            "overload",
            "stream",
            "peer",
            "cluster",
            "snapshot",
            "decision",
            "policy",
            // What peers may send is among what a worker is set to.
            "http1",
            "http2",
            "proxy_protocol",
        ],
    ),
    // Policy and outcomes: no byte, so neither `http1` nor `outbox`.
    (
        "request",
        &[
            "time",
            "entropy",
            "jose",
            "message",
            "stream",
            "peer",
            "proxy_protocol",
            "cluster",
            "snapshot",
            "decision",
            "policy",
            "local",
        ],
    ),
    // One socket: the only room that names a codec.
    (
        "connection",
        &[
            "time", "entropy", "message", "outbox", "overload", "stream", "peer", "cluster",
            "decision", "http1", "http2", "io", "local",
        ],
    ),
    (
        "exchange",
        &[
            "time",
            "entropy",
            "message",
            "overload",
            "stream",
            "peer",
            "cluster",
            "snapshot",
            "decision",
            "policy",
            "io",
            "local",
            "request",
            "connection",
        ],
    ),
    // All connections and requests of a thread: the only room that knows two connections. It hands on the one question of
    // policy that a runtime asks.
    (
        "worker",
        &[
            "time",
            "entropy",
            "jose",
            "outbox",
            "overload",
            "stream",
            "peer",
            "proxy_protocol",
            "sniff",
            "snapshot",
            "decision",
            "policy",
            "http2",
            "io",
            "local",
            "request",
            "connection",
            "exchange",
        ],
    ),
];

#[test]
fn core_imports_downward_only() {
    let mut faults = Faults::default();
    for file in rust_files()
        .iter()
        .filter(|f| f.is_in("core/src/") && !f.is_test())
    {
        let module = file.core_module();
        if module == "lib" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            faults.add(
                file,
                1,
                format!("module `{module}` has no layer: add it to LAYERS and to ARCHITECTURE.md"),
            );
            continue;
        };
        for (line, code) in file.code_lines(Tests::LeftOut) {
            for target in imported_modules(code) {
                if target.is_empty() {
                    faults.add(
                        file,
                        line,
                        "write one `use crate::…` for each module".into(),
                    );
                } else if target != module && !allowed.contains(&target) {
                    faults.add(
                        file,
                        line,
                        format!(
                            "`{module}` may not import `{target}` (allowed: {})",
                            allowed.join(", ")
                        ),
                    );
                }
            }
        }
    }
    faults.none();
}

/// The modules after each `crate::` of a line; empty for a brace.
fn imported_modules(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("crate::").filter_map(|(at, token)| {
        let before = code[..at].chars().next_back();
        let is_path_start = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$');
        is_path_start.then(|| {
            let rest = &code[at + token.len()..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            &rest[..end]
        })
    })
}

#[test]
fn imports_are_read_from_any_place_in_a_line() {
    let read = |code| imported_modules(code).collect::<Vec<_>>();
    assert_eq!(read("use crate::time::Instant;"), ["time"]);
    assert_eq!(
        read("pub(crate) fn f(a: crate::a::B) -> crate::c::D"),
        ["a", "c"]
    );
    assert_eq!(read("use crate::{a, b};"), [""]);
    assert_eq!(read("use outrigger_crate::x;"), Vec::<&str>::new());
}
