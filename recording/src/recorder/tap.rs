//! One worker's end of a recording: what goes through its joint, as frames.

use std::thread;

use outrigger_core::decision::Record;
use outrigger_core::exchange::{Ambient, ConnectionId, Exchange, Input, Output, Peer};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Announced, Worker};

use super::{Recorder, Turn};
use crate::frame::{Came, End, Frame};
use crate::input_bytes::Bytes;
use crate::said::put_output;

/// Where a worker records.
pub struct Tap {
    recorder: Recorder,
    worker: u32,
}

/// A connection in a recording.
#[derive(Default)]
pub struct Place {
    number: u64,
    /// What its exchange has said since its last input.
    said: Vec<u8>,
}

impl Place {
    /// A place of its own, where a recording is under way.
    pub fn of(tap: &Option<Tap>, number: impl FnOnce(&Tap) -> u64) -> Self {
        Self {
            number: tap.as_ref().map_or(0, number),
            said: Vec::new(),
        }
    }
}

/// One worker's turn.
pub struct WorkerTurn<'a> {
    turn: Turn<'a>,
    worker: u32,
}

impl Tap {
    /// The end of the worker of this position.
    #[must_use]
    pub fn new(recorder: Recorder, worker: usize) -> Self {
        // There are never so many threads.
        let worker = u32::try_from(worker).unwrap_or(u32::MAX);
        Self { recorder, worker }
    }

    /// This worker's turn, for what concerns no single connection.
    pub fn turn(&self) -> Option<WorkerTurn<'_>> {
        let worker = self.worker;
        self.recorder.turn().map(|turn| WorkerTurn { turn, worker })
    }

    /// A client connected. Returns the number of the connection.
    #[must_use]
    pub fn accepted(&self, peer: Peer, now: Instant) -> u64 {
        let worker = self.worker;
        self.begins(&Frame::Accepted { worker, peer, now })
    }

    /// A copy for a mirror went its own way. Returns its number.
    #[must_use]
    pub fn copied(&self, of: &Place) -> u64 {
        self.begins(&Frame::Copied { of: of.number })
    }

    fn begins(&self, frame: &Frame<'_>) -> u64 {
        self.recorder.turn().map_or(0, |mut turn| {
            turn.put(frame);
            turn.number()
        })
    }

    /// Gives an exchange an input, in a turn of its own.
    pub fn handle_input(
        &self,
        exchange: &mut Exchange,
        place: &Place,
        input: Input,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        let mut turn = self.recorder.turn();
        if let Some(turn) = &mut turn {
            let bytes = match input {
                Input::Read(side, count) => {
                    let bodies = match worker.settings().tells_bodies {
                        true => exchange.bodies_read(side, count),
                        false => Vec::new(),
                    };
                    let all = exchange.space(side, worker);
                    // It has just read so many, and they are the last ones.
                    Bytes::without(&all[all.len() - count..], &bodies)
                }
                Input::Wrote(side, count) => Bytes::of_written(exchange.outbox(side), count),
                Input::Eof(_)
                | Input::Broken(_)
                | Input::WriteFailed(_)
                | Input::Connected
                | Input::ConnectFailed(_)
                | Input::Stale
                | Input::Woken
                | Input::Deadline
                | Input::Drain => Bytes::None,
            };
            turn.put(&Frame::Came(Came {
                connection: place.number,
                now: ambient.now,
                entropy: ambient.entropy,
                input,
                bytes,
            }));
        }
        exchange.handle_input(input, ambient, worker);
    }

    /// An exchange said something; everything it says to one input is one frame.
    pub fn said(&self, output: &Output, record: &Record, place: &mut Place) {
        put_output(output, record, &mut place.said);
        if matches!(output, Output::Wait(_) | Output::Done) {
            if let Some(mut turn) = self.recorder.turn() {
                turn.put(&Frame::Said {
                    connection: place.number,
                    outputs: &place.said,
                });
            }
            place.said.clear();
        }
    }

    /// Drops what an exchange holds, in a turn of its own. `fresh` is left in its place.
    pub fn left(&self, exchange: &mut Exchange, fresh: Exchange, place: &Place) {
        let turn = self.recorder.turn();
        *exchange = fresh;
        let Some(mut turn) = turn else { return };
        if thread::panicking() {
            return turn.end(End::Panicked);
        }
        turn.put(&Frame::Left {
            connection: place.number,
        });
    }
}

impl WorkerTurn<'_> {
    /// It uses a new snapshot, and closes these idle connections for that.
    pub fn adopted(&mut self, now: Instant, closed: &[ConnectionId]) {
        self.turn.put(&Frame::Adopted {
            worker: self.worker,
            now,
            closed: closed.to_vec(),
        });
    }

    /// It has another calendar date.
    pub fn date(&mut self, date: &[u8; 29]) {
        self.turn.put(&Frame::Date {
            worker: self.worker,
            date: String::from_utf8_lossy(date),
        });
    }

    /// It drains.
    pub fn draining(&mut self) {
        let worker = self.worker;
        self.turn.put(&Frame::Draining { worker });
    }

    /// It ended.
    pub fn gone(&mut self) {
        let worker = self.worker;
        self.turn.put(&Frame::Gone { worker });
    }

    /// It looked at what it keeps for others.
    pub fn announced(&mut self, told: &Announced) {
        self.turn.put(&Frame::Announced {
            worker: self.worker,
            told: told.clone(),
        });
    }

    /// These idle connections were idle for too long.
    pub fn expired(&mut self, now: Instant, closed: &[ConnectionId]) {
        self.turn.put(&Frame::Expired {
            worker: self.worker,
            now,
            closed: closed.to_vec(),
        });
    }

    /// An idle connection ended by itself.
    pub fn forgot(&mut self, id: ConnectionId) {
        let worker = self.worker;
        self.turn.put(&Frame::Forgot { worker, id });
    }
}
