//! Virtual time over real sockets: the one clock of a case, and when it moves.
//!
//! The services and clients of a case run on one thread, the worker under test on another, and between them stands the
//! kernel. Both threads read this clock and set their timers here. It moves to the next deadline only when everything is
//! at rest: no task is running or woken, nobody waits for bytes, an end or a connection that is already on its way. All
//! of that is known, because both ends of every connection are counted here ([`line`]), and so is every task ([`task`]).
//! So nothing is guessed from how long something took, and a slow machine only makes a case slow.
//!
//! Nor does anything depend on which thread was faster: what peers do takes the time that bytes travel, and those whose
//! time comes at once have their turns one by one, each when what the one before did has come to rest.

pub(crate) mod line;
pub(crate) mod task;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use ::tokio::sync::Notify;
use outrigger_core::time::Instant as Time;

use line::Wire;
use task::KnownTask;

/// Bytes of one direction that may be under way or unread, as in the simulation. Less than any socket's buffers hold, so
/// the kernel never makes a writer wait.
pub(crate) const WINDOW: usize = 64 * 1024;

/// How long bytes travel from one end of a connection to the other, here and in the simulation's calm weather.
pub(crate) const HOP: Duration = Duration::from_micros(200);

/// Numbers below are for peers, whose turn comes first at the same time.
const PEERS: u64 = 1 << 32;

/// Longer than any timer of a case and any run of a case takes.
const LONG_AFTER: Duration = Duration::from_secs(100 * 24 * 3600);

/// Which thread something is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// That of services and clients.
    Peers,
    /// The worker's.
    Worker,
}

/// Who is to be woken. A worker's own wakers stay on its thread, where it looks them up by number.
#[derive(Debug)]
pub(crate) enum Whom {
    Peer(Waker),
    Worker(u64),
    /// Who asks again by itself.
    Nobody,
}

/// The clock, and all that happens under it.
#[derive(Debug)]
pub(crate) struct World {
    zero: Instant,
    window: usize,
    state: Mutex<WorldState>,
    /// Told whenever no task is busy.
    quiet: Notify,
    /// Told whenever no task of the worker is.
    worker_quiet: Notify,
    /// Told when there is mail for the worker.
    mail: Notify,
}

#[derive(Debug, Default)]
pub(super) struct WorldState {
    now: Duration,
    tasks: BTreeMap<u64, KnownTask>,
    /// Tasks that are woken or being polled, by side.
    busy: [usize; 2],
    /// Connections being made, so that their outcome is still to come.
    dialling: usize,
    wires: BTreeMap<u64, Wire>,
    /// Connections of which one end is known.
    half: BTreeMap<(SocketAddr, SocketAddr), u64>,
    listeners: usize,
    /// Clients that the worker has accepted.
    clients: u16,
    /// Where the worker has listened and does no more.
    deaf: BTreeSet<SocketAddr>,
    timers: BTreeMap<(Duration, u64), Whom>,
    mail: VecDeque<u64>,
    numbers: u64,
}

impl World {
    /// A world at time zero. Without a window, one end of every connection is a program's, of whose rest nothing is
    /// known: there the clock is the machine's.
    pub(crate) fn new(window: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            zero: Instant::now(),
            window: window.unwrap_or(usize::MAX),
            state: Mutex::default(),
            quiet: Notify::new(),
            worker_quiet: Notify::new(),
            mail: Notify::new(),
        })
    }

    /// Whether both ends of connections are counted.
    pub(crate) const fn has_window(&self) -> bool {
        self.window < usize::MAX
    }

    /// Where time begins, as timers know it.
    pub(crate) const fn zero(&self) -> Instant {
        self.zero
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        match self.has_window() {
            true => self.zero + self.lock().now,
            false => Instant::now(),
        }
    }

    /// The time as peers know it.
    pub(crate) fn time(&self) -> Time {
        Time::ZERO + self.now().saturating_duration_since(self.zero)
    }

    /// Nothing is held across a panic but counts, and a test that panicked has failed.
    fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and tells who waits for quiet if that made it quiet.
    fn change<T>(&self, change: impl FnOnce(&mut WorldState) -> T) -> T {
        let mut state = self.lock();
        let before = state.busy;
        let value = change(&mut state);
        let after = state.busy;
        drop(state);
        if before[Side::Worker as usize] > 0 && after[Side::Worker as usize] == 0 {
            self.worker_quiet.notify_one();
        }
        if before != [0, 0] && after == [0, 0] {
            self.quiet.notify_one();
        }
        value
    }

    /// A number that nothing else in this world has.
    pub(crate) fn number(&self) -> u64 {
        self.lock().number()
    }

    /// Until everything is at rest.
    pub(crate) async fn rest(&self) {
        while !self.lock().is_at_rest() {
            self.quiet.notified().await;
        }
    }

    /// Moves the clock to the next deadline, and wakes who waits for it; of several the one that was set first. `false`
    /// when there is none.
    pub(crate) fn advance(&self) -> bool {
        let mut state = self.lock();
        let Some(((at, _), whom)) = state.timers.pop_first() else {
            return false;
        };
        state.now = state.now.max(at);
        drop(state);
        self.wake(whom);
        true
    }

    /// Moves the clock from rest to rest until nothing is left to happen.
    pub(crate) async fn run(&self) {
        self.run_until(|| false).await;
    }

    /// The same, but only until this is so.
    pub(crate) async fn run_until(&self, is_done: impl Fn() -> bool) {
        loop {
            self.rest().await;
            if is_done() || !self.advance() {
                return;
            }
        }
    }

    /// Until this is so and the worker has done all it was woken for.
    pub(crate) async fn worker_rests(&self, is_so: impl Fn() -> bool) {
        while self.lock().busy[Side::Worker as usize] > 0 || !is_so() {
            self.worker_quiet.notified().await;
        }
    }

    /// The case is over: the clock is past everything that is waited for, and past the machine's.
    pub(crate) fn end(&self) {
        let timers = {
            let mut state = self.lock();
            state.now += LONG_AFTER;
            std::mem::take(&mut state.timers)
        };
        timers.into_values().for_each(|whom| self.wake(whom));
    }

    fn wake(&self, whom: Whom) {
        match whom {
            Whom::Nobody => {}
            Whom::Peer(waker) => waker.wake(),
            Whom::Worker(number) => {
                self.lock().mail.push_back(number);
                self.mail.notify_one();
            }
        }
    }

    /// Until there is mail for the worker.
    pub(crate) async fn has_mail(&self) {
        self.mail.notified().await;
    }

    /// The numbers of those of the worker that are to be woken.
    pub(crate) fn take_mail(&self) -> VecDeque<u64> {
        std::mem::take(&mut self.lock().mail)
    }

    /// Whether this time has come. If not, somebody is to be woken then; `number` names the timer.
    pub(crate) fn is_due(&self, at: Instant, number: u64, whom: Whom) -> bool {
        let at = at.saturating_duration_since(self.zero);
        let mut state = self.lock();
        if at <= state.now {
            return true;
        }
        state.timers.insert((at, number), whom);
        false
    }

    /// Forgets a timer that was set for this time.
    pub(crate) fn forget(&self, at: Instant, number: u64) {
        let at = at.saturating_duration_since(self.zero);
        self.lock().timers.remove(&(at, number));
    }

    /// Lets time pass, for a peer. Of several whose time comes at once, each has its turn when what the one before did
    /// has come to rest, in the order of their numbers: so they never race.
    pub(crate) async fn sleep_until(&self, at: Instant, peer: u64) {
        if !self.has_window() {
            return ::tokio::time::sleep_until(at.into()).await;
        }
        let mut is_set = false;
        poll_fn(|cx| {
            let key = (at.saturating_duration_since(self.zero), peer);
            let mut state = self.lock();
            if std::mem::replace(&mut is_set, true) && !state.timers.contains_key(&key) {
                return Poll::Ready(());
            }
            state.timers.insert(key, Whom::Peer(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl WorldState {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        PEERS + self.numbers
    }

    /// Nothing happens any more unless the clock moves.
    fn is_at_rest(&self) -> bool {
        let awaits = |wire: &Wire| wire.is_moving(|who| self.still_waits(who));
        self.busy == [0, 0] && self.dialling == 0 && !self.wires.values().any(awaits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use line::End;
    use std::task::Context;

    /// Polls once, with a waker that only wakes.
    fn poll<T>(future: &mut task::Task<impl Future<Output = T>>) -> Poll<T> {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_clock_moves_only_when_nobody_waits_for_what_is_under_way() {
        let world = World::new(Some(4));
        let [client, worker] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let is_at_rest = || world.lock().is_at_rest();
        assert!(is_at_rest());
        let dialled = world.line(client, worker, End::Dialled);
        assert!(!is_at_rest(), "it will be accepted");
        let accepted = world.line(client, worker, End::Accepted);
        assert!(is_at_rest());
        dialled.has_written(4);
        assert!(is_at_rest(), "nobody wants to read");
        let mut reader = world.task(
            Side::Worker,
            poll_fn(|_| {
                accepted.waits_to_read();
                Poll::<()>::Pending
            }),
        );
        assert!(!is_at_rest(), "a task has not been polled");
        assert!(poll(&mut reader).is_pending());
        assert!(!is_at_rest(), "four bytes are under way to it");
        assert_eq!(dialled.room(|| Whom::Nobody), 0);
        accepted.has_read(4);
        assert_eq!(dialled.room(|| Whom::Nobody), 4);
        assert!(is_at_rest());
        drop(dialled);
        assert!(!is_at_rest(), "it will see the end");
        accepted.has_ended();
        assert!(is_at_rest());
    }

    #[test]
    fn deadlines_come_one_by_one_and_in_order() {
        let world = World::new(Some(4));
        let sleep = |ms| {
            let sleeper = Arc::clone(&world);
            let at = world.now() + Duration::from_millis(ms);
            let sleep = async move { sleeper.sleep_until(at, ms).await };
            world.task(Side::Peers, sleep)
        };
        let mut sleeps = [20, 10].map(sleep);
        let mut are_over = || sleeps.each_mut().map(|sleep| poll(sleep).is_ready());
        assert_eq!(are_over(), [false, false]);
        assert!(world.advance());
        assert_eq!(are_over(), [false, true]);
        assert!(world.advance() && !world.advance());
        assert_eq!(world.now(), world.zero() + Duration::from_millis(20));
    }
}
