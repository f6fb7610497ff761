//! When so few endpoints are healthy that health is ignored (Envoy reference §1.4).

/// Envoy takes a cluster for fully available while this much of its load, in percent, could be spread over it.
const OVERPROVISIONING: u64 = 140;

/// Whether a cluster of `endpoints` with `healthy` ones among them is to be used as if all were healthy. `threshold` is
/// DestinationRule `minHealthPercent`; 0 never panics.
///
/// Two conditions: the healthy share is below the threshold, and the healthy ones with 40 % more load each could not
/// carry everything.
#[must_use]
pub fn is_panic(healthy: usize, endpoints: usize, threshold: u8) -> bool {
    let (healthy, endpoints) = (healthy as u64, endpoints as u64);
    if endpoints == 0 {
        return false;
    }
    let available = OVERPROVISIONING * healthy / endpoints;
    available < 100 && 100 * healthy < u64::from(threshold) * endpoints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_below_the_threshold_only() {
        for (healthy, endpoints, threshold, want) in [
            (0, 0, 50, false),
            (0, 3, 0, false),
            (0, 3, 1, true),
            (1, 2, 50, false), // exactly half
            (1, 2, 51, true),
            (1, 3, 50, true),
            (2, 3, 67, true),
            (3, 4, 80, false), // 75 % is less than 80, and 105 % can still be carried
            (5, 7, 100, false),
            (7, 10, 100, true), // 98 %
            (3, 3, 100, false),
        ] {
            let got = is_panic(healthy, endpoints, threshold);
            assert_eq!(got, want, "{healthy} of {endpoints} at {threshold}");
        }
    }
}
