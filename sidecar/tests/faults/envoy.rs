//! The same rows before the real Envoy, configured as Istio would from the same rules, and what becomes otherwise of them there.
//!
//! `ENVOY=PATH cargo test -p outrigger --test faults -- --ignored envoy` writes the table at the end of the page. Rows with TLS and at
//! Gateways are left out, whose listeners nobody derives.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_conformance::program::{EnvoySite, envoy_bootstrap, envoy_files};
use outrigger_core::compile::from_yaml;
use outrigger_core::worker::WorkerSettings;
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::endpoints::Endpoint;
use super::page::{self, Kind, Outcome, Row};
use super::proxy::{Folder, ask};
use super::stage::{LOG, Sides, lines_of, service};
use super::support::PATIENCE;

#[test]
#[ignore = "needs Envoy, which ENVOY names"]
fn envoy_does_what_the_page_says_of_it() {
    let envoy = std::env::var("ENVOY").expect("ENVOY names the program");
    let rows = page::rows();
    let here = |row: &&Row| matches!(row.kind, Kind::Http | Kind::Http2);
    let rows: Vec<Row> = rows.iter().filter(here).cloned().collect();
    let found: Vec<_> = rows
        .chunks(16)
        .enumerate()
        .flat_map(|(part, rows)| played(&envoy, rows, part))
        .collect();
    page::write_of_envoy(&found);
}

/// What came of each row.
fn played(envoy: &str, rows: &[Row], part: usize) -> Vec<(Row, Outcome)> {
    let folder = Folder::new(&format!("faults-envoy-{part}"));
    let certificates =
        Certificates::new(&folder.0, rows.iter().map(|row| row.host.clone()).collect());
    let endpoints: BTreeMap<usize, Endpoint> = rows
        .iter()
        .map(|row| (row.line, Endpoint::of(row)))
        .collect();
    let running = Envoy::start(envoy, &folder.0, rows, &endpoints);
    let outbound = SocketAddr::from((Ipv4Addr::LOCALHOST, running.outbound));
    let sides = Sides::before(certificates, endpoints, outbound);
    let mut found: Vec<_> = rows
        .iter()
        .map(|row| {
            let sees = sides.play(row).unwrap_or_else(|why| seen(&why));
            running.rests();
            let outcome = Outcome {
                sees,
                ..Outcome::default()
            };
            (row.clone(), outcome)
        })
        .collect();
    drop(running);
    let log = std::fs::read_to_string(folder.0.join("access.log")).unwrap_or_default();
    for (row, outcome) in &mut found {
        outcome.log = plain(&lines_of(&log, row));
        row.outcome.log = plain(&row.outcome.log);
    }
    found
}

/// What a client saw before its script, or the endpoint's, waited in vain.
fn seen(why: &str) -> String {
    let seen = why.strip_prefix("the client saw Ok([");
    let seen = seen.and_then(|rest| rest.split_once("])"));
    seen.map_or_else(|| "nothing more".into(), |(seen, _)| seen.replace('"', ""))
}

/// Envoy tells more of why a connection failed, behind a bar, and flags in the order in which they were raised.
fn plain(log: &str) -> String {
    let mut said = String::new();
    let mut skips = false;
    for letter in log.chars() {
        skips = match letter {
            '|' => true,
            '}' => false,
            _ => skips,
        };
        if !skips {
            said.push(letter);
        }
    }
    let lines = said.split("; ").map(|line| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if let Some(flags) = words.get_mut(1) {
            let mut each: Vec<&str> = flags.split(',').collect();
            each.sort_unstable();
            *flags = each.join(",");
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("; ")
}

struct Envoy {
    child: Child,
    outbound: u16,
    admin: u16,
}

impl Envoy {
    fn start(
        program: &str,
        folder: &Path,
        rows: &[Row],
        endpoints: &BTreeMap<usize, Endpoint>,
    ) -> Self {
        let path = folder.display().to_string();
        let rules: String = rows
            .iter()
            .map(|row| service(row, endpoints[&row.line].addr().port(), &path))
            .collect();
        let snapshot = from_yaml(&rules).snapshot;
        let settings = WorkerSettings {
            request_head_timeout: Some(Duration::from_secs(1)),
            stream_idle_timeout: Some(Duration::from_secs(2)),
            ..WorkerSettings::default()
        };
        let [outbound, inbound, admin] = free_ports();
        let site = EnvoySite {
            outbound,
            inbound,
            admin,
            folder: path,
        };
        let mut start = envoy_bootstrap(&snapshot, &settings, &site).unwrap();
        log_to(&folder.join("access.log"), &mut start);
        for (name, text) in envoy_files(&snapshot, &site).unwrap() {
            std::fs::write(folder.join(name), text.to_string()).unwrap();
        }
        let config = folder.join("envoy.json");
        std::fs::write(&config, start.to_string()).unwrap();
        let said = std::fs::File::create(folder.join("envoy.err")).unwrap();
        let child = Command::new(program)
            .args([
                "--concurrency",
                "1",
                "-l",
                "warning",
                "--disable-hot-restart",
                "-c",
            ])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        let envoy = Self {
            child,
            outbound,
            admin,
        };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, outbound)).is_err()
            || !envoy.admin("/ready").contains("LIVE")
        {
            assert!(
                begun.elapsed() < PATIENCE,
                "Envoy does not listen: {}",
                std::fs::read_to_string(folder.join("envoy.err")).unwrap_or_default()
            );
            thread::yield_now();
        }
        envoy
    }

    fn admin(&self, path: &str) -> String {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin));
        if TcpStream::connect(to).is_err() {
            return String::new();
        }
        ask(
            to,
            &format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"),
        )
    }

    /// Waits until nobody is served, or patience is at its end: what a row leaves is told by the next one.
    fn rests(&self) {
        let begun = Instant::now();
        let is_quiet = |stats: String| {
            let mut lines = stats.lines().filter(|line| line.contains("_active: "));
            lines.all(|line| line.ends_with(": 0"))
        };
        while begun.elapsed() < PATIENCE
            && !is_quiet(self.admin("/stats?filter=http.outbound.downstream_rq_active"))
        {
            thread::yield_now();
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // It writes its log when it ends.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|one| one.local_addr().unwrap().port())
}

/// Each connection manager logs as we do.
fn log_to(path: &Path, start: &mut Value) {
    let format = format!("{LOG}\n");
    let log = json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "text_format_source": { "inline_string": format } },
        },
    }]);
    let listeners = start["static_resources"]["listeners"].as_array_mut();
    for listener in listeners.unwrap() {
        for chain in listener["filter_chains"].as_array_mut().unwrap() {
            for filter in chain["filters"].as_array_mut().unwrap() {
                filter["typed_config"]["access_log"] = log.clone();
            }
        }
    }
}
