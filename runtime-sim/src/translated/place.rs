//! One connection of a service that speaks HTTP/1, as a place for one stream at a time on a connection of HTTP/2.

use std::collections::VecDeque;

use bytes::BytesMut;
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Answer, Begins, BodyLength, Broken, Part, Reset, StreamId};
use outrigger_core::time::Instant;

use super::client::{End, Half};
use super::http1::ForService;
use super::link::{Link, drain};
use crate::errands::Rings;
use crate::peer::{Action, Event, Peer};

/// A place.
pub(super) struct Place {
    pub(super) peer: Box<dyn Peer>,
    client: ForService,
    /// What the peer said and is not understood yet.
    said: BytesMut,
    /// What it does after that.
    wants: VecDeque<Action>,
    work: Option<Work>,
    heard: Outbox,
    /// When it wants to be woken.
    pub(super) nap: Option<Instant>,
    /// How often it was rung for.
    pub(super) rung: Rings,
    /// How its connection ends, once it has read everything.
    end: Option<End>,
    was_told: bool,
    pub(super) has_left: bool,
}

/// A stream in its place.
#[derive(Debug)]
struct Work {
    stream: StreamId,
    request: Half,
    response: Half,
    trailers: Option<Headers>,
}

/// What a place does to the connection that it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Something moved.
    Moved,
    /// Nothing did.
    Nothing,
    /// Its peer has ended its connection so. The stream that this breaks, if there is one.
    Ends(Action, Option<StreamId>),
}

impl Place {
    pub(super) fn new(peer: Box<dyn Peer>) -> Self {
        Self {
            peer,
            client: ForService::default(),
            said: BytesMut::new(),
            wants: VecDeque::new(),
            work: None,
            heard: Outbox::default(),
            nap: None,
            rung: Rings::default(),
            end: None,
            was_told: false,
            has_left: false,
        }
    }

    /// One whose peer has done this before it was known what is spoken.
    pub(super) fn with(
        peer: Box<dyn Peer>,
        did: Vec<Action>,
        nap: Option<Instant>,
        rung: Rings,
    ) -> Self {
        Self {
            wants: did.into(),
            nap,
            rung,
            ..Self::new(peer)
        }
    }

    /// Whether another stream may take it.
    pub(super) fn is_free(&self) -> bool {
        self.work.is_none() && self.end.is_none() && !self.was_told && !self.has_left
    }

    /// Whether a stream has it.
    pub(super) const fn is_at_work(&self) -> bool {
        self.work.is_some()
    }

    /// Tells the peer.
    pub(super) fn tell(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        let mut does = Vec::new();
        self.peer.on_event(event, now, &mut does);
        for action in does {
            match action {
                Action::Signal(_) => actions.push(action),
                Action::Sleep(time) => self.nap = Some(now + time),
                Action::Send(_) | Action::Shutdown | Action::Close | Action::Reset => {
                    self.wants.push_back(action);
                }
            }
        }
    }

    /// A stream takes the place.
    pub(super) fn begin(&mut self, stream: StreamId, head: &RequestHead, begins: &Begins) {
        self.client.ask(head, begins, &mut self.heard);
        let waits = begins.upgrade.is_some() || head.method == http::Method::CONNECT;
        self.work = Some(Work {
            stream,
            request: if waits { Half::Head } else { Half::Body },
            response: Half::Head,
            trailers: None,
        });
    }

    /// The connection that it is on is over.
    pub(super) const fn on_end(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
        }
    }

    /// Lets one thing happen.
    pub(super) fn advance(
        &mut self,
        link: &mut Link<usize>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Wish {
        if self.has_left {
            return Wish::Nothing;
        }
        if self.answer(link, now) || self.hear(link) || self.deliver(now, actions) {
            return Wish::Moved;
        }
        match self.wants.front() {
            None if self.is_free() && !self.said.is_empty() => {
                // It speaks unasked: nobody would ask it on this connection.
                self.said.clear();
                self.end = Some(End::Eof);
                Wish::Ends(Action::Close, None)
            }
            None => Wish::Nothing,
            Some(Action::Send(bytes)) => {
                self.said.extend_from_slice(bytes);
                self.wants.pop_front();
                Wish::Moved
            }
            // An end comes after what was said before it.
            Some(_)
                if self
                    .work
                    .as_ref()
                    .is_some_and(|w| link.codec.unsent(w.stream) > 0) =>
            {
                Wish::Nothing
            }
            Some(_) => match self.wants.pop_front() {
                Some(action) => self.leave(action, link),
                None => Wish::Nothing,
            },
        }
    }

    /// The peer ends its connection, or one direction of it.
    fn leave(&mut self, how: Action, link: &mut Link<usize>) -> Wish {
        let closes = how != Action::Shutdown;
        self.has_left = closes;
        let Some(work) = &mut self.work else {
            return match self.end.is_some() || self.was_told {
                true => Wish::Moved,
                false => {
                    self.end = Some(End::Eof);
                    Wish::Ends(how, None)
                }
            };
        };
        let stream = work.stream;
        let is_whole = how != Action::Reset
            && match work.response {
                Half::Head => false,
                Half::Body => self.client.is_whole_at_eof(&self.said),
                Half::Tunnel | Half::Ended => true,
            };
        if !is_whole {
            self.work = None;
            self.end = Some(End::Eof);
            return Wish::Ends(how, Some(stream));
        }
        link.codec.end(stream, None);
        work.response = Half::Ended;
        if closes {
            link.codec.close(stream);
            self.work = None;
        } else if work.request == Half::Ended {
            self.end = Some(End::Eof);
        }
        Wish::Moved
    }

    /// Passes on what the peer answers.
    fn answer(&mut self, link: &mut Link<usize>, now: Instant) -> bool {
        let Some(work) = &mut self.work else {
            return false;
        };
        let stream = work.stream;
        match work.response {
            Half::Head => {
                let mut head = ResponseHead::default();
                match self.client.head(&mut self.said, &mut head) {
                    Ok(None) => false,
                    Ok(Some(answer)) => {
                        let is_last = matches!(answer, Answer::Final(_)) && !self.client.persists();
                        if is_last && link.is_lone {
                            link.say_goaway(now);
                        }
                        begin_answer(work, &head, &answer, link);
                        true
                    }
                    Err(refused) => self.is_unsayable(refused.details, link),
                }
            }
            Half::Body => match self.client.body(&mut self.said) {
                Ok(Part::NeedMore) => false,
                Ok(Part::Data(data)) => {
                    link.codec.data(stream, data);
                    true
                }
                Ok(Part::Trailers(trailers)) => {
                    work.trailers = Some(trailers);
                    true
                }
                Ok(Part::End) => {
                    link.codec.end(stream, work.trailers.take().as_ref());
                    work.response = Half::Ended;
                    true
                }
                Err(refused) => self.is_unsayable(refused.details, link),
            },
            Half::Tunnel if self.said.is_empty() => false,
            Half::Tunnel => {
                link.codec.data(stream, self.said.split().freeze());
                true
            }
            Half::Ended if work.request == Half::Ended => {
                link.codec.close(stream);
                self.work = None;
                if !self.client.persists() {
                    self.end = Some(End::Eof);
                }
                true
            }
            Half::Ended => false,
        }
    }

    fn is_unsayable(&mut self, what: &str, link: &mut Link<usize>) -> bool {
        link.complain(&format!("it can not be said in HTTP/2: {what}"));
        if let Some(work) = self.work.take() {
            link.codec.reset(work.stream, Reset::Failed);
        }
        self.said.clear();
        self.end = Some(End::Broken);
        true
    }

    /// Takes what the sidecar asks, as far as the peer reads.
    fn hear(&mut self, link: &mut Link<usize>) -> bool {
        let Some(work) = &mut self.work else {
            return false;
        };
        let stream = work.stream;
        if let Some(broken) = link.codec.broken(stream) {
            if let Broken::Refused(refused) = broken {
                link.complain(&format!("a malformed request: {}", refused.details));
            }
            // A tunnel has no other way to be cut.
            let is_cut = work.request == Half::Tunnel;
            link.codec.close(stream);
            self.work = None;
            // Where the connection ends, that is told by itself.
            if broken != Broken::Reset(Reset::Cut) {
                self.end = Some(if is_cut { End::Broken } else { End::Eof });
            }
            return true;
        }
        let is_waiting = matches!(work.request, Half::Head | Half::Ended);
        if is_waiting || !self.heard.is_empty() || !self.peer.is_reading() {
            return false;
        }
        match (link.codec.body(stream), work.request) {
            (Ok(Part::NeedMore) | Err(_), _) => return false,
            (Ok(Part::Data(data)), Half::Tunnel) => self.heard.put_bytes(data),
            (Ok(Part::Data(data)), _) => self.client.data(data, &mut self.heard),
            (Ok(Part::Trailers(trailers)), _) => work.trailers = Some(trailers),
            (Ok(Part::End), Half::Tunnel) => {
                work.request = Half::Ended;
                self.end = Some(End::Eof);
            }
            (Ok(Part::End), _) => {
                let trailers = work.trailers.take();
                self.client.end(trailers.as_ref(), &mut self.heard);
                work.request = Half::Ended;
            }
        }
        true
    }

    /// Tells the peer what there is to tell.
    fn deliver(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        if !self.peer.is_reading() {
            return false;
        }
        if let Some(bytes) = drain(&mut self.heard) {
            self.tell(Event::Bytes(&bytes), now, actions);
            return true;
        }
        match self.end {
            Some(end) if !std::mem::replace(&mut self.was_told, true) => {
                self.tell(end.event(), now, actions);
                true
            }
            Some(_) | None => false,
        }
    }
}

fn begin_answer(work: &mut Work, head: &ResponseHead, answer: &Answer, link: &mut Link<usize>) {
    let stream = work.stream;
    let Link { codec, outbox, .. } = link;
    match answer {
        Answer::Interim => codec.inform(stream, head, outbox),
        Answer::Final(body) => {
            codec.respond(stream, head, *body, outbox);
            work.response = Half::Body;
            if work.request == Half::Head {
                work.request = Half::Ended;
            }
        }
        Answer::Switched(_) => {
            codec.respond(stream, head, BodyLength::Unknown, outbox);
            (work.request, work.response) = (Half::Tunnel, Half::Tunnel);
        }
    }
}
