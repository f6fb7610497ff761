//! Serves the world to clients, each by its scope: one task for each stream.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger_authority::Caller;
use outrigger_xds::messages::Resource;
use outrigger_xds::server::{Heard, MAX_HAD, MAX_NAME_BYTES, MAX_NAMES, Offer, Telling};
use outrigger_xds::service::{Discover, Responses};
use outrigger_xds::{Kind, envoy};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};
use tracing::{debug, info, warn};

use crate::envoy::{View, Views};
use crate::hub::{Counts, Hub, Since, State};
use crate::proof::over;
use crate::refused::{Refused, Sent};
use crate::scope::Scope;
use crate::viewer::Viewer;

/// Connections that wait to be accepted: a whole mesh may come at once, when another replica has gone. The kernel's
/// `somaxconn` is the limit where it is less.
pub const BACKLOG: u32 = 16_384;

/// Listens for clients, and for as many at once as there may be.
///
/// # Errors
/// The address cannot be had.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams at a time. Each costs what its client has, a pointer for each object.
    pub max_streams: u64,
    /// Clients that are sent a first configuration at a time: all of it is in memory until it is sent. Others wait.
    pub max_first: usize,
}

/// A client that has not taken its first configuration for so long is waited for by nobody else.
const FIRST_TAKEN: Duration = Duration::from_secs(10);

/// A stream on which nobody says who he is for so long is ended.
const FIRST_HEARD: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 20_000,
            max_first: 64,
        }
    }
}

/// The service.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    limits: Limits,
    clients: Arc<Clients>,
    gate: Arc<Semaphore>,
    views: Arc<Views>,
}

/// The clients that are there now, for people.
#[derive(Debug, Default)]
pub struct Clients {
    next: AtomicU64,
    known: Mutex<BTreeMap<u64, Client>>,
    refusals: watch::Sender<()>,
}

/// What is known of a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Who it is.
    pub viewer: Viewer,
    /// The last push that it has, as far as it answered.
    pub push: u64,
    /// What it refused, and has not taken in another form since.
    pub refused: Refused,
}

impl Clients {
    /// All of them.
    pub fn all(&self) -> Vec<Client> {
        self.lock().values().cloned().collect()
    }

    /// Those that refuse something.
    pub fn refusing(&self) -> Vec<Client> {
        let known = self.lock();
        let refusing = known.values().filter(|client| !client.refused.is_empty());
        refusing.cloned().collect()
    }

    /// Tells of refusals from now on, and when they are over.
    pub fn refusals(&self) -> watch::Receiver<()> {
        self.refusals.subscribe()
    }

    fn add(&self, viewer: &Viewer) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let client = Client {
            viewer: viewer.clone(),
            push: 0,
            refused: Refused::default(),
        };
        self.lock().insert(id, client);
        id
    }

    fn note(&self, id: u64, note: impl FnOnce(&mut Client)) {
        if let Some(client) = self.lock().get_mut(&id) {
            note(client);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Client>> {
        // Each change is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// One that serves the hub's world.
    #[must_use]
    pub fn new(hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            hub,
            limits,
            clients: Arc::default(),
            gate: Arc::new(Semaphore::new(limits.max_first)),
            views: Arc::default(),
        }
    }

    /// Who is there.
    #[must_use]
    pub fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients)
    }
}

impl<T: Telling> Discover<T> for Server {
    async fn stream(
        &self,
        requests: Request<Streaming<T::Request>>,
    ) -> Result<Responses<T::Response>, Status> {
        let counts = &self.hub.counts;
        let Some(open) = Open::new(&self.hub, self.limits.max_streams) else {
            Counts::add(&counts.too_many, 1);
            return Err(Status::resource_exhausted(
                "too many clients; try another replica",
            ));
        };
        // Put there by the gate before this service, if there is one.
        let caller = requests.extensions().get::<Caller>().cloned();
        // One for each kind is on its way at most, so sending never waits for long.
        let kinds = outrigger_xds::KINDS.len() + envoy::KINDS.len();
        let (sender, receiver) = mpsc::channel(kinds);
        let stream = Stream::<T> {
            open,
            clients: Arc::clone(&self.clients),
            pushes: self.hub.pushes(),
            requests: requests.into_inner(),
            sender,
            telling: T::default(),
            sent: BTreeMap::new(),
            first: None,
            views: Arc::clone(&self.views),
        };
        let gate = Arc::clone(&self.gate);
        tokio::spawn(async move {
            if let Err(status) = stream.serve(caller, &gate).await {
                debug!(target: "discovery", "a stream ended: {status}");
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }
}

/// Counts a stream for as long as it is there.
struct Open(Arc<Hub>);

impl Open {
    /// `None`: there are as many as there may be.
    fn new(hub: &Arc<Hub>, most: u64) -> Option<Self> {
        let streams = &hub.counts.streams;
        let one_more = |streams: u64| (streams < most).then_some(streams + 1);
        let added = streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        added.ok()?;
        Counts::add(&hub.counts.opened, 1);
        Some(Self(Arc::clone(hub)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counts.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Stream<T: Telling> {
    open: Open,
    clients: Arc<Clients>,
    pushes: watch::Receiver<u64>,
    requests: Streaming<T::Request>,
    sender: mpsc::Sender<Result<T::Response, Status>>,
    telling: T,
    views: Arc<Views>,
    /// What of each kind was sent last.
    sent: BTreeMap<&'static Kind, Sent>,
    /// A place at the gate, until the first configuration was taken, and until when.
    first: Option<(OwnedSemaphorePermit, Instant)>,
}

/// Where a stream stands.
struct Standing {
    viewer: Viewer,
    scope: Scope,
    /// What it is told in Envoy's words, once it asks for that.
    view: Option<Arc<View>>,
    /// The last push that its session heard of.
    push: u64,
    id: u64,
}

impl<T: Telling> Stream<T> {
    async fn serve(mut self, caller: Option<Caller>, gate: &Arc<Semaphore>) -> Result<(), Status> {
        let proven = caller.as_ref().map(|caller| &*caller.namespace);
        let mut over = pin!(over(caller.as_ref().and_then(|caller| caller.until)));
        let first = tokio::select! {
            biased;
            () = &mut over => return self.send_away("somebody who said nothing"),
            () = sleep(FIRST_HEARD) => return Ok(()),
            first = self.requests.message() => first?,
        };
        let Some(first) = first else {
            return Ok(());
        };
        let viewer = match Viewer::of(T::node(&first), proven) {
            Ok(viewer) => viewer,
            Err(stranger) => {
                Counts::add(&self.open.0.counts.strangers, 1);
                warn!(target: "discovery", "sent a client away: {stranger}");
                let status = Status::permission_denied(stranger.to_string());
                let _ = self.sender.send(Err(status)).await;
                return Ok(());
            }
        };
        let (scope, push) = {
            let state = self.open.0.state();
            (Scope::new(&viewer, &state.world), state.pushes)
        };
        let id = self.clients.add(&viewer);
        info!(target: "discovery", "`{}` has come", viewer.id);
        let mut standing = Standing {
            viewer,
            scope,
            view: None,
            push,
            id,
        };
        let ended = tokio::select! {
            biased;
            () = &mut over => self.send_away(&standing.viewer.id),
            ended = self.begin(first, &mut standing, gate) => ended,
        };
        self.clients.lock().remove(&id);
        info!(target: "discovery", "`{}` has gone", standing.viewer.id);
        ended
    }

    /// What a client has proved is over: it comes again with what it has by then, and is sent what differs.
    fn send_away(&self, who: &str) -> Result<(), Status> {
        Counts::add(&self.open.0.counts.over, 1);
        info!(target: "discovery", "what `{who}` has proved is over; it is to prove it again");
        let why = "what you have proved is over; come again with a newer certificate or token";
        // A client that takes nothing does not have to be told.
        let _ = self.sender.try_send(Err(Status::unauthenticated(why)));
        Ok(())
    }

    async fn begin(
        &mut self,
        first: T::Request,
        standing: &mut Standing,
        gate: &Arc<Semaphore>,
    ) -> Result<(), Status> {
        tokio::select! {
            // It is never closed.
            place = Arc::clone(gate).acquire_owned() => {
                self.first = place.ok().map(|place| (place, Instant::now() + FIRST_TAKEN));
            }
            () = self.sender.closed() => {}
        }
        self.hear(first, standing)?;
        self.turns(standing).await
    }

    async fn turns(&mut self, standing: &mut Standing) -> Result<(), Status> {
        loop {
            self.look(standing).await;
            if !self.send(standing).await {
                return Ok(());
            }
            let until = self.first.as_ref().map(|(_, until)| *until);
            tokio::select! {
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => self.first = None,
                request = self.requests.message() => match request? {
                    Some(request) => self.hear(request, standing)?,
                    None => return Ok(()),
                },
                pushed = self.pushes.changed() => {
                    if pushed.is_err() {
                        return Ok(());
                    }
                    self.catch_up(standing);
                }
            }
        }
    }

    fn hear(&mut self, request: T::Request, standing: &Standing) -> Result<(), Status> {
        let heard = self.telling.hear(request);
        if self.first.is_some() && self.telling.session().is_settled() {
            self.first = None;
        }
        let counts = &self.open.0.counts;
        match heard {
            Heard::Took(kind) => {
                Counts::add(&counts.taken, 1);
                let push = standing.push;
                let is_settled = self.telling.session().is_settled();
                let sent = self.sent.remove(kind).unwrap_or_default();
                let mut is_other = false;
                self.clients.note(standing.id, |client| {
                    is_other = client.refused.took(kind, &sent);
                    if is_settled {
                        client.push = push;
                    }
                });
                if is_other {
                    self.clients.refusals.send_replace(());
                }
            }
            Heard::Refused(kind, message) => {
                Counts::add(&counts.refused, 1);
                let id = &standing.viewer.id;
                warn!(target: "discovery", "`{id}` refused {}: {}", kind.kind, message.escape_default());
                let sent = self.sent.remove(kind).unwrap_or_default();
                self.clients.note(standing.id, |client| {
                    client.refused.refused(kind, &sent, &message);
                });
                self.clients.refusals.send_replace(());
            }
            Heard::Unknown(type_url) => {
                let id = &standing.viewer.id;
                debug!(target: "discovery", "`{id}` asks for `{}`, of which there is nothing", type_url.escape_default());
            }
            Heard::TooMany(kind) => {
                Counts::add(&counts.strangers, 1);
                let why = format!(
                    "more than {MAX_NAMES} names of {}, more than {MAX_HAD} objects that are there already, or a name of more than {MAX_NAME_BYTES} bytes; ask for all",
                    kind.kind
                );
                return Err(Status::resource_exhausted(why));
            }
            Heard::Wants(_) | Heard::Late(_) => {}
        }
        Ok(())
    }

    /// Tells the session what may be other than it was.
    fn catch_up(&mut self, standing: &mut Standing) {
        let state = self.open.0.state();
        let since = state.since(standing.push);
        standing.push = state.pushes;
        let session = self.telling.session();
        session.touch_made();
        let Since::These(pushes) = since else {
            standing.scope = Scope::new(&standing.viewer, &state.world);
            return session.touch_all();
        };
        for pushed in pushes {
            if standing.scope.is_concerned(&pushed.touched, &state.world) {
                let scope = Scope::new(&standing.viewer, &state.world);
                if std::mem::replace(&mut standing.scope, scope) != standing.scope {
                    session.touch_all();
                }
            }
            if pushed.is_of_all {
                session.touch_all();
            }
            for (kind, name) in &pushed.names {
                session.touch(kind, Arc::clone(name));
            }
        }
    }

    /// Has what the client is told in Envoy's words made anew, if it asks for such and something has changed.
    async fn look(&mut self, standing: &mut Standing) {
        let is_fresh = |view: &Arc<View>| view.push() >= standing.push;
        let session = self.telling.session();
        if standing.push == 0
            || !session.wants_made()
            || standing.view.as_ref().is_some_and(is_fresh)
        {
            return;
        }
        let (viewer, scope, hub) = (&standing.viewer, &standing.scope, &self.open.0);
        let view = self.views.of(viewer, scope, hub, standing.push).await;
        standing.view = Some(view);
    }

    /// Sends what is due. `false`: nobody listens any more.
    async fn send(&mut self, standing: &Standing) -> bool {
        let responses = {
            let state = self.open.0.state();
            // Before the sources have said what there is, nothing would look like everything being gone.
            if state.pushes == 0 {
                return true;
            }
            let seen = Seen {
                state: &state,
                scope: &standing.scope,
                view: standing.view.as_deref(),
            };
            self.telling.responses(&seen, &state.pushes.to_string())
        };
        for response in responses {
            let counts = &self.open.0.counts;
            Counts::add(&counts.responses, 1);
            let (objects, bytes) = T::size(&response);
            Counts::add(&counts.objects, objects as u64);
            Counts::add(&counts.bytes, bytes as u64);
            // Who is told the state of the world refuses it as a whole.
            let change = T::change(&response);
            let kind = change.and_then(|change| Kind::of_type(&change.type_url));
            self.sent.extend(kind.zip(change.map(Sent::of)));
            if self.sender.send(Ok(response)).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// The world as one client sees it.
struct Seen<'a> {
    state: &'a State,
    scope: &'a Scope,
    view: Option<&'a View>,
}

impl Offer for Seen<'_> {
    fn get(&self, kind: &'static Kind, name: &str) -> Option<Arc<Resource>> {
        if kind.is_made() {
            return self.view?.get(kind, name);
        }
        let (key, known) = self.state.world.by_name(kind, name)?;
        let is_seen = self.scope.sees(&self.state.world, &key, known);
        is_seen.then(|| Arc::clone(&known.packed))
    }

    fn all(&self, kind: &'static Kind) -> impl Iterator<Item = Arc<Resource>> {
        let made = self.view.filter(|_| kind.is_made());
        let made = made.map_or_else(Vec::new, |view| view.all(kind));
        let seen = self.scope.all(&self.state.world, kind).into_iter();
        seen.map(|(_, known)| Arc::clone(&known.packed)).chain(made)
    }
}
