//! A script being played at one end of one connection; a [`Peer`], so simulation and sockets play it alike.

use std::sync::Arc;

use outrigger_core::time::Instant;
use outrigger_sim::{Action as Do, Event, Head, Peer, Piece, Reader};

use crate::board::{Part, Progress, SharedBoard};
use crate::compare;
use crate::escape::readable;
use crate::script::{self, Action, Awaited, Role, Step};

/// A message being read.
#[derive(Debug, Default)]
struct Message {
    head: Head,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    ended: bool,
    /// Body bytes that were compared already.
    taken: usize,
}

/// One script, being played.
#[derive(Debug)]
pub struct Actor {
    part: Part,
    role: Role,
    steps: Arc<[Step]>,
    at: usize,
    /// Begins again at its end.
    repeats: bool,
    reader: Reader,
    message: Option<Message>,
    /// The message belongs to the step that stands.
    is_current: bool,
    is_open: bool,
    is_reading: bool,
    eof: bool,
    broken: bool,
    connect_method: bool,
    tally: Vec<String>,
}

impl Actor {
    /// An actor at the beginning of its script. `name` is unique in its case.
    #[must_use]
    pub fn new(
        file: &str,
        name: String,
        role: Role,
        steps: Arc<[Step]>,
        repeats: bool,
        board: SharedBoard,
    ) -> Self {
        let part = Part::new(file, name, board);
        if !repeats {
            part.stand_at(steps.first().map_or(0, |s| s.line));
        }
        Self {
            part,
            role,
            steps,
            at: 0,
            repeats,
            reader: match role {
                Role::Client => Reader::responses(),
                Role::Service => Reader::requests(),
            },
            message: None,
            is_current: false,
            is_open: false,
            is_reading: true,
            eof: false,
            broken: false,
            connect_method: false,
            tally: Vec::new(),
        }
    }

    fn play(&mut self, out: &mut Vec<Do>) {
        if !self.is_open || self.part.is_over() {
            return;
        }
        let steps = Arc::clone(&self.steps);
        loop {
            if self.at == steps.len() && self.repeats {
                self.at = 0;
            }
            let Some(step) = steps.get(self.at) else {
                return self.finish(out);
            };
            if !self.repeats {
                self.part.stand_at(step.line);
            }
            match self.perform(&step.action, out) {
                Ok(Progress::Done) => {
                    self.at += 1;
                    self.is_current = false;
                }
                Ok(Progress::Wait) | Err(_) if self.is_idle_repeat() => {
                    return self.part.leave(out);
                }
                Ok(Progress::Wait) => return,
                Err(what) => return self.part.fail(step.line, &what, out),
            }
        }
    }

    /// A repeating service that is between two turns when the connection ends.
    fn is_idle_repeat(&self) -> bool {
        self.repeats && self.at == 0 && !self.is_current && (self.eof || self.broken)
    }

    /// TLS is not agreed on, which may be what is awaited.
    fn not_secured(&mut self, why: &str, out: &mut Vec<Do>) {
        self.part.meet(Err(why));
        (self.is_open, self.broken) = (true, true);
        let step = self.steps.get(self.at);
        if self.repeats {
            self.part.leave(out);
        } else if !script::awaits_no_tls(step) {
            let line = step.map_or(0, |step| step.line);
            self.part
                .fail(line, &format!("no TLS is agreed on: {why}"), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Do>) {
        let last = self.steps.last().map_or(0, |s| s.line);
        // What is left of the last message does not matter; another one does.
        loop {
            let whole = self.message.as_ref().is_none_or(|m| m.ended);
            match self.pump() {
                Ok(true) if whole => {
                    let line = self.message.as_ref().map_or("", |m| &m.head.line);
                    return self.part.fail(last, &format!("unexpected: {line}"), out);
                }
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        self.part.finish(out);
        if self.role == Role::Client || self.eof || self.broken {
            self.part.leave(out);
        }
    }

    fn perform(&mut self, action: &Action, out: &mut Vec<Do>) -> Result<Progress, String> {
        let done = Ok(Progress::Done);
        match action {
            Action::Frames => Err("it is no script of frames".to_owned()),
            Action::Send(bytes) => {
                self.on_send(bytes);
                out.push(Do::Send(bytes.clone()));
                done
            }
            Action::Await(wanted) => self.await_message(wanted),
            Action::Collect => self.collect(),
            Action::AwaitBytes(wanted) => self.await_bytes(wanted),
            Action::Judge(tally) => {
                let bodies = std::mem::take(&mut self.tally);
                tally.judge(&bodies).map(|()| Progress::Done)
            }
            Action::ExpectClose => self.await_close(),
            Action::ExpectCut => self.await_cut(),
            Action::ExpectReset => {
                if self.eof {
                    return Err("expected a reset, got an ordinary close".to_owned());
                }
                Ok(Progress::wait_unless(self.broken))
            }
            Action::ExpectEnd => self.await_end(),
            Action::Read(reads) => {
                self.is_reading = *reads;
                done
            }
            Action::Raw => {
                self.reader.become_tunnel();
                self.message = Some(Message::default());
                done
            }
            Action::Plain(plain) => self.part.perform(plain, out),
        }
    }

    /// What is sent decides how the answer is framed.
    fn on_send(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match self.role {
            Role::Client => {
                for line in text.split("\r\n").filter(|l| l.contains(" HTTP/1.")) {
                    let method = line.split(' ').next().unwrap_or_default();
                    self.reader.expect(method);
                }
            }
            Role::Service => {
                let agreed = text.starts_with("HTTP/1.1 101")
                    || self.connect_method && text.starts_with("HTTP/1.1 2");
                if agreed {
                    self.reader.become_tunnel();
                    self.message = Some(Message::default());
                }
            }
        }
    }

    /// Reads one piece into the message; `false` when there is none.
    fn pump(&mut self) -> Result<bool, String> {
        match self.reader.next_piece()? {
            None => return Ok(false),
            Some(Piece::Head(head)) => {
                let interim =
                    self.role == Role::Client && head.status().is_some_and(|s| s < 200 && s != 101);
                self.connect_method = head.line.starts_with("CONNECT ");
                self.message = Some(Message {
                    head,
                    ended: interim,
                    ..Message::default()
                });
            }
            Some(Piece::Body(bytes)) => {
                self.message.get_or_insert_default().body.extend(bytes);
            }
            Some(Piece::End(trailers)) => {
                let message = self.message.get_or_insert_default();
                message.trailers = trailers;
                message.ended = true;
            }
        }
        Ok(true)
    }

    /// Nothing more can be read now: is that the end?
    fn starve(&self, of: &str) -> Result<Progress, String> {
        if self.broken {
            return Err(format!("the connection broke; {of} was awaited"));
        }
        if self.eof {
            return Err(format!("the connection ended; {of} was awaited"));
        }
        Ok(Progress::Wait)
    }

    /// Gets a new message's head; `false` when there is none yet.
    fn begin(&mut self) -> Result<bool, String> {
        while self.message.as_ref().is_some_and(|m| !m.ended) {
            if !self.pump()? {
                return Ok(false);
            }
        }
        self.message = None;
        while self.message.is_none() {
            if !self.pump()? {
                return Ok(false);
            }
        }
        self.is_current = true;
        Ok(true)
    }

    fn read_to_end(&mut self) -> Result<bool, String> {
        while self.message.as_ref().is_some_and(|m| !m.ended) {
            if !self.pump()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn await_message(&mut self, wanted: &Awaited) -> Result<Progress, String> {
        if !self.is_current {
            if !self.begin()? {
                return self.starve(&format!("`{}`", wanted.first));
            }
            let head = &self.message.get_or_insert_default().head;
            if let Some(difference) = compare::head(wanted, head) {
                return Err(difference);
            }
        }
        if wanted.body.is_none() {
            return Ok(Progress::Done);
        }
        if !self.read_to_end()? {
            return self.starve("the end of a message");
        }
        let message = self.message.get_or_insert_default();
        message.taken = message.body.len();
        match compare::body(wanted, &message.body, &message.trailers) {
            Some(difference) => Err(difference),
            None => Ok(Progress::Done),
        }
    }

    fn collect(&mut self) -> Result<Progress, String> {
        if !self.is_current && !self.begin()? || !self.read_to_end()? {
            return self.starve("a response");
        }
        let message = self.message.get_or_insert_default();
        self.tally.push(if message.head.status() == Some(200) {
            readable(&message.body)
        } else {
            message.head.line.clone()
        });
        Ok(Progress::Done)
    }

    fn await_bytes(&mut self, wanted: &[u8]) -> Result<Progress, String> {
        loop {
            let message = self.message.get_or_insert_default();
            let got = &message.body[message.taken..];
            if got.len() >= wanted.len() || !wanted.starts_with(got) {
                if !got.starts_with(wanted) {
                    let (wanted, got) = (readable(wanted), readable(got));
                    return Err(format!("expected: {wanted}\n     got: {got}"));
                }
                message.taken += wanted.len();
                return Ok(Progress::Done);
            }
            if message.ended {
                return Err(format!(
                    "the message ended; `{}` was awaited",
                    readable(wanted)
                ));
            }
            if !self.pump()? {
                return self.starve(&format!("`{}`", readable(wanted)));
            }
        }
    }

    fn await_end(&mut self) -> Result<Progress, String> {
        if !self.read_to_end()? {
            return self.starve("the end of a message");
        }
        let message = self.message.get_or_insert_default();
        let rest = &message.body[message.taken..];
        if !rest.is_empty() {
            return Err(format!("the message goes on: {}", readable(rest)));
        }
        Ok(Progress::Done)
    }

    /// All that was sent was whole, and then the connection ended.
    fn await_close(&mut self) -> Result<Progress, String> {
        loop {
            let between = self.message.as_ref().is_none_or(|m| m.ended);
            if !self.pump()? {
                break;
            }
            if between {
                let line = self.message.as_ref().map_or("", |m| &m.head.line);
                return Err(format!("expected the end of the connection, got: {line}"));
            }
        }
        Ok(Progress::wait_unless(self.eof || self.broken))
    }

    fn await_cut(&mut self) -> Result<Progress, String> {
        loop {
            match self.pump() {
                Ok(true) => {}
                Ok(false) if self.broken => return Ok(Progress::Done),
                Ok(false) if self.eof => return Err("the message was whole".to_owned()),
                Ok(false) => return Ok(Progress::Wait),
                Err(_) => return Ok(Progress::Done),
            }
        }
    }
}

impl Peer for Actor {
    fn is_reading(&self) -> bool {
        self.is_reading
    }

    fn on_event(&mut self, event: Event<'_>, _now: Instant, out: &mut Vec<Do>) {
        match event {
            Event::Opened => self.is_open = true,
            Event::Secured(met) => self.part.meet(Ok(met)),
            Event::NotSecured(why) => self.not_secured(why, out),
            Event::Refused => {
                let line = self.steps.first().map_or(0, |s| s.line);
                self.part.fail(line, "the connection was refused", out);
            }
            Event::Bytes(bytes) => self.reader.feed(bytes),
            Event::Eof => {
                self.eof = true;
                self.reader.feed_eof();
            }
            Event::Broken => self.broken = true,
            Event::Woken => self.part.wake(),
            Event::Signal(name) => self.part.hear_signal(name),
        }
        self.play(out);
    }
}
