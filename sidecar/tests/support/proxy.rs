//! A running `outrigger run` for tests: its configuration, an application behind it, and what both are asked.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]
#![allow(dead_code, reason = "each test program uses its share")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use super::support::{PATIENCE, Told};

/// Whether there is the other runtime, in this build and on this system.
pub(crate) fn has_glommio() -> bool {
    #[cfg(all(target_os = "linux", feature = "glommio"))]
    return outrigger_glommio::probe().is_ok();
    #[cfg(not(all(target_os = "linux", feature = "glommio")))]
    false
}

/// A folder of its own for one test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("outrigger-run-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // In one step, as editors and Kubernetes do it.
        let new = self.0.join(".new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.join(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn command(config: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.arg("run").args(more);
    if !more.contains(&"--workers") {
        command.args(["--workers", "1"]);
    }
    for listener in ["--outbound", "--admin"] {
        if !more.contains(&listener) {
            command.args([listener, "127.0.0.1:0"]);
        }
    }
    command.arg("--config").arg(config);
    command
}

/// A run that must not begin.
pub(crate) fn refused(config: &Path, more: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(config, more).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) child: Child,
    told: Told,
    greeting: String,
    /// What it told before.
    pub(crate) before: Vec<String>,
}

impl Proxy {
    pub(crate) fn start(config: &Path, more: &[&str]) -> Self {
        Self::spawn(command(config, more))
    }

    pub(crate) fn spawn(command: Command) -> Self {
        Self::spawn_until(command, "outrigger ")
    }

    /// One that says these words before anything is served, with addresses as in the greeting.
    pub(crate) fn spawn_until(mut command: Command, words: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Told::by(child.stderr.take().unwrap());
        let mut proxy = Self {
            child,
            told,
            greeting: String::new(),
            before: Vec::new(),
        };
        proxy.before = proxy.told.until(words);
        proxy.greeting = proxy.before.pop().unwrap_or_default();
        proxy
    }

    /// Now it serves.
    pub(crate) fn greets(&mut self) {
        self.greeting = self.wait_for("outrigger ");
    }

    /// The next line on standard error that contains these words.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        self.told.wait_for(words)
    }

    /// The address that the greeting gives for a word.
    pub(crate) fn addr(&self, word: &str) -> SocketAddr {
        let (_, rest) = self.greeting.split_once(&format!(" {word} ")).unwrap();
        rest.split([',', ';', ' ']).next().unwrap().parse().unwrap()
    }

    /// The address that stands before some words in the greeting.
    pub(crate) fn addr_before(&self, words: &str) -> SocketAddr {
        let (before, _) = self.greeting.split_once(&format!(" {words}")).unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn ask(&self, word: &str, request: &str) -> String {
        ask(self.addr(word), request)
    }

    pub(crate) fn get(&self, host: &str) -> String {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        self.ask("outbound", &request)
    }

    pub(crate) fn admin(&self, line: &str) -> String {
        let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        joined(self.ask("admin", &request))
    }

    /// What a page says once it says this: a request is counted a moment after its last byte has left.
    pub(crate) fn page(&self, path: &str, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            let page = self.admin(&format!("GET {path}"));
            if page.contains(wanted) {
                return page;
            }
            assert!(begun.elapsed() < PATIENCE, "{wanted} is not in {page}");
            thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(name)
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    /// Ends it, and returns its exit code and what it wrote to standard output.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let mut written = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut written).unwrap();
        (self.child.wait().unwrap().code(), written)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// A response whose body came in chunks, as if it had not: those of long pages.
fn joined(response: String) -> String {
    let Some((head, mut rest)) = response.split_once("\r\n\r\n") else {
        return response;
    };
    if !head.contains("transfer-encoding: chunked") {
        return response;
    }
    let mut whole = format!("{head}\r\n\r\n");
    loop {
        let (length, after) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        let (chunk, after) = after.split_at(length);
        whole.push_str(chunk);
        rest = after.strip_prefix("\r\n").unwrap();
        if length == 0 {
            return whole;
        }
    }
}

/// An application that answers every connection's request with its name.
pub(crate) fn application(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    serve(listener, name);
    addr
}

/// The same at an address that somebody listens on already.
pub(crate) fn serve(listener: TcpListener, name: &'static str) {
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::from("-");
            while line.trim_end() != "" {
                line.clear();
                request.read_line(&mut line).unwrap();
            }
            let length = name.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all((head + name).as_bytes()).unwrap();
        }
    });
}

/// A service `shop` with one endpoint.
pub(crate) fn shop(endpoint: SocketAddr) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\n\
         kind: ServiceEntry\n\
         metadata: {{name: shop, namespace: default}}\n\
         spec:\n\
         \x20 hosts: [shop.example]\n\
         \x20 location: MESH_INTERNAL\n\
         \x20 resolution: STATIC\n\
         \x20 ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
         \x20 endpoints: [{{address: {}, ports: {{http: {}}}}}]\n",
        endpoint.ip(),
        endpoint.port(),
    )
}
