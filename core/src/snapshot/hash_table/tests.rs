//! The same endpoints as Envoy: what Envoy 1.40 did with 64 users, asked over loopback with the hosts of `fixture`, the
//! header `x-user: user-N` and its `RING_HASH` and `MAGLEV` policies.

use super::fixture::{hosts, keys};
use super::table::HashTable;
use crate::snapshot::HashTableKind::{self, Maglev, Ring};
use crate::xxhash::xxh64;

fn user(number: u32) -> u64 {
    xxh64(format!("user-{number}").as_bytes(), 0)
}

fn table(kind: HashTableKind, weights: &[u32]) -> HashTable {
    let keys = keys(weights.len());
    HashTable::new(kind, &hosts(&keys, weights))
}

#[test]
fn users_go_where_envoy_sends_them() {
    let ring = Ring { min_size: 1024 };
    let maglev = Maglev { size: 65_537 };
    for (kind, weights, want) in [
        (
            ring,
            &[1, 1, 1][..],
            "1213331321131121323332313212232312121212321131313323222213323312",
        ),
        (
            ring,
            &[1; 5],
            "4453341321531424341425343155534242224214245151444345522411523513",
        ),
        (
            ring,
            &[1, 2, 3, 4, 5],
            "4453345343535424344445543555535342444215245552444545554415523553",
        ),
        (
            Ring { min_size: 7 },
            &[3, 1, 7, 2, 5],
            "1513113151551351115515311115535311511531533313131315511131131331",
        ),
        (
            maglev,
            &[1, 1, 1],
            "2232313132121322213323133211323223332322231111313312112233111222",
        ),
        (
            maglev,
            &[1; 5],
            "2232315144541322253553153255325223444542231145313312412453114254",
        ),
        (
            maglev,
            &[1, 2, 3, 4, 5],
            "2453345144541342453553453255545253444543231445313342432453144254",
        ),
        (
            Maglev { size: 251 },
            &[3, 1, 7, 2, 5],
            "3554533533335145351333135331333342253353413533353134533523555353",
        ),
    ] {
        let table = table(kind, weights);
        let find = |number| table.find(user(number), 0).map_or(0, |found| found.1 + 1);
        let got: String = (0..64).map(|number| find(number).to_string()).collect();
        assert_eq!(got, want, "{kind:?} {weights:?}");
    }
}

/// What Envoy says of these tables in `ring_hash_lb.*` and `maglev_lb.*`.
#[test]
fn tables_are_as_large_as_envoys() {
    let ring = |min_size| Ring { min_size };
    for (kind, weights, size, per_host) in [
        (ring(1024), &[1, 1, 1][..], 1026, (342, 342)),
        (ring(1024), &[1, 2, 3, 4, 5], 1035, (69, 345)),
        (ring(7), &[3, 1, 7, 2, 5], 18, (1, 7)),
        (Maglev { size: 251 }, &[3, 1, 7, 2, 5], 251, (14, 97)),
    ] {
        let table = table(kind, weights);
        assert_eq!(table.size(), size, "{kind:?}");
        assert_eq!(table.entries_per_host(), per_host, "{kind:?}");
    }
}

/// Four attempts of each user, when retries avoid hosts that were tried (`previous_hosts`, five more picks).
#[test]
fn retries_step_on_as_envoys_do() {
    let ring = "4521 4313 5123 3413 3145 4351 1342 3424 2414 1333 5435 3111 1451 4325 2155 4154";
    let maglev = "2351 2543 3122 2355 3444 1425 5323 1533 4314 4555 5321 4544 1232 3425 2541 2315";
    for (kind, want) in [
        (Ring { min_size: 1024 }, ring),
        (Maglev { size: 65_537 }, maglev),
    ] {
        let table = table(kind, &[1; 5]);
        for (number, want) in (0..).zip(want.split(' ')) {
            let mut tried = Vec::new();
            while tried.len() < 4 {
                let picks = if tried.is_empty() { 1 } else { 6 };
                let mut found = (0..picks).filter_map(|step| table.find(user(number), step));
                let mut last = None;
                let free = found.find(|(_, host)| {
                    last = Some(*host);
                    !tried.contains(host)
                });
                tried.extend(free.map(|(_, host)| host).or(last));
            }
            let got: String = tried.iter().map(|host| (host + 1).to_string()).collect();
            assert_eq!(got, want, "{kind:?} user-{number}");
        }
    }
}
