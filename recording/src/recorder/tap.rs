//! One worker's end of a recording: what goes through its joint, as frames, and what its worker said meanwhile.

use std::cell::RefCell;
use std::collections::VecDeque;

use outrigger_core::peer::ConnId;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Output, Worker};

use super::{Recorder, Turn};
use crate::frame::{Came, End, Frame};
use crate::input_bytes::Bytes;
use crate::said::take_output;

/// Where a worker records.
pub struct Tap {
    recorder: Recorder,
    worker: u32,
    heard: RefCell<Heard>,
}

/// What a worker said within a turn.
#[derive(Default)]
struct Heard {
    /// Not yet handed out.
    outputs: VecDeque<Output>,
    /// As it stands in a frame; only its memory is kept.
    said: Vec<u8>,
}

/// One worker's turn.
pub struct WorkerTurn<'a> {
    turn: Turn<'a>,
    tap: &'a Tap,
}

impl Tap {
    /// The end of the worker of this position.
    #[must_use]
    pub fn new(recorder: Recorder, worker: usize) -> Self {
        Self {
            recorder,
            // There are never so many threads.
            worker: u32::try_from(worker).unwrap_or(u32::MAX),
            heard: RefCell::default(),
        }
    }

    /// This worker's turn, while the recording is under way.
    pub fn turn(&self) -> Option<WorkerTurn<'_>> {
        let turn = self.recorder.turn()?;
        Some(WorkerTurn { turn, tap: self })
    }

    /// What the worker said in its turns and nobody has taken yet.
    pub fn next_heard(&self) -> Option<Output> {
        self.heard.borrow_mut().outputs.pop_front()
    }
}

impl WorkerTurn<'_> {
    /// Appends a frame, which is made for the position of the worker.
    pub fn put(&mut self, frame: impl FnOnce(u32) -> Frame<'static>) {
        self.turn.put(&frame(self.tap.worker));
    }

    /// Something happened on a connection of the worker, which is told next.
    pub fn came(&mut self, connection: ConnId, input: &Input, now: Instant, worker: &mut Worker) {
        let bytes = match *input {
            Input::Read(count) => {
                let bodies = match worker.settings().tells_bodies {
                    true => worker.bodies_read(connection, count),
                    false => Vec::new(),
                };
                let all = worker.space(connection);
                // It has just read so many, and they are the last ones.
                all.map_or(Bytes::None, |all| {
                    Bytes::without(&all[all.len() - count..], &bodies)
                })
            }
            Input::Wrote(count) => {
                let outbox = worker.outbox(connection);
                outbox.map_or(Bytes::None, |outbox| Bytes::of_written(outbox, count))
            }
            Input::Eof
            | Input::Broken
            | Input::WriteFailed
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Drain
            | Input::Secured(_)
            | Input::NotSecured(_) => Bytes::None,
        };
        self.turn.put(&Frame::Came(Came {
            worker: self.tap.worker,
            connection,
            now,
            input: input.clone(),
            bytes,
        }));
    }

    /// Everything that the worker says now is one frame, and waits to be handed out.
    pub fn said(&mut self, worker: &mut Worker) {
        let Heard { outputs, said } = &mut *self.tap.heard.borrow_mut();
        said.clear();
        while let Some(output) = take_output(worker, said) {
            outputs.push_back(output);
        }
        let worker = self.tap.worker;
        let outputs = &said[..];
        self.turn.put(&Frame::Said { worker, outputs });
    }

    /// Core panicked: what follows cannot be repeated.
    pub fn panicked(self) {
        self.turn.end(End::Panicked);
    }
}
