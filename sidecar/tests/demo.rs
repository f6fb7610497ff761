//! The demo as a user runs it: services, sidecars, sockets and all.

use std::process::{Command, Stdio};

/// The demo as a shell starts it after `ulimit` with these arguments.
fn limited(limit: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_outrigger"));
    command
}

/// It would not fail but wait for connections that nobody can accept.
#[test]
fn too_few_descriptors_are_told_before_it_starts() {
    for few in ["64", "512"] {
        let output = limited(&format!("-n {few}"))
            .arg("demo")
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        for part in [
            "up to 1000",
            &format!("hard limit here is {few}"),
            "ulimit -n 1000",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(output.stdout.is_empty(), "no step was played");
    }
}

/// The least number of requests that the demo takes.
const LEAST: &str = "158";

/// A range that holds all outcomes would be a check that can not fail, and one that holds none leaves no story to tell.
#[test]
fn too_few_requests_to_say_something_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["demo", "--requests", "20"])
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("(03-canary-90-10: 0 to "), "{told}");
    assert!(
        told.contains(&format!("use --requests {LEAST} or more")),
        "{told}"
    );
    assert!(output.stdout.is_empty(), "no step was played");
}

/// Titles, long answers, stories and the table of loads: all of it.
#[test]
fn lines_keep_to_the_width() {
    let begun: Vec<_> = [60, 80]
        .into_iter()
        .map(|columns| {
            let child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
                .args(["demo", "--requests", LEAST, "--stories"])
                .env("COLUMNS", columns.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the program runs");
            (columns, child)
        })
        .collect();
    for (columns, child) in begun {
        let output = child.wait_with_output().expect("it ends");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        for part in ["× 503 (503 UO)", "× 503 (504 UT)", "2 ejections or more"] {
            assert!(shown.contains(part), "`{part}` in {shown}");
        }
    }
}

#[test]
fn every_step_shows_what_it_should() {
    // A soft limit that is too low is raised.
    let output = limited("-Sn 64")
        .args(["demo", "--requests", "200", "--stories", "--format", "json"])
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{told}");
    let outcome: serde_json::Value = serde_json::from_str(&shown).expect("one JSON document");
    assert_eq!(outcome["ok"], true);
    assert!(told.is_empty(), "nothing to warn of: {told}");
    let of = |list: &str, step: &str| {
        let rows = outcome[list].as_array().expect("a list");
        let row = rows.iter().find(|row| row["step"] == step);
        row.expect("every step is there").clone()
    };
    for (step, success) in [
        ("18-slow-v2", 1.0..=1.0),
        ("16-circuit-breaker", 0.01..=0.99),
        ("19-failing-instance", 0.01..=0.99),
        ("20-failing-instance-ejected", 0.5..=0.999),
        ("21-all-together", 1.0..=1.0),
    ] {
        let load = &of("checks", step)["load"];
        let rate = load["success_rate"].as_f64().expect("a rate");
        assert!(success.contains(&rate), "{step}: {load}");
        assert!(load["p50_ms"].as_f64() <= load["p99_ms"].as_f64(), "{load}");
    }
    let stories = outcome["stories"].as_array().expect("a list");
    for row in outcome["checks"].as_array().expect("a list") {
        let has_story = |story: &&serde_json::Value| story["step"] == row["step"];
        assert_eq!(stories.iter().filter(has_story).count(), 1, "{row}");
    }
    let mirror = of("checks", "09-dark-launch")["meanwhile"].to_string();
    assert!(mirror.contains("v2 asked 40 times"), "{mirror}");
    let calls = of("checks", "35-grpc-canary")["meanwhile"].to_string();
    assert!(calls.contains("100 at once on 1"), "{calls}");
    let story = of("stories", "36-grpc-retry")["story"].to_string();
    assert!(story.contains("grpc-status 14; retried after"), "{story}");
    let story = of("stories", "21-all-together")["story"].to_string();
    assert!(story.contains("ended with 503; retried after"), "{story}");
    let story = of("stories", "16-circuit-breaker")["story"].to_string();
    assert!(story.contains("refused by the circuit limit"), "{story}");
    let seen = |step: &str, visit: &str| {
        let rows = outcome["checks"].as_array().expect("a list");
        let row = rows
            .iter()
            .find(|row| row["step"] == step && row["visit"] == visit);
        row.expect("every visit is there")["observed"].to_string()
    };
    for (step, visit, what) in [
        ("37-strict", "a visitor", "v1"),
        ("37-strict", "a stranger", "503 UC"),
        ("38-deny-list", "the tester", "403 RBAC: access denied"),
        (
            "39-allow-list",
            "a stranger, directly",
            "403 RBAC: access denied",
        ),
        ("40-tokens", "with a token", "v2"),
        ("40-tokens", "without one", "403 RBAC: access denied"),
        ("40-tokens", "with an old one", "401 Jwt is expired"),
    ] {
        let observed = seen(step, visit);
        assert!(observed.contains(what), "{step}, {visit}: {observed}");
    }
    let story = of("stories", "38-deny-list")["story"].to_string();
    assert!(
        story.contains("AuthorizationPolicy default/no-testers spec.rules[0] (38-deny-list:20)"),
        "{story}"
    );
}
