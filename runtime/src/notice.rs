//! What a runtime tells the person who runs it, outside of any request.

use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where notices go.
pub type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// Something an operator should know. How and where it is written is the program's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Connections could not be accepted; told at most once in ten seconds for each worker and listener.
    AcceptFailed {
        /// The listener.
        listener: SocketAddr,
        /// The system's words for the last failure.
        error: String,
        /// Failures since the last notice.
        count: u64,
        /// How long accepting pauses.
        pause: Duration,
    },
    /// Handling a connection panicked. Only that connection ended.
    ConnectionPanicked {
        /// The client.
        remote: SocketAddr,
    },
    /// A recording is complete up to here, and goes no further. The run does.
    RecordingEnded(RecordingEnd),
}

/// Why a recording ended before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// The file has the size that it may have.
    Full {
        /// In bytes.
        limit: u64,
    },
    /// The file took the bytes too slowly, and no worker waits for it.
    Slow,
    /// The file could not be written, in the system's words.
    Failed(String),
    /// Handling a connection panicked: what follows cannot be repeated.
    Panicked,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed {
                listener,
                error,
                count,
                pause,
            } => write!(
                f,
                "cannot accept connections on {listener}: {error} ({count} times); next try in {pause:?}"
            ),
            Self::ConnectionPanicked { remote } => {
                write!(
                    f,
                    "a fault of this program ended the connection of {remote}"
                )
            }
            Self::RecordingEnded(reason) => write!(f, "the recording ended: {reason}"),
        }
    }
}

impl fmt::Display for RecordingEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => write!(f, "it may have {limit} bytes (--record-limit)"),
            Self::Slow => f.write_str("its file is written too slowly"),
            Self::Failed(error) => write!(f, "its file cannot be written: {error}"),
            Self::Panicked => f.write_str("a connection ended by a fault of this program"),
        }
    }
}
