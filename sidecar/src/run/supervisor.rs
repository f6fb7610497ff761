//! What whoever started us and watches over us is told (systemd's `sd_notify`, at the socket that `NOTIFY_SOCKET` names): that we
//! wait, are ready, read configuration again, end, and are alive.
//!
//! Owns the words. Without the variable nobody is told anything; what cannot be told is not worth more than a line of the log.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

/// The socket, and where it leads.
type Line = (UnixDatagram, SocketAddr);

/// Everything that was promised is done: we serve by this configuration.
pub(super) fn ready(summary: &str) {
    tell(&format!("READY=1\nSTATUS=Serving: {}", one_line(summary)));
}

/// How often it is told that a start takes its time.
pub(super) const EXTEND_EVERY: Duration = Duration::from_secs(5);

/// So much more time is asked for each time, in microseconds: whoever does not hear of us for so long takes us for stuck.
const EXTEND_BY: u64 = 30_000_000;

/// We are well, and wait for this before we serve.
pub(super) fn waiting(what: &str) {
    let what = one_line(what);
    tell(&format!(
        "EXTEND_TIMEOUT_USEC={EXTEND_BY}\nSTATUS=Waiting for {what}"
    ));
}

/// Configuration is read again; [`ready`] or [`refused`] says when that is over.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let micros = seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000;
    tell(&format!(
        "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading configuration"
    ));
}

/// What was read is not taken; we serve as before.
pub(super) fn refused(error: &str) {
    let error = one_line(error);
    tell(&format!(
        "READY=1\nSTATUS=Serving what was there before: refused {error}"
    ));
}

/// The end has begun.
pub(super) fn stopping() {
    tell("STOPPING=1\nSTATUS=Draining");
}

/// Does something, and says meanwhile that the thread which does it is alive, where somebody wants to know (`WATCHDOG_USEC`).
pub(super) async fn watched<T>(work: impl Future<Output = T>) -> T {
    let said = |name: &str| std::env::var(name).ok();
    let (usec, pid) = (said("WATCHDOG_USEC"), said("WATCHDOG_PID"));
    let Some(every) = pings_every(usec.as_deref(), pid.as_deref(), std::process::id()) else {
        return work.await;
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pings = async {
        loop {
            ticks.tick().await;
            tell("WATCHDOG=1");
        }
    };
    tokio::select! {
        done = work => done,
        never = pings => never,
    }
}

/// Half of the time after which we would be taken for dead, where that is about us.
fn pings_every(usec: Option<&str>, pid: Option<&str>, us: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(us));
    let usec: u64 = usec.filter(|_| is_ours)?.parse().ok()?;
    (usec >= 2).then(|| Duration::from_micros(usec / 2))
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn tell(words: &str) {
    static LINE: OnceLock<Option<Line>> = OnceLock::new();
    let line = LINE.get_or_init(|| {
        let name = std::env::var("NOTIFY_SOCKET")
            .ok()
            .filter(|name| !name.is_empty())?;
        let opened = open(&name);
        opened
            .inspect_err(|error| debug!(target: "main", "NOTIFY_SOCKET {name}: {error}"))
            .ok()
    });
    let Some((socket, addr)) = line else { return };
    if let Err(error) = socket.send_to_addr(words.as_bytes(), addr) {
        debug!(target: "main", "nobody hears at NOTIFY_SOCKET: {error}");
    }
}

/// A path, or with `@` before it a name that is no file's.
fn open(name: &str) -> io::Result<Line> {
    let addr = match name.strip_prefix('@') {
        Some(name) => without_a_file(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // Who does not listen holds up nothing.
    socket.set_nonblocking(true)?;
    Ok((socket, addr))
}

#[cfg(target_os = "linux")]
fn without_a_file(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn without_a_file(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_comes_twice_in_the_time_that_is_ours() {
        for (usec, pid, want) in [
            (Some("2000000"), None, Some(Duration::from_secs(1))),
            (Some("2000000"), Some("7"), Some(Duration::from_secs(1))),
            (Some("2000000"), Some("8"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, Some("7"), None),
        ] {
            assert_eq!(pings_every(usec, pid, 7), want, "{usec:?} {pid:?}");
        }
    }
}
