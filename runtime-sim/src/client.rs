//! A scripted client: requests on one connection, and what came back. The signal `leave` makes it give up.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use outrigger_core::time::Instant;

use crate::peer::{Action, Event, Peer};
use crate::reader::{Head, Piece, Reader};

/// What a client saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Whole responses in order: head and body.
    pub responses: Vec<(Head, Vec<u8>)>,
    /// What went wrong: refused, broken, cut, unreadable.
    pub trouble: Option<String>,
    /// The client is done.
    pub done: bool,
}

/// Sends requests one after the other, each when the one before was answered, and closes.
#[derive(Debug)]
pub struct ScriptedClient {
    requests: VecDeque<Vec<u8>>,
    reader: Reader,
    current: Option<(Head, Vec<u8>)>,
    seen: Rc<RefCell<Transcript>>,
}

impl ScriptedClient {
    /// A client, and where to look for what it saw.
    #[must_use]
    pub fn new(requests: impl IntoIterator<Item = Vec<u8>>) -> (Self, Rc<RefCell<Transcript>>) {
        let seen = Rc::<RefCell<Transcript>>::default();
        let client = Self {
            requests: requests.into_iter().collect(),
            reader: Reader::responses(),
            current: None,
            seen: Rc::clone(&seen),
        };
        (client, seen)
    }

    fn next(&mut self, actions: &mut Vec<Action>) {
        match self.requests.pop_front() {
            Some(bytes) => {
                let end = bytes.iter().position(|b| *b == b' ').unwrap_or_default();
                self.reader.expect(&String::from_utf8_lossy(&bytes[..end]));
                actions.push(Action::Send(bytes));
            }
            None => {
                self.seen.borrow_mut().done = true;
                actions.push(Action::Close);
            }
        }
    }

    fn read(&mut self, actions: &mut Vec<Action>) {
        loop {
            match self.reader.next_piece() {
                Ok(None) => return,
                Ok(Some(Piece::Head(head))) => self.current = Some((head, Vec::new())),
                Ok(Some(Piece::Body(bytes))) => {
                    if let Some((_, body)) = &mut self.current {
                        body.extend(bytes);
                    }
                }
                Ok(Some(Piece::End(_))) => {
                    self.seen.borrow_mut().responses.extend(self.current.take());
                    self.next(actions);
                }
                Err(what) => return self.fail(what, actions),
            }
        }
    }

    fn fail(&self, what: impl Into<String>, actions: &mut Vec<Action>) {
        let mut seen = self.seen.borrow_mut();
        if !seen.done {
            seen.trouble = Some(what.into());
            seen.done = true;
            actions.push(Action::Close);
        }
    }
}

impl Peer for ScriptedClient {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Opened => self.next(actions),
            Event::Refused => self.fail("refused", actions),
            Event::NotSecured(why) => self.fail(why, actions),
            Event::Bytes(bytes) => {
                self.reader.feed(bytes);
                self.read(actions);
            }
            Event::Eof => {
                self.reader.feed_eof();
                self.read(actions);
                self.fail("the connection ended", actions);
            }
            Event::Broken => self.fail("the connection broke", actions),
            Event::Signal("leave") => self.fail("left", actions),
            Event::Woken | Event::Signal(_) | Event::Secured(_) => {}
        }
    }
}
