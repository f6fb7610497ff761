//! What a worker says after one call: its outputs, and with a request's end the decision.

use outrigger_core::decision::Record;
use outrigger_core::peer::ExchangeId;
use outrigger_core::worker::{Output, Worker};

use crate::decided::Decided;
use crate::encoding::put;

/// Takes the next output of a worker and appends it, with what else it speaks of.
pub fn take_output(worker: &mut Worker, said: &mut Vec<u8>) -> Option<Output> {
    let output = worker.poll_output()?;
    let ended = match output {
        Output::Ended(id) => worker.ended(id),
        Output::Connect(..)
        | Output::Secure(..)
        | Output::Close(_)
        | Output::Reset(_)
        | Output::Refuse(..)
        | Output::Abort(_)
        | Output::ShutdownWrite(_)
        | Output::Announce
        | Output::Wait(..) => None,
    };
    put_output(&output, ended.map(|ended| ended.record()), said);
    Some(output)
}

/// Appends one output, and with [`Output::Ended`] the record that it speaks of.
pub fn put_output(output: &Output, record: Option<&Record>, said: &mut Vec<u8>) {
    put(output, said);
    if let Some(record) = record {
        put(record, said);
    }
}

/// One thing that a worker said.
#[derive(Debug)]
pub enum Saying {
    /// Do this.
    Output(Output),
    /// A request of this name ended, decided like this.
    Ended(ExchangeId, Box<Decided>),
}

/// Outputs as they stand in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a>(&'a [u8]);

impl<'a> Said<'a> {
    /// The outputs of a frame.
    #[must_use]
    pub const fn read(outputs: &'a [u8]) -> Self {
        Self(outputs)
    }

    /// The outputs of a frame, as [`Said::read`] reads them.
    #[must_use]
    pub fn write(sayings: &[Saying]) -> Vec<u8> {
        let mut outputs = Vec::new();
        for saying in sayings {
            match saying {
                Saying::Output(output) => put(output, &mut outputs),
                Saying::Ended(id, decided) => {
                    put(&Output::Ended(*id), &mut outputs);
                    put(decided, &mut outputs);
                }
            }
        }
        outputs
    }
}

impl Iterator for Said<'_> {
    /// `None` where none could be read; then nothing follows.
    type Item = Option<Saying>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let saying =
            postcard::take_from_bytes(self.0)
                .ok()
                .and_then(|(output, rest)| match output {
                    Output::Ended(id) => {
                        let (decided, rest) = postcard::take_from_bytes(rest).ok()?;
                        Some((Saying::Ended(id, Box::new(decided)), rest))
                    }
                    output => Some((Saying::Output(output), rest)),
                });
        let (saying, rest) = saying.unzip();
        self.0 = rest.unwrap_or_default();
        Some(saying)
    }
}
