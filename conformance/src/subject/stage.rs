//! The services and clients of a case over real sockets on loopback, all on one thread.
//!
//! Owns everything but the proxy between them, which is a runtime on its own thread or a program of its own; what a
//! script asks of it goes through [`Proxy`]. A runtime and the peers share a world whose clock moves when everything is at
//! rest. Before a program, of whose rest nothing is known, scripts wait by the clock of the machine. Nothing is judged by
//! how fast it was; a case only counts as stuck after a time.

mod connection;
mod place;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::sync::broadcast;
use outrigger_core::overload::{Actions, Level, Resource};

use super::world::{HOP, Side, World};
use super::{PAUSE, client_name, client_peer, judge_board, judge_connections, new_board};
use crate::Problem;
use crate::beneath::Stage as Beneath;
use crate::board::SharedBoard;
use crate::case::{Case, Client};
use connection::{Position, Wired, play_peer};
use place::BoundAddress;

/// Signals that may wait for a slow peer.
const SIGNALS: usize = 1024;

/// More connections than a service ever gets, or clients than a case has.
const CONNECTIONS: u64 = 100_000;

/// The real address of each address of a case.
pub(crate) type Places = BTreeMap<String, SocketAddr>;

/// What stands between the clients and the services.
pub(crate) trait Proxy {
    /// Where a client connects to it.
    fn address(&self, client: &Client) -> SocketAddr;

    /// Replaces its configuration by the case's next one; returns when that is in use.
    async fn reload(&mut self) -> io::Result<()>;

    /// Lets it drain; returns when it accepts no connections any more.
    async fn drain(&mut self) -> io::Result<()>;

    /// Has this done as on a machine that is full; returns when it is.
    async fn relieve(&mut self, actions: Actions) -> io::Result<()>;
}

/// What is done about memory at the mark that a signal names.
pub(crate) fn relief(signal: &str) -> Option<Actions> {
    let level = match signal.strip_prefix("overload ")? {
        "soft" => Level::Soft,
        "hard" => Level::Hard,
        "over" => Level::Calm,
        _ => return None,
    };
    Some(Actions::at(Resource::Memory, level))
}

/// Waits for so long, in steps: a machine that stands still meanwhile is not held against anybody.
pub(crate) async fn waited(patience: Duration) {
    const STEPS: u32 = 100;
    for _ in 0..STEPS {
        ::tokio::time::sleep(patience / STEPS).await;
    }
}

/// One run.
pub(crate) struct Stage<'a> {
    case: &'a Case,
    world: Arc<World>,
    board: SharedBoard,
    signals: broadcast::Sender<String>,
    /// Where each address of the case really is.
    places: BTreeMap<String, BoundAddress>,
}

impl<'a> Stage<'a> {
    /// Opens the services, each where `site` says; port 0 is any port. Needs a `LocalSet` around it.
    ///
    /// # Errors
    /// An address that can not be had.
    pub(crate) fn open(case: &'a Case, site: impl Fn(&str) -> SocketAddr) -> io::Result<Self> {
        Self::open_in(World::new(None), case, site)
    }

    /// The same under the clock of a world.
    ///
    /// # Errors
    /// An address that can not be had.
    pub(crate) fn open_in(
        world: Arc<World>,
        case: &'a Case,
        site: impl Fn(&str) -> SocketAddr,
    ) -> io::Result<Self> {
        let (board, signals) = (new_board(), broadcast::channel(SIGNALS).0);
        board.borrow_mut().pause = world.has_window().then_some(PAUSE);
        let mut places = BTreeMap::new();
        let mut next = 0;
        for (address, service) in &case.services {
            places.insert(
                address.clone(),
                BoundAddress::bind(service, site(address), &world)?,
            );
        }
        for (address, place) in &mut places {
            next += CONNECTIONS;
            let first = Position {
                world: Arc::clone(&world),
                number: next,
                sender: signals.clone(),
            };
            place.serve(case, address, &board, &first);
        }
        Ok(Self {
            case,
            world,
            board,
            signals,
            places,
        })
    }

    /// Where each address of the case really is.
    pub(crate) fn places(&self) -> Places {
        let real = |(address, place): (&String, &BoundAddress)| (address.clone(), place.addr());
        self.places.iter().map(real).collect()
    }

    /// Plays all clients, until everybody is done, nothing is left to happen, or it has taken this long.
    ///
    /// # Errors
    /// The proxy could not do what a script asked for.
    pub(crate) async fn play(
        &mut self,
        proxy: &mut impl Proxy,
        patience: Duration,
    ) -> io::Result<()> {
        let world = Arc::clone(&self.world);
        let clients = world.task(Side::Peers, self.clients(proxy));
        // Who is stuck is on the board.
        ::tokio::select! {
            biased;
            all = clients => all,
            () = world.run(), if world.has_window() => Ok(()),
            () = waited(patience) => Ok(()),
        }
    }

    /// What went wrong so far, who is not done, and who was called too often or not often enough.
    pub(crate) fn judge(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.board.borrow_mut().problems.drain(..).collect();
        problems.extend(judge_board(self.case, &self.board.borrow()));
        for (address, place) in &self.places {
            let service = &self.case.services[address];
            let count = place.connections();
            problems.extend(judge_connections(self.case, address, service, count));
        }
        problems
    }

    async fn clients(&mut self, proxy: &mut impl Proxy) -> io::Result<()> {
        let clients = &self.case.clients;
        let mut waits = self.signals.subscribe();
        for (index, client) in clients.iter().enumerate() {
            self.start(index, client, proxy.address(client));
            if clients.get(index + 1).is_none_or(|next| !next.together) {
                let done = |playing: &BTreeMap<String, usize>| {
                    !(0..=index).any(|i| playing.contains_key(&client_name(i)))
                };
                self.until(&mut waits, proxy, done).await?;
            }
        }
        let expected = self.case.services.iter();
        let scripts: usize = expected.map(|(_, s)| place::scripts(s)).sum();
        // A service that was called may not know it yet.
        loop {
            self.until(&mut waits, proxy, BTreeMap::is_empty).await?;
            let places = self.places.values();
            let begun: usize = places.map(BoundAddress::connections_of_scripts).sum();
            if begun >= scripts || !self.board.borrow().problems.is_empty() {
                return Ok(());
            }
            self.next_signal(&mut waits, proxy).await?;
        }
    }

    fn start(&self, index: usize, client: &Client, address: SocketAddr) {
        let mut peer = client_peer(self.case, index, client, &self.board, Beneath::Real);
        let position = Position {
            world: Arc::clone(&self.world),
            number: 1 + index as u64,
            sender: self.signals.clone(),
        };
        ::tokio::task::spawn_local(self.world.task(Side::Peers, async move {
            let stream = Wired::connect(&position.world, position.number, address).await;
            play_peer(&mut *peer, stream, position).await;
        }));
    }

    async fn until(
        &self,
        waits: &mut broadcast::Receiver<String>,
        proxy: &mut impl Proxy,
        done: impl Fn(&BTreeMap<String, usize>) -> bool,
    ) -> io::Result<()> {
        while !done(&self.board.borrow().playing) {
            self.next_signal(waits, proxy).await?;
        }
        Ok(())
    }

    async fn next_signal(
        &self,
        waits: &mut broadcast::Receiver<String>,
        proxy: &mut impl Proxy,
    ) -> io::Result<()> {
        let Ok(name) = waits.recv().await else {
            return Err(io::Error::other("signals were lost"));
        };
        if self.world.has_window()
            && (matches!(&*name, "reload" | "drain") || relief(&name).is_some())
        {
            // It was told at once that its time has come, and not after the time that bytes travel.
            self.world.sleep_until(self.world.now() + HOP, 0).await;
        }
        let done = match &*name {
            "reload" => {
                proxy.reload().await?;
                "reloaded"
            }
            "drain" => {
                proxy.drain().await?;
                "draining"
            }
            name => match relief(name) {
                Some(actions) => {
                    proxy.relieve(actions).await?;
                    "overload is known"
                }
                None => return Ok(()),
            },
        };
        let _ = self.signals.send(done.to_owned());
        Ok(())
    }
}
