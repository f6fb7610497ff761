//! How many messages there are in a body of gRPC: each has five bytes before it, a flag and its length (gRPC over HTTP/2,
//! `Length-Prefixed-Message`). Nothing of a message is kept or copied.

/// The bytes before a message.
const PREFIX: u8 = 5;

/// How far a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Messages that have begun.
    begun: u64,
    /// What has come of the bytes before the last one.
    prefix: u8,
    /// What is still to come of it, once those are whole.
    rest: u32,
}

impl Frames {
    /// The next piece of the body. What is no gRPC means nothing, and does no harm.
    pub fn push(&mut self, mut piece: &[u8]) {
        while let Some((&byte, after)) = piece.split_first() {
            if self.prefix < PREFIX {
                match self.prefix {
                    0 => self.begun += 1,
                    _ => self.rest = self.rest << 8 | u32::from(byte),
                }
                self.prefix += 1;
                piece = after;
            } else {
                // As in memory, so no longer than a piece.
                let inside = piece
                    .len()
                    .min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= inside as u32;
                piece = &piece[inside..];
            }
            if self.prefix == PREFIX && self.rest == 0 {
                self.prefix = 0;
            }
        }
    }

    /// Messages that have begun, as Envoy counts them: one that is cut off is one.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut all = vec![0];
        all.extend(u32::try_from(length).unwrap().to_be_bytes());
        all.resize(5 + length, 7);
        all
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let body = [0, 1, 0, 300, 5].map(message).concat();
        for size in 1..=body.len() {
            let mut frames = Frames::default();
            body.chunks(size).for_each(|piece| frames.push(piece));
            assert_eq!(frames.messages(), 5, "in pieces of {size}");
            assert_eq!((frames.prefix, frames.rest), (0, 0));
        }
    }

    #[test]
    fn one_that_is_cut_off_is_one() {
        let body = [message(2), message(9)].concat();
        for (length, want) in [(0, 0), (1, 1), (5, 1), (7, 1), (8, 2), (20, 2)] {
            let mut frames = Frames::default();
            frames.push(&body[..length]);
            assert_eq!(frames.messages(), want, "{length}");
        }
    }

    #[test]
    fn any_length_is_good() {
        let mut frames = Frames::default();
        frames.push(&[1, 0xff, 0xff, 0xff, 0xff]);
        frames.push(&[0; 100]);
        assert_eq!((frames.messages(), frames.rest), (1, u32::MAX - 100));
    }
}
