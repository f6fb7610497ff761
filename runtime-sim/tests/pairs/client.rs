//! A client: asks in either version, several things at a time where it can, and compares each answer with what was answered to
//! what it asked.

use std::collections::BTreeMap;
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};
use outrigger_sim::{Action, Dice, Event, Peer};

use crate::book::{Asked, Outcome, Shared, value};
use crate::clock::Clock;
use crate::endpoint::says;
use crate::h1::How;
use crate::h2::Heard;
use crate::kinds::Kind;
use crate::line::Line;
use crate::manner::Manner;
use crate::raw;
use crate::whose::Whose;

/// The most that is said of a body at once.
const PIECE: usize = 5000;

/// After so many times that nobody takes a connection it stays away.
const MOST_REFUSALS: u32 = 3;

/// A client.
pub(crate) struct Client {
    book: Shared,
    manner: Manner,
    dice: Dice,
    line: Line,
    work: BTreeMap<u32, Work>,
    clock: Clock<Due>,
    is_open: bool,
    /// There is something on it behind which nothing can be asked.
    is_spent: bool,
    refusals: u32,
}

/// A request under way.
#[derive(Debug)]
struct Work {
    request: usize,
    kind: Kind,
    body: usize,
    trailers: bool,
    said: usize,
    /// What arrived that is being answered.
    arrival: Option<usize>,
    status: u16,
    came: usize,
    /// The number that a tunnel begins with.
    first: Vec<u8>,
    is_tunnel: bool,
    /// All of it is said; the answer has ended.
    is_said: bool,
    has_ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    /// More of a body.
    More(u32),
    /// Nobody waits for this any more.
    Impatient(u32),
}

impl Client {
    pub(crate) fn new(book: &Shared, manner: Manner, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let line = Self::line(&manner, &mut dice);
        Self {
            book: Rc::clone(book),
            manner,
            dice,
            line,
            work: BTreeMap::new(),
            clock: Clock::new(),
            is_open: false,
            is_spent: false,
            refusals: 0,
        }
    }

    fn line(manner: &Manner, dice: &mut Dice) -> Line {
        match manner.is_new {
            true => Line::new(true, says(dice)),
            false => Line::old(true, manner.is_old),
        }
    }

    /// Asks as much as may be asked now.
    fn ask(&mut self, now: Instant) {
        let burst = match self.manner.is_new {
            true => self.manner.at_once,
            // Whatever follows a tunnel is none.
            false if self.work.is_empty() => self.dice.between(1, self.manner.at_once),
            false => return,
        };
        let may_ask = self.is_open && !self.is_spent;
        while may_ask && self.manner.requests > 0 && (self.work.len() as u64) < burst {
            if !self.line.has_room() {
                return;
            }
            let mut asked = self.manner.wish(&mut self.dice);
            if let Line::Two(line) = &self.line
                && asked.kind == Kind::Upgrade
                && !line.takes_connect
            {
                asked = Asked::new(Kind::Get, asked.host);
                (asked.outcome, asked.is_new) = (Outcome::Open, true);
                (asked.is_forbidden, asked.is_direct) =
                    (self.manner.is_forbidden, self.manner.is_direct);
            }
            self.manner.requests -= 1;
            let kind = asked.kind;
            self.begin(asked, burst == 1, now);
            if !self.manner.is_new && (self.manner.is_old || kind.is_tunnel()) {
                return;
            }
        }
    }

    fn begin(&mut self, asked: Asked, is_alone: bool, now: Instant) {
        let book = Rc::clone(&self.book);
        let book = &mut *book.borrow_mut();
        let request = book.asked.len();
        let version = if self.manner.is_new {
            2
        } else {
            usize::from(!self.manner.is_old)
        };
        book.counts.asks(asked.kind, version);
        let how = match asked.kind {
            Kind::Post => How::Length,
            Kind::Put => How::Chunks,
            Kind::Get | Kind::Head => How::Nothing,
            Kind::Upgrade | Kind::Connect => How::Tunnel,
        };
        let stream = self.line.ask(&asked.head(request), how);
        let patience = match self.dice.below(12) {
            _ if book.is_calm => 60_000,
            0 => self.dice.below(200),
            _ => 15_000 + self.dice.below(10_000),
        };
        self.clock.plan(now, patience, Due::Impatient(stream));
        let work = Work {
            request,
            kind: asked.kind,
            body: asked.body,
            trailers: asked.trailers,
            said: 0,
            arrival: None,
            status: 0,
            came: 0,
            first: Vec::new(),
            is_tunnel: false,
            is_said: false,
            has_ended: false,
        };
        book.asked.push(asked);
        let is_tunnel = work.kind.is_tunnel();
        self.work.insert(stream, work);
        if is_tunnel {
            return;
        }
        match self.dice.coin() && (is_alone || self.manner.is_new) {
            true => self.clock.plan(now, self.dice.below(3), Due::More(stream)),
            // What is asked in HTTP/1 may have others behind it.
            false => while self.say(stream) {},
        }
    }

    /// Says some more of a body; whether there is more.
    fn say(&mut self, stream: u32) -> bool {
        let Some(work) = self
            .work
            .get_mut(&stream)
            .filter(|_| self.line.knows(stream))
        else {
            return false;
        };
        let count = PIECE.min(work.body - work.said);
        if count > 0 {
            let bytes = Whose::Request(work.request).bytes(work.said, count);
            self.line.data(stream, bytes);
            work.said += count;
        }
        if work.said < work.body {
            return true;
        }
        let trailers = match work.trailers {
            true => Whose::Request(work.request).trailers(),
            false => Vec::new(),
        };
        self.line.end(stream, trailers);
        work.is_said = true;
        false
    }

    fn hear(&mut self, heard: Heard, now: Instant) -> Result<(), String> {
        let book = Rc::clone(&self.book);
        let book = &mut *book.borrow_mut();
        match heard {
            Heard::Head(stream, fields) => {
                let Some(work) = self.work.get_mut(&stream) else {
                    return Err(format!("an answer to nothing: {fields:?}"));
                };
                let status = value(&fields, ":status").and_then(|text| text.parse().ok());
                let status: u16 = status.ok_or_else(|| format!("no status: {fields:?}"))?;
                if (100..200).contains(&status) && status != 101 {
                    return match value(&fields, "link") {
                        Some(_) => Ok(()),
                        None => Err(format!("nobody said this between: {fields:?}")),
                    };
                }
                if work.status != 0 {
                    return Err(format!("a second answer to {work:?}: {fields:?}"));
                }
                work.status = status;
                work.arrival = book.answered(work.request, &fields)?;
                work.is_tunnel = match work.kind {
                    Kind::Upgrade if self.manner.is_new => status == 200,
                    Kind::Upgrade => status == 101,
                    Kind::Connect => (200..300).contains(&status),
                    _ => false,
                };
                if status == 101 && !work.is_tunnel {
                    return Err(format!("nobody asked for another protocol: {work:?}"));
                }
                if work.is_tunnel {
                    self.is_spent |= !self.manner.is_new;
                    book.counts.tunnels += 1;
                    book.asked[work.request].is_opened = true;
                    if work.kind == Kind::Connect {
                        self.line.data(stream, raw::written(work.request));
                    }
                    self.clock.plan(now, self.dice.below(5), Due::More(stream));
                }
                Ok(())
            }
            Heard::Data(stream, bytes) => {
                let Some(work) = self.work.get_mut(&stream) else {
                    return Err(format!("{} bytes to nothing", bytes.len()));
                };
                let mut bytes = &bytes[..];
                if work.is_tunnel && work.kind == Kind::Connect && work.arrival.is_none() {
                    let needed = (raw::DIGITS - work.first.len()).min(bytes.len());
                    let (own, rest) = bytes.split_at(needed);
                    work.first.extend_from_slice(own);
                    bytes = rest;
                    if work.first.len() < raw::DIGITS {
                        return Ok(());
                    }
                    let arrival = raw::read(&work.first)?;
                    let of = book.arrivals.get(arrival);
                    if of.is_none_or(|of| of.request != work.request) {
                        return Err(format!("the tunnel of {of:?} goes to {work:?}"));
                    }
                    work.arrival = Some(arrival);
                }
                if let Some(arrival) = work.arrival {
                    Whose::Arrival(arrival).check(work.came, bytes)?;
                }
                work.came += bytes.len();
                Ok(())
            }
            Heard::End(stream, trailers) => {
                let Some(work) = self.work.get_mut(&stream) else {
                    return Err("the end of nothing".to_owned());
                };
                match work.arrival {
                    Some(arrival) => {
                        book.answer_ends(work.request, arrival, work.came, &trailers)?;
                    }
                    None if work.is_tunnel => return Err(format!("nothing came of {work:?}")),
                    None => {}
                }
                book.asked[work.request].outcome = Outcome::Answered(work.status);
                work.has_ended = true;
                // What is left of a body would be taken for the next request.
                self.is_spent |= !work.is_said && !self.manner.is_new;
                // The other direction of a tunnel goes on.
                if !work.is_tunnel || work.is_said {
                    self.work.remove(&stream);
                }
                Ok(())
            }
            Heard::Reset(stream, code) => {
                if let Some(work) = self.work.remove(&stream) {
                    let outcome = &mut book.asked[work.request].outcome;
                    if *outcome == Outcome::Open {
                        *outcome = match (work.status, code) {
                            (0, 7) => Outcome::Unheard,
                            (0, _) => Outcome::Lost,
                            (_, _) => Outcome::Cut,
                        };
                    }
                }
                Ok(())
            }
            Heard::Leaves(last) => {
                for (_, work) in self.work.split_off(&(last + 1)) {
                    book.asked[work.request].outcome = Outcome::Unheard;
                }
                Ok(())
            }
        }
    }

    /// The connection is over: what was under way on it has ended like that.
    fn lose(&mut self) {
        let book = &mut *self.book.borrow_mut();
        let (mut is_first, is_new) = (true, self.manner.is_new);
        for (_, work) in std::mem::take(&mut self.work) {
            let outcome = &mut book.asked[work.request].outcome;
            if *outcome == Outcome::Open {
                *outcome = match work.status {
                    0 if is_new || is_first && !self.line.is_left() => Outcome::Lost,
                    0 => Outcome::Unheard,
                    _ => Outcome::Cut,
                };
            }
            is_first = false;
        }
        self.clock.clear();
        self.is_open = false;
    }

    /// Leaves, with everything that was under way.
    fn leave(&mut self, how: Action, actions: &mut Vec<Action>) {
        let book = &mut *self.book.borrow_mut();
        for (_, work) in std::mem::take(&mut self.work) {
            book.asked[work.request].leaves();
        }
        self.clock.clear();
        self.is_open = false;
        actions.push(how);
    }

    fn feed(&mut self, bytes: &[u8], is_eof: bool, now: Instant) -> Result<(), String> {
        for heard in self.line.feed(bytes, is_eof)? {
            self.hear(heard, now)?;
        }
        Ok(())
    }

    fn woken(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while let Some(due) = self.clock.next(now) {
            match due {
                Due::More(stream) => {
                    if self.say(stream) {
                        self.clock.plan(now, self.dice.below(4), Due::More(stream));
                    } else if self.work.get(&stream).is_some_and(|work| work.has_ended) {
                        self.work.remove(&stream);
                    }
                }
                Due::Impatient(stream) if self.work.contains_key(&stream) => {
                    let how = if self.dice.coin() {
                        Action::Close
                    } else {
                        Action::Reset
                    };
                    match self.line.cancel(stream, how) {
                        Some(how) => self.leave(how, actions),
                        None => {
                            if let Some(work) = self.work.remove(&stream) {
                                self.book.borrow_mut().asked[work.request].leaves();
                            }
                        }
                    }
                }
                Due::Impatient(_) => {}
            }
        }
    }

    /// Asks on, or ends what is of no more use.
    fn go_on(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if !self.is_open {
            return;
        }
        let was_busy = !self.work.is_empty();
        self.ask(now);
        let is_done = self.manner.requests == 0 || self.line.is_left() || self.is_spent;
        if !was_busy && self.work.is_empty() && is_done {
            self.line.flush(actions);
            self.clock.clear();
            self.is_open = false;
            actions.push(Action::Close);
        }
    }
}

impl Peer for Client {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        let heard = match event {
            Event::Opened => {
                self.line = Self::line(&self.manner, &mut self.dice);
                (self.is_open, self.is_spent) = (true, false);
                Ok(())
            }
            Event::Refused | Event::NotSecured(_) => {
                self.refusals += 1;
                Ok(())
            }
            _ if !self.is_open => return,
            Event::Bytes(bytes) => self.feed(bytes, false, now),
            Event::Eof => {
                let heard = self.feed(&[], true, now);
                let goes_on = self
                    .work
                    .values()
                    .any(|work| work.is_tunnel && work.has_ended);
                if !goes_on && heard.is_ok() {
                    self.lose();
                    actions.push(Action::Close);
                }
                heard
            }
            Event::Broken => {
                self.lose();
                Ok(())
            }
            Event::Woken => {
                self.woken(now, actions);
                Ok(())
            }
            Event::Secured(_) => {
                self.book.borrow_mut().counts.secured += 1;
                Ok(())
            }
            Event::Signal(_) => Ok(()),
        };
        if let Err(what) = heard {
            self.book.borrow_mut().complain(format!("a client: {what}"));
            return self.leave(Action::Reset, actions);
        }
        self.go_on(now, actions);
        if self.is_open {
            self.line.flush(actions);
            self.clock.arm(now, actions);
        }
    }

    fn is_finished(&self) -> bool {
        !self.is_open && (self.manner.requests == 0 || self.refusals > MOST_REFUSALS)
    }

    fn returns_after(&mut self) -> Option<Duration> {
        let again = self.manner.requests > 0 && self.refusals <= MOST_REFUSALS;
        again.then(|| Duration::from_millis(1 + self.dice.below(20)))
    }
}
