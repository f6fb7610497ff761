//! What an application asks of others before it answers.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};
use smallvec::SmallVec;

use super::ask::Ask;
use super::carried::Forwards;
use super::ledger::Ledger;
use super::pool::{Cause, Pool, Round, Topic, Waits};
use crate::dice::Dice;
use crate::errands::Bell;

/// One call to another service.
pub struct Call {
    topic: Topic,
    share: PerMillion,
    is_optional: bool,
}

impl core::fmt::Debug for Call {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Call").field(&self.topic.request).finish()
    }
}

impl Call {
    /// A call for each request, without which there is no answer. What comes of it is told to a ledger.
    #[must_use]
    pub fn new(ask: Ask, ledger: Rc<RefCell<dyn Ledger>>) -> Self {
        Self {
            topic: Topic {
                method: ask.method.as_str().into(),
                request: ask.prepare(),
                patience: None,
                ledger,
            },
            share: PerMillion::ALL,
            is_optional: false,
        }
    }

    /// For so long an answer is waited for.
    #[must_use]
    pub const fn with_patience(mut self, patience: Option<Duration>) -> Self {
        self.topic.patience = patience;
        self
    }

    /// Only this share of requests needs it.
    #[must_use]
    pub const fn for_share(mut self, share: PerMillion) -> Self {
        self.share = share;
        self
    }

    /// There is an answer without it, too.
    #[must_use]
    pub const fn optional(mut self, is_optional: bool) -> Self {
        self.is_optional = is_optional;
        self
    }
}

/// The calls of an application: stages one after the other, those of a stage at the same time.
#[derive(Debug)]
pub struct Calls {
    /// The connections to the application's own sidecar.
    pub pool: Pool,
    /// Which fields of a request go on with the calls.
    pub forwards: Forwards,
    /// The stages.
    pub stages: Vec<Vec<Call>>,
}

impl Calls {
    /// Makes the calls of the first stage from `stage` on that has some for this request, as the next round. `None` when
    /// there is none.
    pub(super) fn make(
        &self,
        stage: &mut usize,
        cause: Cause<'_>,
        place: &mut Option<Rc<Round>>,
        bell: &Bell,
        now: Instant,
        dice: &mut Dice,
    ) -> Option<()> {
        loop {
            let calls = self.stages.get(*stage)?;
            *stage += 1;
            // As many as an application usually asks at a time; more take memory.
            let mut wanted = SmallVec::<[&Call; 8]>::new();
            wanted.extend(calls.iter().filter(|c| dice.chance(c.share)));
            if wanted.is_empty() {
                continue;
            }
            let round = Round::begin(place, wanted.len(), bell);
            for call in wanted {
                let waits = Waits {
                    round: Rc::clone(&round),
                    is_optional: call.is_optional,
                };
                self.pool.call(&call.topic, cause, now, Some(waits));
            }
            return Some(());
        }
    }
}
