//! The conformance cases on the program itself: real sockets, real time, one program for each case.
//!
//! What takes longer than a moment is waited for only when asked: `cargo test -p outrigger --test cases -- --ignored`. What
//! no run plays names the test that does, which `conformance` checks.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outrigger_conformance::case::{Case, Document};
use outrigger_conformance::pages;
use outrigger_conformance::program::{self, LONGEST, Launch, Program};
use outrigger_conformance::subject::Outcome;
use serde_json::Value;
use tokio::sync::watch;

/// What is not marked as taking time.
const MOMENT: Duration = Duration::from_secs(2);

fn cases() -> Vec<Case> {
    let (cases, failures) = pages::read(&pages::folder());
    assert!(failures.is_empty(), "{failures:#?}");
    cases
}

/// The program as a command of the suite.
fn command() -> program::Command {
    let command = format!(
        "'{}' run --lenient --workers 1 --config {{config}} --outbound 127.0.0.1:{{port}} \
         --admin 127.0.0.1:{{admin}} [--inbound 127.0.0.1:{{inbound}}={{app}}] [--label {{label}}] \
         [--namespace {{namespace}}] [--mesh-config {{mesh}}] [--dns-server 127.0.0.1:{{dns}}] [--identity {{identity}}] \
         [--stream-idle-timeout {{stream_idle_timeout}}] [--idle-timeout {{idle_timeout}}] \
         [--request-head-timeout {{request_head_timeout}}] [--max-request-body {{max_request_body}}]",
        env!("CARGO_BIN_EXE_outrigger")
    );
    program::Command::parse(&command).unwrap()
}

/// Plays those that take so long, many at the same time, and tells what went wrong.
fn play(cases: &[Case], jobs: usize, longest: Duration, own_addresses: bool) {
    let counters = "outrigger.config_revision_in_use,outrigger.config_reload_refused";
    let program = Program {
        launch: Launch::Command(command()),
        drain: Some("TERM".to_owned()),
        reload: Some(counters.parse().unwrap()),
        patience: Duration::from_secs(60),
        longest,
        own_addresses,
    };
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        let (_stop, stopped) = watch::channel(false);
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match program.run(case, stopped.clone()).unwrap() {
                Outcome::Passed | Outcome::Skipped(_) | Outcome::Differs(_) => {}
                Outcome::Failed(problems) => {
                    let what = format!("{}:{}: {}", case.file, case.line, case.title);
                    failures.lock().unwrap().push((what, problems));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn the_program_does_what_each_case_says() {
    play(&cases(), 4, MOMENT, false);
}

#[test]
#[ignore = "it takes five minutes, of which the machine rests most"]
fn the_program_does_what_each_case_says_that_takes_time() {
    let mut cases = cases();
    cases.retain(|case| case.takes.is_some());
    // Long ones first, so that nobody waits for the last of them.
    cases.sort_by_key(|case| std::cmp::Reverse(case.takes));
    play(&cases, 40, LONGEST, false);
}

/// Set for the copy of this test that runs where all addresses of cases are this machine's.
const OWN_ADDRESSES: &str = "OUTRIGGER_TEST_OWN_ADDRESSES";

/// Runs a command in a network namespace in which they are.
fn namespace(words: &[&str]) -> Command {
    const PREPARED: &str =
        "ip link set lo up && ip route add local 10.0.0.0/8 dev lo && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", PREPARED, "sh"]);
    command.args(words);
    command
}

/// Where a hash leads depends on addresses, and so do these cases.
#[test]
fn the_program_finds_the_endpoints_that_cases_name_at_their_own_addresses() {
    if std::env::var_os(OWN_ADDRESSES).is_some() {
        let mut cases = cases();
        cases.retain(|case| case.skip("moved").is_some());
        assert!(!cases.is_empty());
        return play(&cases, 1, MOMENT, true);
    }
    let probe = namespace(&["true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("not played: this machine lets nobody have a network namespace");
        return;
    }
    let me = std::env::current_exe().unwrap().display().to_string();
    let test = "the_program_finds_the_endpoints_that_cases_name_at_their_own_addresses";
    let mut copy = namespace(&[&me, "--exact", test, "--nocapture"]);
    assert!(copy.env(OWN_ADDRESSES, "1").status().unwrap().success());
}

/// What `check` finds in the configuration of a case: severity, code and path of each, in order.
fn found(case: &Case, path: &std::path::Path) -> Vec<[String; 3]> {
    let text: Vec<&str> = case.yaml.iter().map(|d: &Document| &*d.text).collect();
    fs::write(path, text.join("---\n")).unwrap();
    let namespace = case.settings.namespace.as_deref().unwrap_or("default");
    let mut check = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    check.args(["check", "--format", "json", "--namespace", namespace]);
    // What is said of Gateways is said to who carries some.
    let ports = &case.settings.gateway;
    check.args(
        ports
            .iter()
            .map(|port| format!("--gateway={port}=127.0.0.1:0")),
    );
    let labels = case.settings.labels.iter();
    let labels = labels.filter(|_| !ports.is_empty());
    check.args(labels.map(|(name, value)| format!("--label={name}={value}")));
    let output = check.arg(path).output().unwrap();
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let field = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = verdict["findings"].as_array().unwrap().iter();
    let named = findings.map(|f| ["severity", "code", "path"].map(|name| field(f, name)));
    named.collect()
}

/// `check` judges a folder without knowing the workload, so that nothing is said of those near to it; and it tells what a
/// page leaves out that is about something else.
fn is_of_the_folder(code: &str) -> bool {
    ["no-services", "no-endpoints", "no-locality", "no-peers"].contains(&code)
}

#[test]
fn check_finds_what_each_case_says() {
    let mut failures = Vec::new();
    let name = format!("outrigger-cases-{}.yaml", std::process::id());
    let path = std::env::temp_dir().join(name);
    for case in cases() {
        let Some(expected) = &case.findings else {
            continue;
        };
        let mut left = found(&case, &path);
        let mut missing = Vec::new();
        for wanted in expected {
            let is = |[severity, code, path]: &[String; 3]| {
                *severity == wanted.severity
                    && *code == wanted.code
                    && (wanted.path.is_empty() || *path == wanted.path)
            };
            match left.iter().position(is) {
                Some(at) => drop(left.remove(at)),
                None => missing.push(wanted),
            }
        }
        left.retain(|[_, code, _]| !is_of_the_folder(code));
        missing.retain(|wanted| !is_of_the_folder(&wanted.code));
        if !(left.is_empty() && missing.is_empty()) {
            failures.push(format!(
                "{}:{}: {}: missing {missing:?}, not expected {left:?}",
                case.file, case.line, case.title
            ));
        }
    }
    let _ = fs::remove_file(path);
    assert!(failures.is_empty(), "{failures:#?}");
}
