//! Zero-loss restarts of sidecars that run by a control plane (`--takeover` with `--xds`), while clients ask without pause.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/load.rs"]
mod load;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use control::{Control, command, until};
use load::{Load, endpoint};
use proxy::{Folder, Proxy, application, has_glommio, shop};
use support::PATIENCE;

/// A mesh, and where runs of one sidecar meet.
struct Stage {
    mesh: Folder,
    runs: Folder,
    at: SocketAddr,
    runtime: &'static str,
}

impl Stage {
    /// One for each runtime, with a control plane.
    fn each(test: &str) -> impl Iterator<Item = (Self, Control)> {
        let runtimes = ["tokio", "glommio"].into_iter();
        let runtimes = runtimes.filter(|runtime| *runtime == "tokio" || has_glommio());
        runtimes.map(move |runtime| {
            let mesh = Folder::new(&format!("{test}-{runtime}-mesh"));
            mesh.write("shop.yaml", &shop(endpoint()));
            let control = Control::start(&mesh, "127.0.0.1:0");
            let stage = Self {
                at: control.addr("discovery"),
                runs: Folder::new(&format!("{test}-{runtime}")),
                mesh,
                runtime,
            };
            (stage, control)
        })
    }

    /// A run like those before it, at the addresses of one of them.
    fn command(&self, addresses: &[String]) -> Command {
        let door = self.runs.0.join("door.sock");
        let door = door.to_str().unwrap();
        let more = [
            "--runtime",
            self.runtime,
            "--takeover",
            door,
            "--minimum-drain-time",
            "0",
        ];
        let mut command = command(self.at, "one", &more);
        if addresses.is_empty() {
            command.args(["--health", "127.0.0.1:0"]);
            return command;
        }
        // What is said twice is refused.
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(["run", "--workers", "2", "--workload-name", "one"]);
        command.arg("--xds").arg(format!("http://{}", self.at));
        command.args(more).args(addresses);
        command
    }
}

/// The addresses of a run, as the next one is told them.
fn addresses(of: &Proxy) -> Vec<String> {
    let words = ["outbound", "admin", "health"];
    let word = |word: &&str| [format!("--{word}"), of.addr(word).to_string()];
    words.iter().flat_map(word).collect()
}

fn is_ready(health: SocketAddr) -> bool {
    let asks = "GET /healthz/ready HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    proxy::ask(health, asks).starts_with("HTTP/1.1 200 ")
}

#[test]
fn takeovers_lose_nothing_and_each_run_has_its_own_configuration() {
    for (stage, control) in Stage::each("takeover-xds") {
        let mut old = Proxy::spawn(stage.command(&[]));
        let addresses = addresses(&old);
        let mut load = Load::begin(old.addr("outbound"), "shop.example", (4, 2));
        for round in 1..=5 {
            load.goes_on();
            let (name, host) = (format!("round{round}"), format!("round{round}.example"));
            let service = shop(application("round")).replace("shop", &name);
            stage.mesh.write(&format!("{name}.yaml"), &service);
            until(&old, &host, "round");
            let new = Proxy::spawn(stage.command(&addresses));
            assert!(
                new.get(&host).ends_with("round"),
                "it has it from the start on"
            );
            let told = |words: &str| {
                let mut lines = new.before.iter();
                lines.position(|line| line.contains(words))
            };
            let configured = told("listening to");
            assert!(
                configured.is_some() && configured < told("took over from process"),
                "{:#?}",
                new.before
            );
            let generation = format!("server.hot_restart_generation: {round}\n");
            new.page("/stats", &generation);
            let mut gone = std::mem::replace(&mut old, new);
            assert_eq!(gone.wait().0, Some(0), "it ends by itself");
            control.page("/stats/prometheus", "outrigger_control_clients 1\n");
            assert!(is_ready(old.addr("health")));
        }
        load.goes_on();
        load.end().expect_nothing_lost();
        // It goes on being told.
        let service = shop(application("last")).replace("shop", "last");
        stage.mesh.write("last.yaml", &service);
        until(&old, "last.example", "last");
        assert_eq!(old.end().0, Some(0));
    }
}

#[test]
fn the_old_run_serves_until_the_new_one_has_a_configuration() {
    for (stage, control) in Stage::each("takeover-waits") {
        let mut old = Proxy::spawn(stage.command(&[]));
        let addresses = addresses(&old);
        let health = old.addr("health");
        let mut load = Load::begin(old.addr("outbound"), "shop.example", (4, 2));
        control.signal("-KILL");
        drop(control);
        let words = "waiting for a first configuration";
        let mut new = Proxy::spawn_until(stage.command(&addresses), words);
        let service = shop(application("later")).replace("shop", "later");
        stage.mesh.write("later.yaml", &service);
        for _ in 0..20 {
            assert!(is_ready(health), "the old one answers, and is ready");
            load.goes_on();
        }
        assert!(new.child.try_wait().unwrap().is_none());
        let control = Control::start(&stage.mesh, &stage.at.to_string());
        new.greets();
        assert!(new.get("later.example").ends_with("later"));
        load.goes_on();
        load.end().expect_nothing_lost();
        assert_eq!(old.wait().0, Some(0), "it ends by itself");
        control.page("/stats/prometheus", "outrigger_control_clients 1\n");
        assert!(is_ready(health));
        assert_eq!(new.end().0, Some(0));
    }
}

#[test]
fn a_new_run_that_gives_up_costs_nothing() {
    for (stage, control) in Stage::each("takeover-gives-up") {
        let old = Proxy::spawn(stage.command(&[]));
        let addresses = addresses(&old);
        let mut load = Load::begin(old.addr("outbound"), "shop.example", (4, 2));
        control.signal("-KILL");
        drop(control);
        let words = "waiting for a first configuration";
        let mut new = Proxy::spawn_until(stage.command(&addresses), words);
        new.signal("-TERM");
        assert_eq!(new.wait().0, Some(0));
        old.wait_for("does not take over");
        load.goes_on();
        load.end().expect_nothing_lost();
        assert!(is_ready(old.addr("health")));
        let _control = Control::start(&stage.mesh, &stage.at.to_string());
        let service = shop(application("later")).replace("shop", "later");
        stage.mesh.write("later.yaml", &service);
        until(&old, "later.example", "later");
    }
}

#[test]
fn a_run_that_drains_listens_to_no_control_plane() {
    for (stage, control) in Stage::each("takeover-drains") {
        // An endpoint that takes its time.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slow = shop(listener.local_addr().unwrap()).replace("shop", "slow");
        let ((came, comes), (go, goes)) = (channel(), channel::<()>());
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).unwrap();
            }
            came.send(()).unwrap();
            goes.recv().unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow";
            stream.get_mut().write_all(answer).unwrap();
        });
        stage.mesh.write("slow.yaml", &slow);
        let mut old = Proxy::spawn(stage.command(&[]));
        old.page("/clusters", "slow.example");
        let addresses = addresses(&old);
        let mut client = TcpStream::connect(old.addr("outbound")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let asks = "GET / HTTP/1.1\r\nhost: slow.example\r\nconnection: close\r\n\r\n";
        client.write_all(asks.as_bytes()).unwrap();
        comes.recv_timeout(PATIENCE).unwrap();
        let new = Proxy::spawn(stage.command(&addresses));
        control.page("/stats/prometheus", "outrigger_control_clients 1\n");
        assert!(
            old.child.try_wait().unwrap().is_none(),
            "it has something in flight"
        );
        go.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("slow"), "{answer}");
        assert_eq!(old.wait().0, Some(0));
        until(&new, "shop.example", "ok");
    }
}
