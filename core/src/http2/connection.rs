//! One connection of HTTP/2, in either role: what its owner calls.
//!
//! Whatever is called on a stream that is gone does nothing: it was reset, and its owner was told so by an event.

use core::ops::Range;

use bytes::{Bytes, BytesMut};

use super::code::{Broken, Code, Fatal};
use super::controls::{Control, DRAIN_PING};
use super::endings;
use super::limits::{Counts, Limits, Report};
use super::look_ahead;
use super::parts::{Leaving, Parts, Stage};
use super::role::Role;
use super::stream::{Owner, Receiving, Sending, State, Stream};
use super::stream_id::StreamId;
use super::unread::Received;
use super::{read, read_data};
use super::{send, timers, write};
use crate::decision::Refused;
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::outbox::Outbox;
use crate::stream::{Answer, Begins, BodyLength, Part, Reset};
use crate::time::Instant;

/// What happened on a connection. A stream has at most one event at a time, however much happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// A client opened a stream: ask for its [`Connection::request_head`] and say whose it is.
    Opened(StreamId),
    /// There may be something to take from a stream (a head, a part of its body, the reason why no more comes of it), fewer
    /// unsent bytes than [`Limits::unsent_mark`] are left, or its end was written.
    Progress(StreamId, T),
    /// The peer's settings changed, and with them perhaps [`Connection::room`].
    Settings,
    /// The peer leaves: no stream can be opened any more, and those that it did not process are told so.
    GoingAway,
}

/// A connection. `T` says whose a stream is, and means nothing here.
#[derive(Debug)]
pub struct Connection<T> {
    parts: Parts<T>,
}

impl<T: Copy> Connection<T> {
    /// A connection to a client.
    #[must_use]
    pub fn server(limits: &Limits) -> Self {
        Self {
            parts: Parts::new(Role::Server, limits),
        }
    }

    /// A connection to an endpoint.
    #[must_use]
    pub fn client(limits: &Limits) -> Self {
        Self {
            parts: Parts::new(Role::Client, limits),
        }
    }

    /// Understands all complete frames at the front of `inbox` and removes them. [`Connection::next_event`] tells what
    /// became of it.
    ///
    /// # Errors
    /// The peer broke a rule, or passed a limit. All streams are reset, and GOAWAY waits to be written: close then.
    pub fn read(&mut self, inbox: &mut BytesMut, now: Instant) -> Result<(), Fatal> {
        read::read(&mut self.parts, inbox, now)
    }

    /// The peer sends nothing more: streams that have not ended are cut, and no other one can be opened.
    pub fn on_eof(&mut self) {
        self.parts.life.peer_leaves.get_or_insert(None);
        endings::cut(&mut self.parts, Reset::Cut);
    }

    /// What happened, one thing at a time.
    pub fn next_event(&mut self) -> Option<Event<T>> {
        let life = &mut self.parts.life;
        if core::mem::take(&mut life.has_settings) {
            return Some(Event::Settings);
        }
        if core::mem::take(&mut life.has_goaway) {
            return Some(Event::GoingAway);
        }
        while let Some(stream) = self.parts.streams.next_news() {
            match stream.owner {
                Owner::Untold => {
                    stream.owner = Owner::Told;
                    return Some(Event::Opened(stream.id));
                }
                Owner::Is(owner) => return Some(Event::Progress(stream.id, owner)),
                Owner::Told | Owner::Done => {}
            }
        }
        None
    }

    /// Says whose a stream is that was opened. What is here of it can be taken at once; events tell of what comes.
    pub fn set_owner(&mut self, stream: StreamId, owner: T) {
        if let Some(opened) = self.parts.streams.get_mut(stream) {
            opened.owner = Owner::Is(owner);
        }
    }

    /// Why no more comes of a stream, if that is so.
    #[must_use]
    pub fn broken(&self, stream: StreamId) -> Option<Broken> {
        match self.parts.streams.get(stream)?.state {
            State::Reset(broken, _) => Some(broken),
            State::Live { .. } => None,
        }
    }

    /// Takes the head of a request; `into` is swapped with it, so that memory is used again.
    ///
    /// # Errors
    /// It is malformed or too large. The stream has been reset.
    pub fn request_head(
        &mut self,
        stream: StreamId,
        into: &mut RequestHead,
    ) -> Result<Option<Begins>, Refused> {
        let Some(open) = self.parts.streams.get_mut(stream) else {
            return Ok(None);
        };
        if let State::Reset(Broken::Refused(refused), _) = open.state {
            return Err(refused);
        }
        if !matches!(open.unread.front(), Some(Received::Request(..))) {
            return Ok(None);
        }
        let Some(Received::Request(mut head, begins)) = open.unread.pop() else {
            return Ok(None);
        };
        core::mem::swap(&mut *head, into);
        self.parts.streams.spare().keep_request(head);
        Ok(Some(begins))
    }

    /// Takes the next head of a response; `into` is swapped with it.
    ///
    /// # Errors
    /// No response comes, or one that is malformed or too large.
    pub fn response_head(
        &mut self,
        stream: StreamId,
        into: &mut ResponseHead,
    ) -> Result<Option<Answer>, Broken> {
        let Some(open) = self.parts.streams.get_mut(stream) else {
            return Ok(None);
        };
        if let State::Reset(broken, _) = open.state {
            return Err(broken);
        }
        if !matches!(open.unread.front(), Some(Received::Response(..))) {
            return Ok(None);
        }
        let Some(Received::Response(mut head, answer)) = open.unread.pop() else {
            return Ok(None);
        };
        core::mem::swap(&mut *head, into);
        self.parts.streams.spare().keep_response(head);
        Ok(Some(answer))
    }

    /// Takes the next part of a body. That gives the peer credit for more.
    ///
    /// # Errors
    /// The rest of the message does not come, or is malformed.
    pub fn body(&mut self, stream: StreamId) -> Result<Part, Broken> {
        let Some(open) = self.parts.streams.get_mut(stream) else {
            return Ok(Part::NeedMore);
        };
        if let State::Reset(broken, _) = open.state {
            return Err(broken);
        }
        match (open.unread.front(), open.receiving()) {
            (Some(Received::Request(..) | Received::Response(..)), _) => return Ok(Part::NeedMore),
            (Some(Received::Data(_) | Received::Joined(_) | Received::Trailers(_)), _) => {}
            (None, Some(Receiving::Ended)) => return Ok(Part::End),
            (None, _) => return Ok(Part::NeedMore),
        }
        let data = match open.unread.pop() {
            Some(Received::Data(data)) => data,
            Some(Received::Joined(joined)) => joined.freeze(),
            Some(Received::Trailers(trailers)) => return Ok(Part::Trailers(trailers)),
            Some(Received::Request(..) | Received::Response(..)) | None => {
                return Ok(Part::NeedMore);
            }
        };
        self.parts.streams.let_go(data.len());
        read_data::give_credit(&mut self.parts, stream, data.len());
        Ok(Part::Data(data))
    }

    /// Begins a request. `None` when there is no [`room`](Self::room), or it asks for another protocol and the server does
    /// not [`take that`](Self::takes_protocols).
    pub fn ask(
        &mut self,
        head: &RequestHead,
        begins: &Begins,
        owner: T,
        out: &mut Outbox,
    ) -> Option<StreamId> {
        write::ask(&mut self.parts, head, begins, owner, out)
    }

    /// Begins the response. What has a body ends with [`Connection::end`], and so does a tunnel; the response to HEAD, and
    /// one without a body, ends with its head.
    pub fn respond(
        &mut self,
        stream: StreamId,
        head: &ResponseHead,
        body: BodyLength,
        out: &mut Outbox,
    ) {
        write::respond(&mut self.parts, stream, head, body, out);
    }

    /// Writes an interim head.
    pub fn inform(&mut self, stream: StreamId, head: &ResponseHead, out: &mut Outbox) {
        write::inform(&mut self.parts, stream, head, out);
    }

    /// A piece of a body, which waits in its stream for its turn. What does not belong to a body is dropped.
    pub fn data(&mut self, stream: StreamId, data: Bytes) {
        write::data(&mut self.parts, stream, data);
    }

    /// Ends a message. One that is shorter than its head said is reset instead, for its receiver waits for more.
    pub fn end(&mut self, stream: StreamId, trailers: Option<&Headers>) {
        write::end(&mut self.parts, stream, trailers);
    }

    /// Resets a stream that has not ended, and forgets it.
    pub fn reset(&mut self, stream: StreamId, reset: Reset) {
        endings::reset(&mut self.parts, stream, Code::telling(reset));
    }

    /// Its owner is done with a stream. What waits to be sent still is, when its end was said; otherwise it is cancelled.
    /// The rest of a request whose response is complete is not waited for.
    pub fn close(&mut self, stream: StreamId) {
        endings::close(&mut self.parts, stream);
    }

    /// Bytes of a stream that wait to be sent.
    #[must_use]
    pub fn unsent(&self, stream: StreamId) -> usize {
        let of = |stream: &Stream<T>| stream.unsent.bytes;
        self.parts.streams.get(stream).map_or(0, of)
    }

    /// Bytes of a stream that wait to be taken.
    #[must_use]
    pub fn unread(&self, stream: StreamId) -> usize {
        let of = |stream: &Stream<T>| stream.unread.bytes();
        self.parts.streams.get(stream).map_or(0, of)
    }

    /// Whether all that was said on a stream was written, up to its end. So it was when the stream is gone.
    #[must_use]
    pub fn is_sent(&self, stream: StreamId) -> bool {
        let stream = self.parts.streams.get(stream);
        stream.is_none_or(|stream| matches!(stream.sending(), None | Some(Sending::Ended)))
    }

    /// Writes what may leave now, until `out` is above `mark`. There may be events of it: the end of a stream was written, or
    /// few of its bytes are left.
    pub fn flush(&mut self, out: &mut Outbox, mark: usize, now: Instant) {
        send::flush(&mut self.parts, out, mark, now);
    }

    /// Whether a flush would write something, if `out` has room.
    #[must_use]
    pub fn has_to_send(&self) -> bool {
        send::has_to_send(&self.parts)
    }

    /// How many streams there are whose owners are not done.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.parts.streams.table().len()
    }

    /// To an endpoint: how many more streams it takes now.
    #[must_use]
    pub fn room(&self) -> u32 {
        write::room(&self.parts)
    }

    /// Whether the peer's first settings are here.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        !matches!(self.parts.stage, Stage::Preface | Stage::FirstSettings)
    }

    /// To an endpoint: how many streams it takes at a time, whatever is under way; 0 if it takes no more.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        write::capacity(&self.parts)
    }

    /// To an endpoint: whether a request may ask for another protocol (RFC 8441). It is not known before the first
    /// [`Event::Settings`].
    #[must_use]
    pub const fn takes_protocols(&self) -> bool {
        self.parts.peer.connect_protocol
    }

    /// Resets all streams of an owner, who is gone. How many there were.
    pub fn reset_all_of(&mut self, owner: T) -> usize
    where
        T: PartialEq,
    {
        let is_of = |stream: &&mut Stream<T>| matches!(stream.owner, Owner::Is(is) if is == owner);
        let streams = self.parts.streams.table_mut().iter_mut().filter(is_of);
        let all: Vec<_> = streams.map(|stream| stream.id).collect();
        all.iter().for_each(|id| self.reset(*id, Reset::Failed));
        all.len()
    }

    /// Whether no other stream can be opened by the peer, because it was told so.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(self.parts.life.leaving, Leaving::After(_))
            || matches!(self.parts.stage, Stage::Dead(_))
    }

    /// Tells the peer that the connection will end, first by a GOAWAY that forbids nothing, with a PING: streams that the
    /// client opened meanwhile are still served (RFC 9113 §6.8). Follow with [`Connection::finish_drain`].
    pub fn drain(&mut self) {
        if self.parts.life.leaving != Leaving::Not || matches!(self.parts.stage, Stage::Dead(_)) {
            return;
        }
        self.parts.life.leaving = Leaving::Warned;
        self.say_goaway(Some(StreamId::MAX));
        self.parts.controls.say(Control::Ping(DRAIN_PING));
    }

    /// Whether the peer has answered [`Connection::drain`]: all streams that it opened before it knew are here.
    #[must_use]
    pub const fn drain_is_known(&self) -> bool {
        self.parts.life.drain_is_known
    }

    /// Tells which stream was the last: those that the client opens from now on are not looked at.
    pub fn finish_drain(&mut self) {
        let is_over = matches!(self.parts.life.leaving, Leaving::After(_));
        if is_over || matches!(self.parts.stage, Stage::Dead(_)) {
            return;
        }
        let last = match self.parts.role {
            Role::Server => self.parts.last,
            Role::Client => None,
        };
        self.parts.life.leaving = Leaving::After(last);
        self.say_goaway(last);
    }

    fn say_goaway(&mut self, last: Option<StreamId>) {
        self.parts.controls.say(Control::GoAway {
            last,
            code: Code::NoError,
            explain: "",
        });
    }

    /// When [`Connection::on_time`] must be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        timers::deadline(&self.parts)
    }

    /// The time is `now`.
    ///
    /// # Errors
    /// The peer took too long: as for [`Connection::read`].
    pub fn on_time(&mut self, now: Instant) -> Result<(), Fatal> {
        timers::on_time(&mut self.parts, now)
    }

    /// How often each limit was met since the last [`Connection::report`].
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.parts.guard.counts
    }

    /// What there is to count of the connection. What was told of limits is not told again.
    pub fn report(&mut self) -> Report {
        let counts = &mut self.parts.guard.counts;
        let is_news = *counts != Counts::default();
        let block = self.parts.block.as_ref();
        Report {
            met: is_news.then(|| core::mem::take(counts)),
            streams: self.parts.streams.table().len(),
            held: self.parts.streams.held() + block.map_or(0, |block| block.bytes.len()),
        }
    }

    /// Ranges of `unread`, in order, that will be read as parts of bodies.
    #[must_use]
    pub fn bodies_ahead(&self, unread: &[u8]) -> Vec<Range<usize>> {
        look_ahead::bodies(self.parts.stage, unread)
    }
}
