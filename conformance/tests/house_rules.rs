//! The house rules that a machine can check, as an ordinary test: who may import whom, what core may not reach, how
//! files look. What needs judgement stands in `CONTRIBUTING.md`; what clippy knows is in `core/clippy.toml`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Which module of core may import which, lowest layer first. A module may always import itself.
/// `ARCHITECTURE.md` shows the same order.
const LAYERS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("entropy", &[]),
    ("message", &[]),
    ("outbox", &[]),
    ("peer", &[]),
    ("cluster", &["time", "entropy"]),
    ("snapshot", &["time", "entropy", "message", "cluster"]),
    // Plain settings of a snapshot are named by configuration; nothing after `compile` sees configuration.
    ("config", &["time", "message", "snapshot"]),
    (
        "compile",
        &["time", "message", "cluster", "snapshot", "config"],
    ),
    (
        "decision",
        &["time", "entropy", "message", "cluster", "snapshot"],
    ),
    (
        "policy",
        &[
            "time", "entropy", "message", "cluster", "snapshot", "decision",
        ],
    ),
    // Bytes and grammar: no route, no endpoint. It says why a message is refused in the words of a decision.
    ("http1", &["time", "message", "outbox", "decision"]),
    (
        "worker",
        &[
            "time", "entropy", "message", "outbox", "peer", "cluster", "snapshot", "decision",
            "policy",
        ],
    ),
    // Policy and outcomes: no byte, so neither `http1` nor `outbox`.
    (
        "request",
        &[
            "time", "entropy", "message", "peer", "cluster", "snapshot", "decision", "policy",
            "worker",
        ],
    ),
    (
        "exchange",
        &[
            "time", "entropy", "message", "outbox", "peer", "cluster", "snapshot", "decision",
            "policy", "http1", "worker", "request",
        ],
    ),
];

/// Imports against the grain that are known and why. One that is no longer used must be removed here.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "snapshot",
        "policy",
        "a virtual host owns the index, and a cluster the hash tables, that `policy` builds and searches",
    ),
    (
        "compile",
        "policy",
        "the compiler has `policy` build that index",
    ),
    (
        "decision",
        "worker",
        "a record keeps the worker's view of the snapshot it ran on alive",
    ),
];

/// What core may not reach outside its tests, and what to do instead.
const BANNED_IN_CORE: &[(&str, &str)] = &[
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("std::thread", "core has no threads"),
    ("thread_local!", "core has no threads"),
    ("std::env::", "core reads no environment"),
    ("std::fs", "callers hand over text"),
    ("std::process", "core never exits"),
    ("TcpStream", "core has no sockets"),
    ("TcpListener", "core has no sockets"),
    ("UdpSocket", "core has no sockets"),
    ("UnixStream", "core has no sockets"),
    ("tokio", "runtimes wait, core does not"),
    ("async fn", "runtimes wait, core does not"),
    (
        "HashMap",
        "hash order is random: use BTreeMap or a sorted slice",
    ),
    (
        "HashSet",
        "hash order is random: use BTreeSet or a sorted slice",
    ),
    ("RandomState", "randomness is an argument"),
    ("rand::", "randomness is an argument"),
    ("getrandom", "randomness is an argument"),
    ("println!", "core does not log: decisions are data"),
    ("eprint", "core does not log: decisions are data"),
];

/// Names that say a pattern and not a purpose.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "manager", "helpers", "helper", "misc",
];

/// Longer files have more than one reason to exist.
const MAX_LINES: usize = 500;

#[test]
fn core_imports_downward_only() {
    let mut faults = Faults::default();
    let mut used = vec![false; EXCEPTIONS.len()];
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
                } else if target == module || allowed.contains(&target) {
                } else if let Some(at) = EXCEPTIONS
                    .iter()
                    .position(|(from, to, _)| *from == module && *to == target)
                {
                    used[at] = true;
                } else {
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
    for ((from, to, _), used) in EXCEPTIONS.iter().zip(used) {
        if !used {
            faults.text(format!(
                "exception `{from}` → `{to}` is no longer needed: remove it from EXCEPTIONS"
            ));
        }
    }
    faults.none();
}

#[test]
fn core_is_pure() {
    let mut faults = Faults::default();
    for file in rust_files()
        .iter()
        .filter(|f| f.is_in("core/src/") && !f.is_test())
    {
        for (line, code) in file.code_lines(Tests::LeftOut) {
            for (token, instead) in BANNED_IN_CORE {
                if code.contains(token) {
                    faults.add(file, line, format!("`{token}` in core: {instead}"));
                }
            }
        }
    }
    faults.none();
}

#[test]
fn atomics_of_core_can_be_modelled() {
    let mut faults = Faults::default();
    let only = "core/src/cluster/atomic.rs";
    for file in rust_files()
        .iter()
        .filter(|f| f.is_in("core/src/") && f.relative != only)
    {
        for (line, code) in file.code_lines(Tests::Included) {
            if code.contains("sync::atomic") {
                let what = format!("shared state lives in `cluster`, with the atomics of {only}");
                faults.add(file, line, what);
            }
        }
    }
    faults.none();
}

#[test]
fn runtimes_hold_no_policy() {
    let mut faults = Faults::default();
    for file in rust_files()
        .iter()
        .filter(|f| f.is_in("runtime-") && !f.is_test())
    {
        for (line, code) in file.code_lines(Tests::LeftOut) {
            for module in ["policy", "http1", "request"] {
                if code.contains(&format!("outrigger_core::{module}")) {
                    faults.add(
                        file,
                        line,
                        format!("a runtime reaches `{module}`: what it decides belongs to core"),
                    );
                }
            }
        }
    }
    faults.none();
}

#[test]
fn files_are_small_and_say_what_they_own() {
    let mut faults = Faults::default();
    for file in &rust_files() {
        if !file.text.starts_with("//!") {
            faults.add(
                file,
                1,
                "open the file with `//!`: what it owns, and what it leaves to others".into(),
            );
        }
        let lines = file.text.lines().count();
        if lines > MAX_LINES && !file.is_test() {
            faults.add(
                file,
                lines,
                format!(
                    "{lines} lines, more than {MAX_LINES}: split where a reason to change falls out"
                ),
            );
        }
        let stem = file
            .path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        let folders = file
            .relative
            .split('/')
            .map(|part| part.trim_end_matches(".rs"));
        if folders.clone().any(|part| EMPTY_NAMES.contains(&part)) {
            faults.add(
                file,
                1,
                format!("`{stem}` says a pattern: name the file for what it decides"),
            );
        }
        for (line, code) in file.code_lines(Tests::Included) {
            for stub in [
                concat!("todo", "!("),
                concat!("unimplemented", "!("),
                concat!("dbg", "!("),
            ] {
                if code.contains(stub) {
                    faults.add(file, line, format!("`{stub}` is unfinished work"));
                }
            }
        }
    }
    faults.none();
}

#[test]
fn packages_share_lints_and_versions() {
    let mut faults = Faults::default();
    let manifest = read("Cargo.toml");
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = ["))
        .expect("the root manifest lists its members on one line");
    for member in members.trim_end_matches(']').split(',') {
        let member = member.trim().trim_matches('"');
        let text = read(&format!("{member}/Cargo.toml"));
        if !text.contains("[lints]\nworkspace = true") {
            faults.text(format!(
                "{member}/Cargo.toml: add `[lints] workspace = true`"
            ));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !text.contains(&format!("\n{key}.workspace = true")) {
                faults.text(format!(
                    "{member}/Cargo.toml: write `{key}.workspace = true`"
                ));
            }
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("version = \"") {
                faults.text(format!(
                    "{member}/Cargo.toml:{}: versions stand in the root manifest",
                    number + 1
                ));
            }
        }
    }
    faults.none();
}

#[test]
fn pages_a_newcomer_looks_for_exist() {
    for page in [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "deny.toml",
        "docs/differences.md",
        "examples/README.md",
        ".ci/run",
    ] {
        assert!(!read(page).trim().is_empty(), "{page} is empty");
    }
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "cargo test --workspace"] {
        assert!(readme.contains(command), "README.md shows `{command}`");
    }
    let architecture = read("ARCHITECTURE.md");
    for (module, _) in LAYERS {
        assert!(
            architecture.contains(&format!("`{module}`")),
            "ARCHITECTURE.md places `{module}`"
        );
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut faults = Faults::default();
    let root = root();
    for page in files_under(&root, "md") {
        let text = fs::read_to_string(&page).expect("a page is readable text");
        let folder = page.parent().expect("a page lies in a folder");
        for (number, line) in text.lines().enumerate() {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let path = target.split('#').next().unwrap_or_default();
                if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
                    faults.text(format!(
                        "{}:{}: `{target}` leads nowhere",
                        page.display(),
                        number + 1
                    ));
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

/// Whether code under `#[cfg(test)] mod tests` at the end of a file counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tests {
    Included,
    LeftOut,
}

struct RustFile {
    path: PathBuf,
    /// From the root, with forward slashes.
    relative: String,
    text: String,
}

impl RustFile {
    fn is_in(&self, folder: &str) -> bool {
        self.relative.starts_with(folder)
    }

    /// A file of tests only, by its place.
    fn is_test(&self) -> bool {
        let name = self.relative.rsplit('/').next().unwrap_or_default();
        name == "tests.rs"
            || self.relative.contains("/tests/")
            || self.relative.contains("/benches/")
    }

    /// `time` for `core/src/time.rs`, `http1` for `core/src/http1/head.rs`.
    fn core_module(&self) -> &str {
        let inside = self.relative.trim_start_matches("core/src/");
        inside
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs")
    }

    /// Numbered lines without comments. Text in quotes stays, which is good enough for the tokens looked for here.
    fn code_lines(&self, tests: Tests) -> impl Iterator<Item = (usize, &str)> {
        let end = match tests {
            Tests::Included => self.text.len(),
            Tests::LeftOut => self
                .text
                .find("\n#[cfg(test)]\nmod tests")
                .unwrap_or(self.text.len()),
        };
        self.text[..end].lines().enumerate().map(|(index, line)| {
            (
                index + 1,
                line.find("//").map_or(line, |comment| &line[..comment]),
            )
        })
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("this package lies in the workspace")
        .to_path_buf()
}

fn read(relative: &str) -> String {
    fs::read_to_string(root().join(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn rust_files() -> Vec<RustFile> {
    let root = root();
    let files = files_under(&root, "rs");
    assert!(files.len() > 20, "the walk finds the workspace");
    let open = |path: PathBuf| {
        let inside = path
            .strip_prefix(&root)
            .expect("the walk stays under the root");
        RustFile {
            relative: inside.to_string_lossy().replace('\\', "/"),
            text: fs::read_to_string(&path).expect("source is readable text"),
            path,
        }
    };
    files.into_iter().map(open).collect()
}

/// Files with this extension, hidden and built folders left out, in a stable order.
fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder is readable")
        .flatten()
        .map(|e| e.path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// All faults of a test, shown together.
#[derive(Default)]
struct Faults(String);

impl Faults {
    fn add(&mut self, file: &RustFile, line: usize, what: String) {
        self.text(format!("{}:{line}: {what}", file.relative));
    }

    fn text(&mut self, what: String) {
        let _ = writeln!(self.0, "{what}");
    }

    #[track_caller]
    fn none(&self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}
