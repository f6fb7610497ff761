//! What a worker is told of its own end: responses say that their connections end, and copies for mirrors are hurried.
//!
//! When a connection ends is said to each of them, and is its own.

use crate::peer::ListenerKind;

/// What of a worker is to end.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    has_begun: bool,
    /// Copies of requests from the application, and of those from the mesh, are hurried.
    hurries: [bool; 2],
}

impl Drain {
    /// From now on responses to others say `connection: close`.
    pub(crate) const fn begin(&mut self) {
        self.has_begun = true;
    }

    /// Whether responses to requests that came to this listener say so. Clients of outbound listeners are the application's
    /// own: they are told only when their connection is to end, because they need the proxy for as long as the application
    /// finishes.
    pub(crate) const fn says_close(&self, listener: ListenerKind) -> bool {
        self.has_begun && listener.is_for_others()
    }

    /// Copies for mirrors of requests of one direction are hurried from now on.
    pub(crate) const fn hurry_copies(&mut self, inbound: bool) {
        self.hurries[inbound as usize] = true;
    }

    /// Whether copies of requests that came to this listener are hurried.
    pub(crate) const fn hurries(&self, listener: ListenerKind) -> bool {
        self.hurries[listener.is_for_others() as usize]
    }
}
