//! Cases over real sockets on loopback and in virtual time: the runtime on its own thread, all peers on this one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::runtime::Builder;
use ::tokio::task::LocalSet;
use outrigger_core::overload::Actions;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_recording::Decided;
use outrigger_runtime::{
    Arrival, Config, Direction, Ended, Handle, Launch, Listen, Sink, Sinks, Stats,
};
use outrigger_tls::Identities;

use super::memory::Memory;
use super::recorded::Recorded;
use super::sim::brought_to;
use super::stage::{Places, Proxy, Stage, waited};
use super::staged::{self, Captured, Site, Sites, Staged};
use super::world::{WINDOW, World};
use super::{SEED, Setup, judge_decisions};
use crate::Problem;
use crate::alike;
use crate::beneath::proofs;
use crate::case::{Backend, Case, Client};
use crate::decision::Observed;

/// No case takes so long, on whatever machine: one that does waits for something that is not counted.
const PATIENCE: Duration = Duration::from_secs(120);

/// Any port of loopback.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) fn run(
    case: &Case,
    setup: Setup,
    launch: impl Launch,
    decided: &mut Vec<Decided>,
) -> Vec<Problem> {
    let wrong = |e: io::Error| vec![Problem::new(&case.file, case.line, e.to_string())];
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return wrong(error),
    };
    let local = LocalSet::new();
    match local.block_on(&runtime, play(case, setup, launch, decided)) {
        Ok(problems) => problems,
        Err(error) => wrong(error),
    }
}

async fn play(
    case: &Case,
    mut setup: Setup,
    launch: impl Launch,
    decided: &mut Vec<Decided>,
) -> io::Result<Vec<Problem>> {
    let world = World::new(Some(WINDOW));
    let mut stage = Stage::open_in(Arc::clone(&world), case, |_| ANY_PORT)?;
    let recorded = Rc::new(Recorded::start()?);
    let snapshot = recorded.configure(|| Some(std::mem::take(&mut setup.snapshot)));
    let lines = Memory::default();
    let config = config(snapshot.unwrap_or_default(), &setup, case, &recorded);
    let staged = Staged {
        inner: launch,
        captured: captured(case),
        world: Arc::clone(&world),
        sites: Arc::new(sites(case, &stage.places())),
        decided: lines.clone(),
    };
    let proofs = proofs::real(case).map_err(io::Error::other)?;
    let identities = Arc::new(Identities::new(proofs));
    let protected = outrigger_tls::protect(staged, identities, outrigger_tls::LONGEST_HELLO);
    let running = outrigger_runtime::start(protected, config).map_err(io::Error::other)?;
    let handle = running.handle().clone();
    let mut runtime = Runtime {
        setup,
        brought: case.captured().into_iter().collect(),
        world: Arc::clone(&world),
        recorded: Rc::clone(&recorded),
        handle: handle.clone(),
    };
    stage.play(&mut runtime, PATIENCE).await?;
    // What clients have left behind ends, too.
    let is_idle = || is_idle(&handle.stats());
    ::tokio::select! {
        () = world.run_until(is_idle) => {}
        () = waited(PATIENCE) => {}
    }
    let mut problems = stage.judge();
    world.end();
    // Blocks, but nobody is waited for.
    let _ = running.drain(Duration::ZERO);
    let (observed, decisions) = records(&lines)?;
    *decided = decisions;
    problems.extend(judge_decisions(case, &observed));
    if problems.is_empty() {
        problems = recorded.judge(case);
    }
    Ok(problems)
}

/// No client is connected, and no copy of a request under way.
fn is_idle(stats: &Stats) -> bool {
    let clients = stats.listeners.iter().map(|listener| listener.active);
    clients.sum::<u64>() + stats.mirrors == 0
}

/// Where the addresses of a case lead.
fn sites(case: &Case, places: &Places) -> Sites {
    let site = |(address, real): (&String, &SocketAddr)| {
        let site = match case.services.get(address) {
            Some(Backend::Ignore) => Site::Ignores,
            _ => Site::At(*real),
        };
        (address.clone(), site)
    };
    places.iter().map(site).collect()
}

/// The runtime that a case is played against.
struct Runtime {
    setup: Setup,
    /// Where clients connect who are brought, whose listeners are the last.
    brought: Vec<(bool, SocketAddr)>,
    world: Arc<World>,
    recorded: Rc<Recorded>,
    handle: Handle,
}

impl Proxy for Runtime {
    fn address(&self, client: &Client) -> SocketAddr {
        if let Some(port) = client.gateway {
            let at = self.handle.local_addr(ListenerKind::Gateway(port));
            return at.unwrap_or_else(|| self.handle.local_addrs()[0]);
        }
        let at = match client.to {
            Some(to) => {
                let mut brought = self.brought.iter();
                let at = brought.position(|place| *place == (client.inbound, to));
                at.map(|at| at + self.handle.local_addrs().len() - self.brought.len())
            }
            None => Some(usize::from(client.inbound)),
        };
        // Each address that a client connects to has a listener.
        self.handle.local_addrs()[at.unwrap_or_default()]
    }

    /// Publishes, and waits until the worker holds the snapshot too.
    async fn reload(&mut self) -> io::Result<()> {
        let Some(snapshot) = self.recorded.configure(|| self.setup.reload()) else {
            return Ok(());
        };
        let snapshot = Arc::new(snapshot);
        self.handle.publish(Arc::clone(&snapshot));
        let is_held = || Arc::strong_count(&snapshot) >= 3;
        self.world.worker_rests(is_held).await;
        Ok(())
    }

    async fn drain(&mut self) -> io::Result<()> {
        self.handle
            .begin_drain(Direction::All, outrigger_runtime::Stage::Stopped);
        self.world.worker_rests(|| self.world.is_deaf()).await;
        Ok(())
    }

    async fn relieve(&mut self, actions: Actions) -> io::Result<()> {
        self.handle.relieve(actions);
        let is_done = || self.handle.is_relieved();
        self.world.worker_rests(is_done).await;
        Ok(())
    }
}

/// Where the connections of each listener were to go, if they are brought there.
fn captured(case: &Case) -> Captured {
    let settings = &case.settings;
    let direct = 1 + usize::from(settings.inbound.is_some()) + settings.gateway.len();
    let brought = case.captured().into_iter().map(|(_, to)| Some(to));
    std::iter::repeat_n(None, direct).chain(brought).collect()
}

fn config(snapshot: Snapshot, setup: &Setup, case: &Case, recorded: &Recorded) -> Config {
    let listen = |kind| Listen::direct(kind, ([127, 0, 0, 1], 0).into());
    let mut listeners = vec![listen(ListenerKind::Outbound)];
    if case.settings.inbound.is_some() {
        listeners.push(listen(ListenerKind::Inbound(0)));
    }
    let gateways = case.settings.gateway.iter();
    listeners.extend(gateways.map(|port| listen(ListenerKind::Gateway(*port))));
    listeners.extend(case.captured().into_iter().map(|(is_inbound, _)| Listen {
        arrival: Arrival::Redirected,
        ..listen(brought_to(is_inbound))
    }));
    Config {
        listeners,
        workers: NonZeroUsize::MIN,
        settings: setup.settings,
        seed: Some(SEED),
        busy_poll: Duration::ZERO,
        own_addrs: Vec::new(),
        handover: Default::default(),
        names: None,
        snapshot: Arc::new(snapshot),
        recorder: Some(recorded.recorder.clone()),
        sinks: Some(Arc::new(Witnesses)),
        notices: Arc::new(|_| {}),
    }
}

/// Writes down what each worker decided, on its own thread: another one may get no turn while virtual time flies.
struct Witnesses;

impl Sinks for Witnesses {
    fn sink(&self, _: usize) -> Box<dyn Sink> {
        Box::new(Self)
    }

    fn finish(&self) {}
}

impl Sink for Witnesses {
    fn on_end(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        // What became of a copy is told with its original.
        ended.listener?;
        let observed = Observed::of(ended.record, ended.snapshot).to_json();
        let decided = alike::to_json(ended.record);
        staged::write_down(&format!("{observed}\t{decided}\n"));
        None
    }

    fn flush(&mut self) {}
}

/// The decisions that were written down.
fn records(log: &Memory) -> io::Result<(Vec<Observed>, Vec<Decided>)> {
    let text = String::from_utf8_lossy(&log.bytes()).into_owned();
    let both = text.lines().map(|line| {
        let (observed, decided) = line.split_once('\t').unwrap_or((line, ""));
        Ok((Observed::from_json(observed), alike::from_json(decided)?))
    });
    let both: io::Result<Vec<_>> = both.collect();
    Ok(both?.into_iter().unzip())
}
