//! Every case over real sockets is recorded, and decided again from the recording: what a case sees, a replay sees.

use std::borrow::Cow;
use std::io::{self, Cursor};

use outrigger_core::compile::{Answers, Workload};
use outrigger_core::snapshot::Snapshot;
use outrigger_recording::replay::{Stop, replay_on};
use outrigger_recording::{Configuration, Frame, Recorder, identity};

use super::Setup;
use super::memory::Memory;
use crate::Problem;
use crate::case::Case;

/// The recording of one case.
pub(super) struct Recorded {
    file: Memory,
    pub(super) recorder: Recorder,
}

impl Recorded {
    pub(super) fn start() -> io::Result<Self> {
        let file = Memory::default();
        let recorder = Recorder::start(Box::new(file.clone()), u64::MAX, |_| {})?;
        Ok(Self { file, recorder })
    }

    /// Makes a snapshot while nobody gives core anything, and says that it was made.
    pub(super) fn configure(&self, make: impl FnOnce() -> Option<Snapshot>) -> Option<Snapshot> {
        let turn = self.recorder.turn();
        let snapshot = make()?;
        if let Some(mut turn) = turn {
            turn.put(&Frame::Configuration(Configuration {
                // A replay has the case, and makes the snapshot from that.
                files: Vec::new(),
                mesh: None,
                workload: Cow::Owned(Workload::default()),
                inbound: Cow::Owned(Vec::new()),
                answers: Cow::Owned(Answers::new()),
                previous: 0,
                identity: identity(&snapshot),
            }));
        }
        Some(snapshot)
    }

    /// Replays the case, which is over.
    pub(super) fn judge(&self, case: &Case) -> Vec<Problem> {
        let mut setup = match Setup::new(case) {
            Ok(setup) => setup,
            Err(problems) => return problems,
        };
        let mut first = Some(std::mem::take(&mut setup.snapshot));
        let bytes = self.file.bytes();
        let outcome = replay_on(Cursor::new(&bytes[..]), |_| {
            let mut next = || first.take().or_else(|| setup.reload());
            // Configurations that were refused are in the case, too.
            let made = (0..=case.reloads.len()).find_map(|_| next());
            made.unwrap_or_default()
        });
        let told = |what: String| vec![Problem::new(&case.file, case.line, what)];
        match outcome.stop {
            None if outcome.replayed.end.is_some() => Vec::new(),
            None => told("the recording has no end".to_owned()),
            Some(Stop::Fault(fault)) => told(format!("replayed: {fault}")),
            Some(Stop::Changed(changed)) => told(format!("replayed: {}", changed.what)),
        }
    }
}
