//! The requests of recorded connections, from the bytes that their clients sent.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use bytes::BytesMut;
use outrigger_core::cluster::Bucket;
use outrigger_core::entropy::Entropy;
use outrigger_core::http1::Server;
use outrigger_core::message::RequestHead;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, TlsFacts};
use outrigger_core::stream::{Begins, Part};
use outrigger_core::worker::{Input, Output};

use crate::file::{Fault, Reader};
use crate::frame::Frame;
use crate::input_bytes::Bytes;
use crate::said::{Said, Saying};

/// The clients of a recorded run that may send more.
#[derive(Default)]
pub(crate) struct Clients {
    /// By their worker, and the names that it gave them.
    by_name: BTreeMap<(u32, ClientId), Client>,
    /// How many there were.
    pub(crate) count: u64,
}

impl Clients {
    /// Takes what concerns clients. Gives the one that sent something.
    pub(crate) fn feed(&mut self, frame: &Frame<'_>) -> Option<&mut Client> {
        match frame {
            Frame::Accepted {
                worker,
                client,
                peer,
                entropy,
                ..
            } => {
                let accepted = Client::new(self.count, *peer, *entropy);
                self.by_name.insert((*worker, *client), accepted);
                self.count += 1;
                None
            }
            Frame::Came(came) => {
                let ConnId::Client(id) = came.connection else {
                    return None;
                };
                let client = self.by_name.get_mut(&(came.worker, id))?;
                if let Input::Secured(facts) = &came.input {
                    client.tls.clone_from(facts);
                }
                if !matches!(came.input, Input::Read(_)) {
                    return None;
                }
                client.read(&came.bytes);
                Some(client)
            }
            Frame::Said { worker, outputs } => {
                self.forget_closed(*worker, outputs);
                None
            }
            Frame::Gone { worker } => {
                self.by_name.retain(|(of, _), _| of != worker);
                None
            }
            Frame::Program(_)
            | Frame::Configuration(_)
            | Frame::Workers { .. }
            | Frame::Adopted { .. }
            | Frame::Published
            | Frame::Date { .. }
            | Frame::Time { .. }
            | Frame::Announced { .. }
            | Frame::Hurried { .. }
            | Frame::Relieved { .. }
            | Frame::Draining { .. }
            | Frame::End(_)
            | Frame::Carries(_) => None,
        }
    }

    /// Clients whose connections a worker closed send nothing more.
    fn forget_closed(&mut self, worker: u32, outputs: &[u8]) {
        for saying in Said::read(outputs).flatten() {
            if let Saying::Output(
                Output::Close(ConnId::Client(id)) | Output::Reset(id) | Output::Refuse(id, _),
            ) = saying
            {
                self.by_name.remove(&(worker, id));
            }
        }
    }
}

/// Hands on the head of each request that came to an outbound listener, as it came.
///
/// # Errors
/// The file cannot be read, or not to its end.
pub fn each_request(input: impl Read, mut take: impl FnMut(&RequestHead)) -> Result<(), Fault> {
    let mut reader = Reader::new(input)?;
    let mut clients = Clients::default();
    while let Some(segment) = reader.next_segment()? {
        for frame in segment.frames() {
            let (_, frame) = frame?;
            let Some(client) = clients.feed(&frame) else {
                continue;
            };
            let is_outbound = client.peer.listener == ListenerKind::Outbound;
            while let Some((head, _, _)) = client.next_request() {
                if is_outbound {
                    take(&head);
                }
            }
        }
    }
    Ok(())
}

/// A client's connection, as far as its requests go.
pub(crate) struct Client {
    /// Counted from 0.
    pub(crate) number: u64,
    pub(crate) peer: Peer,
    /// What TLS has proved of it; `None` for clear text.
    pub(crate) tls: Option<Arc<TlsFacts>>,
    entropy: Entropy,
    codec: Server,
    inbox: BytesMut,
    begun: u64,
    /// The bucket that it would have for itself, by each configuration.
    pub(crate) buckets: [Bucket; 2],
}

impl Client {
    fn new(number: u64, peer: Peer, entropy: Entropy) -> Self {
        Self {
            number,
            peer,
            tls: None,
            entropy,
            codec: Server::default(),
            inbox: BytesMut::new(),
            begun: 0,
            buckets: <[Bucket; 2]>::default(),
        }
    }

    /// Takes what was read.
    fn read(&mut self, bytes: &Bytes<'_>) {
        match bytes {
            Bytes::Read(bytes) => self.inbox.extend_from_slice(bytes),
            Bytes::Thinned(bytes) if bytes.length().is_some() => bytes.fill(&mut self.inbox),
            Bytes::Thinned(_) | Bytes::None | Bytes::Written(_) => {}
        }
    }

    /// The next request whose head is whole, and its number from that of the connection. What a proxy refuses to read, and
    /// what follows it, is no request.
    pub(crate) fn next_request(&mut self) -> Option<(RequestHead, Begins, Entropy)> {
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
