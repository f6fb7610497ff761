//! What `outrigger run` writes to, when nobody reads it or it fails: no request and no signal waits for it.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;

use proxy::{Folder, Proxy, ask, command, refused};

/// Some of what a pipe, the queue and its last block hold together, several times over.
const REQUESTS: usize = 4000;

/// How often the path of a request says `long`, so that its line is longer.
const LONG: usize = 500;

/// Lines that a pipe holds, of which none is as short as this.
const IN_PIPE: usize = 64 * 1024 / (4 * LONG);

/// Answered by the proxy itself.
const NOBODY: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: nobody}\n\
                      spec: {hosts: [nobody.example], http: [{directResponse: {status: 404}}]}\n";

/// Asks so many times, with a long path, and reads all answers.
fn many_requests(outbound: SocketAddr) {
    let client = TcpStream::connect(outbound).unwrap();
    let mut answers = BufReader::new(client.try_clone().unwrap());
    let path = "long".repeat(LONG);
    let asking = thread::spawn(move || {
        let request = format!("GET /{path} HTTP/1.1\r\nhost: nobody.example\r\n\r\n");
        for _ in 0..REQUESTS {
            (&client).write_all(request.as_bytes()).unwrap();
        }
    });
    let mut line = String::new();
    for _ in 0..REQUESTS {
        line.clear();
        answers.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 404 "), "{line}");
        while line != "\r\n" {
            line.clear();
            assert_ne!(answers.read_line(&mut line).unwrap(), 0);
        }
    }
    asking.join().unwrap();
}

/// How many lines of the access log, or notices, were dropped.
fn dropped(admin: SocketAddr, what: &str) -> usize {
    let request = "GET /stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let stats = ask(admin, request);
    let name = format!("outrigger.{what}_dropped: ");
    let count = stats.lines().find_map(|line| line.strip_prefix(&name));
    count.unwrap().parse().unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &id])
            .status()
            .unwrap()
            .success()
    );
}

/// Where a program listens.
#[cfg(target_os = "linux")]
struct Ears {
    outbound: SocketAddr,
    admin: SocketAddr,
    /// How many requests of ours, to find out which is which, the outbound one has had.
    asked: usize,
}

/// Where a program listens that cannot say so.
#[cfg(target_os = "linux")]
fn listens_at(child: &Child) -> Option<Ears> {
    let id = child.id();
    let open = fs::read_dir(format!("/proc/{id}/fd")).ok()?;
    let open: Vec<_> = open
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
        .collect();
    let sockets = fs::read_to_string(format!("/proc/{id}/net/tcp")).ok()?;
    let of_listener = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let is_ours = open.contains(&format!("socket:[{inode}]").into());
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (is_ours && *state == "0A").then_some(SocketAddr::from(([127, 0, 0, 1], port)))
    };
    let found: Vec<_> = sockets.lines().filter_map(of_listener).collect();
    let &[one, other] = &found[..] else {
        return None;
    };
    let ready = "GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let is_admin = ask(other, ready).ends_with("LIVE\n");
    Some(match is_admin {
        true => Ears {
            outbound: one,
            admin: other,
            asked: 0,
        },
        false => Ears {
            outbound: other,
            admin: one,
            asked: 1,
        },
    })
}

/// A stdout whose reader has gone fails every write; one whose reader has stopped takes no more when the pipe is full.
#[test]
fn an_access_log_that_nobody_reads_stops_nothing() {
    let folder = Folder::new("stdout");
    folder.write("nobody.yaml", NOBODY);
    for is_closed in [true, false] {
        let mut proxy = Proxy::start(&folder.0, &["--access-log", "text"]);
        let unread = proxy.child.stdout.take().filter(|_| !is_closed);
        many_requests(proxy.addr("outbound"));
        // Of the last lines it is known a moment later. Between its fork and its exec, a child of another test has all that
        // is open here, so that a pipe may have a reader a little longer and be filled once.
        let expected = if is_closed { REQUESTS - IN_PIPE } else { 1 };
        while dropped(proxy.addr("admin"), "access_log_lines") < expected {
            thread::yield_now();
        }
        proxy.signal("-TERM");
        let status = proxy.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "closed: {is_closed}");
        drop(unread);
    }
}

/// Whoever restarts a proxy that crashed wants the recording of the crash, however often the start fails.
#[test]
fn a_start_that_fails_moves_no_recording() {
    let folder = Folder::new("record-kept");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    folder.write("good.yaml", "");
    folder.write("bad.yaml", "kind: [");
    folder.write("run.rec", "of the crash");
    let path = folder.0.join("run.rec");
    let record = ["--record", path.to_str().unwrap()];
    for (file, more) in [
        ("bad.yaml", [].as_slice()),
        ("good.yaml", &["--outbound", &taken]),
        ("good.yaml", &["--admin", &taken]),
        ("good.yaml", &["--record-limit", "35"]),
    ] {
        let (code, told) = refused(&folder.0.join(file), &[&record, more].concat());
        assert!(code.is_some_and(|code| code != 0), "{told}");
        assert!(!told.contains("recording ended"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the crash", "{told}");
    }
    let proxy = Proxy::start(&folder.0.join("good.yaml"), &record);
    let previous = fs::read_to_string(folder.0.join("run.rec.previous"));
    assert_eq!(previous.unwrap(), "of the crash");
    assert_eq!(proxy.end().0, Some(0));
    assert!(fs::read(&path).unwrap().starts_with(b"OUTRIGGR"));
}

/// Every write to these fails, as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn outputs_that_take_nothing_stop_nothing() {
    let folder = Folder::new("dev-full");
    folder.write("nobody.yaml", NOBODY);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for runtime in ["tokio", "auto"] {
        let more = ["--access-log", "text", "--runtime", runtime];
        let mut child = command(&folder.0, &more)
            .stdout(full())
            .stderr(full())
            .spawn()
            .unwrap();
        let Ears {
            outbound,
            admin,
            asked,
        } = loop {
            match listens_at(&child) {
                Some(found) => break found,
                None => thread::yield_now(),
            }
        };
        many_requests(outbound);
        let logged = REQUESTS + asked;
        while dropped(admin, "access_log_lines") < logged {
            thread::yield_now();
        }
        let before = dropped(admin, "notices");
        assert!(before > 0, "there was a greeting");
        signal(&child, "-HUP");
        while dropped(admin, "notices") == before {
            thread::yield_now();
        }
        assert_eq!(dropped(admin, "access_log_lines"), logged);
        signal(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{runtime}");
    }
    let path = folder.0.join("nobody.yaml");
    let (code, told) = refused(&path, &["--record", "/dev/full"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("`/dev/full`") && told.contains("not a regular file"),
        "{told}"
    );
}

/// A disk that fills up while the proxy runs: every file takes 8 KiB and no more.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_stops_nothing() {
    const SCRIPT: &str = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\" >log 2>told";
    let folder = Folder::new("disk");
    let config = folder.0.join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("nobody.yaml"), NOBODY).unwrap();
    let run = command(&config, &["--access-log", "text", "--record", "run.rec"]);
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .arg(run.get_program())
        .args(run.get_args())
        .current_dir(&folder.0)
        .spawn()
        .unwrap();
    let told = || fs::read_to_string(folder.0.join("told")).unwrap_or_default();
    let wait_for = |words: &str| loop {
        match told().lines().find(|line| line.contains(words)) {
            Some(line) => return line.to_owned(),
            None => thread::yield_now(),
        }
    };
    let greeting = wait_for("outrigger ");
    let addr = |word: &str| -> SocketAddr {
        let (_, rest) = greeting.split_once(&format!(" {word} 127.0.0.1:")).unwrap();
        let port = rest.split([',', ';']).next().unwrap();
        format!("127.0.0.1:{port}").parse().unwrap()
    };
    many_requests(addr("outbound"));
    wait_for("the recording ended: its file cannot be written");
    let logged = || {
        let log = fs::read(folder.0.join("log")).unwrap();
        log.iter().filter(|byte| **byte == b'\n').count()
    };
    while logged() + dropped(addr("admin"), "access_log_lines") < REQUESTS {
        thread::yield_now();
    }
    while dropped(addr("admin"), "notices") == 0 {
        signal(&child, "-HUP");
    }
    many_requests(addr("outbound"));
    signal(&child, "-TERM");
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", told());
    assert!(!told().contains("panicked"), "{}", told());
}
