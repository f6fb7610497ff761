//! A service that speaks HTTP/1, for connections of either version: what comes first tells which it is.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::Instant;

use super::client::Nobody;
use super::link::PREFACE;
use super::place::Place;
use super::streams::{Shared, Streams};
use crate::errands::{Bell, Rings};
use crate::peer::{Accept, Action, Event, Peer, Serve};
use crate::service::Complaints;

/// A service that understands both versions.
pub struct TranslatedService {
    inner: Shared,
    complaints: Complaints,
}

impl TranslatedService {
    /// Lets this service understand both versions. Where the sidecar breaks the rules of HTTP/2, it is complained about.
    #[must_use]
    pub fn new(inner: Box<dyn Serve>, complaints: &Complaints) -> Self {
        Self {
            inner: Rc::new(RefCell::new(inner)),
            complaints: Complaints::clone(complaints),
        }
    }
}

impl Serve for TranslatedService {
    fn accept(&mut self, now: Instant) -> Accept {
        let accepted = self.inner.borrow_mut().accept(now);
        match accepted {
            Accept::Peer(peer) => Accept::Peer(Box::new(Accepted {
                speech: Speech::Undecided {
                    peer,
                    heard: Vec::new(),
                    held: Vec::new(),
                    nap: None,
                },
                service: Rc::clone(&self.inner),
                bell: None,
                rung: Rings::default(),
                complaints: Complaints::clone(&self.complaints),
            })),
            Accept::Refuse => Accept::Refuse,
            Accept::Ignore => Accept::Ignore,
        }
    }
}

/// A connection.
struct Accepted {
    speech: Speech,
    service: Shared,
    bell: Option<Bell>,
    /// How often the first peer was rung for.
    rung: Rings,
    complaints: Complaints,
}

/// What is spoken on it.
enum Speech {
    Undecided {
        peer: Box<dyn Peer>,
        /// Less than a preface.
        heard: Vec<u8>,
        /// What the peer does meanwhile.
        held: Vec<Action>,
        /// When it wants to be woken.
        nap: Option<Instant>,
    },
    Http1(Box<dyn Peer>),
    Http2(Box<Streams>),
}

impl Accepted {
    /// What has come decides, if it is enough.
    fn sniff(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Speech::Undecided {
            peer,
            heard,
            held,
            nap,
        } = &mut self.speech
        else {
            return;
        };
        let count = heard.len().min(PREFACE.len());
        let is_http1 = heard[..count] != PREFACE[..count];
        if !is_http1 && count < PREFACE.len() {
            return;
        }
        let (heard, held, nap) = (std::mem::take(heard), std::mem::take(held), *nap);
        let mut peer: Box<dyn Peer> = std::mem::replace(peer, Box::new(Nobody));
        if is_http1 {
            actions.extend(held);
            peer.on_event(Event::Bytes(&heard), now, actions);
            self.speech = Speech::Http1(peer);
        } else {
            let first = Place::with(peer, held, nap, Rings::clone(&self.rung));
            let complaints = Complaints::clone(&self.complaints);
            let bell = self.bell.take();
            let mut streams = Streams::new(first, &self.service, bell, complaints);
            streams.on_event(Event::Bytes(&heard), now, actions);
            self.speech = Speech::Http2(Box::new(streams));
        }
    }
}

impl Peer for Accepted {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match (&mut self.speech, event) {
            (Speech::Undecided { heard, .. }, Event::Bytes(bytes)) => {
                heard.extend_from_slice(bytes);
                self.sniff(now, actions);
            }
            (
                Speech::Undecided {
                    peer, held, nap, ..
                },
                _,
            ) => {
                if event == Event::Woken {
                    *nap = None;
                    self.rung.take();
                }
                let mut does = Vec::new();
                peer.on_event(event, now, &mut does);
                for action in does {
                    match action {
                        Action::Signal(_) => actions.push(action),
                        Action::Sleep(time) => {
                            *nap = Some(now + time);
                            actions.push(action);
                        }
                        Action::Send(_) => held.push(action),
                        Action::Shutdown | Action::Close | Action::Reset => {
                            actions.append(held);
                            actions.push(action);
                        }
                    }
                }
            }
            (Speech::Http1(peer), _) => peer.on_event(event, now, actions),
            (Speech::Http2(streams), _) => streams.on_event(event, now, actions),
        }
    }

    fn seated(&mut self, bell: Bell) {
        let (first, rung) = bell.another();
        self.rung = rung;
        self.bell = Some(bell);
        match &mut self.speech {
            Speech::Undecided { peer, .. } | Speech::Http1(peer) => peer.seated(first),
            // What is spoken is heard later.
            Speech::Http2(_) => {}
        }
    }

    fn is_finished(&self) -> bool {
        match &self.speech {
            Speech::Undecided { peer, .. } | Speech::Http1(peer) => peer.is_finished(),
            Speech::Http2(streams) => streams.is_finished(),
        }
    }

    fn is_reading(&self) -> bool {
        match &self.speech {
            Speech::Undecided { .. } | Speech::Http2(_) => true,
            Speech::Http1(peer) => peer.is_reading(),
        }
    }
}
