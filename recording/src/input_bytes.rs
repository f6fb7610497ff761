//! The bytes of an input: as they were, or without what bodies say.
//!
//! A body that is left out leaves its length, and a replay has as much of [`FILLER`] in its place: core counts and passes
//! on bodies and looks into none, so every decision is the same. What was written is known by a checksum, which then
//! covers heads, chunk sizes and where bodies lie.

use std::hash::Hasher;
use std::ops::Range;

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::encoding::as_bytes;

/// What a replay has in the place of a body that was left out.
pub const FILLER: u8 = b'.';

/// A read that is longer than this is recorded as it is: so a file cannot claim more than this for nothing. No runtime
/// reads so much at once.
const LONGEST: usize = 1024 * 1024;

/// The bytes of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bytes<'a> {
    /// It has none.
    None,
    /// They were read.
    Read(#[serde(serialize_with = "as_bytes")] &'a [u8]),
    /// They were written, and this is their XXH64: of all of them, or without bodies.
    Written(u64),
    /// They were read, and bodies are left out.
    #[serde(borrow)]
    Thinned(Thinned<'a>),
}

/// Bytes without bodies: each piece of them, and how much of a body follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thinned<'a>(#[serde(borrow)] Vec<(Piece<'a>, u32)>);

/// Bytes that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece<'a>(#[serde(serialize_with = "as_bytes")] &'a [u8]);

impl<'a> Bytes<'a> {
    /// What was read, without these ranges of it, which are in order.
    #[must_use]
    pub fn without(bytes: &'a [u8], bodies: &[Range<usize>]) -> Self {
        if bodies.is_empty() || bytes.len() > LONGEST {
            return Self::Read(bytes);
        }
        let mut pieces = Vec::with_capacity(bodies.len() + 1);
        let mut from = 0;
        for body in bodies {
            // No longer than a read.
            pieces.push((Piece(&bytes[from..body.start]), body.len() as u32));
            from = body.end;
        }
        if from < bytes.len() {
            pieces.push((Piece(&bytes[from..]), 0));
        }
        Self::Thinned(Thinned(pieces))
    }

    /// The next `count` bytes of an outbox, which are written now. Of bodies that it knows only lengths count.
    #[must_use]
    pub fn of_written(outbox: &Outbox, count: usize) -> Self {
        let mut hasher = XxHash64::default();
        let mut bodies = outbox
            .bodies()
            .take_while(|body| body.start < count)
            .map(|body| body.start..body.end.min(count))
            .peekable();
        let mut at = 0;
        for piece in outbox.pieces() {
            let mut left = &piece[..piece.len().min(count - at)];
            while !left.is_empty() {
                let (body, end) = match bodies.peek() {
                    Some(body) if body.start <= at => (Some(body.len()), body.end),
                    Some(body) => (None, body.start),
                    None => (None, count),
                };
                let (taken, rest) = left.split_at(left.len().min(end - at));
                (at, left) = (at + taken.len(), rest);
                match body {
                    None => hasher.write(taken),
                    Some(length) if at == end => {
                        hasher.write(&(length as u64).to_le_bytes());
                        bodies.next();
                    }
                    Some(_) => {}
                }
            }
            if at == count {
                break;
            }
        }
        Self::Written(hasher.finish())
    }
}

impl<'a> Thinned<'a> {
    /// How many bytes were read; `None` for more than any read.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        let mut lengths = self
            .0
            .iter()
            .map(|(kept, body)| kept.0.len() + *body as usize);
        let length = lengths.try_fold(0_usize, usize::checked_add)?;
        (length <= LONGEST).then_some(length)
    }

    /// What is left of them, in order.
    pub fn kept(&self) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().map(|(kept, _)| kept.0)
    }

    /// Appends what a replay takes for what was read.
    pub fn fill(&self, space: &mut BytesMut) {
        for (kept, body) in &self.0 {
            space.extend_from_slice(kept.0);
            space.resize(space.len() + *body as usize, FILLER);
        }
    }
}
