//! The demo of interception as a user runs it: two pods, rules of the kernel, sidecars and applications.
//!
//! Needs to be root on Linux with `ip`, and iptables or nft. Where it may not make namespaces, it is the refusal that is tested.
#![cfg(target_os = "linux")]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses its share of the stage, whose failure fails the test"
)]

use std::process::Command;

use cable::{Cable, backends};
use proxy::has_glommio;

#[path = "../../intercept/tests/cable/mod.rs"]
mod cable;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

#[test]
fn applications_that_know_of_no_proxy_are_reached_through_two_sidecars() {
    let is_possible = match Cable::new("demo") {
        Ok(cable) => !cable.in_pod(backends).is_empty(),
        Err(_) => false,
    };
    let runtimes = ["tokio", "glommio"].into_iter();
    for runtime in runtimes.filter(|runtime| *runtime != "glommio" || has_glommio()) {
        let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(["demo", "--intercept", "--format", "json"])
            .args(["--runtime", runtime])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        if !is_possible {
            assert_eq!(output.status.code(), Some(1), "{told}");
            let remedy = "run it as `sudo outrigger demo --intercept`";
            assert!(told.contains(remedy), "{told}");
            assert!(output.stdout.is_empty(), "nothing was played");
            continue;
        }
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let shown = format!("{runtime}: {document:#} {told}");
        assert_eq!(output.status.code(), Some(0), "{shown}");
        let checks = document["checks"].as_array().unwrap();
        let stories = checks.iter().map(|check| {
            let stories = check["stories"].as_array();
            stories.map_or(0, Vec::len)
        });
        assert_eq!(stories.collect::<Vec<_>>(), [2, 2, 0], "{shown}");
        for destination in ["outbound|7000||ledger", "inbound|7000||"] {
            let story = checks[1]["stories"].to_string();
            assert!(story.contains(destination), "{shown}");
        }
    }
}
