//! A scripted service: what it does with each connection, and with each request on it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};

use crate::peer::{Accept, Action, Event, Peer, Serve};
use crate::reader::{Piece, Reader};

/// What a service does with a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Sends these parts, each after its delay, then does the last thing.
    Respond(Vec<(Duration, Vec<u8>)>, Then),
    /// Answers 200 with the request's body.
    Echo,
    /// Nothing, ever.
    Silence,
}

/// What follows a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The connection stays for the next request.
    Keep,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// It is closed in one direction.
    Shutdown,
}

impl Reaction {
    /// A plain response with a length, at once.
    #[must_use]
    pub fn ok(body: &str) -> Self {
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self::Respond(vec![(Duration::ZERO, text.into_bytes())], Then::Keep)
    }
}

/// What a service does with a connection.
#[derive(Clone, Debug)]
pub enum Script {
    /// Refuses it.
    Refuse,
    /// Never answers the attempt to connect.
    Ignore,
    /// Accepts it and ends it at once.
    Accept(Then),
    /// Reacts to its requests in turn; the last reaction repeats.
    Serve {
        /// The reactions.
        reactions: Vec<Reaction>,
        /// Closes a connection that was idle for this long.
        idle: Option<Duration>,
    },
}

/// A service by script: one for each connection in turn; the last one repeats.
#[derive(Clone, Debug)]
pub struct ScriptedService {
    scripts: VecDeque<Script>,
    complaints: Complaints,
}

/// Requests that a strict reader could not read; a sidecar must never send one.
pub type Complaints = Rc<RefCell<Vec<String>>>;

impl ScriptedService {
    /// A service that follows these scripts. With none it refuses everything.
    #[must_use]
    pub fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self {
            scripts: scripts.into_iter().collect(),
            complaints: Complaints::default(),
        }
    }

    /// Where the service complains.
    #[must_use]
    pub fn complaints(&self) -> Complaints {
        Rc::clone(&self.complaints)
    }

    /// A service that answers every request in the same way.
    #[must_use]
    pub fn always(reaction: Reaction) -> Self {
        Self::new([Script::Serve {
            reactions: vec![reaction],
            idle: None,
        }])
    }
}

impl ScriptedService {
    fn serving(&self, reactions: Vec<Reaction>, idle: Option<Duration>, at_once: Then) -> Accept {
        let complaints = Rc::clone(&self.complaints);
        Accept::Peer(Box::new(Serving {
            reader: Reader::requests(),
            reactions: reactions.into(),
            idle,
            at_once,
            body: Vec::new(),
            rest: VecDeque::new(),
            then: Then::Keep,
            responding: false,
            complaints,
        }))
    }
}

impl Serve for ScriptedService {
    fn accept(&mut self, _now: Instant) -> Accept {
        let script = if self.scripts.len() > 1 {
            self.scripts.pop_front()
        } else {
            self.scripts.front().cloned()
        };
        match script {
            None | Some(Script::Refuse) => Accept::Refuse,
            Some(Script::Ignore) => Accept::Ignore,
            Some(Script::Accept(then)) => self.serving(vec![], None, then),
            Some(Script::Serve { reactions, idle }) => self.serving(reactions, idle, Then::Keep),
        }
    }
}

/// One connection being served.
struct Serving {
    reader: Reader,
    reactions: VecDeque<Reaction>,
    idle: Option<Duration>,
    at_once: Then,
    body: Vec<u8>,
    /// What is still to be sent, and what follows.
    rest: VecDeque<(Duration, Vec<u8>)>,
    then: Then,
    responding: bool,
    complaints: Complaints,
}

impl Serving {
    fn read(&mut self, actions: &mut Vec<Action>) {
        while !self.responding {
            match self.reader.next_piece() {
                Ok(None) => return,
                Ok(Some(Piece::Head(_))) => self.body.clear(),
                Ok(Some(Piece::Body(bytes))) => self.body.extend(bytes),
                Ok(Some(Piece::End(_))) => self.react(actions),
                Err(what) => {
                    self.complaints.borrow_mut().push(what);
                    return actions.push(Action::Reset);
                }
            }
        }
    }

    fn react(&mut self, actions: &mut Vec<Action>) {
        let reaction = if self.reactions.len() > 1 {
            self.reactions.pop_front()
        } else {
            self.reactions.front().cloned()
        };
        self.responding = true;
        match reaction {
            None | Some(Reaction::Silence) => {}
            Some(Reaction::Respond(parts, then)) => {
                (self.rest, self.then) = (parts.into(), then);
                self.send(actions);
            }
            Some(Reaction::Echo) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    self.body.len()
                );
                let bytes = [head.as_bytes(), &self.body].concat();
                self.rest = [(Duration::ZERO, bytes)].into();
                self.then = Then::Keep;
                self.send(actions);
            }
        }
    }

    /// Sends parts up to the next delay.
    fn send(&mut self, actions: &mut Vec<Action>) {
        while let Some((delay, bytes)) = self.rest.front_mut() {
            if !delay.is_zero() {
                return actions.push(Action::Sleep(std::mem::take(delay)));
            }
            actions.push(Action::Send(std::mem::take(bytes)));
            self.rest.pop_front();
        }
        self.responding = false;
        self.end(self.then, actions);
        self.read(actions);
    }

    fn end(&self, then: Then, actions: &mut Vec<Action>) {
        match then {
            Then::Keep => actions.extend(self.idle.map(Action::Sleep)),
            Then::Close => actions.push(Action::Close),
            Then::Reset => actions.push(Action::Reset),
            Then::Shutdown => actions.push(Action::Shutdown),
        }
    }
}

impl Peer for Serving {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Opened => self.end(self.at_once, actions),
            Event::Bytes(bytes) => {
                self.reader.feed(bytes);
                self.read(actions);
            }
            Event::Woken if self.responding => self.send(actions),
            Event::Woken if self.reader.is_between_messages() => actions.push(Action::Close),
            Event::Eof => actions.push(Action::Close),
            Event::Secured(_)
            | Event::NotSecured(_)
            | Event::Woken
            | Event::Refused
            | Event::Broken
            | Event::Signal(_) => {}
        }
    }
}
