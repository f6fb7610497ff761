//! Which locality of a priority a request goes to (Envoy reference §1.5).
//!
//! Owns two ways: by weights that configuration gives, and zone-aware, which keeps traffic in the proxy's own locality as
//! far as that does not overload it. Who is in which locality and whether either way is used is settled by `compile`.

use smallvec::SmallVec;

use super::members::{Members, OVERPROVISIONING};

/// Shares are counted in ten-thousandths.
const WHOLE: u64 = 10_000;

/// What a locality of this weight counts for while some of its endpoints are out: less, once those left could not carry
/// its traffic with 40 % more each.
#[must_use]
pub fn effective_weight(weight: u32, members: Members) -> f64 {
    if members.all == 0 {
        return 0.0;
    }
    let healthy = f64::from(members.healthy) / f64::from(members.all);
    let carried = OVERPROVISIONING as f64 / 100.0 * healthy;
    f64::from(weight) * carried.min(1.0)
}

/// One locality as zone-aware routing sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Proxies like this one that stand there.
    pub proxies: u32,
    /// Healthy endpoints there.
    pub healthy: u32,
}

/// Where requests of this proxy go, by locality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// All stay in the proxy's own locality: it has its share of the endpoints.
    Stay,
    /// Some leave it.
    Leave {
        /// How many stay, of ten thousand.
        stay: u32,
        /// Room that each locality has for requests of others; zero for the proxy's own.
        room: SmallVec<[u32; 4]>,
    },
}

/// Where one request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It stays in the proxy's own locality, as all do.
    Own,
    /// It stays there, while others leave.
    Kept,
    /// It goes to the locality at this position.
    Other(usize),
}

impl Plan {
    /// The plan over localities. `own` is the position of the proxy's own one, if any endpoint is there. `proxies` counts
    /// those of every locality, also of ones without endpoints.
    #[must_use]
    pub fn new(zones: &[Zone], own: Option<usize>, proxies: u32) -> Self {
        let endpoints: u64 = zones.iter().map(|zone| u64::from(zone.healthy)).sum();
        let share = |part: u32, all: u64| (WHOLE * u64::from(part)).checked_div(all).unwrap_or(0);
        let upstream = |zone: &Zone| share(zone.healthy, endpoints);
        // A locality without healthy endpoints is left alone altogether.
        let local = |zone: &Zone| match zone.healthy {
            0 => 0,
            _ => share(zone.proxies, proxies.into()),
        };
        let own_zone = own.and_then(|own| zones.get(own));
        let (offered, wanted) = own_zone.map_or((0, 0), |own| (upstream(own), local(own)));
        if offered > 0 && offered >= wanted {
            return Self::Stay;
        }
        let room = |(at, zone): (usize, &Zone)| match Some(at) == own {
            true => 0,
            false => upstream(zone).saturating_sub(local(zone)) as u32, // at most 10,000
        };
        Self::Leave {
            stay: (WHOLE * offered).checked_div(wanted).unwrap_or(0) as u32, // offered is less than wanted
            room: zones.iter().enumerate().map(room).collect(),
        }
    }

    /// Where a request goes, by two random numbers. `None` when no locality has room, which rounding can bring about.
    #[must_use]
    pub fn choose(&self, stay_or_leave: u64, whereto: u64) -> Option<Way> {
        let (stay, room) = match self {
            Self::Stay => return Some(Way::Own),
            Self::Leave { stay, room } => (*stay, room),
        };
        if stay_or_leave % WHOLE < u64::from(stay) {
            return Some(Way::Kept);
        }
        let total: u64 = room.iter().map(|room| u64::from(*room)).sum();
        let mut number = whereto.checked_rem(total)?;
        room.iter()
            .position(|room| {
                let is_here = number < u64::from(*room);
                number = number.saturating_sub((*room).into());
                is_here
            })
            .map(Way::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_locality_counts_for_what_it_can_carry() {
        for (weight, healthy, all, want) in [
            (10, 4, 4, 10.0),
            (10, 5, 7, 10.0), // exactly all of it
            (10, 1, 2, 7.0),
            (10, 0, 4, 0.0),
            (10, 0, 0, 0.0),
            (0, 4, 4, 0.0),
        ] {
            let got = effective_weight(weight, Members { healthy, all });
            assert!(
                (got - want).abs() < 1e-9,
                "{weight} {healthy} of {all}: {got}"
            );
        }
    }

    fn zones(zones: &[(u32, u32)]) -> Vec<Zone> {
        zones
            .iter()
            .map(|(proxies, healthy)| Zone {
                proxies: *proxies,
                healthy: *healthy,
            })
            .collect()
    }

    #[test]
    fn requests_stay_while_the_own_locality_has_its_share() {
        let leave = |stay, room: &[u32]| Plan::Leave {
            stay,
            room: room.into(),
        };
        for (of, own, want) in [
            (&[(1, 1), (1, 1)][..], Some(0), Plan::Stay),
            (&[(1, 2), (1, 1)], Some(0), Plan::Stay),
            (&[(1, 1), (1, 2)], Some(0), leave(6666, &[0, 1666])),
            (&[(2, 1), (1, 1)], Some(0), leave(7500, &[0, 1667])),
            // Envoy's example: 40, 40 and 20 % of the proxies, 25, 50 and 25 % of the endpoints.
            (
                &[(2, 1), (2, 2), (1, 1)],
                Some(0),
                leave(6250, &[0, 1000, 500]),
            ),
            (
                &[(2, 0), (2, 2), (1, 1)],
                Some(0),
                leave(0, &[0, 2666, 1333]),
            ),
            (&[(2, 2), (1, 1)], None, leave(0, &[0, 0])),
            (&[(1, 0), (1, 0)], Some(0), leave(0, &[0, 0])),
        ] {
            let proxies = of.iter().map(|(proxies, _)| proxies).sum();
            assert_eq!(Plan::new(&zones(of), own, proxies), want, "{of:?}");
        }
    }

    #[test]
    fn a_request_leaves_for_where_there_is_room() {
        let plan = Plan::Leave {
            stay: 2500,
            room: [0, 1000, 0, 500].as_slice().into(),
        };
        for (first, second, want) in [
            (2499, 0, Some(Way::Kept)),
            (12_499, 0, Some(Way::Kept)),
            (2500, 0, Some(Way::Other(1))),
            (9999, 999, Some(Way::Other(1))),
            (9999, 1000, Some(Way::Other(3))),
            (9999, 1499, Some(Way::Other(3))),
            (9999, 1500, Some(Way::Other(1))),
        ] {
            assert_eq!(plan.choose(first, second), want, "{first} {second}");
        }
        assert_eq!(Plan::Stay.choose(9999, 0), Some(Way::Own));
        let full = Plan::Leave {
            stay: 0,
            room: [0, 0].as_slice().into(),
        };
        assert_eq!(full.choose(0, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// What zone-aware routing is for: if every proxy does the same, every endpoint gets the same share, and no more
        /// leaves a locality than must.
        #[test]
        fn all_proxies_together_load_endpoints_evenly(of in prop::collection::vec((1u32..30, 1u32..30), 2..5)) {
            let proxies: u32 = of.iter().map(|(proxies, _)| proxies).sum();
            let endpoints: u32 = of.iter().map(|(_, healthy)| healthy).sum();
            let zones = zones(&of);
            let mut arrives = vec![0.0; of.len()];
            for (own, (here, _)) in of.iter().enumerate() {
                let sent = f64::from(*here) / f64::from(proxies);
                match Plan::new(&zones, Some(own), proxies) {
                    Plan::Stay => arrives[own] += sent,
                    Plan::Leave { stay, room } => {
                        let stays = sent * f64::from(stay) / 10_000.0;
                        arrives[own] += stays;
                        let total: f64 = room.iter().copied().map(f64::from).sum();
                        for (at, room) in room.iter().enumerate() {
                            arrives[at] += (sent - stays) * f64::from(*room) / total.max(1.0);
                        }
                    }
                }
            }
            for (at, (_, healthy)) in of.iter().enumerate() {
                let want = f64::from(*healthy) / f64::from(endpoints);
                prop_assert!((arrives[at] - want).abs() < 0.01, "{} of {:?}: {} {}", at, of, arrives[at], want);
            }
        }
    }
}
