//! What chance may do in a run of the demo: how far counts may be from their shares, and how many requests it takes for that
//! to say anything.

use std::ops::RangeInclusive;

use super::bounds::plausible;
use super::steps::{Expect, LoadExpect, Step, steps};

/// How seldom a correct proxy fails a whole run by chance.
const FALSE_ALARM: f64 = 1e-6;

/// The counts that a share of so many requests may come to, when all checks that are up to chance share the false alarm.
pub(super) fn plausible_in_a_run(total: u32, share: f64) -> RangeInclusive<u32> {
    plausible(total, share, FALSE_ALARM / shares(1).count() as f64)
}

/// Refuses so few requests that any outcome would do for a check, which would look like one and be none, or that chance may
/// leave none of which the story is told.
///
/// # Errors
///
/// Which one it is, and what to do.
pub(super) fn says_something(full: u32) -> Result<(), String> {
    let Some((step, range, requests)) = vague(full) else {
        return Ok(());
    };
    let (from, to) = range.into_inner();
    let least = (full..).find(|more| vague(*more).is_none());
    Err(format!(
        "so few requests say nothing of a share ({}: {from} to {to} of {requests}): use --requests {} or more",
        step.name,
        least.unwrap_or(u32::MAX)
    ))
}

/// A step of whose share too few requests say nothing.
fn vague(full: u32) -> Option<(&'static Step, RangeInclusive<u32>, u32)> {
    let mut ranges = shares(full).map(|(step, share, n)| (step, plausible_in_a_run(n, share), n));
    ranges.find(|(step, range, n)| *range == (0..=*n) || tells_of_share(step) && range.contains(&0))
}

/// Whether only a request that a share counts tells the story of its step.
fn tells_of_share(step: &Step) -> bool {
    step.tells.contains("drawn with weight")
}

/// Every share that is expected of a step, and of how many requests.
fn shares(full: u32) -> impl Iterator<Item = (&'static Step, f64, u32)> {
    steps().flat_map(move |step| {
        let visits = step
            .visits
            .iter()
            .filter_map(move |visit| match visit.expect {
                Expect::Share { share, .. } => Some((step, share, visit.effort.requests(full))),
                Expect::Always(_) | Expect::OneOf(_) | Expect::Exactly { .. } | Expect::Each(_) => {
                    None
                }
            });
        let load = step.load.and_then(|load| match load.expect {
            LoadExpect::ShareGets(_, share) => Some((step, share, load.visitors * load.requests)),
            LoadExpect::ServedSlowly(_)
            | LoadExpect::SomeGet(_)
            | LoadExpect::OncePerEjection(_)
            | LoadExpect::ServedDespiteEjections => None,
        });
        visits.chain(load)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_few_requests_that_they_say_nothing_are_refused() {
        const LEAST: u32 = 158;
        for (few, what) in [
            (1, "03-canary-90-10: 0 to 1 of 1"),
            (24, "03-canary-90-10: 0 to 13 of 24"),
            (LEAST - 1, "03-canary-90-10: 0 to "),
        ] {
            let told = says_something(few).expect_err("it says nothing");
            assert!(told.contains(what), "{told}");
            let want = format!("use --requests {LEAST} or more");
            assert!(told.contains(&want), "{told}");
        }
        for enough in [LEAST, 200, 1000] {
            assert_eq!(says_something(enough), Ok(()));
        }
        // What seldom happens must have happened for its story to be told.
        assert!(0.9_f64.powi(LEAST.cast_signed()) < FALSE_ALARM);
    }
}
