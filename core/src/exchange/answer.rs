//! What comes back of a question, as its own exchange hears it, and as who asked gets it.

use bytes::Bytes;

use crate::decision::{Details, Record};
use crate::message::{Headers, ResponseHead};
use crate::peer::ExchangeId;
use crate::request::Heard;

/// A longer answer is none, in bytes of its body.
const MOST_ANSWER: usize = 64 * 1024;

/// Who asked, and what has been heard so far.
#[derive(Debug, Default)]
pub(super) struct Asker {
    of: ExchangeId,
    body: Vec<u8>,
    trailers: Option<Headers>,
    is_whole: bool,
    is_too_long: bool,
}

/// What came back of a question.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Who asked.
    pub(crate) to: ExchangeId,
    /// Which question it was.
    pub(super) from: ExchangeId,
    /// `None` where there was no answer.
    pub(super) heard: Option<Heard>,
}

impl Answered {
    /// A question came to nothing.
    pub(crate) const fn lost(to: ExchangeId, from: ExchangeId) -> Self {
        let heard = None;
        Self { to, from, heard }
    }
}

impl Asker {
    /// This one asks.
    pub(super) fn of(of: ExchangeId) -> Self {
        Self {
            of,
            ..Self::default()
        }
    }

    /// Who asks.
    pub(super) const fn who(&self) -> ExchangeId {
        self.of
    }

    /// A piece of the answer.
    pub(super) fn take(&mut self, data: &Bytes) {
        if self.body.len() + data.len() > MOST_ANSWER {
            self.is_too_long = true;
            return;
        }
        self.body.extend_from_slice(data);
    }

    /// The answer is whole.
    pub(super) fn end(&mut self, trailers: Option<&Headers>) {
        self.is_whole = true;
        self.trailers = trailers.cloned();
    }

    /// The question is over.
    pub(super) fn answer(
        self,
        from: ExchangeId,
        record: &Record,
        head: &mut ResponseHead,
    ) -> Answered {
        let is_good = self.is_whole && !self.is_too_long && record.details == Details::ViaUpstream;
        let heard = is_good.then(|| Heard {
            head: core::mem::take(head),
            body: self.body.into(),
            trailers: self.trailers,
        });
        Answered {
            to: self.of,
            from,
            heard,
        }
    }
}
