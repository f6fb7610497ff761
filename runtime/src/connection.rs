//! One client connection as a task: feeds its exchange what happens on the sockets, and does what the exchange says. A
//! copy for a mirror is such a task too, without a client.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use outrigger_core::exchange::{ConnectFault, ConnectionId, Input, Interest, Output, Peer, Side};
use outrigger_core::time::Instant;
use outrigger_recording::Driven;

use crate::access_log::Request;
use crate::alarm::Alarm;
use crate::connect::{Connecting, connect};
use crate::idle::Upstream;
use crate::shared::Shared;
use crate::system::{Stream, System};

/// A client connection and everything that hangs on it.
pub(crate) struct Connection<S: System> {
    driven: Driven,
    io: Io<S>,
    told_to_drain: bool,
    is_done: bool,
}

/// The sockets of an exchange, and what it waits for on them.
struct Io<S: System> {
    peer: Peer,
    /// Which of the worker's listeners the client came in on; `None` for a copy, which has no client.
    listener: Option<usize>,
    downstream: Option<S::Stream>,
    upstream: Option<S::Stream>,
    /// The connection of an attempt that was set aside.
    aside: Option<Upstream<S::Stream>>,
    connecting: Option<Connecting<S::Stream>>,
    /// How taking an idle connection went; told as the next input.
    reuse: Option<Input>,
    upstream_local: Option<SocketAddr>,
    interest: Interest,
    alarm: Alarm<S::Timer>,
    shared: Rc<Shared<S>>,
    /// The place of this task's waker; given once the task has one.
    place: usize,
    has_waker: bool,
    /// The exchange is at work. Still so when this is dropped, it panicked.
    is_at_work: bool,
}

impl<S: System> Connection<S> {
    /// An accepted connection; it does nothing until it is polled.
    pub(crate) fn new(
        shared: Rc<Shared<S>>,
        listener: usize,
        peer: Peer,
        downstream: S::Stream,
    ) -> Self {
        let counters = &shared.counters.listeners[listener];
        counters.connections.add(1);
        counters.active.add(1);
        let now = shared.wake();
        let driven = shared.joint.accept(peer, now);
        Self::begin(driven, shared, Some((listener, downstream)), now)
    }

    /// A copy for a mirror.
    fn mirror(driven: Driven, shared: Rc<Shared<S>>, now: Instant) -> Self {
        shared.counters.mirrors.active.add(1);
        Self::begin(driven, shared, None, now)
    }

    fn begin(
        driven: Driven,
        shared: Rc<Shared<S>>,
        client: Option<(usize, S::Stream)>,
        now: Instant,
    ) -> Self {
        let (listener, downstream) = client.unzip();
        let mut connection = Self {
            io: Io {
                peer: *driven.peer(),
                listener,
                downstream,
                upstream: None,
                aside: None,
                connecting: None,
                reuse: None,
                upstream_local: None,
                interest: Interest::default(),
                alarm: Alarm::default(),
                place: shared.enter(),
                has_waker: false,
                is_at_work: true,
                shared,
            },
            driven,
            told_to_drain: false,
            is_done: false,
        };
        connection.is_done = connection.io.perform(&mut connection.driven, now);
        connection.io.is_at_work = false;
        connection
    }

    /// Takes one input after the other until there is none.
    fn work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = self.io.on_wake(cx);
        let mut is_first = true;
        while !self.is_done {
            let input = ready!(self.poll_input(cx, now, is_first));
            is_first = false;
            if let (Input::Deadline, Some((deadline, _))) = (input, self.io.interest.deadline) {
                // The timer may have fired after this wake began.
                now = now.max(deadline);
            }
            let joint = &self.io.shared.joint;
            joint.handle_input(&mut self.driven, input, now);
            self.is_done = self.io.perform(&mut self.driven, now);
        }
        Poll::Ready(())
    }

    fn poll_input(&mut self, cx: &mut Context<'_>, now: Instant, is_first: bool) -> Poll<Input> {
        // A request that is already here is still taken: closing now would reset it.
        let ends = self.io.shared.ends(self.io.peer.listener);
        if ends && !self.told_to_drain && !self.io.has_request_bytes() {
            self.told_to_drain = true;
            return Poll::Ready(Input::Drain);
        }
        // What has already arrived counts before a deadline that has passed meanwhile, but only once: a peer that never
        // pauses does not keep a deadline away.
        if !is_first && self.io.is_late(now) {
            return Poll::Ready(Input::Deadline);
        }
        self.io.poll_input(cx, &mut self.driven, now)
    }
}

impl<S: System> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.io.is_at_work = true;
        let poll = self.work(cx);
        self.io.is_at_work = false;
        let Shared {
            joint, counters, ..
        } = &*self.io.shared;
        counters.buffers.set(joint.buffered());
        poll
    }
}

impl<S: System> Drop for Connection<S> {
    fn drop(&mut self) {
        self.io.shared.joint.leave(&mut self.driven);
    }
}

impl<S: System> Drop for Io<S> {
    fn drop(&mut self) {
        let counters = &self.shared.counters;
        match self.listener {
            Some(listener) => counters.listeners[listener].active.subtract(1),
            None => counters.mirrors.active.subtract(1),
        }
        if self.is_at_work {
            self.shared.on_panic(self.peer.remote);
            // What the exchange held is free again, and it could not say so.
            self.shared.announce();
        }
        self.shared.wait(self.interest.woken, None, self.place);
        self.shared.leave(self.place);
    }
}

impl<S: System> Io<S> {
    fn on_wake(&mut self, cx: &Context<'_>) -> Instant {
        if !self.has_waker {
            self.has_waker = true;
            self.shared.set_waker(self.place, cx.waker());
        }
        self.shared.wake()
    }

    fn is_late(&self, now: Instant) -> bool {
        self.interest.deadline.is_some_and(|(at, _)| now >= at)
    }

    /// The client has sent something that was not read yet, and that the exchange would read.
    fn has_request_bytes(&self) -> bool {
        let stream = self.downstream.as_ref();
        let stream = stream.filter(|_| self.interest.read_downstream);
        stream.is_some_and(Stream::has_unread)
    }

    /// Does what the exchange says up to what it waits for. True when it is over.
    fn perform(&mut self, driven: &mut Driven, now: Instant) -> bool {
        loop {
            match self.shared.joint.poll_output(driven) {
                Output::Connect(address) => {
                    self.connecting =
                        Some(connect(&self.shared.system, address, &self.shared.ours));
                }
                Output::Reuse(id) => self.reuse = Some(self.reuse(id)),
                Output::Keep(id) => self.keep(id),
                Output::SetAside => {
                    let local = self.upstream_local;
                    let stream = self.upstream.take();
                    self.aside = stream.map(|stream| Upstream { stream, local });
                }
                Output::TakeBack => {
                    let (stream, local) = self.aside.take().map(|u| (u.stream, u.local)).unzip();
                    self.upstream = stream;
                    self.upstream_local = local.flatten();
                }
                Output::Discard(id) => self.shared.close_idle(vec![id]),
                Output::Wake(waiter) => self.shared.wake_waiter(waiter),
                Output::Announce => self.shared.announce(),
                Output::Close(Side::Downstream) => self.downstream = None,
                Output::Close(Side::Upstream) => {
                    self.upstream = None;
                    self.connecting = None;
                }
                Output::Close(Side::Aside) => self.aside = None,
                Output::Reset => {
                    if let Some(stream) = self.downstream.take() {
                        stream.reset();
                    }
                }
                Output::ShutdownWrite(side) => {
                    if let Some(stream) = self.stream(side) {
                        stream.shutdown_write();
                    }
                }
                Output::Mirror => {
                    if let Some(copy) = self.shared.joint.take_mirror(driven) {
                        let copy = Connection::mirror(copy, Rc::clone(&self.shared), now);
                        self.shared.system.spawn(copy);
                    }
                }
                Output::Ended => self.on_request_end(driven, now),
                Output::Wait(interest) => {
                    if interest.woken != self.interest.woken {
                        self.shared
                            .wait(self.interest.woken, interest.woken, self.place);
                    }
                    self.interest = interest;
                    return false;
                }
                Output::Done => return true,
            }
        }
    }

    /// The next thing that happened among those the exchange waits for. Writes come first: they free memory.
    fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        driven: &mut Driven,
        now: Instant,
    ) -> Poll<Input> {
        let interest = self.interest;
        if let Some(input) = self.reuse.take() {
            return Poll::Ready(input);
        }
        if interest.woken.is_some_and(|id| self.shared.was_woken(id)) {
            return Poll::Ready(Input::Woken);
        }
        for (wanted, side) in [
            (interest.write_downstream, Side::Downstream),
            (interest.write_upstream, Side::Upstream),
            (interest.write_aside, Side::Aside),
        ] {
            if wanted && let Poll::Ready(input) = self.poll_write(cx, driven, side) {
                return Poll::Ready(input);
            }
        }
        for (wanted, side) in [
            (interest.read_downstream, Side::Downstream),
            (interest.read_upstream, Side::Upstream),
            (interest.read_aside, Side::Aside),
        ] {
            if wanted && let Poll::Ready(input) = self.poll_read(cx, driven, side) {
                return Poll::Ready(input);
            }
        }
        if interest.connect
            && let Poll::Ready(input) = self.poll_connect(cx)
        {
            return Poll::Ready(input);
        }
        let Some((deadline, _)) = interest.deadline else {
            return Poll::Pending;
        };
        let Shared { system, clock, .. } = &*self.shared;
        let make = |at| system.timer(at);
        ready!(self.alarm.poll(cx, make, *clock, now, deadline));
        Poll::Ready(Input::Deadline)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, driven: &Driven, side: Side) -> Poll<Input> {
        let Some(stream) = self.stream(side) else {
            return Poll::Ready(Input::Broken(side));
        };
        let wrote = ready!(stream.poll_write(cx, driven.outbox(side)));
        Poll::Ready(wrote.map_or(Input::WriteFailed(side), |count| Input::Wrote(side, count)))
    }

    /// An idle connection costs no buffer: room to read into is taken only when there is something to read.
    fn poll_read(&mut self, cx: &mut Context<'_>, driven: &mut Driven, side: Side) -> Poll<Input> {
        let shared = Rc::clone(&self.shared);
        let Some(stream) = self.stream(side) else {
            return Poll::Ready(Input::Broken(side));
        };
        if ready!(stream.poll_readable(cx)).is_err() {
            return Poll::Ready(Input::Broken(side));
        }
        match stream.poll_read(cx, shared.joint.space(driven, side)) {
            Poll::Ready(Ok(0)) => Poll::Ready(Input::Eof(side)),
            Poll::Ready(Ok(count)) => Poll::Ready(Input::Read(side, count)),
            Poll::Ready(Err(_)) => Poll::Ready(Input::Broken(side)),
            Poll::Pending => {
                // A fresh socket is called readable until it is asked, and most clients connect some time before they speak.
                shared.joint.leave_space(driven);
                Poll::Pending
            }
        }
    }

    fn poll_connect(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        let Some(connecting) = &mut self.connecting else {
            return Poll::Ready(Input::ConnectFailed(ConnectFault::Local));
        };
        let outcome = ready!(connecting.as_mut().poll(cx));
        self.connecting = None;
        Poll::Ready(match outcome {
            Ok(stream) => {
                self.upstream_local = self.shared.log.as_ref().and_then(|_| stream.local_addr());
                self.upstream = Some(stream);
                Input::Connected
            }
            Err(fault) => Input::ConnectFailed(fault),
        })
    }

    fn reuse(&mut self, id: ConnectionId) -> Input {
        let Some(Upstream { stream, local }) = self.shared.take_idle(id) else {
            return Input::Stale;
        };
        self.upstream = Some(stream);
        self.upstream_local = local;
        Input::Connected
    }

    fn keep(&mut self, id: ConnectionId) {
        match self.upstream.take() {
            Some(stream) => {
                let local = self.upstream_local;
                self.shared.keep(id, Upstream { stream, local });
            }
            None => self.shared.joint.forget(id),
        }
    }

    /// As Envoy, a copy stands in no access log: what became of it is counted at its cluster.
    fn on_request_end(&self, driven: &Driven, now: Instant) {
        let Some(listener) = self.listener else {
            return;
        };
        let record = driven.record();
        let request = |began| Request {
            peer: self.peer,
            upstream_local: self.upstream_local.filter(|_| !record.attempts.is_empty()),
            began,
        };
        self.shared.on_request_end(listener, record, request, now);
    }

    fn stream(&mut self, side: Side) -> Option<&mut S::Stream> {
        match side {
            Side::Downstream => self.downstream.as_mut(),
            Side::Upstream => self.upstream.as_mut(),
            Side::Aside => self.aside.as_mut().map(|aside| &mut aside.stream),
        }
    }
}
