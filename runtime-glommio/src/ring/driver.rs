//! The sockets of one thread and their operations: what is submitted when, and what a completion changes.
//!
//! Receiving and accepting are asked for once and go on; sending takes over short messages, so that whoever sends goes on
//! at once. Long bodies are read and written by calls, as with epoll, because there a copy costs more than a call. Nothing here wakes a task while it runs: wakers are collected for the caller.

mod connecting;
mod receiving;
mod sending;

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use io_uring::{opcode, squeue, types::Fd};
use slab::Slab;
use socket2::SockRef;

use super::accepts::Accepts;
use super::bell::Bell;
use super::buffers::Buffers;
use super::queue::{Completion, Queue, Wait};
use super::socket::{Connect, Receive, Sending, Socket};
use super::timers::Timers;

/// How long a socket may go on sending what it took when its owner has dropped it.
pub(super) const LINGER: Duration = Duration::from_secs(30);

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
    pub(super) queue: Queue,
    pub(super) buffers: Buffers,
    pub(super) sockets: Slab<Socket>,
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
    /// Who waits for those to be done.
    pub(super) flushing: Option<Waker>,
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
            flushing: None,
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

    /// When to look at time again. Those that linger stand in the order in which they began to.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let lingering = self.lingering.first().map(|(at, _)| *at + LINGER);
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

    pub(super) fn cancel(&mut self, user_data: u64) {
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

/// The end of a socket.
impl Driver {
    /// The owner is gone. What was taken is still sent, unless the connection is reset.
    pub(super) fn release(&mut self, number: usize, reset: bool) {
        let socket = &mut self.sockets[number];
        let now = Instant::now();
        socket.dropped = Some(now);
        socket.is_given_up = reset;
        socket.reader = None;
        socket.writer = None;
        socket.forget_arrived(&mut self.buffers);
        if reset {
            let _ = SockRef::from(&socket.fd).set_linger(Some(Duration::ZERO));
        }
        if matches!(socket.receive, Receive::Armed | Receive::Watched) {
            self.stop_receiving(number);
        }
        if matches!(self.sockets[number].connect, Connect::Under(_)) {
            self.cancel(Kind::Connect.of(number));
        }
        match self.sockets[number].sending {
            Sending::Taken(..) if !reset => {
                self.lingering.push((now, number));
                // Its client waits for the end.
                self.queue.is_awaited();
            }
            Sending::Taken(..) | Sending::Watched => self.cancel(Kind::Send.of(number)),
            Sending::Idle => {}
        }
        self.remove_if_free(number);
    }

    fn remove_if_free(&mut self, number: usize) {
        let socket = &self.sockets[number];
        if socket.dropped.is_some() && socket.is_free() {
            self.sockets.remove(number);
        }
    }
}
