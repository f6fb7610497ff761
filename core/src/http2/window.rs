//! Flow control (RFC 9113 §5.2 and §6.9): how much may be sent, and how much may come.
//!
//! Windows are those of one stream or of the connection. Whose error an overflow is, is said by whoever asks.

/// The largest that a window may become (§6.9.1).
pub(super) const MAX_WINDOW: u32 = 0x7fff_ffff;

/// The window of each stream, and of the connection, before anything is said (§6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

/// A window would grow beyond [`MAX_WINDOW`]: FLOW_CONTROL_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// More came than there was credit for: FLOW_CONTROL_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

/// How much the peer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendWindow(
    /// Below 0 when the peer's settings shrank it after it was used (§6.9.2).
    i32,
);

impl SendWindow {
    /// `initial` is at most [`MAX_WINDOW`]: settings are checked.
    pub(super) const fn new(initial: u32) -> Self {
        Self(initial as i32)
    }

    /// Bytes that may be sent now.
    pub(super) const fn open(self) -> usize {
        if self.0 > 0 { self.0 as usize } else { 0 }
    }

    /// The peer takes so much more.
    pub(super) fn credit(&mut self, increment: u32) -> Result<(), Overflow> {
        self.shift(i64::from(increment))
    }

    /// The initial size of the windows of all streams changed.
    pub(super) fn resize(&mut self, from: u32, to: u32) -> Result<(), Overflow> {
        self.shift(i64::from(to) - i64::from(from))
    }

    fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        let moved = i64::from(self.0) + by;
        self.0 = i32::try_from(moved).map_err(|_| Overflow)?;
        Ok(())
    }

    /// So much was sent, no more than is [`open`](Self::open).
    pub(super) fn take(&mut self, count: usize) {
        debug_assert!(count <= self.open(), "nothing is sent beyond a window");
        self.0 -= i32::try_from(count.min(self.open())).unwrap_or(0);
    }
}

impl Default for SendWindow {
    fn default() -> Self {
        Self::new(DEFAULT_WINDOW)
    }
}

/// How much the peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceiveWindow {
    /// Below 0 only when our own settings shrank it.
    open: i64,
    /// What was taken and not given back yet.
    taken: u32,
}

impl ReceiveWindow {
    pub(super) const fn new(initial: u32) -> Self {
        Self {
            open: initial as i64,
            taken: 0,
        }
    }

    /// So much came, padding included.
    pub(super) fn receive(&mut self, count: usize) -> Result<(), Exceeded> {
        // A frame is shorter than 2^24.
        let left = self.open - count as i64;
        if count > 0 && left < 0 {
            return Err(Exceeded);
        }
        self.open = left;
        Ok(())
    }

    /// So much of what came is no longer in our memory.
    pub(super) fn give_back(&mut self, count: usize) {
        self.taken += count as u32;
    }

    /// Our own initial size changed for the peer, who has acknowledged it.
    pub(super) fn resize(&mut self, from: u32, to: u32) {
        self.open += i64::from(to) - i64::from(from);
    }

    /// Whether enough was taken to tell the peer, when the window's size is `size`: half of it, so that updates are few and
    /// the peer never waits for one that could have been sent.
    pub(super) const fn is_due(self, size: u32) -> bool {
        self.taken > 0 && self.taken >= size / 2
    }

    /// The credit to give, which the peer may use from now on; 0 when there is none.
    pub(super) fn give(&mut self) -> u32 {
        let given = core::mem::take(&mut self.taken);
        self.open += i64::from(given);
        given
    }

    /// What the peer may send now.
    #[cfg(test)]
    pub(super) const fn open(self) -> i64 {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_at_the_largest_number() {
        let mut window = SendWindow::new(MAX_WINDOW - 1);
        assert_eq!(window.credit(1), Ok(()));
        assert_eq!(window.credit(1), Err(Overflow));
        assert_eq!(window.open(), MAX_WINDOW as usize);
        window.take(10);
        assert_eq!(window.credit(11), Err(Overflow));
        assert_eq!(window.credit(10), Ok(()));
    }

    #[test]
    fn settings_may_take_more_than_there_is() {
        let mut window = SendWindow::new(100);
        window.take(80);
        assert_eq!(window.resize(100, 10), Ok(()));
        assert_eq!((window, window.open()), (SendWindow(-70), 0));
        assert_eq!(window.credit(70), Ok(()));
        assert_eq!(window.open(), 0);
        assert_eq!(window.credit(1), Ok(()));
        assert_eq!(window.open(), 1);
        assert_eq!(window.resize(10, MAX_WINDOW), Ok(()));
        assert_eq!(window.resize(0, MAX_WINDOW), Err(Overflow));
    }

    #[test]
    fn what_comes_is_counted_to_the_byte() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(window.receive(10), Ok(()));
        assert_eq!(window.receive(0), Ok(()));
        assert_eq!(window.receive(1), Err(Exceeded));
        window.give_back(4);
        assert!(!window.is_due(10));
        window.give_back(1);
        assert!(window.is_due(10));
        assert_eq!((window.give(), window.give()), (5, 0));
        assert_eq!(window.receive(6), Err(Exceeded));
        assert_eq!(window.receive(5), Ok(()));
        window.resize(10, 4);
        assert_eq!(window.open(), -6);
        assert_eq!(window.receive(0), Ok(()));
    }
}
