//! A connection of a replayed worker, as far as a runtime would know it: what it waits for.

use outrigger_core::worker::{Input, Interest};

/// Where a socket would be.
pub(super) struct Socket {
    /// The number in the file of a client.
    number: Option<u64>,
    /// It is being made.
    is_connecting: bool,
    /// It is being found out what is spoken on it.
    is_securing: bool,
    told: Interest,
}

impl Socket {
    pub(super) fn client(number: u64) -> Self {
        Self {
            number: Some(number),
            is_connecting: false,
            is_securing: false,
            told: Interest::default(),
        }
    }

    pub(super) fn connecting() -> Self {
        Self {
            number: None,
            is_connecting: true,
            is_securing: false,
            told: Interest::default(),
        }
    }

    pub(super) const fn number(&self) -> Option<u64> {
        self.number
    }

    pub(super) const fn tell(&mut self, interest: Interest) {
        self.told = interest;
    }

    pub(super) const fn secure(&mut self) {
        self.is_securing = true;
    }

    /// An input may end the making of it.
    pub(super) const fn came(&mut self, input: &Input) {
        if matches!(input, Input::Connected(_) | Input::ConnectFailed(_)) {
            self.is_connecting = false;
        }
        if matches!(input, Input::Secured(_) | Input::NotSecured(_)) {
            self.is_securing = false;
        }
    }

    /// Whether a runtime could tell of this now, with so many bytes to be written.
    pub(super) const fn waits_for(&self, input: &Input, unwritten: usize) -> bool {
        let Interest { read, write } = self.told;
        let is_made = !self.is_connecting;
        match *input {
            Input::Read(count) => is_made && read && count > 0,
            Input::Eof => is_made && read,
            Input::Broken => is_made && (read || write),
            Input::Wrote(count) => is_made && write && count > 0 && count <= unwritten,
            Input::WriteFailed => is_made && write,
            Input::Connected(_) | Input::ConnectFailed(_) => self.is_connecting,
            Input::Secured(_) | Input::NotSecured(_) => self.is_securing,
            Input::Drain => self.number.is_some(),
        }
    }
}
