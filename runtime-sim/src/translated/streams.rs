//! A service's end of one HTTP/2 connection: which stream takes which of the service's connections.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use outrigger_core::http2;
use outrigger_core::message::RequestHead;
use outrigger_core::stream::{Reset, StreamId};
use outrigger_core::time::Instant;

use super::client::End;
use super::link::Link;
use super::place::{Place, Wish};
use crate::errands::Bell;
use crate::peer::{Accept, Action, Event, Serve};
use crate::service::Complaints;

/// A service, shared by all connections to it.
pub(super) type Shared = Rc<RefCell<Box<dyn Serve>>>;

/// One connection.
pub(super) struct Streams {
    link: Link<usize>,
    service: Shared,
    bell: Option<Bell>,
    places: BTreeMap<usize, Place>,
    /// In the order in which they became free last.
    rested: Vec<usize>,
    /// When the simulation was last asked to wake it.
    nap: Option<Instant>,
    is_over: bool,
    /// The sidecar sends nothing more.
    is_eof: bool,
}

impl Streams {
    /// A connection on which the service's first one is `first`.
    pub(super) fn new(
        first: Place,
        service: &Shared,
        bell: Option<Bell>,
        complaints: Complaints,
    ) -> Self {
        Self {
            link: Link::server(complaints),
            service: Rc::clone(service),
            bell,
            places: BTreeMap::from([(0, first)]),
            rested: vec![0],
            nap: None,
            is_over: false,
            is_eof: false,
        }
    }

    pub(super) fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Opened | Event::Secured(_) | Event::NotSecured(_) | Event::Refused => {}
            Event::Bytes(bytes) => {
                self.link.feed(bytes);
                while !self.is_over
                    && let Some(is_right) = self.link.understand(now)
                {
                    if !is_right {
                        self.end(End::Broken);
                    }
                    self.advance(now, actions);
                }
            }
            Event::Eof | Event::Broken => {
                // What came before is heard.
                self.advance(now, actions);
                self.link.codec.on_eof();
                self.is_eof = true;
                self.is_over |= event == Event::Broken;
                self.end(match event {
                    Event::Broken => End::Broken,
                    _ => End::Eof,
                });
            }
            Event::Signal(_) => {
                for place in self.places.values_mut() {
                    place.tell(event, now, actions);
                }
            }
            Event::Woken => {
                self.nap = None;
                for place in self.places.values_mut() {
                    for _ in 0..place.rung.take() {
                        place.tell(event, now, actions);
                    }
                    if place.nap.is_some_and(|at| at <= now) {
                        place.nap = None;
                        place.tell(event, now, actions);
                    }
                }
            }
        }
        self.advance(now, actions);
        self.sleep(now, actions);
    }

    /// Whether nobody on it needs to be told anything any more.
    pub(super) fn is_finished(&self) -> bool {
        self.places.values().all(|place| place.peer.is_finished())
    }

    fn end(&mut self, how: End) {
        self.places.values_mut().for_each(|place| place.on_end(how));
    }

    fn sleep(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let next = self.places.values().filter_map(|place| place.nap).min();
        if let Some(at) = next
            && self.nap != next
        {
            self.nap = next;
            actions.push(Action::Sleep(at.since(now)));
        }
    }

    /// Lets everything happen that can.
    fn advance(&mut self, now: Instant, actions: &mut Vec<Action>) {
        loop {
            let mut moved = self.take_events(now, actions);
            let all: Vec<usize> = self.places.keys().copied().collect();
            for id in all {
                moved |= self.advance_place(id, now, actions);
            }
            if !self.is_over {
                self.link.flush(now, actions);
            }
            if !moved {
                break;
            }
        }
        let everybody_left = self.places.values().all(|place| place.has_left);
        if self.is_eof && everybody_left && !self.is_over {
            self.is_over = true;
            actions.push(Action::Close);
        }
    }

    fn take_events(&mut self, now: Instant, actions: &mut Vec<Action>) -> bool {
        let mut moved = false;
        while !self.is_over
            && let Some(event) = self.link.codec.next_event()
        {
            moved = true;
            if let http2::Event::Opened(stream) = event {
                self.open(stream, now, actions);
            }
        }
        moved
    }

    /// A stream begins.
    fn open(&mut self, stream: StreamId, now: Instant, actions: &mut Vec<Action>) {
        let mut head = RequestHead::default();
        let begins = match self.link.codec.request_head(stream, &mut head) {
            Ok(Some(begins)) => begins,
            Ok(None) => return,
            Err(refused) => {
                let what = format!("a malformed request: {}", refused.details);
                self.link.complain(&what);
                return self.link.codec.close(stream);
            }
        };
        let Some(id) = self.free_place(now, actions) else {
            return self.link.codec.reset(stream, Reset::Unprocessed);
        };
        self.link.codec.set_owner(stream, id);
        if let Some(place) = self.places.get_mut(&id) {
            place.begin(stream, &head, &begins);
        }
    }

    /// The place that became free last, or a new one.
    fn free_place(&mut self, now: Instant, actions: &mut Vec<Action>) -> Option<usize> {
        let is_free = |id: &&usize| self.places.get(id).is_some_and(Place::is_free);
        if let Some(id) = self.rested.iter().rev().find(is_free) {
            return Some(*id);
        }
        let Accept::Peer(peer) = self.service.borrow_mut().accept(now) else {
            return None;
        };
        let id = self.places.len();
        let mut place = Place::new(peer);
        if let Some(bell) = &self.bell {
            let (bell, rung) = bell.another();
            place.peer.seated(bell);
            place.rung = rung;
        }
        place.tell(Event::Opened, now, actions);
        self.places.insert(id, place);
        self.rested.push(id);
        Some(id)
    }

    fn advance_place(&mut self, id: usize, now: Instant, actions: &mut Vec<Action>) -> bool {
        let works = self.places.values().filter(|place| place.is_at_work());
        self.link.is_lone = works.count() <= 1;
        let Some(place) = self.places.get_mut(&id) else {
            return false;
        };
        let was_at_work = place.is_at_work();
        let wish = place.advance(&mut self.link, now, actions);
        if was_at_work && !place.is_at_work() {
            self.rested.retain(|other| *other != id);
            self.rested.push(id);
        }
        match wish {
            Wish::Nothing => false,
            Wish::Moved => true,
            Wish::Ends(how, stream) => {
                if self.places.values().any(Place::is_at_work) {
                    if let Some(stream) = stream {
                        self.link.codec.reset(stream, Reset::Failed);
                    }
                } else if !self.is_over {
                    self.link.flush(now, actions);
                    self.is_over = true;
                    actions.push(match how {
                        Action::Reset => Action::Reset,
                        _ => Action::Close,
                    });
                    self.end(End::Eof);
                }
                true
            }
        }
    }
}
