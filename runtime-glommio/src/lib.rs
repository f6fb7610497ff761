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
//! | `ring` | sockets and time on an io_uring of our own |
//! | `system` | what of these lies beneath a worker |

#![cfg(target_os = "linux")]

mod executor;
mod placement;
mod probe;
mod ring;
#[cfg(test)]
mod seccomp;
mod system;
#[cfg(test)]
mod traps;
mod unavailable;

pub use probe::probe;
pub use unavailable::{Call, Unavailable};

use std::num::NonZeroUsize;

use outrigger_runtime::{Config, Launch, Running, StartError};

/// Binds all listeners, then starts the workers. Ask [`probe`] first: it says better what stands in the way.
///
/// # Errors
/// A listener cannot be bound, or a worker cannot be started; then nothing runs.
pub fn start(config: Config) -> Result<Running, StartError> {
    outrigger_runtime::start(launch(config.workers), config)
}

/// What makes the system of each worker, for those who put something between it and the workers.
#[must_use]
pub fn launch(workers: NonZeroUsize) -> impl Launch {
    let places = placement::places(workers.get()).into();
    system::Glommio { places }
}

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

    /// Starts one of the ignored tests in a process of its own, with these limits.
    pub(crate) fn child(limits: &str, test: &str) {
        let child = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("{limits} && exec \"$0\" --ignored --exact {test}"))
            .arg(std::env::current_exe().unwrap())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{told}");
        assert!(told.contains("1 passed"), "{told}");
    }
}
