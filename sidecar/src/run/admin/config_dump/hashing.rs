//! How a cluster turns hashes into endpoints, and what is hashed for it.

use outrigger_core::snapshot::{Balancing, HashPolicy, HashTableKind};
use serde_json::{Value, json};

/// By Envoy's names, of a cluster that looks hashes up.
pub(super) fn consistent_hash(balancing: Balancing) -> Option<Value> {
    let Balancing::ConsistentHash(hash) = balancing else {
        return None;
    };
    let (name, size) = match hash.table {
        HashTableKind::Ring { min_size } => ("minimum_ring_size", min_size),
        HashTableKind::Maglev { size } => ("table_size", size),
    };
    Some(json!({ name: size, "hash_balance_factor": hash.balance_factor }))
}

/// What routes to the cluster hash, by Envoy's names.
pub(super) fn hash_policy(policy: &HashPolicy) -> Value {
    match policy {
        HashPolicy::Field(name) => json!({ "header": name.as_str() }),
        HashPolicy::Cookie(cookie) => json!({ "cookie": cookie.name, "made_with": cookie.make }),
        HashPolicy::SourceAddress => json!({ "source_ip": true }),
        HashPolicy::QueryParameter(name) => json!({ "query_parameter": name }),
    }
}
