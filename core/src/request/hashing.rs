//! What a request is hashed by, and the cookies that were made for that.
//!
//! Routes have the hash policies of all their destinations, so a hash is the same whichever destination is drawn. It is taken
//! once, of the head as it is forwarded first; a retry goes by the same one.

use super::{Context, plan, scheme};
use crate::decision::Record;
use crate::message::ResponseHead;
use crate::policy::hash::request_hash::{self, Hashed};
use crate::snapshot::{Destination, DestinationCluster, HashPolicy, Snapshot};

/// Hashes a request that goes to a cluster that looks hashes up, unless that was done already.
pub(super) fn hash(context: &Context<'_>, record: &mut Record) {
    if record.hash.is_some() {
        return;
    }
    let (peer, snapshot) = (context.peer, &*context.view.snapshot);
    let hashed = Hashed {
        request: &record.request,
        scheme: scheme(&record.request),
        remote: peer.remote,
        local: peer.destination(),
    };
    let plan = plan::of(record, snapshot);
    let destinations = plan.map_or(&[][..], |plan| &plan.forward.destinations);
    let policies = (0..)
        .zip(destinations)
        .filter_map(|(at, destination)| Some((at, policy_of(destination, snapshot)?)));
    record.hash = Some(request_hash::of(policies, &hashed));
}

/// Gives the client the cookies that were made, once, in front of what the rule adds to the response.
pub(super) fn set_cookies(context: &Context<'_>, record: &Record, response: &mut ResponseHead) {
    let Some(hash) = &record.hash else { return };
    if hash.made.is_empty() {
        return;
    }
    let (peer, snapshot) = (context.peer, &context.view.snapshot);
    let Some(plan) = plan::of(record, snapshot) else {
        return;
    };
    let value = request_hash::made_value(peer.remote, peer.destination());
    for at in &hash.made {
        let destination = plan.forward.destinations.get(*at as usize);
        let policy = destination.and_then(|d| policy_of(d, snapshot));
        if let Some(HashPolicy::Cookie(cookie)) = policy
            && let Some(behind) = &cookie.make
        {
            let name = cookie.name.as_bytes();
            let text = [name, b"=\"", &value, b"\"", behind.as_bytes()].concat();
            // Heads are bounded far below what a field or a head can hold.
            let _ = response.headers.append(b"set-cookie", &text);
        }
    }
}

fn policy_of<'s>(destination: &Destination, snapshot: &'s Snapshot) -> Option<&'s HashPolicy> {
    match destination.cluster {
        DestinationCluster::Known(id) => snapshot.cluster(id).hash_policy.as_deref(),
        DestinationCluster::Missing(_) | DestinationCluster::Passthrough => None,
    }
}
