//! Sockets and time on an io_uring of our own, inside glommio's executor.
//!
//! glommio's own sockets poll through its ring and then call `recv` and `send`; these send and receive through the ring,
//! with one system call for all that a turn of the loop has to say and to hear. See `docs/glommio.md` for the figures.
//!
//! | file | owns |
//! |---|---|
//! | `driver` | sockets and listeners, and what each operation's completion changes |
//! | `socket`, `accepts` | the state of one of them |
//! | `queue`, `buffers` | what is shared with the kernel |
//! | `timers`, `bell` | deadlines, and being told by other threads |
//! | `stream` | what a connection sees |

mod accepts;
mod bell;
mod buffers;
mod driver;
mod queue;
mod socket;
mod stream;
mod timers;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use outrigger_runtime::Timer as _;
use socket2::Socket;

use self::accepts::Accepts;
use self::driver::Driver;
pub(crate) use self::stream::{Accepting, Stream, connect, connect_unix};

/// How often other tasks may take turns before the ring is entered although they still have something to do.
const ROUNDS: u32 = 16;

/// The ring of a thread.
#[derive(Debug)]
pub(crate) struct Ring {
    driver: RefCell<Driver>,
}

impl Ring {
    /// # Errors
    /// The system has no memory or no descriptor for it, or refuses it.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let driver = RefCell::new(Driver::new()?);
        Ok(Rc::new(Self { driver }))
    }

    /// Drives the ring for as long as it is polled: the first task of an executor, and its last.
    ///
    /// It is always runnable, so glommio never parks. When no other task has run since it was last polled, `polls` has
    /// grown by its own poll alone and nothing is runnable: then it waits in the ring.
    pub(crate) async fn drive(self: Rc<Self>, polls: fn() -> u64) {
        let _guard = Guard;
        let mut before = 0;
        let mut rounds = 0;
        poll_fn(|cx: &mut Context<'_>| -> Poll<()> {
            let now = polls();
            let is_alone = now == before + 1;
            before = now;
            rounds += 1;
            if is_alone || rounds > ROUNDS {
                rounds = 0;
                self.turn(is_alone);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn turn(&self, may_wait: bool) {
        let mut driver = self.driver.borrow_mut();
        driver.turn(may_wait);
        let mut woken = std::mem::take(&mut driver.woken);
        drop(driver);
        woken.drain(..).for_each(Waker::wake);
        self.driver.borrow_mut().woken = woken;
    }

    /// Until what sockets without an owner have taken is sent, or given up.
    pub(crate) async fn flushed(self: &Rc<Self>, until: Instant) {
        let mut time = self.timer(until);
        poll_fn(|cx: &mut Context<'_>| {
            let mut driver = self.driver.borrow_mut();
            if !driver.is_lingering() {
                return Poll::Ready(());
            }
            timers::wait(&mut driver.flushing, cx);
            drop(driver);
            time.poll(cx)
        })
        .await;
    }

    /// Waits for something that other threads do: their wakers ring this thread's bell.
    pub(crate) async fn told<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let bell = Waker::from(self.driver.borrow().bell());
        let place = Told {
            ring: self,
            place: self.driver.borrow_mut().told.insert(None),
        };
        poll_fn(|cx| {
            place.wait(cx);
            future.as_mut().poll(&mut Context::from_waker(&bell))
        })
        .await
    }

    pub(crate) fn listen(self: &Rc<Self>, fd: Socket) -> io::Result<Accepting> {
        let accepts = Accepts::new(fd)?;
        let number = self.driver.borrow_mut().listeners.insert(accepts);
        Ok(Accepting::new(Rc::clone(self), number))
    }

    pub(crate) fn timer(self: &Rc<Self>, at: Instant) -> Timer {
        Timer {
            number: self.driver.borrow_mut().timers.add(at),
            ring: Rc::clone(self),
        }
    }
}

/// A worker without its ring would hold its clients for ever, half alive.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("error: a worker lost its ring, which is a fault of this program; ending");
            std::process::abort();
        }
    }
}

/// A task that waits for other threads.
struct Told<'a> {
    ring: &'a Ring,
    place: usize,
}

impl Told<'_> {
    fn wait(&self, cx: &Context<'_>) {
        let waker = &mut self.ring.driver.borrow_mut().told[self.place];
        timers::wait(waker, cx);
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.ring.driver.borrow_mut().told.remove(self.place);
    }
}

/// A timer of this thread.
#[derive(Debug)]
pub(crate) struct Timer {
    ring: Rc<Ring>,
    number: usize,
}

impl outrigger_runtime::Timer for Timer {
    fn set(&mut self, at: Instant) {
        self.ring.driver.borrow_mut().timers.set(self.number, at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.ring.driver.borrow_mut().timers.poll(self.number, cx)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.ring.driver.borrow_mut().timers.remove(self.number);
    }
}
