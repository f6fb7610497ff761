//! What packages may not reach: core no clock, socket, file or thread, atomics by one file only, and connections from an
//! exchange by two; runtimes no policy; what runs on glommio nothing that needs a thread of tokio's.
//! What clippy can tell stands in `core/clippy.toml`.

use crate::source::{Faults, Tests, rust_files};

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

/// What an exchange reads and writes is a stream's, whatever connection carries that, and how many streams beside it.
#[test]
fn exchanges_know_connections_by_their_streams_alone() {
    let mut faults = Faults::default();
    let knows = |relative: &str| relative.ends_with("_stream.rs");
    for file in rust_files()
        .iter()
        .filter(|f| f.is_in("core/src/exchange/") && !f.is_test() && !knows(&f.relative))
    {
        for (line, code) in file.code_lines(Tests::LeftOut) {
            for token in [".inbox", ".outbox", ".clients", ".upstreams"] {
                if code.contains(token) {
                    let what = format!("`{token}`: what a connection is, two streams know");
                    faults.add(file, line, what);
                }
            }
        }
    }
    faults.none();
}

/// Peers of a simulated sidecar are no runtime: those that write HTTP/1 are translated by the codecs of core.
const PEERS: &str = "runtime-sim/src/translated";

#[test]
fn runtimes_hold_no_policy() {
    let mut faults = Faults::default();
    for file in rust_files()
        .iter()
        .filter(|f| f.is_in("runtime") && !f.is_in(PEERS) && !f.is_test())
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

/// On a glommio thread tokio's sockets, timers and tasks panic. They are features of tokio that other packages switch on
/// for the whole build, so the compiler would let them pass. What is left is what wakes tasks of any executor, and a
/// runtime that is held by name.
#[test]
fn what_runs_on_glommio_uses_nothing_that_looks_for_tokio() {
    let mut faults = Faults::default();
    for file in rust_files()
        .iter()
        .filter(|f| (f.is_in("runtime/src/") || f.is_in("runtime-glommio/src/")) && !f.is_test())
    {
        for (line, code) in file.code_lines(Tests::LeftOut) {
            let mut rest = code;
            while let Some((before, after)) = rest.split_once("tokio::") {
                let of_tokio = !before.ends_with('_');
                let anywhere = ["sync", "runtime"].iter().any(|m| after.starts_with(m));
                if of_tokio && !anywhere {
                    let what = "only `tokio::sync` and `tokio::runtime` need no thread of tokio's; a worker may be one of glommio's";
                    faults.add(file, line, what.into());
                }
                rest = after;
            }
        }
    }
    faults.none();
}

/// The packages that move connections and requests, below which somebody may set the clock of the machine at any time.
const UNDER_LOAD: &[&str] = &[
    "runtime/src/",
    "runtime-tokio/src/",
    "runtime-glommio/src/",
    "recording/src/",
    "telemetry/src/",
    "tls/src/",
    "dns/src/",
];

/// Who reads the calendar there: for `date`, for the times of tokens, and for spans and log lines. Everything that ends after a while goes
/// by a clock that nobody sets.
const CALENDAR: &str = "runtime/src/clock.rs";

#[test]
fn no_time_that_ends_something_goes_by_the_calendar() {
    let mut faults = Faults::default();
    let mut is_read = false;
    for file in rust_files().iter().filter(|file| !file.is_test()) {
        if !UNDER_LOAD.iter().any(|room| file.is_in(room)) {
            continue;
        }
        for (line, code) in file.code_lines(Tests::LeftOut) {
            let reads = code.contains("SystemTime::now") || code.contains("UNIX_EPOCH");
            if reads && file.is_in(CALENDAR) {
                is_read = true;
            } else if reads {
                let told = format!("the calendar is read in {CALENDAR} alone: it may jump");
                faults.add(file, line, told);
            }
        }
    }
    assert!(is_read, "the walk finds who reads it");
    faults.none();
}
