//! What was seen beside what must be seen.

use std::collections::BTreeSet;

use serde::Serialize;

use super::chance::plausible_in_a_run;
use super::meanwhile::Meanwhile;
use super::measured::Measured;
use super::seen::Tally;
use super::steps::{EJECTIONS, Effort, Expect, Load, LoadExpect, Visit};

/// Fewer requests could miss one of two versions by chance: with 40 it happens twice in 2^40.
const FEWEST: u32 = 40;

/// One visit's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// What must be seen.
    pub(super) expected: String,
    /// What was seen.
    pub(super) observed: Tally,
    /// What happened meanwhile, if that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meanwhile: Option<String>,
    /// Whether they agree.
    pub(super) ok: bool,
}

impl Effort {
    /// How many requests it means when `--requests` says `full`.
    pub(super) fn requests(self, full: u32) -> u32 {
        match self {
            Self::Full => full,
            Self::Tenth => (full / 10).max(FEWEST),
            Self::Times(times) => times,
        }
    }
}

/// Whether what was seen, and what happened meanwhile, is what must be.
pub(super) fn judge(visit: &Visit, observed: Tally, meanwhile: &Meanwhile) -> Verdict {
    let (expected, ok) = judge_seen(visit.expect, &observed);
    let seen = Verdict {
        expected,
        observed,
        meanwhile: None,
        ok,
    };
    match meanwhile.judge(visit.also) {
        None => seen,
        Some(aside) => Verdict {
            expected: format!("{}, and {}", seen.expected, aside.expected),
            meanwhile: Some(aside.observed),
            ok: seen.ok && aside.ok,
            ..seen
        },
    }
}

/// What must be seen, in words, and whether it was.
fn judge_seen(expect: Expect, observed: &Tally) -> (String, bool) {
    let total: u32 = observed.values().sum();
    match expect {
        Expect::Always(what) => {
            let agrees = total > 0 && observed.keys().all(|seen| seen == what);
            (format!("always {what}"), agrees)
        }
        Expect::OneOf(these) => {
            let known = |seen: &String| these.contains(&seen.as_str());
            let agrees = observed.len() == 1 && observed.keys().all(known);
            (
                format!("always the same of {}", these.join(" and ")),
                agrees,
            )
        }
        Expect::Exactly { of, times, others } => {
            let count = observed.get(of).copied().unwrap_or(0);
            let known = |seen: &String| seen == of || others.contains(&seen.as_str());
            let agrees = count == times && observed.keys().all(known);
            (format!("{of} {times} times of {total}"), agrees)
        }
        Expect::Each(these) => {
            let wanted: BTreeSet<&str> = these.iter().copied().collect();
            let agrees = wanted.into_iter().eq(observed.keys().map(String::as_str));
            (these.join(" and "), agrees)
        }
        Expect::Share { of, share, others } => {
            let range = plausible_in_a_run(total, share);
            let count = observed.get(of).copied().unwrap_or(0);
            let known = |seen: &String| seen == of || others.contains(&seen.as_str());
            let (low, high) = (range.start(), range.end());
            let expected = format!("{:.0} % {of}, {low} to {high} of {total}", share * 100.0);
            let agrees = total > 0 && observed.keys().all(known) && range.contains(&count);
            (expected, agrees)
        }
    }
}

/// Whether what many visitors saw together is what they must see.
pub(super) fn judge_load(load: &Load, measured: &Measured) -> Verdict {
    let seen = &measured.answers;
    let total: u32 = seen.values().sum();
    let count = |what: &str| seen.get(what).copied().unwrap_or(0);
    let only = |these: &[&str]| total > 0 && seen.keys().all(|key| these.contains(&&**key));
    let both = count("v1") > 0 && count("v2") > 0;
    let (expected, ok) = match load.expect {
        LoadExpect::ServedSlowly(time) => (
            format!("v1 and v2, and a p99 of {time:?} or more"),
            only(&["v1", "v2"]) && both && measured.p99 >= time,
        ),
        LoadExpect::SomeGet(what) => (
            format!("v1 and v2 and {what}"),
            only(&["v1", "v2", what]) && both && count(what) > 0,
        ),
        LoadExpect::ShareGets(what, share) => {
            let range = plausible_in_a_run(total, share);
            let (low, high) = (range.start(), range.end());
            (
                format!("{:.0} % {what}, {low} to {high} of {total}", share * 100.0),
                only(&["v1", "v2", what]) && range.contains(&count(what)),
            )
        }
        LoadExpect::OncePerEjection(what) => {
            let failed = u64::from(count(what));
            let most = measured.counted.ejections * u64::from(load.visitors);
            (
                format!("{EJECTIONS} ejections or more, and {what} at most {most} times"),
                only(&["v1", "v2", what])
                    && load.expect.is_seen(&measured.counted)
                    && (measured.counted.ejections..=most).contains(&failed),
            )
        }
        LoadExpect::ServedDespiteEjections => (
            "v1 and v2, and an ejection or more".to_owned(),
            only(&["v1", "v2"])
                && both
                && measured.counted.ejections > 0
                && measured.counted.asked[2] > 0,
        ),
    };
    Verdict {
        expected,
        observed: seen.clone(),
        meanwhile: None,
        ok,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::demo::counted::Counted;
    use crate::demo::steps::{Also, Look, Speaks, Through};

    fn tally(seen: &[(&str, u32)]) -> Tally {
        seen.iter()
            .map(|(what, count)| ((*what).to_owned(), *count))
            .collect()
    }

    fn visit(expect: Expect) -> Visit {
        Visit {
            who: "",
            through: Through::Visitor,
            speaks: Speaks::Http1,
            method: "GET",
            host: "customer",
            path: "/",
            headers: &[],
            effort: Effort::Full,
            look: Look::Answer,
            expect,
            also: Also::Nothing,
        }
    }

    fn meanwhile() -> Meanwhile {
        Meanwhile {
            requests: 10,
            counted: Counted {
                asked: [5, 5, 0],
                ejections: 0,
            },
            took: Duration::ZERO,
            connections: 1,
            at_once: 1,
        }
    }

    fn share(share: f64) -> Expect {
        Expect::Share {
            of: "v2",
            share,
            others: &["v1"],
        }
    }

    #[test]
    fn verdicts() {
        type Seen = &'static [(&'static str, u32)];
        const SAME: Expect = Expect::OneOf(&["v1", "v2"]);
        const THREE_REFUSED: Expect = Expect::Exactly {
            of: "429",
            times: 3,
            others: &["v1", "v2"],
        };
        let cases: &[(Expect, Seen, bool)] = &[
            (Expect::Always("v2"), &[("v2", 10)], true),
            (Expect::Always("v2"), &[("v2", 9), ("v1", 1)], false),
            (Expect::Always("v2"), &[], false),
            (SAME, &[("v2", 10)], true),
            (SAME, &[("v1", 10)], true),
            (SAME, &[("v1", 9), ("v2", 1)], false),
            (SAME, &[("502", 10)], false),
            (SAME, &[], false),
            (THREE_REFUSED, &[("v1", 7), ("429", 3)], true),
            (THREE_REFUSED, &[("v1", 6), ("429", 4)], false),
            (THREE_REFUSED, &[("v1", 8), ("429", 2)], false),
            (THREE_REFUSED, &[("v1", 6), ("429", 3), ("502", 1)], false),
            (THREE_REFUSED, &[("v1", 10)], false),
            (Expect::Each(&["v1", "v2"]), &[("v1", 1), ("v2", 9)], true),
            (Expect::Each(&["v1", "v2"]), &[("v2", 9)], false),
            (
                Expect::Each(&["v1", "v2"]),
                &[("v1", 1), ("v2", 9), ("502", 1)],
                false,
            ),
            (share(0.1), &[("v1", 900), ("v2", 100)], true),
            (share(0.1), &[("v1", 840), ("v2", 160)], false),
            (share(0.1), &[("v1", 899), ("v2", 100), ("503", 1)], false),
            (share(0.1), &[], false),
        ];
        for (expect, observed, ok) in cases {
            let verdict = judge(&visit(*expect), tally(observed), &meanwhile());
            assert_eq!(verdict.ok, *ok, "{expect:?} {observed:?}");
        }
        let verdict = judge(&visit(share(0.25)), tally(&[("v1", 1000)]), &meanwhile());
        assert_eq!(verdict.expected, "25 % v2, 180 to 324 of 1000");
    }

    #[test]
    fn what_happens_meanwhile_matters_too() {
        for (also, ok) in [(Also::V2Asked, true), (Also::Ejection, false)] {
            let visit = Visit {
                also,
                ..visit(Expect::Always("v1"))
            };
            let verdict = judge(&visit, tally(&[("v1", 10)]), &meanwhile());
            assert_eq!(verdict.ok, ok, "{verdict:?}");
            assert!(verdict.meanwhile.is_some());
            assert!(!judge(&visit, tally(&[("v2", 10)]), &meanwhile()).ok);
        }
    }

    #[test]
    fn verdicts_on_loads() {
        const SECOND: Duration = Duration::from_secs(1);
        type Seen = &'static [(&'static str, u32)];
        let slowly = LoadExpect::ServedSlowly(SECOND);
        let once = LoadExpect::OncePerEjection("503");
        let served = LoadExpect::ServedDespiteEjections;
        let third = LoadExpect::ShareGets("503", 1.0 / 3.0);
        // What is expected, what is seen, the p99, ejections, whether the failing instance was asked.
        let cases: &[(LoadExpect, Seen, Duration, u64, u64, bool)] = &[
            (slowly, &[("v1", 5), ("v2", 5)], SECOND, 0, 0, true),
            (slowly, &[("v1", 5), ("v2", 5)], SECOND / 2, 0, 0, false),
            (
                slowly,
                &[("v1", 5), ("v2", 4), ("503", 1)],
                SECOND,
                0,
                0,
                false,
            ),
            (slowly, &[("v1", 10)], SECOND, 0, 0, false),
            (
                LoadExpect::SomeGet("503"),
                &[("v1", 5), ("v2", 1), ("503", 4)],
                SECOND,
                0,
                0,
                true,
            ),
            (
                LoadExpect::SomeGet("503"),
                &[("v1", 5), ("v2", 5)],
                SECOND,
                0,
                0,
                false,
            ),
            (
                LoadExpect::SomeGet("503"),
                &[("v1", 5), ("503", 5)],
                SECOND,
                0,
                0,
                false,
            ),
            (
                third,
                &[("v1", 40), ("v2", 40), ("503", 40)],
                SECOND,
                0,
                0,
                true,
            ),
            (third, &[("v1", 60), ("v2", 60)], SECOND, 0, 0, false),
            (
                once,
                &[("v1", 90), ("v2", 90), ("503", 16)],
                SECOND,
                2,
                9,
                true,
            ),
            (
                once,
                &[("v1", 90), ("v2", 90), ("503", 17)],
                SECOND,
                2,
                9,
                false,
            ),
            (
                once,
                &[("v1", 90), ("v2", 90), ("503", 2)],
                SECOND,
                1,
                9,
                false,
            ),
            (
                once,
                &[("v1", 90), ("v2", 90), ("503", 1)],
                SECOND,
                2,
                9,
                false,
            ),
            (served, &[("v1", 90), ("v2", 90)], SECOND, 1, 1, true),
            (served, &[("v1", 90), ("v2", 90)], SECOND, 0, 0, false),
            (
                served,
                &[("v1", 90), ("v2", 90), ("503", 1)],
                SECOND,
                1,
                1,
                false,
            ),
        ];
        for (expect, seen, p99, ejections, asked, ok) in cases {
            let load = Load {
                visitors: 8,
                requests: 1,
                pause: Duration::ZERO,
                expect: *expect,
            };
            let measured = Measured {
                answers: tally(seen),
                p50: Duration::ZERO,
                p99: *p99,
                counted: Counted {
                    asked: [0, 0, *asked],
                    ejections: *ejections,
                },
            };
            let verdict = judge_load(&load, &measured);
            assert_eq!(verdict.ok, *ok, "{expect:?} {seen:?} {ejections}");
        }
    }
}
