//! What must have happened while somebody visited, where the visitor sees nothing of it: copies, retries, ejections, an
//! instance that warms up. Pure arithmetic over what instances and sidecars counted.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::counted::Counted;
use super::steps::Also;

/// What went on while a visit lasted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Meanwhile {
    /// Requests of the visit.
    pub(super) requests: u32,
    /// What was counted.
    pub(super) counted: Counted,
    /// Since the rules were put in place.
    pub(super) took: Duration,
    /// Connections that calls have come on so far.
    pub(super) connections: u32,
    /// Calls that were under way at the same time, at most.
    pub(super) at_once: u32,
}

/// One more thing that a visit must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aside {
    /// What must have happened.
    pub(super) expected: String,
    /// What happened.
    pub(super) observed: String,
    /// Whether they agree.
    pub(super) ok: bool,
}

impl Meanwhile {
    /// What must have happened beside what happened; `None` when nothing in particular must.
    pub(super) fn judge(&self, also: Also) -> Option<Aside> {
        let [v1, v2, second] = self.counted.asked;
        let requests = u64::from(self.requests);
        let (expected, observed, ok) = match also {
            Also::Nothing => return None,
            Also::CopiesToV2 => (
                format!("{requests} copies to v2"),
                format!("v2 asked {v2} times"),
                v2 == requests,
            ),
            Also::V2Asked => (
                "v2 asked all the same".to_owned(),
                format!("v2 asked {v2} times"),
                v2 > 0,
            ),
            Also::Ejection => {
                let ejections = self.counted.ejections;
                let expected = "an ejection or more".to_owned();
                (expected, format!("{ejections} ejected"), ejections > 0)
            }
            Also::Retries(retries) => {
                let made = (v1 + v2 + second).checked_sub(requests);
                (
                    format!("{retries} retries"),
                    format!("{} asked, {requests} times by visitors", v1 + v2 + second),
                    made == Some(retries.into()),
                )
            }
            Also::Retried => {
                let made = (v1 + v2 + second).saturating_sub(requests);
                (
                    "a retry or more".to_owned(),
                    format!("{made} retries"),
                    made > 0,
                )
            }
            Also::OneConnection { at_once } => (
                format!("{at_once} at once on one connection"),
                format!("{} at once on {}", self.at_once, self.connections),
                self.at_once == at_once && self.connections == 1,
            ),
            Also::WarmsUp { window, minimum } => {
                let turns = turns(self.requests, self.took, window, minimum);
                let (low, high) = (turns.start(), turns.end());
                (
                    format!("{low} to {high} by the newcomer"),
                    format!("{second} by the newcomer"),
                    turns.contains(&second),
                )
            }
        };
        Some(Aside {
            expected,
            observed,
            ok,
        })
    }
}

/// How many of so many turns a newcomer may get beside two that are warm, when its weight has grown for so long.
///
/// A schedule by deadlines gives an entry of weight `w` a turn every `1/w` of virtual time, wherever it begins: within a
/// time `t` that is `w t` turns, give or take one. The newcomer's weight lies between its least one and that at the end, and
/// each of the warm ones has weight 1, so that `t` is about half of the turns that they got.
fn turns(requests: u32, took: Duration, window: Duration, minimum: f64) -> RangeInclusive<u64> {
    let grown = took.as_secs_f64() / window.as_secs_f64();
    let most = grown.clamp(minimum, 1.0);
    let requests = f64::from(requests);
    // Of all `n` turns at most `2 (t + 1)` and at least `2 (t - 1)` are those of the warm ones.
    let high = most * (requests + 2.0) / 2.0 + 1.0;
    let low = minimum * (requests - 2.0) / (2.0 + minimum) - 1.0;
    (low.floor().max(0.0) as u64)..=(high.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_judged_by_what_was_counted() {
        const WARM: Also = Also::WarmsUp {
            window: Duration::from_secs(2),
            minimum: 0.1,
        };
        // What must have happened, who was asked how often by 100 requests, ejections, milliseconds.
        for (also, asked, ejections, millis, ok) in [
            (Also::CopiesToV2, [100, 100, 0], 0, 0, true),
            (Also::CopiesToV2, [100, 99, 0], 0, 0, false),
            (Also::CopiesToV2, [100, 101, 0], 0, 0, false),
            (Also::V2Asked, [100, 1, 0], 0, 0, true),
            (Also::V2Asked, [100, 0, 5], 0, 0, false),
            (Also::Ejection, [50, 50, 0], 1, 0, true),
            (Also::Ejection, [50, 50, 0], 0, 0, false),
            (Also::Retries(20), [60, 50, 10], 0, 0, true),
            (Also::Retries(20), [60, 50, 11], 0, 0, false),
            (Also::Retries(20), [60, 50, 9], 0, 0, false),
            (Also::Retries(0), [60, 39, 0], 0, 0, false),
            (Also::Retried, [60, 40, 1], 0, 0, true),
            (Also::Retried, [60, 40, 0], 0, 0, false),
            (WARM, [48, 48, 4], 0, 100, true),
            (WARM, [47, 47, 6], 0, 100, true),
            (WARM, [45, 46, 9], 0, 100, false),
            (WARM, [50, 50, 0], 0, 100, false),
            (WARM, [33, 33, 34], 0, 100, false),
            (WARM, [38, 38, 24], 0, 1_000, true),
            (WARM, [33, 33, 34], 0, 2_000, true),
            (WARM, [33, 33, 34], 0, 60_000, true),
        ] {
            let meanwhile = Meanwhile {
                requests: 100,
                counted: Counted { asked, ejections },
                took: Duration::from_millis(millis),
                connections: 1,
                at_once: 100,
            };
            let aside = meanwhile.judge(also).expect("something must happen");
            assert_eq!(aside.ok, ok, "{aside:?}");
        }
    }

    #[test]
    fn calls_share_a_connection_all_at_once() {
        for (connections, at_once, ok) in [(1, 100, true), (2, 100, false), (1, 99, false)] {
            let meanwhile = Meanwhile {
                requests: 200,
                counted: Counted {
                    asked: [100, 100, 0],
                    ejections: 0,
                },
                took: Duration::ZERO,
                connections,
                at_once,
            };
            let aside = meanwhile.judge(Also::OneConnection { at_once: 100 });
            assert_eq!(aside.expect("something must happen").ok, ok);
        }
    }

    /// The schedule of deadlines itself, begun anywhere, with a newcomer that never grows.
    #[test]
    fn a_schedule_stays_within_its_turns() {
        for (minimum, requests) in [(0.1, 20), (0.1, 100), (0.25, 37), (1.0, 100)] {
            for start in 0..200 {
                // Periods, and how far each of the three is into its own.
                let periods = [1.0, 1.0, 1.0 / minimum];
                let into = [0.37, 0.81, 0.5].map(|way| f64::from(start) * way);
                let mut due = [0, 1, 2].map(|at| periods[at] - into[at] % periods[at]);
                let mut newcomer = 0;
                for _ in 0..requests {
                    let next = if due[0] <= due[1] { 0 } else { 1 };
                    let next = if due[2] < due[next] { 2 } else { next };
                    due[next] += periods[next];
                    newcomer += u64::from(next == 2);
                }
                let turns = turns(requests, Duration::ZERO, Duration::from_secs(1), minimum);
                assert!(
                    turns.contains(&newcomer),
                    "{minimum} {requests} {start}: {newcomer} of {turns:?}"
                );
            }
        }
    }
}
