//! The system beneath Outrigger's workers, with tokio: a single-threaded runtime for each worker, epoll or whatever the
//! platform has for sockets, tokio's wheel for timers.
//!
//! What workers and connections do on it is in `outrigger-runtime`. Here stands which call of tokio each need of theirs
//! becomes.

mod stream;
mod system;

use outrigger_runtime::{Config, Launch, Running, StartError};

/// Binds all listeners, then starts the workers.
///
/// # Errors
/// A listener cannot be bound, or a thread cannot be started; then nothing runs.
pub fn start(config: Config) -> Result<Running, StartError> {
    outrigger_runtime::start(launch(), config)
}

/// What makes the system of each worker, for those who put something between it and the workers.
#[must_use]
pub fn launch() -> impl Launch {
    system::Tokio
}
