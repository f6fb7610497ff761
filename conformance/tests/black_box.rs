//! Cases against programs of their own, with this test's program as the one under test.
//!
//! A package's tests know only the programs of that package, so the proxy that is started here is this same executable:
//! told `proxy CONFIG PORT`, it runs the tokio runtime with that configuration. Told `wrong CONFIG PORT`, it listens and
//! answers nothing that a case expects. Which of the program's faults are told, and how, is what is tested.

#![expect(
    clippy::unwrap_used,
    reason = "a test, without the harness by which clippy would know it"
)]

use std::io::Write;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command as Start, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use outrigger_conformance::case::{Case, Document};
use outrigger_conformance::program::{Command, Launch, Program};
use outrigger_conformance::subject::{Outcome, Setup};
use outrigger_core::peer::ListenerKind;
use outrigger_runtime::{Config, Listen};
use serde_json::Value;
use tokio::sync::watch;

const PAGE: &str = include_str!("black_box/page.md");

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &*words {
        [what, config, port] if what == "proxy" => proxy(config, port),
        [what, _, port] if what == "wrong" => wrong(port),
        _ => {
            each_case_comes_to_what_its_title_says();
            the_suites_own_cases_hold_for_the_stand_in();
            a_program_that_ends_is_told_with_its_words();
            a_program_that_is_not_there_is_an_error();
            whoever_stops_is_obeyed();
            the_command_line_reports_for_machines();
            println!("black box: all as it should be");
            ExitCode::SUCCESS
        }
    }
}

/// The program under test.
fn proxy(config: &str, port: &str) -> ExitCode {
    let text = std::fs::read_to_string(config).unwrap();
    let case = Case {
        yaml: vec![Document { line: 1, text }],
        ..Case::default()
    };
    let setup = Setup::new(&case).unwrap();
    let config = Config {
        listeners: vec![Listen::direct(
            ListenerKind::Outbound,
            format!("127.0.0.1:{port}").parse().unwrap(),
        )],
        workers: NonZeroUsize::MIN,
        settings: setup.settings,
        seed: None,
        busy_poll: Duration::ZERO,
        own_addrs: Vec::new(),
        handover: Default::default(),
        names: None,
        snapshot: Arc::new(setup.snapshot),
        sinks: None,
        recorder: None,
        notices: Arc::new(|_| {}),
    };
    let _running = outrigger_tokio::start(config).unwrap();
    loop {
        std::thread::park();
    }
}

/// A program that is no proxy.
fn wrong(port: &str) -> ExitCode {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    for stream in listener.incoming() {
        let _ = stream
            .unwrap()
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    }
    ExitCode::SUCCESS
}

fn me() -> String {
    std::env::current_exe().unwrap().display().to_string()
}

fn program(command: &str) -> Program {
    Program {
        launch: Launch::Command(Command::parse(command).unwrap()),
        drain: None,
        reload: None,
        patience: Duration::from_secs(20),
        longest: Duration::from_secs(2),
        own_addresses: false,
    }
}

fn run(program: &Program, case: &Case) -> Outcome {
    let (_stop, stopped) = watch::channel(false);
    program.run(case, stopped).unwrap()
}

/// A case's title begins with `Passes`, `Fails: what`, `Skips: why` or `Differs: why`.
fn check(program: &Program, case: &Case) {
    let outcome = run(program, case);
    let fits = match (case.title.split_once(": "), &outcome) {
        (None, Outcome::Passed) => case.title.starts_with("Passes"),
        (Some(("Skips", why)), Outcome::Skipped(got))
        | (Some(("Differs", why)), Outcome::Differs(got)) => got.contains(why),
        (Some(("Fails", what)), Outcome::Failed(problems)) => {
            problems.iter().any(|p| p.what.contains(what))
        }
        _ => false,
    };
    assert!(fits, "{}: {outcome:?}", case.title);
}

fn each_case_comes_to_what_its_title_says() {
    let proxy = program(&format!("'{}' proxy {{config}} {{port}}", me()));
    let cases = Case::parse_file("page.md", PAGE).unwrap();
    assert!(cases.len() > 6);
    for case in &cases {
        check(&proxy, case);
    }
    let wrong = program(&format!("'{}' wrong {{config}} {{port}}", me()));
    assert!(matches!(run(&wrong, &cases[0]), Outcome::Failed(_)));
}

fn the_suites_own_cases_hold_for_the_stand_in() {
    let proxy = program(&format!("'{}' proxy {{config}} {{port}}", me()));
    let folder = outrigger_conformance::pages::folder();
    for page in ["routing/redirect.md", "http1/fields.md"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        let mut passed = 0;
        for case in Case::parse_file(page, &text).unwrap() {
            match run(&proxy, &case) {
                Outcome::Passed => passed += 1,
                Outcome::Skipped(_) | Outcome::Differs(_) => {}
                Outcome::Failed(problems) => panic!("{}: {problems:#?}", case.title),
            }
        }
        assert!(passed > 3, "{page}: {passed}");
    }
}

fn a_program_that_ends_is_told_with_its_words() {
    let case = Case::parse_file("page.md", PAGE).unwrap().remove(0);
    let ends = program("sh -c 'echo no such thing; exit 3' {config} {port}");
    let Outcome::Failed(problems) = run(&ends, &case) else {
        panic!("it can not pass");
    };
    let what = &problems.last().unwrap().what;
    assert!(
        what.contains("exit status: 3") && what.contains("no such thing"),
        "{what}"
    );
}

fn a_program_that_is_not_there_is_an_error() {
    let case = Case::parse_file("page.md", PAGE).unwrap().remove(0);
    let (_stop, stopped) = watch::channel(false);
    let error = program("./nobody-has-this {config} {port}").run(&case, stopped);
    assert!(error.unwrap_err().to_string().contains("./nobody-has-this"));
}

fn whoever_stops_is_obeyed() {
    let case = Case::parse_file("page.md", PAGE).unwrap().remove(0);
    let (_stop, stopped) = watch::channel(true);
    // It never listens; only being stopped ends the wait before patience does.
    let never = Program {
        patience: Duration::from_secs(100_000),
        ..program("sh -c 'exec sleep 100000' {config} {port}")
    };
    let outcome = never.run(&case, stopped).unwrap();
    assert_eq!(outcome, Outcome::Skipped("interrupted".to_owned()));
}

fn the_command_line_reports_for_machines() {
    let suite = env!("CARGO_BIN_EXE_outrigger-conformance");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/black_box");
    let subject = format!("'{}' proxy {{config}} {{port}}", me());
    let ask = |words: &[&str]| {
        let output = Start::new(suite)
            .arg("--cases")
            .arg(&folder)
            .args(words)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = ask(&["--subject", &subject, "--format", "json"]);
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(1), "{text}");
    let cases = all["cases"].as_array().unwrap();
    for case in cases {
        let title = case["title"].as_str().unwrap().to_lowercase();
        let outcome = &case["outcome"].as_str().unwrap()[..4];
        assert!(title.starts_with(outcome), "{case}");
    }
    let count = |of: &str| all["summary"][of].as_u64().unwrap();
    assert_eq!(
        count("passed") + count("differs") + count("failed") + count("skipped"),
        cases.len() as u64
    );
    // What one case can not have is that case's failure, and the others are still told.
    let output = Start::new(suite)
        .env("TMPDIR", "/nobody/has/this")
        .arg("--cases")
        .arg(&folder)
        .args(["--subject", &subject, "--format", "json"])
        .output()
        .unwrap();
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = all["cases"].as_array().unwrap();
    assert_eq!((output.status.code(), told.len()), (Some(1), cases.len()));
    assert!(
        all.to_string().contains("it could not be set up: "),
        "{all}"
    );
    let (code, text) = ask(&["--subject", &subject, "Passes"]);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        &["--list", "no case has this"][..],
        &["--subject", "./nobody-has-this {config} {port}"],
        &["--subject", "p"],
    ] {
        assert_eq!(ask(words).0, Some(2), "{words:?}");
    }
    let (code, text) = ask(&["--list"]);
    assert_eq!((code, text.lines().count()), (Some(0), cases.len()));
}
