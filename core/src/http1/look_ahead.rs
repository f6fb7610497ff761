//! Where bodies lie in bytes that were not read yet: for a recording that leaves them out.
//!
//! The same reader, on a copy: what it will take for a body later it takes for one now. Where it cannot know (behind a
//! question for another protocol, in what is malformed) nothing is a body.

use std::ops::Range;

use bytes::BytesMut;

use super::framing::Asked;
use super::reader::Reader;
use crate::message::{RequestHead, ResponseHead};
use crate::stream::Part;

/// What the next heads are.
#[derive(Clone, Copy, Debug)]
pub enum Heads<'a> {
    /// Requests, one after the other.
    Requests,
    /// The response to this, perhaps behind interim ones.
    Response(Asked<'a>),
}

impl Reader {
    /// Ranges of `unread`, in order, that will be read as parts of bodies. Reads nothing.
    #[must_use]
    pub fn bodies_ahead(&self, unread: &[u8], heads: Heads<'_>) -> Vec<Range<usize>> {
        let mut reader = self.clone();
        let mut left = BytesMut::from(unread);
        let mut bodies = Vec::new();
        loop {
            match reader.body(&mut left) {
                Ok(Part::Data(data)) => {
                    let end = unread.len() - left.len();
                    bodies.push(end - data.len()..end);
                }
                Ok(Part::Trailers(_)) => {}
                Ok(Part::End) if reader.skip_head(&mut left, heads) => {}
                Ok(Part::End | Part::NeedMore) | Err(_) => return bodies,
            }
        }
    }

    /// Reads a head, if there is a whole one.
    fn skip_head(&mut self, left: &mut BytesMut, heads: Heads<'_>) -> bool {
        match heads {
            Heads::Requests => {
                let head = self.request_head(left, &mut RequestHead::default());
                matches!(head, Ok(Some(_)))
            }
            Heads::Response(asked) => {
                let head = self.response_head(left, asked, &mut ResponseHead::default());
                matches!(head, Ok(Some(_)))
            }
        }
    }
}
