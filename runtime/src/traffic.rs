//! The loop of a worker: what happens on its sockets goes into core, and what core says is done.
//!
//! One task looks at the sockets that were woken. Whatever needs a write after an input is written in the same turn, by
//! whoever takes the turn, because a socket is polled with its own waker. Which comes first on one socket: connecting,
//! then writing, which frees memory, then reading; and of all that were woken, endpoints before clients.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use outrigger_core::peer::{ClientId, ConnId, ExchangeId, Peer, TlsFault};
use outrigger_core::time::Instant;
use outrigger_core::worker::{ConnectFault, Facts, Input, Interest, Output};
use outrigger_recording::Joint;

use crate::alarm::Alarm;
use crate::connect::{Made, connect};
use crate::incoming;
use crate::late::Late;
use crate::notice::Notice;
use crate::ready::Taking;
use crate::shared::{Counted, Shared};
use crate::sink::Ended;
use crate::sockets::{Client, Incoming, Registration, Socket, Sockets};
use crate::system::{Stream, System};

/// Inputs of one socket at a time; then what follows from them is done, and others have theirs.
const INPUTS: usize = 2;

/// Inputs of one turn besides those that the sockets that were woken give: long bodies could otherwise make one another
/// readable and writable for ever, and nobody else would be served.
const INPUTS_IN_A_TURN: usize = 16;

/// Inputs of one turn for each socket that was woken.
const INPUTS_FOR_EACH: usize = 4;

/// So many bytes are as much to do as one input more: what is long takes its time.
const BYTES_OF_AN_INPUT: usize = 64 * 1024;

/// How much of a turn's inputs something takes.
const fn cost(input: &Input) -> usize {
    match input {
        Input::Read(bytes) | Input::Wrote(bytes) => 1 + *bytes / BYTES_OF_AN_INPUT,
        Input::Eof
        | Input::Broken
        | Input::WriteFailed
        | Input::Connected(_)
        | Input::ConnectFailed(_)
        | Input::Secured(_)
        | Input::NotSecured(_)
        | Input::Drain => 1,
    }
}

/// Looks at sockets for as long as it is polled.
pub(crate) async fn run<S: System>(shared: Rc<Shared<S>>) {
    let mut woken = Vec::new();
    let taking = Taking::new(&shared.traffic.ready);
    let mut alarm = Alarm::<S::Timer>::default();
    let mut late = Late::default();
    poll_fn(|cx| {
        taking.take(&mut woken, cx.waker());
        let now = shared.wake();
        let budget = INPUTS_IN_A_TURN + INPUTS_FOR_EACH * woken.len();
        shared.take_turn(now, budget, |turn| {
            // What endpoints have done comes first, so that no request is given a connection of which it is known that it has
            // ended.
            for of_client in [false, true] {
                let now = woken.extract_if(.., |id| matches!(id, ConnId::Client(_)) == of_client);
                now.for_each(|id| turn.look_woken(id));
            }
        });
        poll_time(&shared, (&mut alarm, &mut late), cx, now)
    })
    .await;
}

/// Tells core when its next deadline has come.
fn poll_time<S: System>(
    shared: &Rc<Shared<S>>,
    (alarm, late): (&mut Alarm<S::Timer>, &mut Late),
    cx: &mut Context<'_>,
    now: Instant,
) -> Poll<()> {
    let mut now = now;
    loop {
        let planned = shared.joint.next_deadline();
        shared.traffic.planned.set(planned);
        let Some(deadline) = planned else {
            return Poll::Pending;
        };
        let make = |at| shared.system.timer(at);
        if alarm
            .poll(cx, make, shared.clock, now, deadline)
            .is_pending()
        {
            return Poll::Pending;
        }
        // The timer may have fired after this turn began.
        now = now.max(deadline);
        let looks = late.poll(cx, now - deadline, || shared.system.looked());
        if looks.is_pending() {
            return Poll::Pending;
        }
        shared.take_turn(now, INPUTS_IN_A_TURN, |turn| {
            turn.tell(|joint| joint.on_time(now));
        });
    }
}

impl<S: System> Shared<S> {
    /// The same as in the traffic's own task, which is woken where its timer is too late now.
    pub(crate) fn turn(self: &Rc<Self>, now: Instant, act: impl FnOnce(&mut Turn<'_, S>)) {
        self.take_turn(now, INPUTS_IN_A_TURN, act);
        let planned = self.traffic.planned.get();
        let next = self.joint.next_deadline();
        if next.is_some_and(|next| planned.is_none_or(|planned| next < planned)) {
            self.traffic.ready.wake();
        }
    }

    /// Does something with the sockets, and what follows from it, up to so many inputs. What is left then is looked at in
    /// the next turn, when other tasks have had theirs.
    fn take_turn(self: &Rc<Self>, now: Instant, budget: usize, act: impl FnOnce(&mut Turn<'_, S>)) {
        let mut sockets = self.traffic.sockets.borrow_mut();
        let mut turn = Turn {
            shared: self,
            sockets: &mut sockets,
            now,
            budget,
            is_recovering: false,
        };
        act(&mut turn);
        turn.finish();
        drop(sockets);
        self.count();
    }

    /// A client has connected.
    pub(crate) fn accept(
        self: &Rc<Self>,
        (listener, opened): (usize, u32),
        peer: Peer,
        stream: S::Stream,
    ) {
        self.at_listener(listener, |counters| {
            counters.connections.add(1);
            counters.active.add(1);
        });
        let now = self.wake();
        self.turn(now, |turn| {
            let id = self.joint.accept(peer, now);
            let client = Client {
                listener,
                opened,
                kind: peer.listener,
                remote: peer.remote,
                told_to_drain: false,
            };
            let bell = self.traffic.ready.bell(ConnId::Client(id));
            let entry = Registration::new(Socket::Open(stream), bell);
            turn.sockets.clients.insert(id, (client, entry));
            turn.perform();
        });
    }

    /// Tells of the connections that are not HTTP and on which bytes pass.
    pub(crate) fn tell_lasting(&self) {
        let now = self.now();
        let sockets = self.traffic.sockets.borrow();
        self.joint.with_exchanges(|id, exchange| {
            let client = exchange.client().and_then(|id| sockets.clients.get(id));
            let passes = exchange.record().connection.is_some() && exchange.is_tunnel();
            if let Some((client, _)) = client.filter(|_| passes) {
                self.on_lasting(&Ended::of(id, exchange, Some(client.listener), now));
            }
        });
    }

    /// Has all clients looked at, because some of their connections may be to end.
    pub(crate) fn look_at_clients(&self) {
        let sockets = self.traffic.sockets.borrow();
        let clients = sockets.clients.values();
        clients.for_each(|(_, entry)| entry.wake());
        self.traffic.ready.wake();
    }
}

/// One turn at the sockets.
pub(crate) struct Turn<'a, S: System> {
    pub(crate) shared: &'a Rc<Shared<S>>,
    pub(crate) sockets: &'a mut Sockets<S::Stream>,
    pub(crate) now: Instant,
    /// Inputs that may still be taken.
    budget: usize,
    /// What is carried out comes of a panic.
    is_recovering: bool,
}

impl<S: System> Turn<'_, S> {
    /// The system says that something has happened on a socket.
    fn look_woken(&mut self, id: ConnId) {
        if let Some(entry) = self.sockets.get(id) {
            entry.incoming = Incoming::Likely;
        }
        self.look(id);
    }

    /// Something may have happened on a socket.
    fn look(&mut self, id: ConnId) {
        self.contain(Some(id), |turn| turn.take_inputs(id));
    }

    /// Tells core something that is about no single connection, and does what it says.
    pub(crate) fn tell(&mut self, tell: impl FnOnce(&Joint)) {
        self.contain(None, |turn| {
            tell(&turn.shared.joint);
            turn.perform();
        });
    }

    /// What a panic has left half done is closed, and looked at by nobody; everything else goes on.
    pub(crate) fn contain(&mut self, about: Option<ConnId>, act: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| act(self))).is_ok() {
            return;
        }
        self.shared.counters.panics.add(1);
        self.is_recovering = true;
        // What was said before still holds, and the stories of those who ended are read before they are forgotten.
        self.perform_whatever_panics();
        self.shared.joint.panicked(about, self.now);
        self.perform_whatever_panics();
        self.is_recovering = false;
    }

    /// Each thing that was said is taken before it is carried out, so this ends.
    fn perform_whatever_panics(&mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.perform())).is_err() {
            self.shared.counters.panics.add(1);
        }
    }

    /// Takes what happens on a socket, one thing after the other, until nothing does. What has already arrived counts before
    /// a deadline that has passed meanwhile, but only once.
    fn take_inputs(&mut self, id: ConnId) {
        for count in 0..INPUTS {
            if count > 0 && self.is_late() {
                break;
            }
            let Poll::Ready(input) = self.poll(id) else {
                return;
            };
            self.budget = self.budget.saturating_sub(cost(&input));
            self.shared.joint.handle_input(id, input, self.now);
            self.perform();
        }
        self.sockets.pending.push_back(id);
    }

    fn is_late(&self) -> bool {
        let deadline = self.shared.joint.next_deadline();
        deadline.is_some_and(|at| at <= self.now)
    }

    /// Does what core says.
    pub(crate) fn perform(&mut self) {
        while let Some(output) = self.shared.joint.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        let shared = self.shared;
        match output {
            Output::Connect(id, address, manner) => {
                let connecting = connect(&shared.system, address, manner, &shared.reach);
                let bell = shared.traffic.ready.bell(ConnId::Upstream(id));
                let entry = Registration::new(Socket::Connecting(connecting), bell);
                self.sockets.upstreams.insert(id, entry);
                self.sockets.pending.push_back(ConnId::Upstream(id));
            }
            Output::Secure(id, hearing, came) => {
                if let Some((_, entry)) = self.sockets.clients.get_mut(id) {
                    entry.replace(|stream| {
                        let secured = shared.system.secure_as_server(stream, hearing, &came);
                        Socket::Securing(Box::pin(secured))
                    });
                    self.sockets.pending.push_back(id.into());
                }
            }
            Output::Close(ConnId::Upstream(id)) => {
                self.sockets.upstreams.remove(id);
            }
            Output::Close(ConnId::Client(id)) => drop(self.remove_client(id)),
            Output::Refuse(id, why) => {
                if let Some((client, _)) = self.sockets.clients.get_mut(id) {
                    let count = |counted: &Counted| counted.unintroduced(why);
                    shared.at_listener(client.listener, count);
                }
                drop(self.remove_client(id));
            }
            Output::Reset(id) => {
                if let Some(Socket::Open(stream)) = self.remove_client(id) {
                    stream.reset();
                }
            }
            Output::Abort(id) => {
                let entry = self.sockets.upstreams.remove(id);
                if let Some(Socket::Open(stream)) = entry.map(|entry| entry.socket) {
                    stream.reset();
                }
            }
            Output::ShutdownWrite(id) => {
                if let Some(stream) = self.sockets.get(id).and_then(Registration::stream_mut) {
                    stream.shutdown_write();
                }
            }
            Output::Ended(id) => self.on_request_end(id),
            Output::Announce => shared.announce(),
            Output::Wait(id, interest) => self.on_wait(id, interest),
        }
    }

    fn remove_client(&mut self, id: ClientId) -> Option<Socket<S::Stream>> {
        let (client, entry) = self.sockets.clients.remove(id)?;
        if self.is_recovering {
            (self.shared.notices)(Notice::ConnectionPanicked {
                remote: client.remote,
            });
        }
        self.shared.gate.leave();
        // Nothing else ends one that has not ended by itself.
        let is_late = matches!(entry.socket, Socket::Securing(_));
        self.shared.at_listener(client.listener, |counters| {
            counters.active.subtract(1);
            counters.tls.late.add(u64::from(is_late));
        });
        Some(entry.socket)
    }

    fn on_wait(&mut self, id: ConnId, interest: Interest) {
        let Some(entry) = self.sockets.get(id) else {
            return;
        };
        let before = std::mem::replace(&mut entry.interest, interest);
        let is_news = interest.write || interest.read && !before.read;
        let may_end = matches!(id, ConnId::Client(_)) && self.shared.ends_some();
        if is_news || may_end {
            self.sockets.pending.push_back(id);
        }
    }

    /// One whose client's connection is gone already has nobody to be told of: what it held was closed by a panic.
    fn on_request_end(&self, id: ExchangeId) {
        let Self {
            shared,
            sockets,
            now,
            ..
        } = self;
        if !shared.tells_requests() {
            return;
        }
        shared.joint.with_ended(id, |exchange| {
            let client = exchange.client().and_then(|id| sockets.clients.get(id));
            if client.is_none() && !exchange.is_mirror() {
                return;
            }
            let listener = client.map(|(client, _)| client.listener);
            shared.on_request_end(&Ended::of(id, exchange, listener, *now));
        });
    }

    /// Looks at everything that what was done has given something to do.
    fn finish(&mut self) {
        while let Some(id) = self.sockets.pending.pop_front() {
            if self.budget > 0 && !self.is_late() {
                self.look(id);
            } else if let Some(entry) = self.sockets.get(id) {
                entry.wake();
            }
        }
    }

    /// The next thing that happened on a socket, among those that core waits for.
    fn poll(&mut self, id: ConnId) -> Poll<Input> {
        if let ConnId::Client(id) = id
            && self.is_to_end(id)
        {
            return Poll::Ready(Input::Drain);
        }
        let joint = &self.shared.joint;
        let Some(entry) = self.sockets.get(id) else {
            return Poll::Pending;
        };
        if let Some(outcome) = entry.poll_connect() {
            return outcome.map(|outcome| self.on_connected(id, outcome));
        }
        if let Some(outcome) = entry.poll_secure() {
            return outcome.map(|outcome| self.on_secured(id, outcome));
        }
        let interest = entry.interest;
        if interest.write {
            let wrote = entry
                .poll(|stream, cx| joint.with_outbox(id, |outbox| stream.poll_write(cx, outbox)));
            match wrote.flatten() {
                Some(Poll::Ready(Ok(count))) => return Poll::Ready(Input::Wrote(count)),
                Some(Poll::Ready(Err(_))) => return Poll::Ready(Input::WriteFailed),
                Some(Poll::Pending) | None => {}
            }
        }
        if interest.read
            && let Some(read) = incoming::poll(entry, joint, id)
        {
            return Poll::Ready(read);
        }
        // What was there to read may have been nothing that core hears of.
        match id {
            ConnId::Client(id) if self.is_to_end(id) => Poll::Ready(Input::Drain),
            ConnId::Client(_) | ConnId::Upstream(_) => Poll::Pending,
        }
    }

    fn on_secured(&mut self, id: ConnId, outcome: Result<Made<S::Stream>, TlsFault>) -> Input {
        if let ConnId::Client(id) = id
            && let Some((client, _)) = self.sockets.clients.get(id)
        {
            let outcome = outcome.as_ref().map(|(_, facts)| facts.as_ref());
            let count = |counted: &Counted| counted.tls.on_end(outcome);
            self.shared.at_listener(client.listener, count);
        }
        let (socket, input) = match outcome {
            Ok((stream, facts)) => {
                let facts = facts.map(Arc::new);
                (Socket::Open(stream), Input::Secured(facts))
            }
            Err(fault) => (Socket::Gone, Input::NotSecured(fault.into())),
        };
        if let Some(entry) = self.sockets.get(id) {
            entry.socket = socket;
        }
        input
    }

    fn on_connected(
        &mut self,
        id: ConnId,
        outcome: Result<Made<S::Stream>, ConnectFault>,
    ) -> Input {
        match outcome {
            Ok((stream, facts)) => {
                let is_asked = self.shared.wants_local_addresses();
                let local = is_asked.then(|| stream.local_addr()).flatten();
                if let Some(entry) = self.sockets.get(id) {
                    entry.socket = Socket::Open(stream);
                }
                Input::Connected(Box::new(Facts {
                    local,
                    tls: facts.map(Arc::new),
                }))
            }
            Err(fault) => {
                if let ConnId::Upstream(id) = id {
                    self.sockets.upstreams.remove(id);
                }
                Input::ConnectFailed(fault.into())
            }
        }
    }

    /// A client's connection is to end and has not been told. A request that is already here is still taken: closing now
    /// would reset it.
    fn is_to_end(&mut self, id: ClientId) -> bool {
        if !self.shared.ends_some() {
            return false;
        }
        let Some((client, entry)) = self.sockets.clients.get_mut(id) else {
            return false;
        };
        let (at, opened) = (client.listener, client.opened);
        if client.told_to_drain || !self.shared.ends(client.kind, at, opened) {
            return false;
        }
        let reads = entry.interest.read;
        let has_unread = reads && entry.stream().is_some_and(Stream::has_unread);
        client.told_to_drain = !has_unread;
        !has_unread
    }
}
