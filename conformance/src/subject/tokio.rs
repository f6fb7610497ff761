//! Cases over real sockets on loopback: the runtime on its own thread, all peers on this one.
//!
//! Nothing is timed. The one duration here is how long a case may stand still before it counts as stuck.

mod connection;
mod place;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::tokio::runtime::Builder;
use ::tokio::sync::broadcast;
use ::tokio::task::LocalSet;
use outrigger_core::exchange::ListenerKind;
use outrigger_core::snapshot::{Address, Snapshot};
use outrigger_runtime::{AccessLog, Config, Handle, Listen, Running, StartError};
use outrigger_sim::Peer;

use super::recorded::Recorded;
use super::{Setup, client_actor, client_name, judge_connections, judge_decisions};
use super::{judge_unfinished, new_board};
use crate::Problem;
use crate::actor::SharedBoard;
use crate::case::{Case, Client};
use crate::decision::Observed;
use connection::play_peer;
use place::Place;

/// A case that stands still for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address that refuses: port 1 of loopback (tcpmux) is used by nobody.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Signals that may wait for a slow peer.
const SIGNALS: usize = 1024;

/// How a runtime is started.
pub(super) type Start = fn(Config) -> Result<Running, StartError>;

pub(super) fn run(case: &Case, setup: Setup, start: Start) -> Vec<Problem> {
    let wrong = |e: io::Error| vec![Problem::new(&case.file, case.line, e.to_string())];
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return wrong(error),
    };
    let local = LocalSet::new();
    match local.block_on(&runtime, Play::run(case, setup, start)) {
        Ok(problems) => problems,
        Err(error) => wrong(error),
    }
}

/// One run.
struct Play<'a> {
    case: &'a Case,
    setup: Setup,
    board: SharedBoard,
    signals: broadcast::Sender<String>,
    /// Where each address of the case really is.
    places: BTreeMap<String, Place>,
    addresses: BTreeMap<String, SocketAddr>,
    recorded: Rc<Recorded>,
    handle: Handle,
}

impl<'a> Play<'a> {
    async fn run(case: &'a Case, mut setup: Setup, start: Start) -> io::Result<Vec<Problem>> {
        let (board, signals) = (new_board(), broadcast::channel(SIGNALS).0);
        let mut places = BTreeMap::new();
        for address in case.services.keys() {
            places.insert(address.clone(), Place::bind(&case.services[address])?);
        }
        for (address, place) in &places {
            place.serve(
                &case.file,
                address,
                &case.services[address],
                &board,
                &signals,
            );
        }
        let addresses = places.iter().map(|(name, at)| (name.clone(), at.addr()));
        let addresses: BTreeMap<_, _> = addresses.collect();
        let recorded = Rc::new(Recorded::start()?);
        let snapshot = recorded.configure(|| Some(std::mem::take(&mut setup.snapshot)));
        let mut snapshot = snapshot.unwrap_or_default();
        relocate(&mut snapshot, &addresses);
        let lines = Lines::default();
        let running = start_runtime(start, snapshot, &setup, case, &lines, &recorded)?;
        let mut play = Self {
            case,
            setup,
            board: Rc::clone(&board),
            signals,
            places,
            addresses: addresses.clone(),
            recorded: Rc::clone(&recorded),
            handle: running.handle().clone(),
        };
        let stuck = ::tokio::time::timeout(PATIENCE, play.clients()).await;
        if let Ok(result) = stuck {
            result?;
        }
        let counts: Vec<(String, usize)> = play
            .places
            .iter()
            .map(|(a, p)| (a.clone(), p.connections()))
            .collect();
        drop(play);
        // Blocks, but every peer of the case is done by now, or it is stuck anyway.
        let _ = running.drain(Duration::from_secs(5));
        let mut problems: Vec<Problem> = board.borrow_mut().problems.drain(..).collect();
        problems.extend(judge_unfinished(case, &board.borrow()));
        for (address, count) in counts {
            problems.extend(judge_connections(
                case,
                &address,
                &case.services[&address],
                count,
            ));
        }
        problems.extend(judge_decisions(case, &lines.records()));
        if problems.is_empty() {
            problems = recorded.judge(case, |snapshot| relocate(snapshot, &addresses));
        }
        Ok(problems)
    }

    async fn clients(&mut self) -> io::Result<()> {
        let clients = &self.case.clients;
        let mut waits = self.signals.subscribe();
        for (index, client) in clients.iter().enumerate() {
            self.start(index, client);
            if clients.get(index + 1).is_none_or(|next| !next.together) {
                let done = |playing: &BTreeMap<String, usize>| {
                    !(0..=index).any(|i| playing.contains_key(&client_name(i)))
                };
                self.until(&mut waits, done).await?;
            }
        }
        let expected = self.case.services.iter();
        let scripts: usize = expected.map(|(_, s)| place::scripts(s)).sum();
        // A service that was called may not know it yet.
        loop {
            self.until(&mut waits, BTreeMap::is_empty).await?;
            let begun: usize = self
                .places
                .values()
                .map(Place::connections_of_scripts)
                .sum();
            if begun >= scripts || !self.board.borrow().problems.is_empty() {
                return Ok(());
            }
            self.next_signal(&mut waits).await?;
        }
    }

    fn start(&self, index: usize, client: &Client) {
        let mut client = client.clone();
        client.steps = place::relocated(&client.steps, &self.places);
        let actor = client_actor(self.case, index, &client, &self.board);
        let listener = usize::from(client.inbound);
        let address = self.handle.local_addrs()[listener];
        let (sender, receiver) = (self.signals.clone(), self.signals.subscribe());
        ::tokio::task::spawn_local(async move {
            let mut actor: Box<dyn Peer> = Box::new(actor);
            let stream = ::tokio::net::TcpStream::connect(address).await.ok();
            play_peer(&mut *actor, stream, sender, receiver).await;
        });
    }

    async fn until(
        &mut self,
        waits: &mut broadcast::Receiver<String>,
        done: impl Fn(&BTreeMap<String, usize>) -> bool,
    ) -> io::Result<()> {
        while !done(&self.board.borrow().playing) {
            self.next_signal(waits).await?;
        }
        Ok(())
    }

    async fn next_signal(&mut self, waits: &mut broadcast::Receiver<String>) -> io::Result<()> {
        let Ok(name) = waits.recv().await else {
            return Err(io::Error::other("signals were lost"));
        };
        match &*name {
            "reload" => {
                if let Some(mut snapshot) = self.recorded.configure(|| self.setup.reload()) {
                    relocate(&mut snapshot, &self.addresses);
                    self.publish(snapshot).await;
                }
                let _ = self.signals.send("reloaded".to_owned());
            }
            "drain" => {
                self.handle.begin_drain();
                let address = self.handle.local_addrs()[0];
                while ::tokio::net::TcpStream::connect(address).await.is_ok() {
                    ::tokio::task::yield_now().await;
                }
                let _ = self.signals.send("draining".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// Publishes, and waits until the worker holds the snapshot too.
    async fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.handle.publish(Arc::clone(&snapshot));
        while Arc::strong_count(&snapshot) < 3 {
            ::tokio::task::yield_now().await;
        }
    }
}

fn start_runtime(
    start: Start,
    snapshot: Snapshot,
    setup: &Setup,
    case: &Case,
    lines: &Lines,
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
        seed: None,
        snapshot: Arc::new(snapshot),
        recorder: Some(recorded.recorder.clone()),
        access_log: Some(AccessLog {
            format: |record, _, block| {
                block.extend(Observed::of(record).to_json().bytes());
                block.push(b'\n');
            },
            writer: Box::new(lines.clone()),
        }),
        notices: Arc::new(|_| {}),
    };
    start(config).map_err(io::Error::other)
}

/// Puts real addresses in the place of the case's; what logs show stays. Where a case has nothing, nothing listens.
fn relocate(snapshot: &mut Snapshot, addresses: &BTreeMap<String, SocketAddr>) {
    for cluster in &mut snapshot.clusters {
        for endpoint in &mut cluster.endpoints {
            let address = addresses.get(&endpoint.address.to_string());
            endpoint.address = Address::Socket(address.copied().unwrap_or(NOBODY));
        }
    }
}

/// The access log in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn records(&self) -> Vec<Observed> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&all)
            .lines()
            .map(Observed::from_json)
            .collect()
    }
}
