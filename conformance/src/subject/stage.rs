//! The services and clients of a case over real sockets on loopback, all on one thread.
//!
//! Owns everything but the proxy between them, which is a runtime on its own thread or a program of its own; what a
//! script asks of it goes through [`Proxy`]. Nothing is timed. The one duration here is how long a case may stand still
//! before it counts as stuck.

mod connection;
mod place;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::tokio::sync::broadcast;
use outrigger_sim::Peer;

use super::relocation::Relocation;
use super::{client_actor, client_name, judge_connections, judge_unfinished, new_board};
use crate::Problem;
use crate::actor::SharedBoard;
use crate::case::{Case, Client};
use connection::play_peer;
use place::Place;

/// Signals that may wait for a slow peer.
const SIGNALS: usize = 1024;

/// The real address of each address of a case.
pub(crate) type Places = BTreeMap<String, SocketAddr>;

/// What stands between the clients and the services.
pub(crate) trait Proxy {
    /// Where clients connect to its outbound or its inbound listener.
    fn address(&self, inbound: bool) -> SocketAddr;

    /// Replaces its configuration by the case's next one; returns when that is in use.
    async fn reload(&mut self) -> io::Result<()>;

    /// Lets it drain; returns when it accepts no connections any more.
    async fn drain(&mut self) -> io::Result<()>;
}

/// One run.
pub(crate) struct Stage<'a> {
    case: &'a Case,
    board: SharedBoard,
    signals: broadcast::Sender<String>,
    /// Where each address of the case really is.
    places: BTreeMap<String, Place>,
    relocation: Relocation,
}

impl<'a> Stage<'a> {
    /// Opens the services, each where `site` says; port 0 is any port. Needs a `LocalSet` around it.
    ///
    /// # Errors
    /// An address that can not be had.
    pub(crate) fn open(case: &'a Case, site: impl Fn(&str) -> SocketAddr) -> io::Result<Self> {
        let (board, signals) = (new_board(), broadcast::channel(SIGNALS).0);
        let mut places = BTreeMap::new();
        for (address, service) in &case.services {
            places.insert(address.clone(), Place::bind(service, site(address))?);
        }
        for (address, place) in &places {
            let service = &case.services[address];
            place.serve(&case.file, address, service, &board, &signals);
        }
        let real = |(a, place): (&String, &Place)| (a.clone(), place.addr().to_string());
        let relocation = Relocation::new(places.iter().map(real));
        Ok(Self {
            case,
            board,
            signals,
            places,
            relocation,
        })
    }

    /// Where each address of the case really is.
    pub(crate) fn places(&self) -> Places {
        let real = |(address, place): (&String, &Place)| (address.clone(), place.addr());
        self.places.iter().map(real).collect()
    }

    /// Plays all clients, until everybody is done or it has taken this long.
    ///
    /// # Errors
    /// The proxy could not do what a script asked for.
    pub(crate) async fn play(
        &mut self,
        proxy: &mut impl Proxy,
        patience: Duration,
    ) -> io::Result<()> {
        // Who is stuck is on the board.
        let all = ::tokio::time::timeout(patience, self.clients(proxy)).await;
        all.unwrap_or(Ok(()))
    }

    /// What went wrong so far, who is not done, and who was called too often or not often enough.
    pub(crate) fn judge(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.board.borrow_mut().problems.drain(..).collect();
        problems.extend(judge_unfinished(self.case, &self.board.borrow()));
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
            self.start(index, client, proxy.address(client.inbound));
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
            let begun: usize = places.map(Place::connections_of_scripts).sum();
            if begun >= scripts || !self.board.borrow().problems.is_empty() {
                return Ok(());
            }
            self.next_signal(&mut waits, proxy).await?;
        }
    }

    fn start(&self, index: usize, client: &Client, address: SocketAddr) {
        let mut client = client.clone();
        client.steps = self.relocation.steps(&client.steps);
        let actor = client_actor(self.case, index, &client, &self.board);
        let (sender, receiver) = (self.signals.clone(), self.signals.subscribe());
        ::tokio::task::spawn_local(async move {
            let mut actor: Box<dyn Peer> = Box::new(actor);
            let stream = ::tokio::net::TcpStream::connect(address).await.ok();
            play_peer(&mut *actor, stream, sender, receiver).await;
        });
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
        let done = match &*name {
            "reload" => {
                proxy.reload().await?;
                "reloaded"
            }
            "drain" => {
                proxy.drain().await?;
                "draining"
            }
            _ => return Ok(()),
        };
        let _ = self.signals.send(done.to_owned());
        Ok(())
    }
}
