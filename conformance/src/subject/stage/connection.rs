//! A peer on a real connection.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Moment};

use ::tokio::net::{TcpSocket, TcpStream};
use ::tokio::sync::broadcast;
use outrigger_sim::{Action, Event, Peer};
use socket2::SockRef;

use crate::subject::world::line::{End, Line};
use crate::subject::world::{HOP, Whom, World};

/// What a socket's buffers must hold at least: a whole window, and what the kernel needs for it.
pub(super) const BUFFER: usize = 512 * 1024;

/// A connection and its account.
pub(super) struct Wired {
    // Closed before the world hears of it.
    stream: TcpStream,
    line: Line,
}

impl Wired {
    /// Connects; `None` when that is refused.
    pub(super) async fn connect(world: &Arc<World>, number: u64, addr: SocketAddr) -> Option<Self> {
        if world.has_window() {
            world.sleep_until(world.now() + HOP, number).await;
        }
        let _dialling = world.dial();
        let socket = TcpSocket::new_v4().ok()?;
        if world.has_window() {
            grow(SockRef::from(&socket));
        }
        let stream = socket.connect(addr).await.ok()?;
        let line = world.line(stream.local_addr().ok()?, addr, End::Dialled);
        Some(Self { stream, line })
    }

    /// One that was accepted at this address.
    pub(super) fn accepted(
        world: &Arc<World>,
        stream: TcpStream,
        remote: SocketAddr,
        at: SocketAddr,
    ) -> Self {
        let line = world.line(remote, at, End::Accepted);
        Self { stream, line }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.stream.poll_read_ready(cx);
        if poll.is_pending() {
            self.line.waits_to_read();
        }
        poll
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = self.line.room(|| Whom::Peer(cx.waker().clone()));
        if room == 0 {
            return Poll::Pending;
        }
        let poll = self.stream.poll_write_ready(cx);
        if poll.is_pending() {
            self.line.waits_to_write();
        }
        poll
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.try_read(buffer);
        match &read {
            Ok(0) => self.line.has_ended(),
            Ok(count) => self.line.has_read(*count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.line.has_ended(),
        }
        read
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.line.room(|| Whom::Nobody);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let wrote = self.stream.try_write(&bytes[..bytes.len().min(room)])?;
        self.line.has_written(wrote);
        Ok(wrote)
    }

    fn shutdown(&self) -> io::Result<()> {
        SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
        self.line.is_shut();
        Ok(())
    }

    fn reset(self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }
}

/// Lets a socket hold a whole window. What the system grants may be less, and is still enough.
pub(super) fn grow(socket: SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    let _ = socket.set_tcp_nodelay(true);
}

/// A peer's place in its world.
pub(super) struct Position {
    pub(super) world: Arc<World>,
    /// In which order peers have their turns.
    pub(super) number: u64,
    /// Gives signals.
    pub(super) sender: broadcast::Sender<String>,
}

/// Plays a peer until nobody gives signals any more. Without a stream it is told that it was refused.
///
/// A peer is told at once what arrives, and what it does then takes the time of both ways.
pub(super) async fn play_peer(peer: &mut dyn Peer, stream: Option<Wired>, position: Position) {
    let mut receiver = position.sender.subscribe();
    let first = if stream.is_some() {
        Event::Opened
    } else {
        Event::Refused
    };
    let mut seat = Seat {
        stream,
        position,
        outgoing: VecDeque::new(),
        turn: None,
        nap: None,
        eof: false,
    };
    seat.tell(peer, first);
    loop {
        let reads = !seat.eof && peer.is_reading() && !seat.is_leaving();
        let (waits, naps) = (seat.turn.is_some(), seat.nap.is_some());
        let writes = !seat.outgoing.is_empty() && !waits;
        let ready = async {
            let Some(stream) = &seat.stream else {
                return pending().await;
            };
            let readable = poll_fn(|cx| stream.poll_readable(cx));
            let writable = poll_fn(|cx| stream.poll_writable(cx));
            ::tokio::select! {
                biased;
                _ = readable, if reads => true,
                _ = writable, if writes => false,
                else => pending().await,
            }
        };
        ::tokio::select! {
            biased;
            to_read = ready => {
                if to_read {
                    seat.read(peer);
                } else if seat.flush().is_err() {
                    seat.broken(peer);
                }
            }
            () = due(&mut seat.turn), if waits => {
                seat.turn = None;
                if seat.flush().is_err() {
                    seat.broken(peer);
                }
            }
            name = receiver.recv() => match name {
                Ok(name) => seat.tell(peer, Event::Signal(&name)),
                Err(_) => return,
            },
            () = due(&mut seat.nap), if naps => {
                seat.nap = None;
                seat.tell(peer, Event::Woken);
            }
        }
    }
}

type Deadline = Pin<Box<dyn Future<Output = ()>>>;

async fn due(deadline: &mut Option<Deadline>) {
    match deadline {
        Some(deadline) => deadline.await,
        None => pending().await,
    }
}

struct Seat {
    stream: Option<Wired>,
    position: Position,
    /// What is to be done, and when.
    outgoing: VecDeque<(Moment, Action)>,
    /// When the next of that is to be done.
    turn: Option<Deadline>,
    nap: Option<Deadline>,
    eof: bool,
}

impl Seat {
    fn at(&self, at: Moment) -> Deadline {
        let Position { world, number, .. } = &self.position;
        let (world, number) = (Arc::clone(world), *number);
        Box::pin(async move { world.sleep_until(at, number).await })
    }

    /// It closes as soon as its turn comes, and reads no more.
    fn is_leaving(&self) -> bool {
        let leaves = |(_, action): &_| matches!(action, Action::Close | Action::Reset);
        self.outgoing.iter().any(leaves)
    }

    fn tell(&mut self, peer: &mut dyn Peer, event: Event<'_>) {
        let mut actions = Vec::new();
        let now = self.position.world.now();
        peer.on_event(event, self.position.world.time(), &mut actions);
        for action in actions {
            match action {
                // Somebody always listens: the play itself.
                Action::Signal(name) => drop(self.position.sender.send(name)),
                Action::Sleep(time) => self.nap = Some(self.at(now + time)),
                Action::Send(_) | Action::Shutdown | Action::Close | Action::Reset => {
                    self.outgoing.push_back((now + 2 * HOP, action));
                }
            }
        }
        if !self.position.world.has_window() {
            // Before a program nobody waits for a turn.
            if self.flush().is_err() {
                self.broken(peer);
            }
        } else if let (None, Some((at, _))) = (&self.turn, self.outgoing.front()) {
            self.turn = Some(self.at(*at));
        }
    }

    fn broken(&mut self, peer: &mut dyn Peer) {
        // What arrived before the end is still to be seen.
        self.outgoing.clear();
        self.turn = None;
        if self.stream.is_some() && !self.eof {
            return self.read(peer);
        }
        if self.stream.take().is_some() {
            self.tell(peer, Event::Broken);
        }
    }

    fn read(&mut self, peer: &mut dyn Peer) {
        let mut buffer = [0; 16 * 1024];
        let Some(stream) = &self.stream else {
            return;
        };
        match stream.try_read(&mut buffer) {
            Ok(0) => {
                self.eof = true;
                self.tell(peer, Event::Eof);
            }
            Ok(count) => self.tell(peer, Event::Bytes(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.stream = None;
                self.tell(peer, Event::Broken);
            }
        }
    }

    /// Does what the peer wants to do, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        while let (Some(stream), Some((at, action))) = (&self.stream, self.outgoing.pop_front()) {
            if self.position.world.has_window() && at > self.position.world.now() {
                self.turn = Some(self.at(at));
                self.outgoing.push_front((at, action));
                return Ok(());
            }
            match action {
                Action::Send(bytes) => match stream.try_write(&bytes) {
                    Ok(count) if count == bytes.len() => {}
                    Ok(count) => {
                        let rest = Action::Send(bytes[count..].to_vec());
                        self.outgoing.push_front((at, rest));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.outgoing.push_front((at, Action::Send(bytes)));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                },
                Action::Shutdown => stream.shutdown()?,
                Action::Close => self.stream = None,
                Action::Reset => {
                    if let Some(stream) = self.stream.take() {
                        stream.reset()?;
                    }
                }
                // Never queued.
                Action::Sleep(_) | Action::Signal(_) => {}
            }
        }
        if self.stream.is_none() {
            self.outgoing.clear();
        }
        Ok(())
    }
}
