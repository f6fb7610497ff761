//! A client that speaks HTTP/1, played over HTTP/2: its requests become streams, one after the other.

use std::collections::VecDeque;

use bytes::BytesMut;
use http::Method;
use outrigger_core::http2;
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Answer, Begins, BodyLength, Broken, Part, Reset, StreamId};
use outrigger_core::time::Instant;

use super::http1::ForClient;
use super::link::{Link, drain};
use crate::errands::Bell;
use crate::peer::{Action, Event, Peer};
use crate::service::Complaints;

/// Where the request is.
#[derive(Debug)]
enum Turn {
    /// There is none.
    Rest,
    /// It waits until the sidecar has said what it takes.
    Waits(RequestHead, Begins),
    Asked(Exchange),
}

/// A request that was asked.
#[derive(Debug)]
struct Exchange {
    stream: StreamId,
    upgrade: Option<Box<str>>,
    request: Half,
    response: Half,
    trailers: Option<Headers>,
}

/// How far one direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// Its head is to come; of a request, the answer is waited for before anything else is said.
    Head,
    Body,
    Tunnel,
    Ended,
}

/// How the inner connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Eof,
    Broken,
}

impl End {
    pub(super) const fn event(self) -> Event<'static> {
        match self {
            Self::Eof => Event::Eof,
            Self::Broken => Event::Broken,
        }
    }
}

/// How far the inner connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Its connection is still to be made.
    Begins,
    Goes,
    /// The peer is to be told that it ends, when it has read everything.
    Ends(End),
    /// It was told.
    Ended,
    /// The peer has left.
    Left,
}

/// A client of the other version.
pub struct TranslatedClient {
    inner: Box<dyn Peer>,
    complaints: Complaints,
    link: Link<()>,
    server: ForClient,
    /// What the peer said and is not understood yet.
    said: BytesMut,
    /// What it does after that.
    wants: VecDeque<Action>,
    turn: Turn,
    life: Life,
    /// It will say nothing more.
    is_shut: bool,
    /// The sidecar takes no other request.
    is_leaving: bool,
    /// The peer knows that it will hear nothing more.
    was_told: bool,
    head: ResponseHead,
    heard: Outbox,
}

impl TranslatedClient {
    /// Plays this client in the other version. Where the sidecar breaks the rules of that, it is complained about.
    #[must_use]
    pub fn new(inner: Box<dyn Peer>, complaints: &Complaints) -> Self {
        Self {
            inner,
            complaints: Complaints::clone(complaints),
            link: Link::client(Complaints::clone(complaints)),
            server: ForClient::default(),
            said: BytesMut::new(),
            wants: VecDeque::new(),
            turn: Turn::Rest,
            life: Life::Begins,
            is_shut: false,
            is_leaving: false,
            was_told: false,
            head: ResponseHead::default(),
            heard: Outbox::default(),
        }
    }

    /// A connection begins, maybe another one.
    fn restart(&mut self) {
        let inner = std::mem::replace(&mut self.inner, Box::new(Nobody));
        *self = Self::new(inner, &Complaints::clone(&self.complaints));
    }

    fn tell(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        let mut does = Vec::new();
        self.inner.on_event(event, now, &mut does);
        for action in does {
            match action {
                Action::Signal(_) | Action::Sleep(_) => actions.push(action),
                Action::Send(_) | Action::Shutdown | Action::Close | Action::Reset => {
                    self.wants.push_back(action);
                }
            }
        }
    }

    /// Lets everything happen that can.
    fn advance(&mut self, now: Instant, actions: &mut Vec<Action>) {
        loop {
            if self.life == Life::Begins {
                return;
            }
            let mut moved = self.take_wants(now, actions);
            if self.life != Life::Left {
                moved |= self.take_events();
                moved |= self.say();
                moved |= self.hear();
                self.link.flush(now, actions);
            }
            moved |= self.deliver(now, actions);
            if !moved {
                return;
            }
        }
    }

    fn take_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.link.codec.next_event() {
            moved = true;
            self.is_leaving |= event == http2::Event::GoingAway;
        }
        moved
    }

    /// What the peer does, in order: an end comes after what was said before it.
    fn take_wants(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        let mut moved = false;
        while let Some(action) = self.wants.pop_front() {
            if self.life == Life::Left {
                continue;
            }
            if let Action::Send(bytes) = &action {
                self.said.extend_from_slice(bytes);
                self.say();
            } else if self.life == Life::Goes && self.has_to_say() {
                self.wants.push_front(action);
                return moved;
            } else {
                let is_told = self.end(&action);
                self.link.flush(now, actions);
                if action != Action::Shutdown {
                    self.life = Life::Left;
                }
                if is_told {
                    actions.push(action);
                }
            }
            moved = true;
        }
        moved
    }

    /// Whether something was said that can still leave.
    fn has_to_say(&self) -> bool {
        match &self.turn {
            Turn::Rest => false,
            Turn::Waits(..) => true,
            Turn::Asked(asked) => !self.said.is_empty() || self.link.codec.unsent(asked.stream) > 0,
        }
    }

    /// The peer ends its connection, or one direction of it. Whether the other end is to know of the connection.
    fn end(&mut self, how: &Action) -> bool {
        self.is_shut = true;
        let Turn::Asked(asked) = &self.turn else {
            return true;
        };
        let tunnels = asked.request == Half::Tunnel;
        if tunnels && *how != Action::Reset {
            self.link.codec.end(asked.stream, None);
        }
        !tunnels || *how != Action::Shutdown
    }

    /// Passes on what the peer said.
    fn say(&mut self) -> bool {
        let mut moved = false;
        while self.life == Life::Goes && self.say_once() {
            moved = true;
        }
        moved
    }

    fn say_once(&mut self) -> bool {
        match &mut self.turn {
            Turn::Rest if self.said.is_empty() => false,
            Turn::Rest => {
                let mut head = RequestHead::default();
                match self.server.head(&mut self.said, &mut head) {
                    Ok(None) => false,
                    Ok(Some(begins)) => {
                        self.turn = Turn::Waits(head, begins);
                        true
                    }
                    Err(refused) => self.is_unsayable(refused.details),
                }
            }
            Turn::Waits(head, begins) => {
                let out = &mut self.link.outbox;
                let Some(stream) = self.link.codec.ask(head, begins, (), out) else {
                    return false;
                };
                let waits = begins.upgrade.is_some() || head.method == Method::CONNECT;
                self.turn = Turn::Asked(Exchange {
                    stream,
                    upgrade: begins.upgrade.take(),
                    request: if waits { Half::Head } else { Half::Body },
                    response: Half::Head,
                    trailers: None,
                });
                true
            }
            Turn::Asked(asked) => match asked.request {
                Half::Head | Half::Ended => false,
                Half::Tunnel if self.said.is_empty() => false,
                Half::Tunnel => {
                    let bytes = self.said.split().freeze();
                    self.link.codec.data(asked.stream, bytes);
                    true
                }
                Half::Body => match self.server.body(&mut self.said) {
                    Ok(part) => {
                        let (stream, codec) = (asked.stream, &mut self.link.codec);
                        match part {
                            Part::NeedMore => return false,
                            Part::Data(data) => codec.data(stream, data),
                            Part::Trailers(trailers) => asked.trailers = Some(trailers),
                            Part::End => {
                                codec.end(stream, asked.trailers.take().as_ref());
                                asked.request = Half::Ended;
                            }
                        }
                        true
                    }
                    Err(refused) => self.is_unsayable(refused.details),
                },
            },
        }
    }

    fn is_unsayable(&mut self, what: &str) -> bool {
        self.link
            .complain(&format!("it can not be said in HTTP/2: {what}"));
        self.life = Life::Ends(End::Broken);
        true
    }

    /// Takes what the sidecar answers, as far as the peer reads.
    fn hear(&mut self) -> bool {
        let mut moved = false;
        while self.heard.is_empty() && self.inner.is_reading() && self.hear_once() {
            moved = true;
        }
        moved
    }

    fn hear_once(&mut self) -> bool {
        let Turn::Asked(asked) = &mut self.turn else {
            return false;
        };
        let (codec, stream) = (&mut self.link.codec, asked.stream);
        match asked.response {
            Half::Head => match codec.response_head(stream, &mut self.head) {
                Ok(None) => false,
                Ok(Some(answer)) => {
                    self.begin_answer(answer);
                    true
                }
                Err(broken) => self.break_off(broken),
            },
            Half::Body | Half::Tunnel => match codec.body(stream) {
                Ok(Part::NeedMore) => false,
                Ok(part) => {
                    self.pass(part);
                    true
                }
                Err(broken) => self.break_off(broken),
            },
            Half::Ended => self.finish(),
        }
    }

    fn begin_answer(&mut self, answer: Answer) {
        let Turn::Asked(asked) = &mut self.turn else {
            return;
        };
        let out = &mut self.heard;
        match answer {
            Answer::Interim => self.server.inform(&self.head, out),
            Answer::Final(body) => {
                if asked.request == Half::Head {
                    asked.request = Half::Ended;
                    self.link.codec.end(asked.stream, None);
                }
                let wish = !self.is_leaving && asked.request == Half::Ended;
                self.server.respond(&self.head, body, None, wish, out);
                asked.response = Half::Body;
            }
            Answer::Switched(_) => {
                let (none, upgrade) = (BodyLength::None, asked.upgrade.take());
                self.server
                    .respond(&self.head, none, upgrade.as_deref(), true, out);
                (asked.request, asked.response) = (Half::Tunnel, Half::Tunnel);
            }
        }
    }

    fn pass(&mut self, part: Part) {
        let Turn::Asked(asked) = &mut self.turn else {
            return;
        };
        let out = &mut self.heard;
        match (part, asked.response) {
            (Part::NeedMore, _) => {}
            (Part::Data(data), Half::Tunnel) => out.put_bytes(data),
            (Part::Data(data), _) => self.server.data(data, out),
            (Part::Trailers(trailers), _) => asked.trailers = Some(trailers),
            (Part::End, Half::Tunnel) => {
                asked.response = Half::Ended;
                self.life = Life::Ends(End::Eof);
            }
            (Part::End, _) => {
                self.server.end(asked.trailers.take().as_ref(), out);
                asked.response = Half::Ended;
            }
        }
    }

    /// The answer is complete: the next request may come, if there may be one.
    fn finish(&mut self) -> bool {
        let Turn::Asked(asked) = &self.turn else {
            return false;
        };
        let codec = &mut self.link.codec;
        match asked.request {
            Half::Tunnel => return false,
            // The sidecar may still take the rest.
            Half::Head | Half::Body if !codec.is_sent(asked.stream) => return false,
            Half::Head | Half::Body => self.server.end_turns(),
            Half::Ended => {}
        }
        codec.close(asked.stream);
        self.turn = Turn::Rest;
        if !self.server.persists() || self.is_leaving || self.is_shut {
            self.life = Life::Ends(End::Eof);
        }
        true
    }

    /// The sidecar ends the stream before its answer is complete. Where the connection ends, that is told by itself.
    fn break_off(&mut self, broken: Broken) -> bool {
        let end = match broken {
            Broken::Refused(refused) => {
                self.link
                    .complain(&format!("a malformed response: {}", refused.details));
                Some(End::Broken)
            }
            Broken::Reset(Reset::Cut) => None,
            Broken::Reset(Reset::Cancelled | Reset::NoError) => Some(End::Eof),
            Broken::Reset(
                Reset::Unprocessed | Reset::Failed | Reset::Protocol | Reset::Stalled,
            ) => Some(End::Broken),
        };
        if let Turn::Asked(asked) = &self.turn {
            self.link.codec.close(asked.stream);
        }
        self.turn = Turn::Rest;
        if let Some(end) = end {
            self.life = Life::Ends(end);
        }
        true
    }

    /// Tells the peer what there is to tell.
    fn deliver(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        if !self.inner.is_reading() || self.life == Life::Left {
            return false;
        }
        if let Some(bytes) = drain(&mut self.heard) {
            self.tell(Event::Bytes(&bytes), now, actions);
            return true;
        }
        // In a tunnel one direction may go on.
        let is_over = !matches!(&self.turn, Turn::Asked(asked) if asked.response != Half::Ended);
        if let (Life::Ends(end), true) = (self.life, is_over) {
            let tunnels = matches!(self.turn, Turn::Asked(_));
            self.life = if tunnels { Life::Goes } else { Life::Ended };
            if !std::mem::replace(&mut self.was_told, true) || end == End::Broken {
                self.tell(end.event(), now, actions);
            }
            return true;
        }
        false
    }

    /// The connection is over. What came before is heard.
    fn on_end(&mut self, end: End, now: Instant, actions: &mut Vec<Action>) {
        self.advance(now, actions);
        self.link.codec.on_eof();
        self.advance(now, actions);
        if matches!(self.life, Life::Goes | Life::Ends(_)) {
            self.life = Life::Ends(end);
        }
    }
}

/// Sits where a peer was taken from for a moment.
pub(super) struct Nobody;

impl Peer for Nobody {
    fn on_event(&mut self, _event: Event<'_>, _now: Instant, _actions: &mut Vec<Action>) {}
}

impl Peer for TranslatedClient {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Opened => {
                self.restart();
                self.life = Life::Goes;
                self.tell(event, now, actions);
            }
            Event::Bytes(bytes) => {
                self.link.feed(bytes);
                while let Some(is_right) = self.link.understand(now) {
                    if !is_right {
                        self.life = Life::Ends(End::Broken);
                    }
                    self.advance(now, actions);
                }
            }
            Event::Eof => self.on_end(End::Eof, now, actions),
            Event::Broken => self.on_end(End::Broken, now, actions),
            Event::Secured(_)
            | Event::NotSecured(_)
            | Event::Refused
            | Event::Woken
            | Event::Signal(_) => self.tell(event, now, actions),
        }
        self.advance(now, actions);
    }

    fn seated(&mut self, bell: Bell) {
        self.inner.seated(bell);
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    fn returns_after(&mut self) -> Option<outrigger_core::time::Duration> {
        self.inner.returns_after()
    }
}
