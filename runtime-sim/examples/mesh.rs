//! Plays a large mesh, to see what one costs: how long its sidecars take to be made, how fast it is played, and how much
//! memory it takes.
//!
//! ```sh
//! cargo run --release -p outrigger-sim --example mesh                       # 1000 services, 3000 replicas, each with a sidecar
//! cargo run --release -p outrigger-sim --example mesh -- --services 1 --seconds 100 --rate 1000 --alone
//! cargo run --release -p outrigger-sim --example mesh -- --print > mesh.yaml && outrigger simulate mesh.yaml
//! ```
//!
//! Services stand in five layers, and each calls two of the layer below. Clients ask the services of the first layer.
//! `--scope all` lets every sidecar know every service; `--alone` leaves out the sidecars of the services that are asked.

use std::env;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use outrigger_core::config::{MeshConfig, Source};
use outrigger_sim::study::{Study, read};

/// What is to be played.
struct Mesh {
    services: usize,
    layers: usize,
    replicas: usize,
    /// Requests of clients a second, all together.
    rate: usize,
    seconds: usize,
    scope: String,
    inbound: bool,
    print: bool,
}

fn main() -> ExitCode {
    let Some(mesh) = mesh(env::args().skip(1)) else {
        eprintln!(
            "usage: mesh [--services N] [--layers N] [--replicas N] [--rate N] [--seconds N] [--scope all|called] \
             [--alone] [--print]"
        );
        return ExitCode::from(2);
    };
    let text = mesh.scenario();
    if mesh.print {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    let source = Source {
        name: "mesh.yaml",
        bytes: text.as_bytes(),
    };
    let began = Instant::now();
    let study = read(source).and_then(|scenario| Study::new(scenario, &[], MeshConfig::default()));
    let study = match study {
        Ok(study) => study,
        Err(findings) => {
            findings.iter().for_each(|finding| eprintln!("{finding}"));
            return ExitCode::from(1);
        }
    };
    println!("read in {:.2} s", began.elapsed().as_secs_f64());
    let (building, mut made) = (Instant::now(), None);
    let outcome = study.play(1, |_| {
        made.get_or_insert_with(Instant::now);
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(1);
        }
    };
    let made = made.unwrap_or(building);
    let (making, playing) = (
        (made - building).as_secs_f64(),
        made.elapsed().as_secs_f64(),
    );
    println!("sidecars made, and the first step played, in {making:.2} s");
    println!(
        "{} requests of clients, {} calls, the rest played in {playing:.2} s: {:.0} calls a second; digest {:016x}",
        outcome.requests,
        outcome.calls,
        outcome.calls as f64 / playing,
        outcome.digest,
    );
    println!("{}", peak_memory());
    ExitCode::SUCCESS
}

fn mesh(mut words: impl Iterator<Item = String>) -> Option<Mesh> {
    let mut mesh = Mesh {
        services: 1000,
        layers: 5,
        replicas: 3,
        rate: 500,
        seconds: 10,
        scope: "called".to_owned(),
        inbound: true,
        print: false,
    };
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse().ok().filter(|n| *n > 0);
        match word.as_str() {
            "--services" => mesh.services = number()?,
            "--layers" => mesh.layers = number()?,
            "--replicas" => mesh.replicas = number()?,
            "--rate" => mesh.rate = number()?,
            "--seconds" => mesh.seconds = number()?,
            "--scope" => mesh.scope = words.next()?,
            "--alone" => mesh.inbound = false,
            "--print" => mesh.print = true,
            _ => return None,
        }
    }
    mesh.layers = mesh.layers.min(mesh.services);
    Some(mesh)
}

impl Mesh {
    fn scenario(&self) -> String {
        let (services, wide) = (self.services, self.services / self.layers);
        let mut text = format!(
            "about: A mesh of {services} services with {} replicas each\nduration: {}s\nscope: {}\ninbound: {}\nservices:\n",
            self.replicas, self.seconds, self.scope, self.inbound,
        );
        for at in 0..services {
            let below = (at / wide).min(self.layers - 1) + 1;
            // Each service of the layer below is called by two of this one.
            let calls = if below == self.layers {
                String::new()
            } else {
                let [a, b] = [at, at + 1].map(|n| below * wide + n % wide);
                format!(", calls: [s{a}, s{b}]")
            };
            let _ = writeln!(
                text,
                "  s{at}: {{replicas: {}, latency: {{median: 2ms, p99: 10ms}}{calls}}}",
                self.replicas
            );
        }
        text.push_str("clients:\n");
        let clients = wide.min(100);
        for at in 0..clients {
            let rate = self.rate as f64 / clients as f64;
            let _ = writeln!(text, "  users-{at}: {{asks: s{at}, rate: {rate}/s}}");
        }
        text
    }
}

/// The most memory that was ever in use, where the system tells.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.map_or_else(
        || "peak memory unknown".to_owned(),
        |line| format!("peak memory: {line}"),
    )
}
