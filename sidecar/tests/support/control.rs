//! A running `outrigger control` for tests, and sidecars that run by what it says.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]
#![allow(dead_code, reason = "each test program uses its share")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::proxy::{Folder, Proxy, ask};
use super::support::{PATIENCE, Told};

/// A running control plane.
pub(crate) struct Control {
    child: Child,
    pub(crate) told: Told,
    greeting: String,
}

impl Control {
    pub(crate) fn start(config: &Folder, plain: &str) -> Self {
        Self::start_with(config, plain, &[])
    }

    pub(crate) fn start_with(config: &Folder, plain: &str, more: &[String]) -> Self {
        let mut all = vec!["--config".into(), config.0.display().to_string()];
        all.extend_from_slice(more);
        Self::by(plain, &all)
    }

    /// One whose mesh is somewhere else.
    pub(crate) fn by(plain: &str, more: &[String]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(["control", "--plain", plain, "--admin", "127.0.0.1:0"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Told::by(child.stderr.take().unwrap());
        let greeting = told.wait_for("discovery 127");
        Self {
            child,
            told,
            greeting,
        }
    }

    pub(crate) fn addr(&self, word: &str) -> SocketAddr {
        let (_, rest) = self.greeting.split_once(&format!(" {word} ")).unwrap();
        rest.split([',', ';']).next().unwrap().parse().unwrap()
    }

    /// What a page says once it says this.
    pub(crate) fn page(&self, path: &str, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            let request = format!("GET {path} HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n");
            let page = ask(self.addr("admin"), &request);
            if page.contains(wanted) {
                return page;
            }
            assert!(begun.elapsed() < PATIENCE, "{wanted} is not in {page}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What a counter has come to, once it is that much.
    pub(crate) fn count(&self, name: &str, least: u64) -> u64 {
        let begun = Instant::now();
        loop {
            let page = self.page("/stats/prometheus", &format!("\n{name} "));
            let mut lines = page.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            match value {
                Some(value) if value >= least => return value,
                value => assert!(begun.elapsed() < PATIENCE, "{name} is {value:?}"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .arg(name)
            .arg(self.child.id().to_string())
            .status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sidecar by the name, that is to be told where its configuration comes from.
pub(crate) fn sidecar(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args([
        "run",
        "--workers",
        "1",
        "--outbound",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    command.args(["--workload-name", name]);
    command
}

/// One that learns it in clear text.
pub(crate) fn command(control: SocketAddr, name: &str, more: &[&str]) -> Command {
    let mut command = sidecar(name);
    command
        .arg("--xds")
        .arg(format!("http://{control}"))
        .args(more);
    command
}

/// A mesh whose sidecars prove who they are: the folder of the authority, and tokens of two workloads.
pub(crate) fn proving(config: &Folder) -> (std::path::PathBuf, Vec<String>) {
    let ca = config.0.join("ca");
    let digest = |text: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        digest.collect::<String>()
    };
    let mut known = String::new();
    for workload in ["default/shop", "other/thief"] {
        let token = format!("a token of {workload}, nobody guesses");
        let name = workload.replace('/', "-");
        std::fs::write(config.0.join(format!("{name}.token")), &token).unwrap();
        known += &format!("{} {workload}\n", digest(&token));
    }
    std::fs::write(config.0.join("tokens"), known).unwrap();
    let words = ["--service", "localhost", "--listen", "127.0.0.1:0"];
    let mut more: Vec<String> = words.map(String::from).to_vec();
    more.extend(["--ca".into(), ca.display().to_string()]);
    more.extend([
        "--tokens".into(),
        config.0.join("tokens").display().to_string(),
    ]);
    (ca, more)
}

/// A sidecar that learns it over TLS, proving who it is by the token of a workload.
pub(crate) fn proven(control: &Control, config: &Folder, workload: &str, more: &[&str]) -> Command {
    let at = format!("localhost:{}", control.addr("secure").port());
    let mut command = sidecar("one");
    command
        .args(["--xds", &at, "--ca", &at])
        .arg("--ca-roots")
        .arg(config.0.join("ca/root-cert.pem"))
        .arg("--token")
        .arg(config.0.join(format!("{workload}.token")))
        .args(more);
    command
}

/// Asks until the answer ends so.
pub(crate) fn until(proxy: &Proxy, host: &str, end: &str) {
    let begun = Instant::now();
    loop {
        let response = proxy.get(host);
        if response.ends_with(end) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{host} answers {response}");
        thread::sleep(Duration::from_millis(5));
    }
}
