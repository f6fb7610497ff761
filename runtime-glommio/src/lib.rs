//! Workers for Outrigger's core on glommio's executors, with sockets on an io_uring of their own. Linux only; elsewhere
//! this package is empty.
//!
//! What of glommio is used and what is not, each with its reason, its measurements and its tests: `docs/glommio.md`.
//!
//! | module | owns |
//! |---|---|
//! | [`probe`] | whether this process can use io_uring at all, asked before anything is built |
//! | `executor` | the thread of one worker: glommio's executor, the tasks on it, and how they end |
//! | `placement` | which worker stays on which CPU |

#![cfg(target_os = "linux")]

// Until the driver calls them; the expectation fails the build on the day it does.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "the socket driver is the next change"
    )
)]
mod executor;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the socket driver is the next change")
)]
mod placement;
mod probe;
#[cfg(test)]
mod seccomp;
#[cfg(test)]
mod traps;
mod unavailable;

pub use probe::probe;
pub use unavailable::{Call, Unavailable};

#[cfg(test)]
mod tests {
    /// Whether this machine lets tests use io_uring. Where it does not, as in most containers, those that need it pass
    /// and say why they saw nothing.
    pub(crate) fn available() -> bool {
        match crate::probe() {
            Ok(()) => true,
            Err(unavailable) => {
                eprintln!("nothing tested: {unavailable}");
                false
            }
        }
    }
}
