//! When so few endpoints are healthy that health is ignored, and how traffic is shared out then (Envoy reference §1.4).

use super::members::{Members, Share};

/// Whether so few endpoints of a priority are healthy that all are to be used as if they were, once the priorities
/// together cannot carry everything. `threshold` is DestinationRule `minHealthPercent`; 0 never panics.
#[must_use]
pub fn is_panic(members: Members, threshold: u8) -> bool {
    let (healthy, all) = (u64::from(members.healthy), u64::from(members.all));
    // Nobody at all is 0 percent of anything.
    100 * healthy < u64::from(threshold) * all || (all == 0 && threshold > 0)
}

/// Shares out traffic when every priority panics: by how many endpoints they have, whatever their health. What rounding
/// leaves over goes to the first that has any.
pub(super) fn spread(members: &[Members], shares: &mut [Share]) {
    let total: u64 = members.iter().map(|m| u64::from(m.all)).sum();
    let mut left = 100;
    for (share, members) in shares.iter_mut().zip(members) {
        let percent = (100 * u64::from(members.all)).checked_div(total);
        share.load = percent.unwrap_or(0) as u8; // at most 100
        left -= share.load;
    }
    let first = members.iter().position(|m| m.all > 0).unwrap_or(0);
    if let Some(share) = shares.get_mut(first) {
        share.load += left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_below_the_threshold_only() {
        for (healthy, all, threshold, want) in [
            (0, 0, 0, false),
            (0, 0, 50, true),
            (0, 3, 0, false),
            (0, 3, 1, true),
            (1, 2, 50, false), // exactly half
            (1, 2, 51, true),
            (1, 3, 34, true),
            (1, 3, 33, false),
            (2, 3, 67, true),
            (2, 3, 66, false),
            (99, 100, 100, true),
            (3, 3, 100, false),
        ] {
            let got = is_panic(Members { healthy, all }, threshold);
            assert_eq!(got, want, "{healthy} of {all} at {threshold}");
        }
    }

    #[test]
    fn in_panic_traffic_goes_where_endpoints_are() {
        for (counts, want) in [
            (&[][..], &[][..]),
            (&[0], &[100]),
            (&[0, 0], &[100, 0]),
            (&[3], &[100]),
            (&[1, 1], &[50, 50]),
            (&[1, 1, 1], &[34, 33, 33]),
            (&[0, 1, 1, 1], &[0, 34, 33, 33]),
            (&[1, 999], &[1, 99]),
        ] {
            let members: Vec<_> = counts
                .iter()
                .map(|all| Members {
                    healthy: 0,
                    all: *all,
                })
                .collect();
            let mut shares = vec![Share::default(); members.len()];
            spread(&members, &mut shares);
            let got: Vec<u8> = shares.iter().map(|share| share.load).collect();
            assert_eq!(got, want, "{counts:?}");
        }
    }
}
