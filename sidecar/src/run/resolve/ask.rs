//! One question for one name: by the system's resolver, on a thread that may block.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// In the order in which they were answered, one at least.
    pub(super) addresses: Vec<IpAddr>,
    /// How long that holds; zero when it was not said.
    pub(super) ttl: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such name, or it has no address.
    NoSuchName,
    /// Nobody answered in time.
    TimedOut,
    /// The system's words.
    System(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName => f.write_str("it has no address"),
            Self::TimedOut => f.write_str("nobody answered in time"),
            Self::System(words) => f.write_str(words),
        }
    }
}

/// A question waits so long for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Asks for a name.
pub(super) async fn ask(name: &str) -> Result<Answer, Failure> {
    let asked = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name, 0)));
    let found = asked.await.map_err(|_| Failure::TimedOut)?;
    let found = found.map_err(|error| Failure::System(error.to_string()))?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    match addresses.is_empty() {
        true => Err(Failure::NoSuchName),
        false => Ok(Answer {
            addresses,
            ttl: Duration::ZERO,
        }),
    }
}
