//! The sockets of one thread and their operations: what is submitted when, and what a completion changes.
//!
//! Receiving and accepting are asked for once and go on; sending takes over the bytes, so that whoever sends goes on at
//! once. Nothing here wakes a task while it runs: wakers are collected for the caller.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use io_uring::{cqueue, opcode, squeue, types::Fd};
use outrigger_core::outbox::Outbox;
use slab::Slab;
use socket2::{SockAddr, SockRef};

use super::accepts::Accepts;
use super::bell::Bell;
use super::buffers::{Buffers, GROUP};
use super::queue::{Completion, Queue, Wait, error};
use super::socket::{Connect, Receive, Sending, Socket};
use super::timers::{Timers, wait};

/// Bytes that are sent in one piece are copied up to here. More costs less to share, piece by piece.
const BLOCK: usize = 32 * 1024;

/// Blocks kept for reuse.
const SPARE_BLOCKS: usize = 64;

/// How long a socket may go on sending what it took when its owner has dropped it.
const LINGER: Duration = Duration::from_secs(30);

/// How often lingering sockets are looked at.
const LINGER_CHECK: Duration = Duration::from_secs(1);

/// What an operation is, beside which socket it is of: the lowest bits of its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Receive,
    Send,
    Connect,
    Accept,
    Bell,
    /// Its outcome does not matter.
    Cancel,
}

const KINDS: [Kind; 6] = [
    Kind::Receive,
    Kind::Send,
    Kind::Connect,
    Kind::Accept,
    Kind::Bell,
    Kind::Cancel,
];

impl Kind {
    const fn of(self, number: usize) -> u64 {
        (number as u64) << 3 | self as u64
    }
}

/// Everything of one thread that the kernel works on.
#[derive(Debug)]
pub(super) struct Driver {
    queue: Queue,
    buffers: Buffers,
    sockets: Slab<Socket>,
    pub(super) listeners: Slab<Accepts>,
    pub(super) timers: Timers,
    bell: Arc<Bell>,
    /// Where the bell's count is read to.
    rung: Box<[u8; 8]>,
    /// Tasks that wait for other threads.
    pub(super) told: Slab<Option<Waker>>,
    completions: Vec<Completion>,
    pub(super) woken: Vec<Waker>,
    /// Sockets whose receive ended for want of a buffer.
    starved: Vec<usize>,
    spare: Vec<Vec<u8>>,
    /// Sockets that still send although nobody owns them: since when.
    lingering: Vec<(Instant, usize)>,
}

impl Driver {
    pub(super) fn new() -> io::Result<Self> {
        let mut driver = Self {
            queue: Queue::new()?,
            buffers: Buffers::new()?,
            sockets: Slab::new(),
            listeners: Slab::new(),
            timers: Timers::default(),
            bell: Bell::new()?,
            rung: Box::default(),
            told: Slab::new(),
            completions: Vec::new(),
            woken: Vec::new(),
            starved: Vec::new(),
            spare: Vec::new(),
            lingering: Vec::new(),
        };
        driver.queue.lend(&mut driver.buffers)?;
        driver.listen_to_bell();
        Ok(driver)
    }

    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Submits what was asked for and learns what has happened. Waits for something to happen if it may.
    pub(super) fn turn(&mut self, may_wait: bool) {
        let now = Instant::now();
        self.timers.fire(now, &mut self.woken);
        self.end_lingering(now);
        let wait = match self.next_deadline() {
            _ if !may_wait || !self.woken.is_empty() => Wait::No,
            Some(at) => Wait::AtMost(at.saturating_duration_since(now)),
            None => Wait::ForEver,
        };
        self.queue.enter(wait);
        let mut completions = std::mem::take(&mut self.completions);
        self.queue.take(&mut completions);
        for completion in completions.drain(..) {
            self.on_completion(completion);
        }
        self.completions = completions;
        if wait != Wait::No {
            // Time has passed.
            self.timers.fire(Instant::now(), &mut self.woken);
        }
        self.feed_starved();
    }

    fn next_deadline(&self) -> Option<Instant> {
        let lingering = self.lingering.first().map(|(at, _)| *at + LINGER_CHECK);
        self.timers.next().into_iter().chain(lingering).min()
    }

    fn on_completion(&mut self, completion: Completion) {
        let Completion {
            user_data,
            result,
            flags,
        } = completion;
        let number = (user_data >> 3) as usize;
        match KINDS[(user_data & 7) as usize] {
            Kind::Receive => self.on_receive(number, result, flags),
            Kind::Send => self.on_sent(number, result),
            Kind::Connect => self.on_connect(number, result),
            Kind::Accept => self.on_accept(number, result, flags),
            Kind::Bell => {
                self.bell.on_heard();
                for (_, waker) in &mut self.told {
                    self.woken.extend(waker.take());
                }
                self.listen_to_bell();
            }
            Kind::Cancel => {}
        }
    }

    /// Puts an entry in the queue.
    #[expect(
        unsafe_code,
        reason = "the kernel reads and writes what an entry points to"
    )]
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: entries of this file point to the bell's count, to a socket's address, or to bytes that it sends. All
        // three are on the heap, are replaced only when their operation has completed (`Connect::Under` and `sending`
        // are left alone until then, and a socket is removed only when it is free), and when the driver is dropped, all
        // operations are ended first.
        unsafe { self.queue.push(entry) }
    }

    fn cancel(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data).build();
        self.push(
            entry
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(Kind::Cancel.of(0)),
        );
    }

    fn listen_to_bell(&mut self) {
        let fd = Fd(self.bell.fd());
        let read = opcode::Read::new(fd, self.rung.as_mut_ptr(), 8).build();
        self.push(read.user_data(Kind::Bell.of(0)));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.queue.cancel_all();
    }
}

/// Sockets.
impl Driver {
    /// Takes over a connected socket.
    pub(super) fn add(&mut self, fd: OwnedFd) -> usize {
        self.sockets.insert(Socket::new(fd, Connect::Done))
    }

    /// Takes over a socket and begins to connect it.
    pub(super) fn connect(&mut self, fd: OwnedFd, address: SockAddr) -> usize {
        let address = Box::new(address);
        let (pointer, length) = (address.as_ptr(), address.len());
        let entry = opcode::Connect::new(Fd(fd.as_raw_fd()), pointer.cast(), length).build();
        let socket = Socket::new(fd, Connect::Under(address));
        let number = self.sockets.insert(socket);
        self.push(entry.user_data(Kind::Connect.of(number)));
        number
    }

    pub(super) fn poll_connected(
        &mut self,
        number: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = &mut self.sockets[number];
        match socket.connect {
            Connect::Done => Poll::Ready(Ok(())),
            Connect::Failed(result) => Poll::Ready(Err(error(result))),
            Connect::Under(_) => {
                wait(&mut socket.reader, cx);
                Poll::Pending
            }
        }
    }

    fn on_connect(&mut self, number: usize, result: i32) {
        let socket = &mut self.sockets[number];
        socket.connect = match result {
            0.. => Connect::Done,
            _ => Connect::Failed(result),
        };
        self.woken.extend(socket.reader.take());
        self.remove_if_free(number);
    }

    pub(super) fn local_addr(&self, number: usize) -> Option<SocketAddr> {
        let addr = SockRef::from(&self.sockets[number].fd).local_addr();
        addr.ok()?.as_socket()
    }

    pub(super) fn peer_addr(&self, number: usize) -> Option<SocketAddr> {
        let addr = SockRef::from(&self.sockets[number].fd).peer_addr();
        addr.ok()?.as_socket()
    }

    pub(super) fn poll_readable(&mut self, number: usize, cx: &Context<'_>) -> Poll<()> {
        let socket = &mut self.sockets[number];
        if socket.is_readable() {
            return Poll::Ready(());
        }
        wait(&mut socket.reader, cx);
        self.receive(number);
        Poll::Pending
    }

    pub(super) fn poll_read(
        &mut self,
        number: usize,
        cx: &Context<'_>,
        space: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable(number, cx));
        match self.sockets[number].read(space, &mut self.buffers) {
            Some(read) => Poll::Ready(read),
            None => Poll::Pending,
        }
    }

    /// Nothing came and the other side is there. What has not been asked for yet is asked of the system.
    pub(super) fn is_quiet(&mut self, number: usize) -> bool {
        let socket = &self.sockets[number];
        if socket.is_readable() || socket.send_failed.is_some() {
            return false;
        }
        if socket.receive == Receive::Idle {
            // The kernel tries at once, in the next turn; what it finds is seen when the connection is used.
            self.receive(number);
        }
        true
    }

    /// Lets the kernel receive for a socket from now on.
    fn receive(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.receive != Receive::Idle || socket.end.is_some() {
            return;
        }
        socket.receive = Receive::Armed;
        let entry = opcode::RecvMulti::new(Fd(socket.fd.as_raw_fd()), GROUP).build();
        self.push(entry.user_data(Kind::Receive.of(number)));
    }

    fn on_receive(&mut self, number: usize, result: i32, flags: u32) {
        let socket = &mut self.sockets[number];
        if let Some(id) = cqueue::buffer_select(flags) {
            self.buffers.on_filled();
            let len = usize::try_from(result).unwrap_or(0);
            socket.on_arrived(id, len, &mut self.buffers);
        }
        if !cqueue::more(flags) {
            socket.receive = Receive::Idle;
        }
        match result {
            0 => socket.end = Some(Ok(())),
            1.. => {}
            _ if -result == libc::ENOBUFS => self.starved.push(number),
            _ if -result == libc::ECANCELED => {}
            _ => socket.end = Some(Err(-result)),
        }
        if socket.is_readable() {
            self.woken.extend(socket.reader.take());
        } else if socket.receive == Receive::Idle && socket.reader.is_some() && result > 0 {
            self.receive(number);
        }
        let socket = &mut self.sockets[number];
        if socket.is_full() && socket.receive == Receive::Armed {
            socket.receive = Receive::Stopping;
            self.cancel(Kind::Receive.of(number));
        }
        self.remove_if_free(number);
    }

    /// Goes on receiving where buffers were wanting, after those that nobody reads have been given back.
    fn feed_starved(&mut self) {
        if self.starved.is_empty() {
            return;
        }
        if self.buffers.is_empty() {
            for (_, socket) in &mut self.sockets {
                socket.spill(&mut self.buffers);
            }
        }
        for number in std::mem::take(&mut self.starved) {
            // It may be gone meanwhile, or its number be another's: who waits to read is what counts.
            let waits = |socket: &Socket| socket.reader.is_some() && !socket.is_readable();
            if self.sockets.get(number).is_some_and(waits) {
                self.receive(number);
            }
        }
    }

    pub(super) fn poll_write(
        &mut self,
        number: usize,
        cx: &Context<'_>,
        outbox: &Outbox,
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.sockets[number];
        if let Some(failed) = socket.send_failed {
            return Poll::Ready(Err(error(failed)));
        }
        if socket.sending.is_some() {
            wait(&mut socket.writer, cx);
            return Poll::Pending;
        }
        let sending = match outbox.kept() {
            Some(piece) if outbox.len() > BLOCK => Sending::Shared(piece.clone()),
            _ => Sending::Copied(gather(outbox, self.spare.pop())),
        };
        let taken = sending.bytes().len();
        socket.sending = Some((sending, 0));
        self.send(number, taken < outbox.len());
        Poll::Ready(Ok(taken))
    }

    /// Sends what a socket has taken and not sent. `has_more` says that there will be more at once.
    fn send(&mut self, number: usize, has_more: bool) {
        let socket = &self.sockets[number];
        let Some((sending, sent)) = &socket.sending else {
            return;
        };
        let bytes = &sending.bytes()[*sent..];
        let more = if has_more { libc::MSG_MORE } else { 0 };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fd(socket.fd.as_raw_fd()), bytes.as_ptr(), length)
            // All of it is sent before the completion comes.
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more)
            .build();
        self.push(entry.user_data(Kind::Send.of(number)));
    }

    fn on_sent(&mut self, number: usize, result: i32) {
        let socket = &mut self.sockets[number];
        let Some((sending, sent)) = &mut socket.sending else {
            return;
        };
        match usize::try_from(result) {
            Ok(count) if count > 0 && *sent + count < sending.bytes().len() => {
                *sent += count;
                return self.send(number, false);
            }
            Ok(_) => {}
            Err(_) => socket.send_failed = Some(result),
        }
        if let Some((Sending::Copied(mut block), _)) = socket.sending.take()
            && self.spare.len() < SPARE_BLOCKS
        {
            block.clear();
            self.spare.push(block);
        }
        self.woken.extend(socket.writer.take());
        if socket.is_last {
            shut(&socket.fd);
        }
        self.remove_if_free(number);
    }

    /// Nothing more will be written after what was taken.
    pub(super) fn shutdown_write(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        socket.is_last = true;
        if socket.sending.is_none() {
            shut(&socket.fd);
        }
    }

    /// The owner is gone. What was taken is still sent, unless the connection is reset.
    pub(super) fn release(&mut self, number: usize, reset: bool) {
        let socket = &mut self.sockets[number];
        socket.is_dropped = true;
        socket.reader = None;
        socket.writer = None;
        socket.forget_arrived(&mut self.buffers);
        let is_sending = socket.sending.is_some();
        if reset {
            let _ = SockRef::from(&socket.fd).set_linger(Some(Duration::ZERO));
        }
        if socket.receive == Receive::Armed {
            socket.receive = Receive::Stopping;
            self.cancel(Kind::Receive.of(number));
        }
        if matches!(self.sockets[number].connect, Connect::Under(_)) {
            self.cancel(Kind::Connect.of(number));
        }
        match is_sending {
            true if reset => self.cancel(Kind::Send.of(number)),
            true => self.lingering.push((Instant::now(), number)),
            false => {}
        }
        self.remove_if_free(number);
    }

    fn remove_if_free(&mut self, number: usize) {
        let socket = &self.sockets[number];
        if socket.is_dropped && socket.is_free() {
            self.sockets.remove(number);
        }
    }

    /// Whether sockets still send although their owners are gone.
    pub(super) fn is_lingering(&mut self) -> bool {
        let sockets = &self.sockets;
        let is_sending = |number: usize| {
            let socket = sockets.get(number);
            socket.is_some_and(|socket| socket.is_dropped && socket.sending.is_some())
        };
        self.lingering.retain(|(_, number)| is_sending(*number));
        !self.lingering.is_empty()
    }

    /// Gives up on those that have sent for too long.
    fn end_lingering(&mut self, now: Instant) {
        if self.lingering.is_empty() || !self.is_lingering() {
            return;
        }
        while let Some(&(since, number)) = self.lingering.first()
            && now >= since + LINGER
        {
            self.lingering.remove(0);
            self.cancel(Kind::Send.of(number));
        }
    }
}

/// Listeners.
impl Driver {
    /// Lets the kernel accept for a listener from now on.
    pub(super) fn accept(&mut self, number: usize) {
        let listener = &mut self.listeners[number];
        if listener.is_armed {
            return;
        }
        listener.is_armed = true;
        let entry = opcode::AcceptMulti::new(Fd(listener.fd.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(entry.user_data(Kind::Accept.of(number)));
    }

    fn on_accept(&mut self, number: usize, result: i32, flags: u32) {
        let listener = &mut self.listeners[number];
        if !cqueue::more(flags) {
            listener.is_armed = false;
        }
        listener.on_accept(result);
        self.woken.extend(listener.waker.take());
        self.remove_listener_if_free(number);
    }

    /// The owner is gone.
    pub(super) fn release_listener(&mut self, number: usize) {
        self.listeners[number].is_dropped = true;
        if self.listeners[number].is_armed {
            self.cancel(Kind::Accept.of(number));
        }
        self.remove_listener_if_free(number);
    }

    fn remove_listener_if_free(&mut self, number: usize) {
        let listener = &self.listeners[number];
        if listener.is_dropped && !listener.is_armed {
            self.listeners.remove(number);
        }
    }
}

/// An error means that the peer is gone, which the next read will tell.
fn shut(fd: &OwnedFd) {
    let _ = SockRef::from(fd).shutdown(std::net::Shutdown::Write);
}

/// Copies the front of an outbox into a block, at most [`BLOCK`] bytes and up to the first long piece of many.
fn gather(outbox: &Outbox, spare: Option<Vec<u8>>) -> Vec<u8> {
    let mut block = spare.unwrap_or_default();
    let mut pieces = [io::IoSlice::new(&[]); 16];
    let count = outbox.chunks(&mut pieces);
    for piece in &pieces[..count] {
        let room = BLOCK - block.len();
        block.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    block
}
