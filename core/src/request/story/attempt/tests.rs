//! Attempts as they are told.

use std::sync::Arc;

use super::*;
use crate::cluster::{HostKey, Registry};
use crate::entropy::Entropy;
use crate::snapshot::{Address, Cluster, ClusterId, Endpoint, HashCookie, MatchedField, Snapshot};
use crate::time::{Duration, Instant};

/// A request of which a try may take 50 ms, on a snapshot with one cluster: it hashes a field, and its one endpoint is in
/// a zone.
fn story(attempts: impl IntoIterator<Item = Attempt>) -> String {
    let mut registry = Registry::default();
    let address = Address::Name("a".into(), 80);
    let host = registry.host(HostKey {
        cluster: "c".into(),
        address: address.to_string().into(),
    });
    let cluster = Cluster {
        hash_policy: Some(Box::new(field())),
        endpoints: Box::new([Endpoint {
            locality: "eu/eu-a".into(),
            ..Endpoint::new(address, host)
        }]),
        ..Cluster::new("c".into(), registry.cluster("c"))
    };
    let snapshot = Snapshot {
        clusters: Arc::new(vec![cluster].into()),
        ..Snapshot::default()
    };
    let mut record = Record::default();
    record.restart(Instant::ZERO, Entropy::default());
    record.revision = Some(snapshot.revision);
    record.timeouts.per_try = Some(Duration::from_millis(50));
    record.attempts.extend(attempts);
    record.story(&snapshot).to_string()
}

fn field() -> HashPolicy {
    HashPolicy::Field(MatchedField::new("x-user").unwrap())
}

fn hashed(by: HashedBy) -> Picked {
    Picked::simply(PickedBy::Hashed {
        hash: 0x2a,
        by,
        entry: 7,
        bound: None,
    })
}

#[test]
fn tells_where_it_went_and_how_long_a_try_may_take_when_that_mattered() {
    let wait = Duration::from_millis(12);
    let late = AttemptEnd::Reset(ResetReason::PerTryTimeout);
    for (end, followed, want) in [
        (
            AttemptEnd::Response(200),
            Followed::Nothing,
            "ended with 200; nothing to retry",
        ),
        (
            AttemptEnd::Call {
                status: 200,
                code: 14,
            },
            Followed::Retry { wait },
            "ended with 200, grpc-status 14; retried after 12.0 ms",
        ),
        (
            late,
            Followed::Retry { wait },
            "ended without a response: per try timeout, a try may take 50.0 ms; retried after 12.0 ms",
        ),
        (
            AttemptEnd::Overtaken,
            Followed::Hedge { wait },
            "given up: another one was answered first, a try may take 50.0 ms; \
             hedged: another one was made beside it after 12.0 ms",
        ),
    ] {
        let attempt = Attempt {
            cluster: Some(ClusterId(0)),
            endpoint: 0,
            picked: hashed(HashedBy::Field),
            reused: false,
            began: Instant::from_millis(3),
            end,
            ended: Instant::ZERO,
            followed,
            ejected: None,
        };
        let story = story([attempt]);
        let lines: Vec<&str> = story.lines().skip(1).take(2).collect();
        let picked = "hash 000000000000002a of a header field (x-user), entry 7";
        let first = format!("  attempt 1    a:80 in eu/eu-a at 3.0 ms: {picked}");
        assert_eq!(lines, [first, format!("               {want}")]);
    }
}

#[test]
fn names_what_is_hashed_if_it_is_one_thing_with_a_name() {
    struct Told(HashedBy, HashPolicy);
    impl Display for Told {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            pick(f, &hashed(self.0), Some(&self.1))
        }
    }
    let cookie = || {
        HashPolicy::Cookie(HashCookie {
            name: "sid".into(),
            make: None,
        })
    };
    let parameter = || HashPolicy::QueryParameter("id".into());
    for (by, policy, want) in [
        (HashedBy::Field, field(), "a header field (x-user)"),
        (HashedBy::Cookie, cookie(), "a cookie (sid)"),
        (
            HashedBy::MadeCookie,
            cookie(),
            "a cookie that was made (sid)",
        ),
        (
            HashedBy::QueryParameter,
            parameter(),
            "a query parameter (id)",
        ),
        (
            HashedBy::SourceAddress,
            HashPolicy::SourceAddress,
            "the client's address",
        ),
        (HashedBy::Nothing, field(), "nothing, so a number was drawn"),
        (HashedBy::Several, cookie(), "several things"),
    ] {
        let want = format!("hash 000000000000002a of {want}, entry 7");
        assert_eq!(Told(by, policy).to_string(), want);
    }
}

#[test]
fn tells_only_what_is_not_ordinary_about_a_pick() {
    let turn = Picked::simply(PickedBy::Turn);
    for (picked, want) in [
        (turn, "its turn"),
        (
            Picked { load: 84, ..turn },
            "priority 0 with 84 % of the traffic, its turn",
        ),
        (
            Picked {
                priority: 1,
                is_panic: true,
                ..turn
            },
            "priority 1 with 100 % of the traffic, in panic, its turn",
        ),
        (
            Picked {
                locality: LocalityChoice::Weighted,
                ..turn
            },
            "locality by weight, its turn",
        ),
        (
            Picked::simply(PickedBy::Weighted { warmth: 1000 }),
            "its turn by weight",
        ),
        (
            Picked::simply(PickedBy::Weighted { warmth: 455 }),
            "its turn by weight, warmed up to 45.5 %",
        ),
        (
            hashed(HashedBy::Cookie),
            "hash 000000000000002a of a cookie, entry 7",
        ),
        (
            Picked::simply(PickedBy::PeakEwma {
                cost: Duration::from_millis(4),
                other: 1,
                other_cost: Duration::from_millis(90),
            }),
            "cheaper of two drawn (4.0 ms against 90.0 ms)",
        ),
    ] {
        assert_eq!(picked.to_string(), want);
    }
}
