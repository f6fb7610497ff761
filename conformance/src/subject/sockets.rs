//! Cases over real sockets on loopback: the runtime on its own thread, all peers on this one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::runtime::Builder;
use ::tokio::task::LocalSet;
use outrigger_core::exchange::ListenerKind;
use outrigger_core::snapshot::{Address, Cluster, Snapshot};
use outrigger_recording::Decided;
use outrigger_runtime::{AccessLog, Config, Handle, Listen, Running, StartError};

use super::memory::Memory;
use super::recorded::Recorded;
use super::stage::{Places, Proxy, Stage};
use super::{SEED, Setup, judge_decisions};
use crate::Problem;
use crate::alike;
use crate::case::Case;
use crate::decision::Observed;

/// A case that stands still for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address that refuses: port 1 of loopback (tcpmux) is used by nobody.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Any port of loopback.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How a runtime is started.
pub(super) type Start = fn(Config) -> Result<Running, StartError>;

pub(super) fn run(
    case: &Case,
    setup: Setup,
    start: Start,
    decided: &mut Vec<Decided>,
) -> Vec<Problem> {
    let wrong = |e: io::Error| vec![Problem::new(&case.file, case.line, e.to_string())];
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return wrong(error),
    };
    let local = LocalSet::new();
    match local.block_on(&runtime, play(case, setup, start, decided)) {
        Ok(problems) => problems,
        Err(error) => wrong(error),
    }
}

async fn play(
    case: &Case,
    mut setup: Setup,
    start: Start,
    decided: &mut Vec<Decided>,
) -> io::Result<Vec<Problem>> {
    let mut stage = Stage::open(case, |_| ANY_PORT)?;
    let places = stage.places();
    let recorded = Rc::new(Recorded::start()?);
    let snapshot = recorded.configure(|| Some(std::mem::take(&mut setup.snapshot)));
    let mut snapshot = snapshot.unwrap_or_default();
    relocate(&mut snapshot, &places);
    let lines = Memory::default();
    let running = start_runtime(start, snapshot, &setup, case, &lines, &recorded)?;
    let mut runtime = Runtime {
        setup,
        places: places.clone(),
        recorded: Rc::clone(&recorded),
        handle: running.handle().clone(),
    };
    stage.play(&mut runtime, PATIENCE).await?;
    let mut problems = stage.judge();
    drop((stage, runtime));
    // Blocks, but every peer of the case is done by now, or it is stuck anyway.
    let _ = running.drain(Duration::from_secs(5));
    let (observed, decisions) = records(&lines)?;
    *decided = decisions;
    problems.extend(judge_decisions(case, &observed));
    if problems.is_empty() {
        problems = recorded.judge(case, |snapshot| relocate(snapshot, &places));
    }
    Ok(problems)
}

/// The runtime that a case is played against.
struct Runtime {
    setup: Setup,
    places: Places,
    recorded: Rc<Recorded>,
    handle: Handle,
}

impl Proxy for Runtime {
    fn address(&self, inbound: bool) -> SocketAddr {
        self.handle.local_addrs()[usize::from(inbound)]
    }

    /// Publishes, and waits until the worker holds the snapshot too.
    async fn reload(&mut self) -> io::Result<()> {
        let Some(mut snapshot) = self.recorded.configure(|| self.setup.reload()) else {
            return Ok(());
        };
        relocate(&mut snapshot, &self.places);
        let snapshot = Arc::new(snapshot);
        self.handle.publish(Arc::clone(&snapshot));
        while Arc::strong_count(&snapshot) < 3 {
            ::tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn drain(&mut self) -> io::Result<()> {
        self.handle.begin_drain();
        let address = self.handle.local_addrs()[0];
        while ::tokio::net::TcpStream::connect(address).await.is_ok() {
            ::tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn start_runtime(
    start: Start,
    snapshot: Snapshot,
    setup: &Setup,
    case: &Case,
    lines: &Memory,
    recorded: &Recorded,
) -> io::Result<Running> {
    let listen = |kind| Listen {
        kind,
        addr: ([127, 0, 0, 1], 0).into(),
    };
    let mut listeners = vec![listen(ListenerKind::Outbound)];
    if case.settings.inbound.is_some() {
        listeners.push(listen(ListenerKind::Inbound(0)));
    }
    let config = Config {
        listeners,
        workers: NonZeroUsize::MIN,
        settings: setup.settings,
        seed: Some(SEED),
        busy_poll: Duration::ZERO,
        snapshot: Arc::new(snapshot),
        recorder: Some(recorded.recorder.clone()),
        access_log: Some(AccessLog {
            format: |record, _, block| {
                block.extend(Observed::of(record).to_json().bytes());
                block.push(b'\t');
                block.extend(alike::to_json(record).bytes());
                block.push(b'\n');
            },
            writer: Box::new(lines.clone()),
        }),
        notices: Arc::new(|_| {}),
    };
    start(config).map_err(io::Error::other)
}

/// Puts real addresses in the place of the case's; what logs show stays. Where a case has nothing, nothing listens.
fn relocate(snapshot: &mut Snapshot, places: &Places) {
    let mut clusters: Vec<Cluster> = snapshot.clusters.iter().cloned().collect();
    for endpoint in clusters.iter_mut().flat_map(|c| &mut c.endpoints) {
        let place = places.get(&endpoint.address.to_string());
        endpoint.address = Address::Socket(place.copied().unwrap_or(NOBODY));
    }
    snapshot.clusters = Arc::new(clusters.into());
}

/// The decisions of an access log.
fn records(log: &Memory) -> io::Result<(Vec<Observed>, Vec<Decided>)> {
    let text = String::from_utf8_lossy(&log.bytes()).into_owned();
    let both = text.lines().map(|line| {
        let (observed, decided) = line.split_once('\t').unwrap_or((line, ""));
        Ok((Observed::from_json(observed), alike::from_json(decided)?))
    });
    let both: io::Result<Vec<_>> = both.collect();
    Ok(both?.into_iter().unzip())
}
