//! The configuration of a random world: one service behind one rule, and perhaps mirrors.

use std::sync::Arc;

use outrigger_core::cluster::{HostKey, Registry, RetryLimit};
use outrigger_core::snapshot::{
    Action, Address, Balancing, Cluster, ClusterId, Condition, Destination, DestinationCluster,
    Endpoint, Forward, HeaderOps, Http2Options, Limits, Mirror, PerMillion, RetryOn, RetryPolicy,
    Rule, Snapshot, UpstreamProtocol, VirtualHost, VirtualHostId,
};
use outrigger_core::time::Duration;
use outrigger_sim::Dice;

/// Attempts after the first in worlds that retry.
const RETRIES: u32 = 2;

/// Where copies of requests go.
pub(crate) const MIRROR: &str = "10.0.1.1:80";

/// What kind of world it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Messages are damaged.
    pub(crate) hostile: bool,
    /// Services speak HTTP/2.
    pub(crate) http2: bool,
}

/// One service of some endpoints behind the inbound listener, with random policies.
pub(crate) fn snapshot(
    registry: &mut Registry,
    endpoints: usize,
    shape: Shape,
    dice: &mut Dice,
) -> Arc<Snapshot> {
    let protocol = match shape.http2 {
        true => UpstreamProtocol::Http2(Http2Options::default()),
        false => UpstreamProtocol::Http1,
    };
    let balancings = [
        Balancing::RoundRobin,
        Balancing::Random,
        Balancing::LeastRequest,
    ];
    let balancing = balancings[dice.below(3) as usize];
    let endpoints = (0..endpoints).map(|n| endpoint(&address(n), registry, dice));
    let endpoints = endpoints.collect();
    let name = "inbound|80||";
    let cluster = Cluster {
        endpoints,
        balancing,
        protocol,
        idle_timeout: Some(Duration::from_secs(dice.between(1, 3600))),
        max_requests_per_connection: dice.coin().then_some(2),
        limits: (dice.below(3) == 0).then(|| limits(dice)),
        ..Cluster::new(name.into(), registry.cluster(name))
    };
    let name = "mirrored";
    let mirrored = Cluster {
        protocol,
        endpoints: [endpoint(MIRROR, registry, dice)].into(),
        limits: dice.coin().then(|| limits(dice)),
        idle_timeout: Some(Duration::from_secs(60)),
        ..Cluster::new(name.into(), registry.cluster(name))
    };
    let destination = Destination {
        weight: 1,
        cluster: DestinationCluster::Known(ClusterId(0)),
        request: HeaderOps::default(),
        response: HeaderOps::default(),
    };
    let forward = Forward {
        destinations: [destination].into(),
        total_weight: 1,
        // A client that leaves behind more than is read ahead is only noticed when its turn comes, so a service that is
        // silent for ever needs an end here.
        timeout: (shape.hostile || dice.coin()).then_some(Duration::from_secs(3)),
        retry: dice.coin().then(|| retry(dice)).map(Box::new),
        mirrors: mirrors(dice),
        ..Forward::default()
    };
    let rule = Rule {
        name: "default".into(),
        origin: None,
        fields: Default::default(),
        condition: Condition::default(),
        action: Arc::new(Action::Forward(forward)),
    };
    Arc::new(Snapshot {
        virtual_hosts: [VirtualHost {
            name: "inbound|http|80".into(),
            rules: [rule].into(),
            ..VirtualHost::default()
        }]
        .into(),
        clusters: Arc::new(vec![cluster, mirrored].into()),
        inbound: [VirtualHostId(0)].into(),
        ..Snapshot::default()
    })
}

fn endpoint(text: &str, registry: &mut Registry, dice: &mut Dice) -> Endpoint {
    let address = Address::Socket(text.parse().expect("an address"));
    let state = registry.host(HostKey {
        cluster: "c".into(),
        address: text.into(),
    });
    Endpoint {
        weight: dice.between(1, 3) as u32,
        ..Endpoint::new(address, state)
    }
}

/// In every second world copies go to a service of their own, and perhaps to one that does not exist.
fn mirrors(dice: &mut Dice) -> Box<[Mirror]> {
    let mut mirror = |cluster| Mirror {
        cluster,
        share: PerMillion::from_percent([30.0, 100.0][dice.below(2) as usize]),
    };
    let all = [
        mirror(DestinationCluster::Known(ClusterId(1))),
        mirror(DestinationCluster::Missing("nobody".into())),
    ];
    all.into_iter()
        .take([0, 0, 1, 2][dice.below(4) as usize])
        .collect()
}

fn limits(dice: &mut Dice) -> Limits {
    let mut limit = |most: u64| match dice.below(most + 1) {
        0 => u32::MAX,
        limit => limit as u32,
    };
    Limits {
        connections: limit(2),
        pending: limit(3),
        requests: limit(3),
        retries: RetryLimit::Count(limit(1)),
    }
}

fn retry(dice: &mut Dice) -> RetryPolicy {
    RetryPolicy {
        retries: RETRIES,
        per_try_timeout: dice.coin().then_some(Duration::from_secs(1)),
        on: RetryOn::SERVER_ERROR,
        status_codes: Box::default(),
        backoff: Duration::from_millis(25),
        ignore_previous_hosts: dice.coin(),
        remote_localities: dice.coin(),
        retry_after: dice.coin().then_some(Duration::from_secs(2)),
        hedge_on_per_try_timeout: dice.coin(),
    }
}

/// Where an endpoint of the service is.
pub(crate) fn address(number: usize) -> String {
    format!("10.0.0.{}:80", number + 1)
}
