//! What is spoken on a connection: one message after the other, or many streams at a time; and what is alike then towards
//! clients and endpoints.
//!
//! Who says what, and in which role, is in `to_client` and `to_endpoint`.

use bytes::Bytes;

use super::{Connection, Streams};
use crate::http2::{Event, Fatal};
use crate::local::{Local, high_water};
use crate::peer::ExchangeId;
use crate::stream::{Broken, Part, StreamId};
use crate::time::Instant;

/// What is spoken. `H` is the side of HTTP/1 that we are.
#[derive(Debug)]
pub(crate) enum Codec<H> {
    Http1(H),
    Http2(Box<Streams>),
}

impl<H> Connection<Codec<H>> {
    /// The streams of a connection that speaks HTTP/2.
    pub(crate) const fn streams(&self) -> Option<&Streams> {
        match &self.codec {
            Codec::Http1(_) => None,
            Codec::Http2(streams) => Some(streams),
        }
    }

    /// The same, to be changed.
    pub(crate) fn streams_mut(&mut self) -> Option<&mut Streams> {
        match &mut self.codec {
            Codec::Http1(_) => None,
            Codec::Http2(streams) => Some(streams),
        }
    }

    /// Understands what has come on streams.
    ///
    /// # Errors
    /// Nothing more can be understood.
    pub(crate) fn understand(&mut self, now: Instant) -> Result<(), Fatal> {
        match &mut self.codec {
            Codec::Http1(_) => Ok(()),
            Codec::Http2(streams) => streams.read(&mut self.inbox, now),
        }
    }

    /// What has happened to a stream.
    pub(crate) fn next_event(&mut self) -> Option<Event<ExchangeId>> {
        self.streams_mut()?.next_event()
    }

    /// What has come through a tunnel.
    ///
    /// # Errors
    /// Its stream was reset.
    pub(crate) fn tunnelled(&mut self, stream: StreamId) -> Result<Part, Broken> {
        match &mut self.codec {
            Codec::Http1(_) if self.inbox.is_empty() => Ok(Part::NeedMore),
            Codec::Http1(_) => Ok(Part::Data(self.inbox.split().freeze())),
            Codec::Http2(streams) => streams.body(stream),
        }
    }

    /// Bytes of a tunnel, as they are.
    pub(crate) fn pass(&mut self, stream: StreamId, bytes: Bytes, local: &mut Local) {
        match &mut self.codec {
            Codec::Http1(_) => {
                local.lend_block(&mut self.outbox);
                self.outbox.put_bytes(bytes);
            }
            Codec::Http2(streams) => streams.data(stream, bytes),
        }
    }

    /// Writes what streams have to send, as far as their windows and the outbox allow.
    pub(crate) fn flush(&mut self, local: &mut Local, now: Instant) {
        if let Codec::Http2(streams) = &mut self.codec
            && streams.has_to_send()
        {
            local.lend_block(&mut self.outbox);
            streams.flush(&mut self.outbox, high_water(local.is_short()), now);
        }
    }

    /// How much of one message waits to be written.
    pub(crate) fn unsent(&self, stream: StreamId) -> usize {
        match &self.codec {
            Codec::Http1(_) => self.outbox.len(),
            Codec::Http2(streams) => streams.unsent(stream),
        }
    }

    /// How much of one message has come and waits to be understood.
    pub(crate) fn unread(&self, stream: StreamId) -> usize {
        match &self.codec {
            Codec::Http1(_) => self.inbox.len(),
            Codec::Http2(streams) => streams.unread(stream),
        }
    }

    /// Whether all of a message has left, or on a stream is on its way.
    pub(crate) fn is_sent(&self, stream: StreamId) -> bool {
        match &self.codec {
            Codec::Http1(_) => self.outbox.is_empty(),
            Codec::Http2(streams) => streams.is_sent(stream),
        }
    }
}
