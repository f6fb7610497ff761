//! The connections of those who ask: how many there may be, how long each may take, and that one more always gets in.
//!
//! Owns the bounds. Somebody who opens connections and says nothing must not keep a probe from asking whether we are ready: when
//! all places are taken, the connection that has asked nothing for longest makes room.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::answer::Answer;
use super::listen::{Accepting, Stream};

/// After a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection that is old enough may still send what it was asked for.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// A head that is longer gets 431.
const HEAD_BYTES: usize = 16 * 1024;

/// A head with more fields gets 431.
const HEAD_FIELDS: usize = 64;

/// What those who ask may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time, at least 1.
    pub(super) connections: usize,
    /// From the end of an answer, or the beginning of the connection, to the end of the next head.
    pub(super) head_time: Duration,
    /// How old a connection gets.
    pub(super) connection_time: Duration,
}

/// What has come of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    total: AtomicU64,
    active: AtomicU64,
    made_room: AtomicU64,
    head_timeouts: AtomicU64,
    heads_too_long: AtomicU64,
    too_old: AtomicU64,
}

impl Counts {
    /// Each with its name in `/stats`, behind `outrigger.admin_cx_`.
    pub(super) fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("total", &self.total),
            ("active", &self.active),
            ("made_room", &self.made_room),
            ("head_timeout", &self.head_timeouts),
            ("head_too_long", &self.heads_too_long),
            ("too_old", &self.too_old),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Who answers on one connection.
pub(super) trait Answers {
    /// What a request gets.
    async fn answer(&self, request: &Request<Incoming>) -> Answer;

    /// The connection is over: all it was to get was sent, or cannot be.
    fn ended(&self);
}

/// When it comes, or is dropped, nobody is accepted any more.
pub(super) struct End {
    tell: oneshot::Sender<()>,
    left: oneshot::Receiver<()>,
}

impl End {
    /// Returns when the last one was accepted.
    pub(super) async fn come(self) {
        drop(self.tell);
        // Nothing is ever said.
        let _ = self.left.await;
    }

    /// The same on a thread that waits for nothing else.
    pub(super) fn come_now(self) {
        drop(self.tell);
        let _ = self.left.blocking_recv();
    }
}

/// Whoever accepts has this for as long as he does.
pub(super) struct Until {
    told: oneshot::Receiver<()>,
    _leaves: oneshot::Sender<()>,
}

/// The end of accepting, and what waits for it.
pub(super) fn end() -> (End, Until) {
    let (tell, told) = oneshot::channel();
    let (_leaves, left) = oneshot::channel();
    (End { tell, left }, Until { told, _leaves })
}

/// Accepts until the end comes; each connection has somebody of its own who answers, and knows the address that asks, where it has one.
pub(super) async fn serve<A: Answers + 'static>(
    accepting: Accepting,
    limits: Limits,
    counts: Arc<Counts>,
    until: Until,
    answers: impl Fn(Option<SocketAddr>) -> A,
) {
    // Dropped in the other order: who waits for the end finds the socket closed, and its file gone.
    let Until { mut told, _leaves } = until;
    let accepting = accepting;
    let places = Rc::new(Places::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = accepting.accept() => accepted,
            _ = &mut told => break,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        count(&counts.total);
        let (place, room) = Places::take(&places);
        if room.made {
            count(&counts.made_room);
        }
        let (answers, counts) = (answers(peer), Arc::clone(&counts));
        tokio::task::spawn_local(async move {
            counts.active.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = connection(stream, limits, &counts, &place, &answers) => {}
                _ = room.given_up => {}
            }
            counts.active.fetch_sub(1, Ordering::Relaxed);
            answers.ended();
        });
    }
}

async fn connection<A: Answers>(
    stream: Box<dyn Stream>,
    limits: Limits,
    counts: &Counts,
    place: &Place,
    answers: &A,
) {
    let service = service_fn(async |request: Request<Incoming>| {
        place.is_used();
        let answer = answers.answer(&request).await;
        place.is_used();
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = sleep(limits.connection_time) => {
            count(&counts.too_old);
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
            return;
        }
    };
    if let Err(error) = outcome {
        if error.is_timeout() {
            count(&counts.head_timeouts);
        } else if error.is_parse_too_large() {
            count(&counts.heads_too_long);
        }
    }
}

/// The places there are, and who has one.
struct Places {
    most: usize,
    /// By who was used last; what is sent tells a connection to give up.
    taken: RefCell<BTreeMap<u64, oneshot::Sender<()>>>,
    uses: Cell<u64>,
}

/// A connection's place; free when this is dropped.
struct Place {
    places: Rc<Places>,
    last_use: Cell<u64>,
}

/// How a connection came by its place, and how it hears that somebody else gets it.
struct Room {
    made: bool,
    given_up: oneshot::Receiver<()>,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            most,
            taken: RefCell::default(),
            uses: Cell::new(0),
        }
    }

    fn take(places: &Rc<Self>) -> (Place, Room) {
        let mut taken = places.taken.borrow_mut();
        let longest_idle = (taken.len() >= places.most).then(|| taken.pop_first());
        let (end, given_up) = oneshot::channel();
        let last_use = places.next_use();
        taken.insert(last_use, end);
        let made = longest_idle.is_some();
        let place = Place {
            places: Rc::clone(places),
            last_use: Cell::new(last_use),
        };
        (place, Room { made, given_up })
    }

    fn next_use(&self) -> u64 {
        let next = self.uses.get() + 1;
        self.uses.set(next);
        next
    }
}

impl Place {
    fn is_used(&self) {
        let mut taken = self.places.taken.borrow_mut();
        // Not there: it has been given to somebody else, and this connection is about to hear so.
        if let Some(end) = taken.remove(&self.last_use.get()) {
            self.last_use.set(self.places.next_use());
            taken.insert(self.last_use.get(), end);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.borrow_mut();
        taken.remove(&self.last_use.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_takes_the_place_of_who_is_idle_longest() {
        let places = Rc::new(Places::new(2));
        let (first, mut first_room) = Places::take(&places);
        let (second, mut second_room) = Places::take(&places);
        assert!(!first_room.made && !second_room.made);
        first.is_used();
        let (third, third_room) = Places::take(&places);
        assert!(third_room.made);
        assert!(
            second_room
                .given_up
                .try_recv()
                .is_err_and(|error| { error == oneshot::error::TryRecvError::Closed })
        );
        assert!(
            first_room
                .given_up
                .try_recv()
                .is_err_and(|error| { error == oneshot::error::TryRecvError::Empty })
        );
        second.is_used();
        assert_eq!(places.taken.borrow().len(), 2, "who gave up has no place");
        drop((second, third));
        let (_, fourth_room) = Places::take(&places);
        assert!(!fourth_room.made);
    }
}
