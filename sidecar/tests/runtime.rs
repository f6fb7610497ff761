//! What becomes of `--runtime` where glommio cannot be used. A low limit of lockable memory stands for all reasons: it is
//! the one that a test can set for another process without privileges.

#![cfg(all(target_os = "linux", feature = "glommio"))]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// The program under a limit that glommio does not accept.
fn without_memory_to_lock(args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -l 64 && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_outrigger"))
        .args(args);
    command
}

/// Configuration that is good.
const CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/tutorial/services.yaml"
);

#[test]
fn glommio_by_name_is_refused_before_anything_else_begins() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for args in [
        // Had a listener been opened first, the address would be what is complained of.
        &[
            "run",
            "--runtime",
            "glommio",
            "--config",
            CONFIG,
            "--outbound",
            &taken,
        ][..],
        &["demo", "--runtime", "glommio"],
    ] {
        let output = without_memory_to_lock(args).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert_eq!(
            told,
            "error: `--runtime glommio`: io_uring cannot be used: this process may lock 64 KiB of memory, and 512 KiB \
             are needed. Raise the limit (`ulimit -l 512`, systemd: LimitMEMLOCK, Docker: --ulimit memlock); or use \
             `--runtime tokio`, or `--runtime auto` to take what works\n"
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn auto_falls_back_to_tokio_and_says_so() {
    let free = "127.0.0.1:0";
    let mut child = without_memory_to_lock(&[
        "run",
        "--runtime",
        "auto",
        "--config",
        CONFIG,
        "--outbound",
        free,
        "--admin",
        free,
    ])
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // Findings about the example are of no interest here.
    let mut lines = lines
        .map_while(Result::ok)
        .filter(|line| line.starts_with("warning: `--runtime") || line.starts_with("outrigger "));
    let (warning, greeting) = (lines.next().unwrap(), lines.next().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        warning.starts_with("warning: `--runtime auto` takes tokio: io_uring cannot be used: "),
        "{warning}"
    );
    assert!(greeting.contains(" workers on tokio; "), "{greeting}");
}
