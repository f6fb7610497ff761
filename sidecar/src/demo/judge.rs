//! What was seen beside what must be seen.

use std::collections::{BTreeMap, BTreeSet};

use http::Response;
use serde::Serialize;

use super::bounds::plausible;
use super::steps::{Effort, Expect, Look, STEPS, Visit};

/// How seldom a correct proxy fails a whole run by chance.
const FALSE_ALARM: f64 = 1e-6;

/// Fewer requests could miss one of two versions by chance: with 40 it happens twice in 2^40.
const FEWEST: u32 = 40;

/// How often each thing was seen.
pub(super) type Tally = BTreeMap<String, u32>;

/// One visit's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// What must be seen.
    pub(super) expected: String,
    /// What was seen.
    pub(super) observed: Tally,
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

/// What counts of an answer, in words.
pub(super) fn seen(look: Look, answer: &Response<impl AsRef<[u8]>>) -> String {
    let status = answer.status().as_u16();
    match look {
        Look::Answer => {
            let body = String::from_utf8_lossy(answer.body().as_ref());
            let line = body.lines().next().unwrap_or_default();
            let version = ["v1", "v2"]
                .into_iter()
                .find(|version| line.contains(&format!("recommendation {version} from")));
            match version {
                Some(version) if status == 200 => version.into(),
                Some(_) | None => format!("{status} {line}").trim_end().into(),
            }
        }
        Look::Field(name) => match answer.headers().get(name) {
            Some(value) => format!(
                "{status}, {name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            ),
            None => format!("{status}, no {name}"),
        },
    }
}

/// Whether what was seen is what must be seen.
pub(super) fn judge(visit: &Visit, observed: Tally) -> Verdict {
    let total: u32 = observed.values().sum();
    let (expected, ok) = match visit.expect {
        Expect::Always(what) => {
            let agrees = total > 0 && observed.keys().all(|seen| seen == what);
            (format!("always {what}"), agrees)
        }
        Expect::Each(these) => {
            let wanted: BTreeSet<&str> = these.iter().copied().collect();
            let agrees = wanted.into_iter().eq(observed.keys().map(String::as_str));
            (these.join(" and "), agrees)
        }
        Expect::Share { of, share, others } => {
            let range = plausible(total, share, FALSE_ALARM / drawn_visits());
            let count = observed.get(of).copied().unwrap_or(0);
            let known = |seen: &String| seen == of || others.contains(&seen.as_str());
            let (low, high) = (range.start(), range.end());
            let expected = format!("{:.0} % {of}, {low} to {high} of {total}", share * 100.0);
            let agrees = total > 0 && observed.keys().all(known) && range.contains(&count);
            (expected, agrees)
        }
    };
    Verdict {
        expected,
        observed,
        ok,
    }
}

/// How many visits of a run are up to chance; they share the false alarm.
fn drawn_visits() -> f64 {
    let visits = STEPS.iter().flat_map(|step| step.visits);
    let drawn = visits.filter(|visit| matches!(visit.expect, Expect::Share { .. }));
    drawn.map(|_| 1.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(seen: &[(&str, u32)]) -> Tally {
        seen.iter()
            .map(|(what, count)| ((*what).to_owned(), *count))
            .collect()
    }

    fn visit(expect: Expect) -> Visit {
        Visit {
            who: "",
            method: "GET",
            host: "customer",
            path: "/",
            headers: &[],
            effort: Effort::Full,
            look: Look::Answer,
            expect,
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
    fn answers_are_known_by_their_version() {
        let cases = [
            (
                200,
                "customer => preference => recommendation v1 from 'x': 3\n",
                "v1",
            ),
            (200, "recommendation v2 from 'x': 3\n", "v2"),
            (200, "hello\n", "200 hello"),
            (502, "", "502"),
            (
                503,
                "customer => Error: 503 - x\ny",
                "503 customer => Error: 503 - x",
            ),
        ];
        for (status, body, expected) in cases {
            let answer = Response::builder().status(status).body(body).unwrap();
            assert_eq!(seen(Look::Answer, &answer), expected);
        }
        let answer = Response::builder().header("x-a", "b").body("").unwrap();
        assert_eq!(seen(Look::Field("x-a"), &answer), "200, x-a: b");
        assert_eq!(seen(Look::Field("x-b"), &answer), "200, no x-b");
    }

    #[test]
    fn verdicts() {
        type Seen = &'static [(&'static str, u32)];
        let cases: &[(Expect, Seen, bool)] = &[
            (Expect::Always("v2"), &[("v2", 10)], true),
            (Expect::Always("v2"), &[("v2", 9), ("v1", 1)], false),
            (Expect::Always("v2"), &[], false),
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
            let verdict = judge(&visit(*expect), tally(observed));
            assert_eq!(verdict.ok, *ok, "{expect:?} {observed:?}");
        }
        let verdict = judge(&visit(share(0.25)), tally(&[("v1", 1000)]));
        assert_eq!(verdict.expected, "25 % v2, 182 to 323 of 1000");
    }
}
