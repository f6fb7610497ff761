//! What becomes of `--runtime`: glommio serves where it can be used, and where it cannot, that is told. A low limit of lockable memory stands for all reasons: it is
//! the one that a test can set for another process without privileges.

#![cfg(all(target_os = "linux", feature = "glommio"))]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

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
        let words = "error: `--runtime glommio`: io_uring cannot be used: this process may lock 64 KiB of memory, and \
                     512 KiB are needed. Raise the limit (`ulimit -l 512`, systemd: LimitMEMLOCK, Docker: \
                     --ulimit memlock); or use `--runtime tokio`, or `--runtime auto` to take what works\n";
        assert!(told.ends_with(words), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn auto_falls_back_to_tokio_and_says_so() {
    let mut proxy = Proxy::start(without_memory_to_lock(&run("auto")));
    let warning = proxy.said.remove(0);
    assert!(
        warning.contains("Z warning: `--runtime auto` takes tokio: io_uring cannot be used: "),
        "{warning}"
    );
    let greeting = proxy.said.remove(0);
    assert!(greeting.contains(" workers on tokio; "), "{greeting}");
}

#[test]
fn glommio_serves_where_it_can_be_used() {
    if let Err(unavailable) = outrigger_glommio::probe() {
        eprintln!("nothing tested: {unavailable}");
        return;
    }
    for runtime in ["glommio", "auto"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        program.args(run(runtime));
        let proxy = Proxy::start(program);
        let [greeting] = &*proxy.said else {
            panic!("something to warn of: {:?}", proxy.said);
        };
        assert!(greeting.contains(" workers on glommio; "), "{greeting}");
        let (_, rest) = greeting.split_once(" outbound ").unwrap();
        let mut client = TcpStream::connect(rest.split(',').next().unwrap()).unwrap();
        client
            .write_all(
                b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\nbad header\r\n\r\n",
            )
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

/// The words for a run on free ports.
fn run(runtime: &str) -> [&str; 9] {
    let free = "127.0.0.1:0";
    [
        "run",
        "--runtime",
        runtime,
        "--config",
        CONFIG,
        "--outbound",
        free,
        "--admin",
        free,
    ]
}

/// A running proxy, and what it said about the runtime until it had started.
struct Proxy {
    child: Child,
    said: Vec<String>,
}

impl Proxy {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            let started = line.contains(": outrigger ");
            // Findings about the example are of no interest here.
            if started || line.contains("`--runtime") {
                said.push(line);
            }
            if started {
                break;
            }
        }
        Self { child, said }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
