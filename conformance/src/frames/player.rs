//! A script in frames being played at one end of one connection; a [`Peer`], as `actor` is one.
//!
//! It acknowledges SETTINGS and answers PING by itself, and gives back credit for DATA, until the script says `* raw` or
//! `* stop reading`.

use std::sync::Arc;

use outrigger_core::time::Instant;
use outrigger_sim::{Action as Do, Event, Head, Peer};

use super::heard::{Frames, Heard};
use super::text::put;
use crate::board::{Part, Progress, SharedBoard};
use crate::compare;
use crate::escape::readable;
use crate::script::{self, Action, Awaited, Role, Step};

/// One script, being played.
pub struct Player {
    part: Part,
    role: Role,
    steps: Arc<[Step]>,
    at: usize,
    frames: Frames,
    /// What came and was not awaited yet.
    heard: Vec<Heard>,
    answers: bool,
    gives_credit: bool,
    /// By stream; 0 is the connection.
    owed: Vec<(u32, u32)>,
    is_open: bool,
    /// Nothing more comes.
    is_ended: bool,
    broken: bool,
}

impl Player {
    /// A player at the beginning of its script. `name` is unique in its case.
    #[must_use]
    pub fn new(
        file: &str,
        name: String,
        role: Role,
        steps: Arc<[Step]>,
        board: SharedBoard,
    ) -> Self {
        let part = Part::new(file, name, board);
        part.stand_at(steps.first().map_or(0, |step| step.line));
        Self {
            part,
            role,
            steps,
            at: 0,
            frames: Frames::new(role == Role::Service),
            heard: Vec::new(),
            answers: true,
            gives_credit: true,
            owed: Vec::new(),
            is_open: false,
            is_ended: false,
            broken: false,
        }
    }

    fn play(&mut self, out: &mut Vec<Do>) {
        if !self.is_open || self.part.is_over() {
            return;
        }
        let steps = Arc::clone(&self.steps);
        while let Some(step) = steps.get(self.at) {
            self.part.stand_at(step.line);
            match self.perform(&step.action, out) {
                Ok(Progress::Done) => self.at += 1,
                Ok(Progress::Wait) => return,
                Err(what) => return self.part.fail(step.line, &what, out),
            }
        }
        self.finish(out);
    }

    /// TLS is not agreed on, which may be what is awaited.
    fn not_secured(&mut self, why: &str, out: &mut Vec<Do>) {
        self.part.meet(Err(why));
        (self.is_open, self.is_ended, self.broken) = (true, true, true);
        let step = self.steps.get(self.at);
        let is_awaited = script::awaits_no_tls(step)
            || step.is_some_and(|step| step.action == Action::Frames)
                && script::awaits_no_tls(self.steps.get(self.at + 1));
        if !is_awaited {
            let line = step.map_or(0, |step| step.line);
            self.part
                .fail(line, &format!("no TLS is agreed on: {why}"), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Do>) {
        let last = self.steps.last().map_or(0, |step| step.line);
        if let Some(first) = self.unexpected() {
            return self.part.fail(last, &format!("unexpected: {first}"), out);
        }
        self.part.finish(out);
        if self.role == Role::Client || self.is_ended {
            self.part.leave(out);
        }
    }

    /// A head that nobody awaited.
    fn unexpected(&self) -> Option<String> {
        let head = self.heard.iter().find(|heard| heard.is("HEADERS"));
        head.map(|heard| format!("{} {:?}", heard.first, heard.fields.first()))
    }

    fn perform(&mut self, action: &Action, out: &mut Vec<Do>) -> Result<Progress, String> {
        let done = Ok(Progress::Done);
        match action {
            Action::Frames => done,
            Action::Send(bytes) => {
                out.push(Do::Send(bytes.clone()));
                done
            }
            Action::Await(wanted) => self.await_frame(wanted),
            Action::ExpectClose => match self.unexpected() {
                Some(first) => Err(format!("expected the end of the connection, got: {first}")),
                None => Ok(Progress::wait_unless(self.is_ended)),
            },
            Action::ExpectReset => Ok(Progress::wait_unless(self.broken)),
            Action::Read(reads) => {
                self.gives_credit = *reads;
                self.give_credit(out);
                done
            }
            Action::Raw => {
                self.answers = false;
                done
            }
            Action::Plain(plain) => self.part.perform(plain, out),
            Action::AwaitBytes(_)
            | Action::ExpectCut
            | Action::ExpectEnd
            | Action::Collect
            | Action::Judge(_) => Err("a script in frames can not do this".to_owned()),
        }
    }

    /// The first frame of its stream must be the one; of the connection's, the first of its type.
    fn await_frame(&mut self, wanted: &Awaited) -> Result<Progress, String> {
        let mut words = wanted.first.split(' ');
        let kind = words.next().unwrap_or_default();
        let stream: u32 = match kind {
            "SETTINGS" | "PING" | "GOAWAY" => 0,
            _ => words
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or_default(),
        };
        if kind == "DATA" {
            return self.await_data(stream, wanted);
        }
        let is_next = |heard: &Heard| {
            let counts = kind == "WINDOW_UPDATE" || !heard.is("WINDOW_UPDATE");
            let answers = heard.first.ends_with(" ACK") == wanted.first.ends_with(" ACK");
            let of_all = heard.is(kind) && answers;
            heard.stream == stream && if stream == 0 { of_all } else { counts }
        };
        let Some(at) = self.heard.iter().position(is_next) else {
            return self.starve(&wanted.first);
        };
        let got = self.heard.remove(at);
        let head = Head {
            line: got.first,
            fields: got.fields,
        };
        match compare::head(wanted, &head) {
            Some(difference) => Err(difference),
            None => Ok(Progress::Done),
        }
    }

    /// As many frames as it takes.
    fn await_data(&mut self, stream: u32, wanted: &Awaited) -> Result<Progress, String> {
        let body = wanted.body.as_deref().unwrap_or_default();
        let ends = wanted.first.ends_with(" END_STREAM");
        let (mut got, mut has_ended, mut taken) = (Vec::new(), false, Vec::new());
        for (at, heard) in self.heard.iter().enumerate() {
            if heard.stream != stream || heard.is("WINDOW_UPDATE") || has_ended {
                continue;
            }
            if got.len() >= body.len() && !ends {
                break;
            }
            if !heard.is("DATA") {
                return Err(format!(
                    "expected: {}\n     got: {}",
                    wanted.first, heard.first
                ));
            }
            got.extend_from_slice(&heard.payload);
            has_ended = heard.ends_stream;
            taken.push(at);
        }
        let is_enough = got.len() >= body.len() && (has_ended || !ends);
        if !is_enough && !has_ended && body.starts_with(&got[..got.len().min(body.len())]) {
            return self.starve(&wanted.first);
        }
        if got != body || has_ended != ends {
            let (body, got) = (readable(body), readable(&got));
            let ended = if has_ended { " END_STREAM" } else { "" };
            return Err(format!(
                "expected: {} {body}\n     got: {got}{ended}",
                wanted.first
            ));
        }
        for at in taken.into_iter().rev() {
            self.heard.remove(at);
        }
        Ok(Progress::Done)
    }

    fn starve(&self, of: &str) -> Result<Progress, String> {
        if self.is_ended {
            let rest: Vec<&str> = self
                .heard
                .iter()
                .map(|heard| heard.first.as_str())
                .collect();
            return Err(format!(
                "the connection ended; `{of}` was awaited; there was {rest:?}"
            ));
        }
        Ok(Progress::Wait)
    }

    fn hear(&mut self, bytes: &[u8], out: &mut Vec<Do>) -> Result<(), String> {
        self.frames.feed(bytes);
        let mut answers = Vec::new();
        while let Some(heard) = self.frames.next(&mut answers)? {
            if heard.is("DATA") && !heard.payload.is_empty() {
                let count = u32::try_from(heard.payload.len()).unwrap_or(u32::MAX);
                self.owed.push((0, count));
                if !heard.ends_stream {
                    self.owed.push((heard.stream, count));
                }
            }
            self.heard.push(heard);
        }
        if self.answers && !answers.is_empty() {
            out.push(Do::Send(answers));
        }
        self.give_credit(out);
        Ok(())
    }

    fn give_credit(&mut self, out: &mut Vec<Do>) {
        if !self.gives_credit || self.owed.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        for (stream, count) in self.owed.drain(..) {
            put(8, 0, stream, &count.to_be_bytes(), &mut bytes);
        }
        out.push(Do::Send(bytes));
    }
}

impl Peer for Player {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, out: &mut Vec<Do>) {
        match event {
            Event::Opened => self.is_open = true,
            Event::Secured(met) => self.part.meet(Ok(met)),
            Event::NotSecured(why) => self.not_secured(why, out),
            Event::Refused => {
                let line = self.steps.first().map_or(0, |step| step.line);
                self.part.fail(line, "the connection was refused", out);
            }
            Event::Bytes(bytes) => {
                if let Err(what) = self.hear(bytes, out) {
                    let line = self.steps.get(self.at).map_or(0, |step| step.line);
                    self.part.fail(line, &what, out);
                }
            }
            Event::Eof => self.is_ended = true,
            Event::Broken => (self.is_ended, self.broken) = (true, true),
            Event::Woken => self.part.wake(),
            Event::Signal(name) => self.part.hear_signal(name),
        }
        self.play(out);
    }
}
