//! The requests of a recorded connection, from the bytes that its client sent.

use bytes::BytesMut;
use outrigger_core::cluster::Bucket;
use outrigger_core::entropy::Entropy;
use outrigger_core::http1::Server;
use outrigger_core::message::RequestHead;
use outrigger_core::peer::Peer;
use outrigger_core::stream::{Begins, Part};

use crate::input_bytes::Bytes;

/// A client's connection, as far as its requests go.
pub(super) struct Client {
    /// Counted from 0.
    pub(super) number: u64,
    pub(super) peer: Peer,
    entropy: Entropy,
    codec: Server,
    inbox: BytesMut,
    begun: u64,
    /// The bucket that it would have for itself, by each configuration.
    pub(super) buckets: [Bucket; 2],
}

impl Client {
    pub(super) fn new(number: u64, peer: Peer, entropy: Entropy) -> Self {
        Self {
            number,
            peer,
            entropy,
            codec: Server::default(),
            inbox: BytesMut::new(),
            begun: 0,
            buckets: <[Bucket; 2]>::default(),
        }
    }

    /// Takes what was read.
    pub(super) fn read(&mut self, bytes: &Bytes<'_>) {
        match bytes {
            Bytes::Read(bytes) => self.inbox.extend_from_slice(bytes),
            Bytes::Thinned(bytes) if bytes.length().is_some() => bytes.fill(&mut self.inbox),
            Bytes::Thinned(_) | Bytes::None | Bytes::Written(_) => {}
        }
    }

    /// The next request whose head is whole, and its number from that of the connection. What a proxy refuses to read, and
    /// what follows it, is no request.
    pub(super) fn next_request(&mut self) -> Option<(RequestHead, Begins, Entropy)> {
        loop {
            match self.codec.body(&mut self.inbox) {
                Ok(Part::Data(_) | Part::Trailers(_)) => {}
                Ok(Part::End) => break,
                Ok(Part::NeedMore) => return None,
                Err(_refused) => {
                    self.inbox.clear();
                    return None;
                }
            }
        }
        let mut head = RequestHead::default();
        match self.codec.head(&mut self.inbox, &mut head) {
            Ok(begins) => begins.map(|begins| {
                let entropy = self.entropy.of_request(self.begun);
                self.begun += 1;
                (head, begins, entropy)
            }),
            Err(_refused) => {
                self.inbox.clear();
                None
            }
        }
    }
}
