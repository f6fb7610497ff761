//! Connecting to a name that has several addresses (Happy Eyeballs, RFC 8305): they are tried one after the other, but none
//! waits for long for the one before, and families take turns.
//!
//! Owns the order and the waiting. How a connection is made, and which addresses a name has, is others' business.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::system::Timer;

/// So long an attempt is alone before the next one begins beside it (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The first address that a connection can be made to. `None` without an address, else the failure that came last. The
/// others are given up once one is made.
pub(crate) async fn race<F, T, E>(
    addresses: Vec<SocketAddr>,
    mut timer: impl Timer,
    now: impl Fn() -> Instant,
    begin: impl Fn(SocketAddr) -> F,
) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = in_turns(addresses).into_iter();
    let mut attempts: Vec<Pin<Box<F>>> = Vec::new();
    let mut failure = None;
    // Whether the timer is set and has not been heard yet.
    let mut is_timed = false;
    poll_fn(|cx| {
        let mut is_due = false;
        loop {
            let mut at = 0;
            while at < attempts.len() {
                match attempts[at].as_mut().poll(cx) {
                    Poll::Ready(Ok(made)) => return Poll::Ready(Some(Ok(made))),
                    Poll::Ready(Err(error)) => {
                        failure = Some(Err(error));
                        is_due = true;
                        drop(attempts.remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            if is_timed && timer.poll(cx).is_ready() {
                is_timed = false;
                is_due = true;
            }
            if !is_due && !attempts.is_empty() {
                return Poll::Pending;
            }
            is_due = false;
            match waiting.next() {
                Some(address) => {
                    attempts.push(Box::pin(begin(address)));
                    is_timed = waiting.len() > 0;
                    if is_timed {
                        timer.set(now() + ATTEMPT_DELAY);
                    }
                }
                None if attempts.is_empty() => return Poll::Ready(failure.take()),
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// Families by turns, beginning with that of the first address; otherwise in the order in which they came (RFC 8305 §4).
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = match addresses.first() {
        Some(first) => first.is_ipv4(),
        None => return addresses,
    };
    let (own, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == is_first);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut all = Vec::with_capacity(own.len() + other.len());
    while own.len() + other.len() > 0 {
        all.extend(own.next());
        all.extend(other.next());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Waker};

    /// What becomes of an attempt: after so many ms it is made, or refused; `None` is silence.
    type Fate = Option<(u64, bool)>;

    /// Who was connected to, or whose failure came last.
    type End = Option<Result<u16, u16>>;

    /// Ports, which were tried when, after how many ms it ended, and how.
    type Case<'a> = (&'a [(u16, Fate)], &'a [(u16, u64)], u64, End);

    /// The same of what was played.
    type Played = (Vec<(u16, u64)>, u64, End);

    /// A clock that is moved by hand.
    #[derive(Clone)]
    struct Clock(Rc<Cell<Instant>>);

    struct Alarm(Clock, Option<Instant>);

    impl Timer for Alarm {
        fn set(&mut self, at: Instant) {
            self.1 = Some(at);
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
            match self.1 {
                Some(at) if at <= self.0.0.get() => Poll::Ready(()),
                Some(_) | None => Poll::Pending,
            }
        }
    }

    fn addresses(texts: &str) -> Vec<SocketAddr> {
        texts
            .split_whitespace()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    #[test]
    fn families_take_turns() {
        for (given, want) in [
            ("", ""),
            ("1.1.1.1:1", "1.1.1.1:1"),
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 1.1.1.2:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 1.1.1.2:1 [::3]:1",
            ),
            ("1.1.1.1:1 1.1.1.2:1 [::1]:1", "1.1.1.1:1 [::1]:1 1.1.1.2:1"),
        ] {
            assert_eq!(in_turns(addresses(given)), addresses(want), "{given}");
        }
    }

    /// Plays what becomes of ports (`silent`, or after so many ms `made` or `refused`), and tells which were tried when, in
    /// ms, and how it ended.
    fn play(ports: &[(u16, Fate)]) -> Played {
        let start = Instant::now();
        let clock = Clock(Rc::new(Cell::new(start)));
        let since = |clock: &Clock| clock.0.get().duration_since(start).as_millis() as u64;
        let fates: BTreeMap<u16, Fate> = ports.iter().copied().collect();
        let tried = RefCell::new(Vec::new());
        let begin = |address: SocketAddr| {
            let (port, begun) = (address.port(), since(&clock));
            tried.borrow_mut().push((port, begun));
            let (fate, clock) = (fates[&port], clock.clone());
            poll_fn(move |_| match fate {
                Some((after, is_made)) if since(&clock) >= begun + after => {
                    Poll::Ready(if is_made { Ok(port) } else { Err(port) })
                }
                Some(_) | None => Poll::Pending,
            })
        };
        let list = ports
            .iter()
            .map(|(port, _)| SocketAddr::from(([1, 1, 1, 1], *port)));
        let alarm = Alarm(clock.clone(), None);
        let mut racing = pin!(race(list.collect(), alarm, || clock.0.get(), begin));
        let mut cx = Context::from_waker(Waker::noop());
        for ms in 0..2_000 {
            clock.0.set(start + Duration::from_millis(ms));
            if let Poll::Ready(end) = racing.as_mut().poll(&mut cx) {
                let tried = tried.borrow().clone();
                return (tried, ms, end);
            }
        }
        (tried.borrow().clone(), 2_000, None)
    }

    #[test]
    fn no_address_waits_for_long_for_another() {
        let silent = None;
        let made = |after| Some((after, true));
        let refused = |after| Some((after, false));
        let cases: [Case<'_>; 7] = [
            (&[], &[], 0, None),
            (&[(1, made(0)), (2, made(0))], &[(1, 0)], 0, Some(Ok(1))),
            // A failure is followed at once.
            (
                &[(1, refused(5)), (2, made(5))],
                &[(1, 0), (2, 5)],
                10,
                Some(Ok(2)),
            ),
            // Silence is waited for, and not for longer.
            (
                &[(1, silent), (2, silent), (3, made(1))],
                &[(1, 0), (2, 250), (3, 500)],
                501,
                Some(Ok(3)),
            ),
            // Who is slow may still be the first.
            (
                &[(1, made(300)), (2, made(200))],
                &[(1, 0), (2, 250)],
                300,
                Some(Ok(1)),
            ),
            (
                &[(1, refused(300)), (2, refused(100))],
                &[(1, 0), (2, 250)],
                350,
                Some(Err(2)),
            ),
            (
                &[(1, refused(0)), (2, silent)],
                &[(1, 0), (2, 0)],
                2_000,
                None,
            ),
        ];
        for (ports, tried, ended, end) in cases {
            let want = (tried.to_vec(), ended, end);
            assert_eq!(play(ports), want, "{ports:?}");
        }
    }
}
