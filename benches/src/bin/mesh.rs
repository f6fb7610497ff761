//! Measures a control plane: so many services, so many clients, and what a change costs.
//!
//! The control plane is a process of its own, so that its CPU time and memory are its own; clients are tasks here, which answer
//! at once and keep nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{env, io};

use clap::Parser;
use outrigger_benches::mesh::clients::{Got, client, now};
use outrigger_benches::mesh::objects::{self, Size};
use outrigger_benches::mesh::process;
use outrigger_control::discovery::{Limits, Server, listen};
use outrigger_control::hub::Hub;
use outrigger_xds::service::Discovery;
use outrigger_xds::{Change, KINDS};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;

const EXAMPLES: &str = "Examples:
  cargo run --release -p outrigger-benches --bin mesh                                  1,000 services, 3,000 endpoints, 3,000 sidecars
  cargo run --release -p outrigger-benches --bin mesh -- --scoped                      the same, where each knows its own namespace alone
  cargo run --release -p outrigger-benches --bin mesh -- --clients 100 --minutes 1     fewer of them, and more changes";

/// What a control plane costs.
#[derive(Clone, Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Services, ten to a namespace.
    #[arg(long, default_value_t = 1_000)]
    services: usize,
    /// Endpoints of each.
    #[arg(long, default_value_t = 3)]
    endpoints: usize,
    /// Sidecars, spread over the namespaces.
    #[arg(long, default_value_t = 3_000)]
    clients: usize,
    /// Each knows its own namespace alone.
    #[arg(long)]
    scoped: bool,
    /// Single changes that are timed.
    #[arg(long, default_value_t = 20)]
    changes: u64,
    /// Then 1,000 changes a minute, for so long.
    #[arg(long, default_value_t = 0.5)]
    minutes: f64,
    /// What the child is told that has the mesh.
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime.and_then(|runtime| {
        if arguments.serve {
            runtime.block_on(serve(arguments.size()))
        } else {
            runtime.block_on(measure(&arguments))
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    const fn size(&self) -> Size {
        Size {
            services: self.services,
            endpoints: self.endpoints,
            scoped: self.scoped,
        }
    }
}

/// The child: a hub and its server, and a line of its input for each change.
async fn serve(size: Size) -> io::Result<()> {
    let hub = Arc::new(Hub::default());
    let (changes, taken) = mpsc::channel(1024);
    let kinds: Vec<_> = KINDS.iter().collect();
    let world = Arc::clone(&hub);
    tokio::spawn(async move { world.serve(taken, &kinds).await });
    for change in objects::all(size) {
        changes.send(change).await.map_err(io::Error::other)?;
    }
    while hub.pushed() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    std::thread::spawn(move || {
        for (version, line) in (2..).zip(io::stdin().lines().map_while(Result::ok)) {
            let service = line.parse::<usize>().unwrap_or_default() % size.services;
            let object = objects::slice(service, size.endpoints, version, "changed");
            if changes.blocking_send(Change::Is(object)).is_err() {
                break;
            }
        }
        // Whoever measures is gone.
        std::process::exit(0);
    });
    let server = Server::new(hub, Limits::default());
    tonic::transport::Server::builder()
        .add_service(Discovery::new(Arc::new(server)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .map_err(io::Error::other)
}

struct Control {
    child: Child,
    addr: SocketAddr,
}

impl Control {
    fn start(arguments: &Arguments) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["--serve", "--services", &arguments.services.to_string()])
            .args(["--endpoints", &arguments.endpoints.to_string()])
            .args(arguments.scoped.then_some("--scoped"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no output"))?;
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, addr })
    }

    fn change(&mut self, service: usize) -> io::Result<()> {
        let stdin = self
            .child
            .stdin
            .as_mut()
            .ok_or_else(|| io::Error::other("no input"))?;
        writeln!(stdin, "{service}")
    }

    fn cpu(&self) -> io::Result<f64> {
        Ok(process::cpu(self.child.id())?.as_secs_f64())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure(arguments: &Arguments) -> io::Result<()> {
    let mut control = Control::start(arguments)?;
    let (alone, _) = process::resident(control.child.id())?;
    let got = Arc::new(Got::default());
    let namespaces = arguments.services.div_ceil(objects::IN_A_NAMESPACE);
    let (begun, cpu) = (Instant::now(), control.cpu()?);
    let mut clients = JoinSet::new();
    for number in 0..arguments.clients {
        let (addr, got) = (control.addr, Arc::clone(&got));
        let namespace = objects::namespace(number % namespaces * objects::IN_A_NAMESPACE);
        clients.spawn(async move {
            let ended = client(addr, &namespace, number, Arc::clone(&got)).await;
            let why = ended
                .err()
                .map_or_else(|| "ended".to_owned(), |status| status.to_string());
            let _ = got.failed.set(why);
        });
    }
    let count = arguments.clients as u64;
    until(&got, || got.complete.load(Ordering::Relaxed) == count).await?;
    let (took, used) = (begun.elapsed(), control.cpu()? - cpu);
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (objects, bytes) = (load(&got.objects), load(&got.bytes));
    let (resident, most) = process::resident(control.child.id())?;
    let single = changes(arguments, &mut control, &got).await?;
    let churn = churn(arguments, &mut control, &got).await?;
    let mib = |bytes: u64| bytes >> 20;
    let told = json!({
        "services": arguments.services, "endpoints": arguments.services * arguments.endpoints, "clients": count,
        "scoped": arguments.scoped,
        "start": {"seconds": took.as_secs_f64(), "cpu_seconds": used, "objects_a_client": objects / count,
                  "kib_a_client": bytes / count / 1024},
        "memory_mib": {"alone": mib(alone), "with_clients": mib(resident), "most": mib(most)},
        "change": single, "a_thousand_a_minute": churn,
    });
    println!("{told:#}");
    // Before the control plane, which they would miss.
    clients.shutdown().await;
    Ok(())
}

/// One change at a time: from its beginning until the last client that it concerns has it.
async fn changes(
    arguments: &Arguments,
    control: &mut Control,
    got: &Got,
) -> io::Result<serde_json::Value> {
    let namespaces = arguments.services.div_ceil(objects::IN_A_NAMESPACE);
    let mut times = Vec::new();
    let (cpu, bytes) = (control.cpu()?, got.bytes.load(Ordering::Relaxed));
    for change in 0..arguments.changes {
        let service = usize::try_from(change).unwrap_or_default() * 7 % arguments.services;
        let concerned = if arguments.scoped {
            let namespace = service / objects::IN_A_NAMESPACE;
            (0..arguments.clients)
                .filter(|client| client % namespaces == namespace)
                .count()
        } else {
            arguments.clients
        };
        let (before, begun) = (got.changes.load(Ordering::Relaxed), now());
        control.change(service)?;
        until(got, || {
            got.changes.load(Ordering::Relaxed) - before >= concerned as u64
        })
        .await?;
        times.push((got.last.load(Ordering::Relaxed) - begun) / 1000);
    }
    times.sort_unstable();
    let changes = arguments.changes.max(1);
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .or_else(|| times.last())
            .copied()
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of changes")]
    let of_each = (control.cpu()? - cpu) * 1000.0 / changes as f64;
    Ok(json!({
        "ms_to_the_last_client": {"p50": at(50), "most": times.last()}, "cpu_ms": of_each,
        "kib": (got.bytes.load(Ordering::Relaxed) - bytes) / changes / 1024,
    }))
}

/// A thousand changes a minute, and what they cost.
async fn churn(
    arguments: &Arguments,
    control: &mut Control,
    got: &Got,
) -> io::Result<serde_json::Value> {
    let every = Duration::from_millis(60);
    let (begun, cpu) = (Instant::now(), control.cpu()?);
    let (bytes, responses) = (
        got.bytes.load(Ordering::Relaxed),
        got.responses.load(Ordering::Relaxed),
    );
    let mut tick = tokio::time::interval(every);
    let mut service = 0;
    while begun.elapsed().as_secs_f64() < arguments.minutes * 60.0 {
        tick.tick().await;
        service += 13;
        control.change(service)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(json!({
        "cpus": (control.cpu()? - cpu) / seconds,
        "mib_a_second": (got.bytes.load(Ordering::Relaxed) - bytes) as f64 / seconds / 1_048_576.0,
        "responses_a_second": (got.responses.load(Ordering::Relaxed) - responses) as f64 / seconds,
    }))
}

async fn until(got: &Got, is_so: impl Fn() -> bool) -> io::Result<()> {
    let begun = Instant::now();
    while !is_so() {
        if let Some(why) = got.failed.get() {
            return Err(io::Error::other(format!("a client: {why}")));
        }
        if begun.elapsed() > Duration::from_secs(300) {
            return Err(io::Error::other("it did not come to that in five minutes"));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Ok(())
}
