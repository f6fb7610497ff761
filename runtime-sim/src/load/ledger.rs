//! How requests ended, as their clients saw it, and who keeps count.

use outrigger_core::time::Instant;

/// How a request ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It has not.
    Open,
    /// With a whole answer of this status.
    Answered(u16),
    /// In the middle of an answer.
    Cut,
    /// Without any answer: the connection ended.
    Lost,
    /// The client had waited for long enough and left.
    Left,
    /// The client could not connect.
    Refused,
}

impl Outcome {
    /// Whether the client got what it came for: a whole answer that is no fault of the server's (200 to 499) and does not
    /// turn it away (429).
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Answered(200..=428 | 430..=499))
    }
}

/// Keeps count of requests as their clients see them.
pub trait Ledger {
    /// A request is made; its number, which is in its `x-request-id`. `again`: it would not have been made without a
    /// retry somewhere before.
    fn begin(&mut self, again: bool) -> u64;

    /// It has ended.
    fn end(&mut self, number: u64, began: Instant, ended: Instant, outcome: Outcome);

    /// An answer that a strict reader could not read.
    fn complain(&mut self, what: String);
}

/// What clients saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLog {
    /// Each request's outcome; its position is its `x-request-id`.
    pub outcomes: Vec<Outcome>,
    /// Answers that a strict reader could not read.
    pub complaints: Vec<String>,
}

impl ClientLog {
    /// How many requests ended in this way.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.iter().filter(|o| **o == outcome).count()
    }
}

impl Ledger for ClientLog {
    fn begin(&mut self, _again: bool) -> u64 {
        self.outcomes.push(Outcome::Open);
        self.outcomes.len() as u64 - 1
    }

    fn end(&mut self, number: u64, _began: Instant, _ended: Instant, outcome: Outcome) {
        self.outcomes[number as usize] = outcome;
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_got_nothing() {
        for (outcome, good) in [
            (Outcome::Answered(200), true),
            (Outcome::Answered(404), true),
            (Outcome::Answered(429), false),
            (Outcome::Answered(499), true),
            (Outcome::Answered(500), false),
            (Outcome::Answered(101), false),
            (Outcome::Open, false),
            (Outcome::Left, false),
            (Outcome::Cut, false),
        ] {
            assert_eq!(outcome.is_good(), good, "{outcome:?}");
        }
    }
}
