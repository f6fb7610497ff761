//! The numbers of streams on one connection: at least 1, and odd where a client opens them (RFC 9113 §5.1.1).

pub(super) use crate::stream::StreamId;

impl StreamId {
    /// The largest there is.
    pub(super) const MAX: Self = Self(0x7fff_ffff);

    /// The first of a client.
    pub(super) const FIRST: Self = Self(1);

    /// `None` for 0, which means the connection. The reserved bit is left out (§4.1).
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match number & Self::MAX.0 {
            0 => None,
            number => Some(Self(number)),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether clients open streams of this number: it is odd.
    pub(super) const fn is_of_client(self) -> bool {
        self.0 % 2 == 1
    }

    /// The next that the same side may use, if there is one.
    pub(super) const fn after(self) -> Option<Self> {
        if self.0 > Self::MAX.0 - 2 {
            return None;
        }
        Some(Self(self.0 + 2))
    }
}

/// The same as it stands in frames, where 0 means none.
pub(super) const fn number_of(stream: Option<StreamId>) -> u32 {
    match stream {
        Some(stream) => stream.number(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_end() {
        assert_eq!(StreamId::new(0), None);
        assert_eq!(StreamId::new(0x8000_0001), Some(StreamId::FIRST));
        assert_eq!(StreamId::FIRST.after(), StreamId::new(3));
        assert_eq!(StreamId(0x7fff_fffd).after(), Some(StreamId::MAX));
        assert_eq!(StreamId(0x7fff_fffe).after(), None);
        assert_eq!(StreamId::MAX.after(), None);
        assert!(StreamId::MAX.is_of_client() && !StreamId(2).is_of_client());
    }
}
