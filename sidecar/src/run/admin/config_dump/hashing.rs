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

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::snapshot::{ConsistentHash, HashCookie};

    #[test]
    fn hashing_is_shown_under_envoys_names() {
        let shown = |table, balance_factor| {
            let hash = ConsistentHash {
                table,
                balance_factor,
            };
            consistent_hash(Balancing::ConsistentHash(hash))
        };
        assert_eq!(
            shown(HashTableKind::Ring { min_size: 7 }, None),
            Some(json!({ "minimum_ring_size": 7, "hash_balance_factor": null }))
        );
        assert_eq!(
            shown(HashTableKind::Maglev { size: 251 }, Some(125)),
            Some(json!({ "table_size": 251, "hash_balance_factor": 125 }))
        );
        assert_eq!(consistent_hash(Balancing::Random), None);
        let cookie = HashPolicy::Cookie(HashCookie {
            name: "sid".into(),
            make: Some("; HttpOnly".into()),
        });
        for (policy, want) in [
            (
                cookie,
                json!({ "cookie": "sid", "made_with": "; HttpOnly" }),
            ),
            (HashPolicy::SourceAddress, json!({ "source_ip": true })),
            (
                HashPolicy::QueryParameter("q".into()),
                json!({ "query_parameter": "q" }),
            ),
        ] {
            assert_eq!(hash_policy(&policy), want);
        }
    }
}
