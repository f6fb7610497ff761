//! One pick of each balancer among few and many endpoints.

use std::hint::black_box;

use outrigger_core::cluster::{HostKey, Registry};
use outrigger_core::decision::HashedBy;
use outrigger_core::entropy::Entropy;
use outrigger_core::policy::Balancer;
use outrigger_core::policy::balance::Context;
use outrigger_core::snapshot::{
    Address, Balancing, Cluster, ConsistentHash, Endpoint, HashTableKind,
};
use outrigger_core::time::Instant;

use super::{Operation, Run};

const RING: HashTableKind = HashTableKind::Ring { min_size: 1024 };
/// The size that Envoy takes by default.
const MAGLEV: HashTableKind = HashTableKind::Maglev { size: 65_537 };

pub(super) fn all() -> Vec<Operation> {
    let hashed = |table| {
        Balancing::ConsistentHash(ConsistentHash {
            table,
            balance_factor: None,
        })
    };
    let bounded = Balancing::ConsistentHash(ConsistentHash {
        table: RING,
        balance_factor: Some(125),
    });
    // Whether weights differ: then those that go by weights go by a schedule.
    let kinds = [
        ("round-robin", Balancing::RoundRobin, false),
        ("round-robin-weighted", Balancing::RoundRobin, true),
        ("least-request", Balancing::LeastRequest, false),
        ("least-request-weighted", Balancing::LeastRequest, true),
        ("random", Balancing::Random, false),
        ("peak-ewma", Balancing::PeakEwma, false),
        ("ring-hash", hashed(RING), false),
        ("ring-hash-bounded", bounded, false),
        ("maglev", hashed(MAGLEV), false),
    ];
    let mut all = Vec::new();
    for (name, balancing, is_weighted) in kinds {
        for count in [3, 100, 10_000] {
            let prepare = move || pick(balancing, count, is_weighted);
            all.push(Operation::new(format!("pick/{name}/{count}"), 500, prepare));
        }
    }
    all
}

fn pick(balancing: Balancing, count: u16, is_weighted: bool) -> Run {
    let cluster = cluster(balancing, count, is_weighted);
    let mut balancer = Balancer::new(&cluster, 7, Instant::ZERO);
    let mut entropy = 0;
    Box::new(move || {
        entropy += 1;
        let request = Entropy(entropy);
        let context = Context {
            entropy: request,
            attempt: 0,
            now: Instant::from_millis(entropy),
            tried: &[],
            // Numbers in turn are no hashes; these are spread.
            hash: Some((
                entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                HashedBy::Nothing,
            )),
            step: 0,
        };
        let picked = balancer.pick(&cluster, black_box(&context));
        assert!(picked.is_some(), "nobody is ejected");
    })
}

fn cluster(balancing: Balancing, count: u16, is_weighted: bool) -> Cluster {
    let mut registry = Registry::default();
    let state = registry.cluster("c");
    state.set_endpoints(u32::from(count));
    let endpoints = (1..=count).map(|port| {
        let address = Address::Socket(([10, 0, 0, 1], port).into());
        let state = registry.host(HostKey {
            cluster: "c".into(),
            address: address.to_string().into(),
        });
        let weight = if is_weighted {
            1 + u32::from(port) % 3
        } else {
            1
        };
        Endpoint {
            weight,
            ..Endpoint::new(address, state)
        }
    });
    Cluster {
        endpoints: endpoints.collect(),
        balancing,
        ..Cluster::new("c".into(), state)
    }
}
