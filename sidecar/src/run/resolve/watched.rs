//! What is known of one name: its last good answer, and whether it fails now.
//!
//! Owns when an answer is news, and how often a failure is worth a line. It knows no network and no clock.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use outrigger_core::compile::Uses;
use outrigger_dns::{Answer, Failure};

/// While a name goes on failing for the same reason, it is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// A name.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// The addresses of the last answer; `None` before the first.
    good: Option<Vec<IpAddr>>,
    state: Standing,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Standing {
    /// It was asked for and nothing has come of it yet.
    #[default]
    Asked,
    Answered,
    Failing {
        why: Failure,
        told: Instant,
        times: u64,
    },
}

/// What came of an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Endpoints are elsewhere than before.
    pub(super) changed: bool,
    /// What is worth a line.
    pub(super) line: Option<String>,
}

impl Watched {
    /// The last good answer.
    pub(super) fn good(&self) -> Option<&[IpAddr]> {
        self.good.as_deref()
    }

    /// Nothing has come of it yet.
    pub(super) fn is_waited_for(&self) -> bool {
        self.state == Standing::Asked
    }

    /// It has no answer, or fails now.
    pub(super) fn is_unresolved(&self) -> bool {
        self.state != Standing::Answered
    }

    /// Something came of it.
    pub(super) fn hear(
        &mut self,
        name: &str,
        uses: Uses,
        outcome: Result<Answer, Failure>,
        now: Instant,
    ) -> News {
        match outcome {
            Ok(answer) => self.answered(name, uses, answer.addresses),
            Err(why) => News {
                changed: false,
                line: self.failed(name, why, now),
            },
        }
    }

    fn answered(&mut self, name: &str, uses: Uses, addresses: Vec<IpAddr>) -> News {
        let before = std::mem::replace(&mut self.state, Standing::Answered);
        let line = match before {
            Standing::Failing { times, .. } => Some(format!(
                "`{name}` is resolved again, after {times} failures"
            )),
            Standing::Asked | Standing::Answered => None,
        };
        let changed = match &self.good {
            None => true,
            Some(good) => !is_same(good, &addresses, uses),
        };
        if changed {
            self.good = Some(addresses);
        }
        News { changed, line }
    }

    fn failed(&mut self, name: &str, why: Failure, now: Instant) -> Option<String> {
        let times = match &mut self.state {
            Standing::Asked | Standing::Answered => 1,
            Standing::Failing {
                why: before,
                told,
                times,
            } => {
                *times += 1;
                if *before == why && now.saturating_duration_since(*told) < TOLD_EVERY {
                    return None;
                }
                *times
            }
        };
        let effect = match &self.good {
            Some(_) => "its endpoints stay at the addresses of the last answer",
            None => "it has no endpoints",
        };
        let again = match times {
            1 => "it is tried again".to_owned(),
            times => format!("this was try {times}"),
        };
        let line = format!("`{name}` is not resolved: {why}; {effect}; {again}");
        self.state = Standing::Failing {
            why,
            told: now,
            times,
        };
        Some(line)
    }
}

/// Answers come in whatever order, which matters only where the first address is used.
fn is_same(before: &[IpAddr], now: &[IpAddr], uses: Uses) -> bool {
    let set = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
    match uses {
        Uses::Every => set(before) == set(now),
        Uses::First => before.first() == now.first() && set(before) == set(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(last: &[u8]) -> Result<Answer, Failure> {
        let addresses = last.iter().map(|n| IpAddr::from([10, 0, 0, *n]));
        Ok(Answer {
            addresses: addresses.collect(),
            ttl: Duration::ZERO,
        })
    }

    #[test]
    fn an_answer_is_news_when_endpoints_are_elsewhere() {
        for (uses, before, now, want) in [
            (Uses::Every, &[1, 2][..], &[2, 1][..], false),
            (Uses::First, &[1, 2], &[2, 1], true),
            (Uses::First, &[1, 2, 3], &[1, 3, 2], false),
            (Uses::Every, &[1, 2], &[1], true),
            (Uses::Every, &[1], &[1, 1], false),
        ] {
            let at = Instant::now();
            let mut name = Watched::default();
            assert!(name.is_waited_for());
            assert!(name.hear("a", uses, answer(before), at).changed);
            let news = name.hear("a", uses, answer(now), at);
            assert_eq!(news.changed, want, "{uses:?} {before:?} {now:?}");
        }
    }

    #[test]
    fn the_last_good_answer_is_kept_and_failures_are_told_now_and_then() {
        let mut name = Watched::default();
        let start = Instant::now();
        let mut hear = |outcome, after| {
            let news = name.hear("a", Uses::Every, outcome, start + after);
            (news.line, name.good().map(<[_]>::len), name.is_unresolved())
        };
        let none = Duration::ZERO;
        let told = |(line, good, unresolved): (Option<String>, _, _)| {
            (line.unwrap_or_default(), good, unresolved)
        };
        let (line, good, unresolved) = told(hear(Err(Failure::NoSuchName), none));
        assert!(line.contains("has no endpoints"), "{line}");
        assert_eq!((good, unresolved), (None, true));
        let (line, good, unresolved) = told(hear(answer(&[1, 2]), none));
        assert!(line.contains("resolved again, after 1 failures"), "{line}");
        assert_eq!((good, unresolved), (Some(2), false));
        assert_eq!(hear(answer(&[2, 1]), none), (None, Some(2), false));
        let (line, good, _) = told(hear(Err(Failure::NoSuchName), none));
        assert!(line.contains("addresses of the last answer"), "{line}");
        assert_eq!(good, Some(2));
        assert_eq!(hear(Err(Failure::NoSuchName), none).0, None);
        let (line, ..) = told(hear(Err(Failure::NoAddress), none));
        assert!(line.contains("this was try 3"), "another reason: {line}");
        assert_eq!(hear(Err(Failure::NoAddress), TOLD_EVERY / 2).0, None);
        let (line, ..) = told(hear(Err(Failure::NoAddress), TOLD_EVERY));
        assert!(line.contains("this was try 5"), "{line}");
    }
}
