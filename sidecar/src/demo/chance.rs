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

/// Refuses so few requests that an expectation could not fail: it would look like a check and be none.
///
/// # Errors
///
/// Which one it is, and what to do.
pub(super) fn can_fail(full: u32) -> Result<(), String> {
    let Some((step, requests)) = certain(full) else {
        return Ok(());
    };
    let least = (full..).find(|more| certain(*more).is_none());
    Err(format!(
        "with so few requests a check could not fail ({}: 0 to {requests} of {requests}): use --requests {} or more",
        step.name,
        least.unwrap_or(u32::MAX)
    ))
}

/// A step whose share any outcome of so many requests would do for.
fn certain(full: u32) -> Option<(&'static Step, u32)> {
    let mut shares = shares(full);
    let found = shares
        .find(|(_, share, requests)| plausible_in_a_run(*requests, *share) == (0..=*requests));
    found.map(|(step, _, requests)| (step, requests))
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
    fn so_few_requests_that_nothing_could_fail_are_refused() {
        for few in [1, 5, 20] {
            let told = can_fail(few).expect_err("nothing could fail");
            assert!(told.contains(&format!("0 to {few} of {few}")), "{told}");
            assert!(told.contains("use --requests 24 or more"), "{told}");
        }
        for enough in [24, 200, 1000] {
            assert_eq!(can_fail(enough), Ok(()));
        }
    }
}
