//! What a runtime tells the person who runs it, outside of any request.

use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outrigger_recording::RecordingEnd;

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
    /// The system does not let a worker accept where others may.
    NotListening {
        /// The listener.
        listener: SocketAddr,
        /// The system's words.
        error: String,
    },
    /// Connections of a closed listener had not ended in time, and were cut off; told by each worker.
    CutOff {
        /// The listener.
        listener: SocketAddr,
        /// How many.
        connections: usize,
    },
    /// Handling a connection panicked. Only that connection ended.
    ConnectionPanicked {
        /// The client.
        remote: SocketAddr,
    },
    /// A recording is complete up to here, and goes no further. The run does.
    RecordingEnded(RecordingEnd),
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
            Self::NotListening { listener, error } => {
                write!(f, "a worker cannot listen on {listener}: {error}")
            }
            Self::CutOff {
                listener,
                connections,
            } => write!(
                f,
                "cut off {connections} connections of the closed listener {listener} that did not end in time"
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
