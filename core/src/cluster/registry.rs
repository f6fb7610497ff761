//! Which live state belongs to which endpoint and which rate limit, from one snapshot to the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::host::HostState;
use super::jwt_counts::JwtCounts;
use super::limit_counts::LimitCounts;
use super::state::ClusterState;
use super::token_bucket::Bucket;
use crate::peer::Identity;

/// An endpoint as the registry knows it: the cluster's name and the endpoint's address in text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostKey {
    /// `outbound|80|v1|reviews.default.svc.cluster.local`.
    pub cluster: Box<str>,
    /// `10.0.0.1:8080`, `api.example.com:443` or a socket path.
    pub address: Box<str>,
}

/// What is known about an endpoint.
#[derive(Debug)]
struct Known {
    state: Weak<HostState>,
    /// The snapshot being compiled names it.
    named: bool,
}

/// Live state by name. One per process (or per simulated sidecar); used only while a snapshot is compiled.
///
/// It holds no endpoint alive: state dies with the last snapshot, request or idle connection that uses it.
#[derive(Debug, Default)]
pub struct Registry {
    hosts: BTreeMap<HostKey, Known>,
    clusters: BTreeMap<Box<str>, Weak<ClusterState>>,
    buckets: BTreeMap<Box<str>, Weak<Bucket>>,
    limit_counts: BTreeMap<Box<str>, Weak<LimitCounts>>,
    jwt_counts: Weak<JwtCounts>,
    identities: BTreeMap<Identity, Weak<Identity>>,
    /// Which of the addresses for services without own ones each has, by host: see `compile`.
    pub auto_addresses: BTreeMap<Box<str>, u16>,
    next_id: u32,
}

impl Registry {
    /// The state of an endpoint: what it was if somebody still holds it, new otherwise.
    pub fn host(&mut self, key: HostKey) -> Arc<HostState> {
        if let Some(known) = self.hosts.get_mut(&key)
            && let Some(state) = known.state.upgrade()
        {
            known.named = true;
            state.join();
            return state;
        }
        let cluster = self.cluster(&key.cluster);
        let state = Arc::new(HostState::new(self.next_id, cluster));
        self.next_id += 1;
        let known = Known {
            state: Arc::downgrade(&state),
            named: true,
        };
        self.hosts.insert(key, known);
        state
    }

    /// The state of a cluster by its name: what it was if somebody still holds it, new otherwise.
    pub fn cluster(&mut self, name: &str) -> Arc<ClusterState> {
        held_or_new(&mut self.clusters, name)
    }

    /// A rate limit's bucket by a name that tells its place and its settings: as full as it was if somebody still holds
    /// it, full otherwise.
    pub fn bucket(&mut self, name: &str) -> Arc<Bucket> {
        held_or_new(&mut self.buckets, name)
    }

    /// What rate limits with this `stat_prefix` counted.
    pub fn limit_counts(&mut self, stat_prefix: &str) -> Arc<LimitCounts> {
        held_or_new(&mut self.limit_counts, stat_prefix)
    }

    /// What was counted of tokens.
    pub fn jwt_counts(&mut self) -> Arc<JwtCounts> {
        if let Some(counts) = self.jwt_counts.upgrade() {
            return counts;
        }
        let counts = Arc::default();
        self.jwt_counts = Arc::downgrade(&counts);
        counts
    }

    /// The names of a workload: the same value for the same names as long as somebody holds it, so that who files something
    /// by it knows it again, and knows when it is gone.
    pub fn identity(&mut self, names: &Identity) -> Arc<Identity> {
        if let Some(known) = self.identities.get(names).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(names.clone());
        self.identities.insert(names.clone(), Arc::downgrade(&new));
        new
    }

    /// A snapshot is compiled: endpoints that it does not name have left their clusters, and what nobody holds any more
    /// is forgotten.
    pub fn sweep(&mut self) {
        self.clusters.retain(|_, state| state.strong_count() > 0);
        self.buckets.retain(|_, state| state.strong_count() > 0);
        self.limit_counts
            .retain(|_, state| state.strong_count() > 0);
        self.identities.retain(|_, known| known.strong_count() > 0);
        self.hosts.retain(|_, known| {
            let is_named = core::mem::take(&mut known.named);
            let Some(state) = known.state.upgrade() else {
                return false;
            };
            if !is_named {
                state.health().leave(state.cluster());
            }
            true
        });
    }
}

fn held_or_new<T: Default>(all: &mut BTreeMap<Box<str>, Weak<T>>, name: &str) -> Arc<T> {
    if let Some(state) = all.get(name).and_then(Weak::upgrade) {
        return state;
    }
    let state = Arc::<T>::default();
    all.insert(name.into(), Arc::downgrade(&state));
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    #[test]
    fn state_is_kept_while_somebody_holds_it() {
        let mut r = Registry::default();
        let key = HostKey {
            cluster: "c".into(),
            address: "a".into(),
        };
        let first = r.host(key.clone());
        let active = first.begin_request();
        assert_eq!(r.host(key.clone()).active(), 1);
        drop(active);
        assert_eq!(r.host(key.clone()).active(), 0);
        let id = first.id();
        drop(first);
        r.sweep();
        let second = r.host(key);
        assert_ne!(
            second.id(),
            id,
            "an id is never reused, so an old idle connection cannot be mistaken"
        );
        assert_eq!(second.requests(), 0);
    }

    #[test]
    fn joining_is_timed_once_until_an_endpoint_has_left() {
        let mut r = Registry::default();
        let key = HostKey {
            cluster: "c".into(),
            address: "a".into(),
        };
        let at = Instant::from_millis;
        let host = r.host(key.clone());
        assert_eq!([1, 2].map(|now| host.joined(at(now))), [at(1), at(1)]);
        r.sweep();
        r.host(key.clone());
        r.sweep();
        assert_eq!(host.joined(at(3)), at(1));
        r.sweep(); // a snapshot without it
        assert_eq!(host.joined(at(4)), at(1));
        let again = r.host(key);
        assert!(Arc::ptr_eq(&host, &again));
        assert_eq!(again.joined(at(5)), at(5));
    }

    #[test]
    fn counts_of_a_rate_limit_are_kept_while_somebody_holds_them() {
        let mut r = Registry::default();
        let counts = r.limit_counts("a");
        assert!(Arc::ptr_eq(&counts, &r.limit_counts("a")));
        assert!(!Arc::ptr_eq(&counts, &r.limit_counts("b")));
    }

    #[test]
    fn buckets_of_rate_limits_are_kept_while_somebody_holds_them() {
        let mut r = Registry::default();
        let bucket = r.bucket("a");
        assert!(Arc::ptr_eq(&bucket, &r.bucket("a")));
        assert!(!Arc::ptr_eq(&bucket, &r.bucket("b")));
    }

    #[test]
    fn a_sweep_forgets_what_nobody_holds_and_nothing_else() {
        let mut r = Registry::default();
        let named = |namespace: &str| Identity::of("w", namespace, &BTreeMap::new());
        let mut each = |name: &str| {
            let counts = (r.bucket(name), r.limit_counts(name));
            (r.cluster(name), counts, r.identity(&named(name)))
        };
        let held = each("held");
        drop(each("gone"));
        r.sweep();
        assert_eq!(
            (r.clusters.len(), r.buckets.len(), r.limit_counts.len()),
            (1, 1, 1)
        );
        assert_eq!(r.identities.len(), 1);
        assert!(Arc::ptr_eq(&held.0, &r.cluster("held")));
        assert!(Arc::ptr_eq(&held.2, &r.identity(&named("held"))));
        assert!(Arc::ptr_eq(&held.1.0, &r.bucket("held")));
        assert!(Arc::ptr_eq(&held.1.1, &r.limit_counts("held")));
    }
}
