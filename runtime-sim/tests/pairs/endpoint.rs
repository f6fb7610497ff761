//! An endpoint: reads what arrives by itself, compares it with what was sent, and answers in many ways, some of them bad.

use std::collections::BTreeMap;
use std::rc::Rc;

use outrigger_core::time::Instant;
use outrigger_sim::{Accept, Action, Dice, Event, Peer, Serve};

use crate::book::{Book, Fault, Reply, Shape, Shared, value};
use crate::clock::Clock;
use crate::h1::How;
use crate::h2::{Heard, PREFACE, REFUSED, Says};
use crate::line::Line;
use crate::whose::Whose;

/// The most that is said of a body at once.
const PIECE: usize = 3000;

/// What it is known of TLS beneath it, where there is any.
#[derive(Clone, Debug)]
pub(crate) struct Beneath {
    /// The host that is asked for, by its full name.
    pub(crate) host: String,
    pub(crate) principal: String,
}

/// An endpoint.
pub(crate) struct Endpoint {
    pub(crate) book: Shared,
    pub(crate) service: &'static str,
    pub(crate) beneath: Option<Beneath>,
}

impl Serve for Endpoint {
    fn accept(&mut self, _now: Instant) -> Accept {
        let book = &mut *self.book.borrow_mut();
        match !book.is_calm && book.dice.below(100) == 0 {
            true => Accept::Refuse,
            false => Accept::Peer(Box::new(Serving::new(
                Rc::clone(&self.book),
                self.service,
                self.beneath.clone(),
            ))),
        }
    }
}

/// One connection.
struct Serving {
    book: Shared,
    service: &'static str,
    line: Option<Line>,
    /// Bytes before it is known what is spoken.
    first: Vec<u8>,
    work: BTreeMap<u32, Work>,
    clock: Clock<Due>,
    beneath: Option<Beneath>,
    is_over: bool,
}

/// A request that is here.
#[derive(Clone, Copy, Debug)]
struct Work {
    arrival: usize,
    reply: Reply,
    /// A websocket is asked for, and agreed to.
    is_websocket: bool,
    is_tunnel: bool,
    is_head: bool,
    /// The whole of it is here.
    is_whole: bool,
    /// The answer has begun; so many bytes of it are said.
    has_begun: bool,
    said: usize,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    /// The answer begins.
    Answer(u32),
    /// It goes on.
    More(u32),
}

/// What is answered. A tunnel has no status of its own here.
pub(crate) fn reply(book: &mut Book, is_new: bool) -> Reply {
    let is_calm = book.is_calm;
    let dice = &mut book.dice;
    let body = match dice.below(24) {
        0..8 => dice.below(200) as usize,
        8..16 => dice.below(4000) as usize,
        16 => dice.below(100_000) as usize,
        _ => 0,
    };
    let shape = match dice.below(8) {
        0..3 => Shape::Length,
        3..7 => Shape::Chunks,
        _ => Shape::UntilEnd,
    };
    let status = match dice.below(16) {
        0 if !is_calm => 503,
        1 => 404,
        2 if body == 0 => 204,
        _ => 200,
    };
    let fault = match dice.below(60) {
        _ if is_calm => None,
        0 => Some(Fault::Silence),
        1 | 2 => Some(Fault::Before),
        3 | 4 if body > 0 => Some(Fault::Within(dice.below(body as u64) as usize)),
        5 if is_new => Some(Fault::Refused),
        _ => None,
    };
    Reply {
        status,
        body,
        trailers: shape == Shape::Chunks && status != 204 && dice.coin(),
        interim: if dice.below(8) == 0 {
            dice.between(1, 2) as usize
        } else {
            0
        },
        wait: dice.below(4) * dice.below(30),
        shape,
        fault,
    }
}

impl Serving {
    const fn new(book: Shared, service: &'static str, beneath: Option<Beneath>) -> Self {
        Self {
            book,
            service,
            line: None,
            first: Vec::new(),
            work: BTreeMap::new(),
            clock: Clock::new(),
            beneath,
            is_over: false,
        }
    }

    fn complain(&mut self, what: String, actions: &mut Vec<Action>) {
        self.book
            .borrow_mut()
            .complain(format!("an endpoint: {what}"));
        self.end(Action::Reset, actions);
    }

    fn end(&mut self, how: Action, actions: &mut Vec<Action>) {
        if !std::mem::replace(&mut self.is_over, true) {
            actions.push(how);
        }
    }

    /// Finds out what is spoken.
    fn begin(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.first.extend_from_slice(bytes);
        let first = std::mem::take(&mut self.first);
        if PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            self.first = first;
            return None;
        }
        let dice: &mut Dice = &mut self.book.borrow_mut().dice;
        self.line = Some(match first.starts_with(PREFACE) {
            true => Line::new(false, says(dice)),
            false => Line::old(false, false),
        });
        Some(first)
    }

    fn feed(&mut self, bytes: &[u8], is_eof: bool, now: Instant, actions: &mut Vec<Action>) {
        let bytes = match self.line {
            Some(_) => bytes.to_vec(),
            None => match self.begin(bytes) {
                Some(bytes) => bytes,
                None => return,
            },
        };
        let Some(line) = &mut self.line else {
            return;
        };
        match line.feed(&bytes, is_eof) {
            Err(what) => self.complain(what, actions),
            Ok(heard) => {
                for heard in heard {
                    if let Err(what) = self.hear(heard, now, actions) {
                        return self.complain(what, actions);
                    }
                }
            }
        }
    }

    fn hear(
        &mut self,
        heard: Heard,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Result<(), String> {
        let book = Rc::clone(&self.book);
        let book = &mut *book.borrow_mut();
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        match heard {
            Heard::Head(stream, fields) => {
                let mut reply = reply(book, line.is_new());
                let is_websocket = value(&fields, ":protocol").is_some();
                if is_websocket {
                    reply.interim = 0;
                    (reply.trailers, reply.shape) = (false, Shape::Length);
                    reply.status = match (book.dice.below(8), line.is_new()) {
                        (0, _) => 403,
                        (_, true) => 200,
                        (_, false) => 101,
                    };
                }
                let arrival = book.arrives(&fields, self.service, reply)?;
                book.counts.arrivals_in_http2 += u64::from(line.is_new());
                if reply.fault == Some(Fault::Refused) {
                    actions.extend(line.break_off(stream, REFUSED, Action::Reset));
                    return Ok(());
                }
                let work = Work {
                    arrival,
                    reply,
                    is_websocket,
                    is_tunnel: is_websocket && reply.status != 403,
                    is_head: value(&fields, ":method") == Some("HEAD"),
                    is_whole: false,
                    has_begun: false,
                    said: 0,
                };
                self.work.insert(stream, work);
                // A tunnel is agreed to before anything comes through it.
                if is_websocket {
                    self.clock.plan(now, reply.wait, Due::Answer(stream));
                }
                Ok(())
            }
            Heard::Data(stream, bytes) => match self.work.get(&stream) {
                Some(work) => book.body_arrives(work.arrival, &bytes),
                None => Ok(()),
            },
            Heard::End(stream, trailers) => {
                let Some(work) = self.work.get_mut(&stream) else {
                    return Ok(());
                };
                match (work.is_websocket, work.is_tunnel) {
                    // The end of the head, in HTTP/1.
                    (true, _) if !line.is_new() && !work.has_begun => return Ok(()),
                    (true, false) => {}
                    (true, true) => book.is_whole(work.arrival, &trailers)?,
                    (false, _) => {
                        book.is_whole(work.arrival, &trailers)?;
                        let wait = work.reply.wait;
                        self.clock.plan(now, wait, Due::Answer(stream));
                    }
                }
                work.is_whole = true;
                if book.arrivals[work.arrival].is_said {
                    self.work.remove(&stream);
                }
                Ok(())
            }
            Heard::Reset(stream, _) => {
                self.work.remove(&stream);
                Ok(())
            }
            Heard::Leaves(_) => Ok(()),
        }
    }

    /// Begins an answer.
    fn answer(&mut self, stream: u32, now: Instant, actions: &mut Vec<Action>) {
        let (Some(work), Some(line)) = (self.work.get_mut(&stream), &mut self.line) else {
            return;
        };
        work.has_begun = true;
        let (work, reply) = (*work, work.reply);
        match reply.fault {
            Some(Fault::Silence) => return,
            Some(Fault::Before) => {
                let how = if reply.wait % 2 == 0 {
                    Action::Reset
                } else {
                    Action::Close
                };
                let ends = line.break_off(stream, 2, how);
                self.work.remove(&stream);
                if let Some(how) = ends {
                    self.end(how, actions);
                }
                return;
            }
            Some(Fault::Within(_) | Fault::Refused) | None => {}
        }
        for _ in 0..reply.interim {
            let interim = [
                (":status".to_owned(), "103".to_owned()),
                ("link".to_owned(), "</style.css>; rel=preload".to_owned()),
            ];
            line.head(stream, &interim, How::Nothing);
        }
        let mut fields = self.book.borrow().answer(work.arrival);
        let has_body = reply.status != 204 && !work.is_head;
        let how = match (work.is_tunnel, reply.shape) {
            (true, _) => How::Tunnel,
            _ if reply.status == 204 => How::Nothing,
            (_, Shape::Length) => {
                fields.push(("content-length".to_owned(), reply.body.to_string()));
                if has_body { How::Length } else { How::Nothing }
            }
            _ if !has_body => How::Nothing,
            (_, Shape::Chunks) => How::Chunks,
            (_, Shape::UntilEnd) => How::UntilEnd,
        };
        line.head(stream, &fields, how);
        if !has_body && !work.is_tunnel {
            return self.ends(stream, actions);
        }
        self.say(stream, now, actions);
    }

    /// Says some more of a body.
    fn say(&mut self, stream: u32, now: Instant, actions: &mut Vec<Action>) {
        let (Some(work), Some(line)) = (self.work.get_mut(&stream), &mut self.line) else {
            return;
        };
        if !line.knows(stream) {
            return;
        }
        let most = match work.reply.fault {
            Some(Fault::Within(at)) => at,
            _ => work.reply.body,
        };
        let count = PIECE.min(most - work.said);
        if count > 0 {
            let bytes = Whose::Arrival(work.arrival).bytes(work.said, count);
            line.data(stream, bytes);
            work.said += count;
        }
        if work.said < most {
            let wait = self.book.borrow_mut().dice.below(3);
            return self.clock.plan(now, wait, Due::More(stream));
        }
        if let Some(Fault::Within(_)) = work.reply.fault {
            let ends = line.break_off(stream, 2, Action::Reset);
            self.work.remove(&stream);
            line.flush(actions);
            if let Some(how) = ends {
                self.end(how, actions);
            }
            return;
        }
        self.ends(stream, actions);
    }

    fn ends(&mut self, stream: u32, actions: &mut Vec<Action>) {
        let (Some(work), Some(line)) = (self.work.get_mut(&stream), &mut self.line) else {
            return;
        };
        self.book.borrow_mut().arrivals[work.arrival].is_said = true;
        let trailers = match work.reply.trailers && !work.is_head {
            true => Whose::Arrival(work.arrival).trailers(),
            false => Vec::new(),
        };
        line.end(stream, trailers);
        line.flush(actions);
        if work.is_whole {
            self.work.remove(&stream);
        }
    }

    fn woken(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some(due) = self.clock.next(now) {
            match due {
                Due::Answer(stream) => self.answer(stream, now, actions),
                Due::More(stream) => self.say(stream, now, actions),
            }
        }
    }

    fn secured(&mut self, met: &outrigger_sim::Met) -> Result<(), String> {
        let Some(beneath) = &self.beneath else {
            return Ok(());
        };
        self.book.borrow_mut().counts.secured += 1;
        let names = met.certificate.iter().flat_map(|c| c.uri_names.iter());
        let is_known = names.clone().any(|name| **name == *beneath.principal);
        let offers = met.offered.iter().any(|name| name.starts_with("istio"));
        // Istio's name for a port and perhaps a subset of it.
        let sni = met
            .sni
            .as_deref()
            .and_then(|sni| sni.strip_prefix("outbound_.8080_."));
        let part = sni.and_then(|sni| sni.strip_suffix(&*beneath.host));
        let is_named = part.is_some_and(|part| ["_", "v1_", "v2_"].contains(&part));
        match is_known && offers && is_named {
            true => Ok(()),
            false => Err(format!("{met:?} instead of {beneath:?}")),
        }
    }
}

pub(crate) fn says(dice: &mut Dice) -> Says {
    Says {
        table: [4096, 4096, 0, 200][dice.below(4) as usize],
        window: [65_535, 200_000][dice.below(2) as usize],
        streams: [None, None, Some(1), Some(3)][dice.below(4) as usize],
    }
}

impl Peer for Serving {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        if self.is_over {
            return;
        }
        match event {
            Event::Secured(met) => {
                if let Err(what) = self.secured(met) {
                    self.complain(what, actions);
                }
            }
            Event::Bytes(bytes) => self.feed(bytes, false, now, actions),
            Event::Woken => self.woken(now, actions),
            Event::Eof => {
                self.feed(&[], true, now, actions);
                // A tunnel goes on in the other direction.
                let goes_on = self.work.values().any(|work| work.is_tunnel);
                if !goes_on {
                    self.end(Action::Close, actions);
                }
            }
            Event::Broken | Event::NotSecured(_) => self.is_over = true,
            Event::Opened | Event::Refused | Event::Signal(_) => {}
        }
        if !self.is_over
            && let Some(line) = &mut self.line
        {
            line.flush(actions);
            self.clock.arm(now, actions);
        }
    }

    fn is_finished(&self) -> bool {
        self.is_over
    }
}
