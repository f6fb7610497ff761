//! What an exchange reaches while it is at work: the time, what its thread shares, connections by name, and where to say
//! what is to be done.

use std::collections::VecDeque;

use slotmap::SlotMap;

use super::{Answered, Exchange};
use crate::connection::Sockets;
use crate::io::{Interest, Output, Unintroduced};
use crate::local::Local;
use crate::peer::{ClientId, ConnId, ExchangeId, UpstreamId};
use crate::time::Instant;

/// Requests under way. One that is at work is not in its place.
pub(crate) type Exchanges = SlotMap<ExchangeId, Option<Box<Exchange>>>;

/// What a request that has had its turn says of a connection that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// This is waited for on it now.
    Wait(Interest),
    /// Others use it, too, so what is waited for on it is not one request's to say.
    Shared,
}

/// One input's way through a worker.
pub(crate) struct Turn<'a> {
    pub(crate) now: Instant,
    pub(crate) local: &'a mut Local,
    pub(crate) sockets: &'a mut Sockets,
    pub(crate) exchanges: &'a mut Exchanges,
    /// Copies that have begun, of which it is to be said what they wait for.
    pub(crate) begun: &'a mut Vec<ExchangeId>,
    /// Connections that were kept, of which the same is to be said.
    pub(crate) let_rest: &'a mut Vec<UpstreamId>,
    /// Questions that are over, for who asked.
    pub(crate) answers: &'a mut Vec<Answered>,
    /// Questions that nobody wants to know about any more.
    pub(crate) given_up: &'a mut Vec<ExchangeId>,
    pub(crate) outputs: &'a mut VecDeque<Output>,
}

impl Turn<'_> {
    pub(super) fn say(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// A copy that begins.
    pub(super) fn put(&mut self, copy: Box<Exchange>) {
        let id = copy.call.id;
        self.begun.push(id);
        if let Some(place) = self.exchanges.get_mut(id) {
            *place = Some(copy);
        }
    }

    /// Closes a connection to an endpoint, made or being made.
    pub(crate) fn close_upstream(&mut self, id: UpstreamId) {
        self.sockets.forget(id, self.local);
        self.say(Output::Close(ConnId::Upstream(id)));
    }

    /// Resets a connection to an endpoint.
    pub(crate) fn reset_upstream(&mut self, id: UpstreamId) {
        self.sockets.forget(id, self.local);
        self.say(Output::Abort(id));
    }

    /// Closes a client's connection of which it was not said whose it is.
    pub(crate) fn refuse_client(&mut self, id: ClientId, why: Unintroduced) {
        self.sockets.forget_client(id, self.local);
        self.say(Output::Refuse(id, why));
    }

    /// Closes a client's connection.
    pub(crate) fn close_client(&mut self, id: ClientId) {
        self.sockets.forget_client(id, self.local);
        self.say(Output::Close(ConnId::Client(id)));
    }
}
