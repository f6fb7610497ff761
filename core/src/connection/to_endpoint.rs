//! What is said to an endpoint: requests go, responses come, one after the other or as many streams at a time.

use std::ops::Range;

use bytes::Bytes;
use http::Method;

use super::codec::Codec;
use super::{Connection, Streams};
use crate::decision::Refused;
use crate::entropy::{Draw, Entropy};
use crate::http1::{self, websocket};
use crate::http2::Limits;
use crate::local::{Local, WorkerSettings};
use crate::message::{Headers, RequestHead, ResponseHead, Version};
use crate::peer::ExchangeId;
use crate::stream::{Answer, Begins, Broken, Part, StreamId};

/// A connection to an endpoint.
pub(crate) type ToEndpoint = Connection<Codec<http1::Client>>;

impl ToEndpoint {
    /// As a worker with these settings talks to it. `streams`: what its endpoint may do with them, if it has any.
    pub(crate) fn new(streams: Option<&Limits>, settings: &WorkerSettings) -> Self {
        let codec = match streams {
            None => Codec::Http1(http1::Client::new(settings.responses)),
            Some(limits) => Codec::Http2(Box::new(Streams::client(limits))),
        };
        Self::with(codec, settings.tells_bodies)
    }

    /// The next message is the first one again; both boxes are empty.
    pub(crate) fn restart(&mut self, settings: &WorkerSettings) {
        if let Codec::Http1(client) = &mut self.codec {
            *client = http1::Client::new(settings.responses);
            self.filled = false;
        }
    }

    /// Whether the endpoint takes this kind of request, as far as it has said.
    pub(crate) fn may_take(&self, head: &RequestHead, begins: &Begins) -> bool {
        match &self.codec {
            Codec::Http2(streams) if begins.upgrade.is_some() && head.method == Method::GET => {
                !streams.is_known() || streams.takes_protocols()
            }
            Codec::Http1(_) | Codec::Http2(_) => true,
        }
    }

    /// Begins a request; `None` where the endpoint takes no other one, or not one of this kind.
    pub(crate) fn ask(
        &mut self,
        head: &RequestHead,
        begins: &Begins,
        owner: ExchangeId,
        entropy: Entropy,
        local: &mut Local,
    ) -> Option<StreamId> {
        local.lend_block(&mut self.outbox);
        let out = &mut self.outbox;
        match &mut self.codec {
            Codec::Http1(client) => {
                match websocket::lacks_key(&head.headers, begins.upgrade.as_deref())
                    && head.version == Version::Http2
                {
                    false => client.ask(head, begins, out),
                    true => {
                        let high = entropy.draw(Draw::WebsocketKeyHigh, 0);
                        let low = entropy.draw(Draw::WebsocketKeyLow, 0);
                        let random = u128::from(high) << 64 | u128::from(low);
                        client.ask_with_key(head, begins, websocket::key(random), out);
                    }
                }
                Some(StreamId::ONLY)
            }
            Codec::Http2(streams) => streams.ask(head, begins, owner, out),
        }
    }

    /// Whether the endpoint has said what it takes. One that carries a message at a time need not say that.
    pub(crate) const fn is_known(&self) -> bool {
        match &self.codec {
            Codec::Http1(_) => true,
            Codec::Http2(streams) => streams.is_known(),
        }
    }

    /// A piece of the request's body.
    pub(crate) fn data(&mut self, stream: StreamId, data: Bytes, local: &mut Local) {
        match &mut self.codec {
            Codec::Http1(client) => {
                local.lend_block(&mut self.outbox);
                client.data(data, &mut self.outbox);
            }
            Codec::Http2(streams) => streams.data(stream, data),
        }
    }

    /// Ends the request.
    pub(crate) fn end(&mut self, stream: StreamId, trailers: Option<&Headers>, local: &mut Local) {
        match &mut self.codec {
            Codec::Http1(client) => {
                local.lend_block(&mut self.outbox);
                client.end(trailers, &mut self.outbox);
            }
            Codec::Http2(streams) => streams.end(stream, trailers),
        }
    }

    /// The next head of the response, once all of it is here.
    ///
    /// # Errors
    /// The response is malformed, or its stream was reset.
    pub(crate) fn head(
        &mut self,
        stream: StreamId,
        into: &mut ResponseHead,
    ) -> Result<Option<Answer>, Broken> {
        match &mut self.codec {
            Codec::Http1(client) => client.head(&mut self.inbox, into).map_err(Broken::Refused),
            Codec::Http2(streams) => streams.response_head(stream, into),
        }
    }

    /// The next part of the response's body.
    ///
    /// # Errors
    /// Its framing is malformed, or its stream was reset.
    pub(crate) fn body(&mut self, stream: StreamId) -> Result<Part, Broken> {
        match &mut self.codec {
            Codec::Http1(client) => client.body(&mut self.inbox).map_err(Broken::Refused),
            Codec::Http2(streams) => streams.body(stream),
        }
    }

    /// The endpoint sends no more on a connection that carries one message at a time.
    ///
    /// # Errors
    /// The end cuts a response.
    pub(crate) fn on_eof(&mut self) -> Result<(), Refused> {
        match &mut self.codec {
            Codec::Http1(client) => client.on_eof(&self.inbox),
            Codec::Http2(_) => Ok(()),
        }
    }

    /// Whether another request may follow once the response has been read.
    pub(crate) const fn persists(&self) -> bool {
        match &self.codec {
            Codec::Http1(client) => client.persists(),
            Codec::Http2(_) => true,
        }
    }

    /// Ranges of the inbox, in order, that will be read as parts of bodies.
    pub(crate) fn bodies_ahead(&self) -> Vec<Range<usize>> {
        match &self.codec {
            Codec::Http1(client) => client.bodies_ahead(&self.inbox),
            Codec::Http2(streams) => streams.bodies_ahead(&self.inbox),
        }
    }
}
