//! Local rate limits of filters and of VirtualServices, and their buckets.

use super::{Builder, RESOURCE_EXHAUSTED, error_status, ops, share};
use crate::cluster::BucketSize;
use crate::config::envoy_filter::{EnvoyFilter, LimitPatch, LocalRateLimit, TokenBucket};
use crate::config::meta::Meta;
use crate::config::virtual_service::RequestRate;
use crate::snapshot::{Descriptor, Origin, RateLimit, RateLimitId, SizedBucket};

/// What sets a limit up, and what for.
struct Placed<'a> {
    kind: &'static str,
    meta: &'a Meta,
    path: &'a str,
    holds_for: String,
    stat_prefix: String,
    size: Option<BucketSize>,
}

impl Builder<'_, '_> {
    /// The limit of a patch for a place; `None` when it looks at no request.
    pub(super) fn make(
        &mut self,
        filter: &EnvoyFilter,
        patch: &LimitPatch,
        limit: &LocalRateLimit,
        holds_for: String,
    ) -> Option<RateLimitId> {
        let enabled = share(limit.enabled)?;
        let default = limit.token_bucket.map(size);
        let place = Placed {
            kind: "EnvoyFilter",
            meta: &filter.meta,
            path: &patch.path,
            holds_for,
            stat_prefix: limit.stat_prefix.clone(),
            size: default,
        };
        let id = self.file(place, |plain, bucket| RateLimit {
            enabled,
            descriptors: limit
                .descriptors
                .iter()
                .map(|descriptor| Descriptor {
                    entries: descriptor
                        .entries
                        .iter()
                        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                        .collect(),
                    sized: bucket(
                        &format!("{:?}", descriptor.entries),
                        size(descriptor.token_bucket),
                    ),
                })
                .collect(),
            always_takes: limit.always_consume_default.unwrap_or(true),
            enforced: share(limit.enforced).unwrap_or_default(),
            per_connection: limit.per_connection,
            status: error_status(limit.status).unwrap_or(plain.status),
            grpc_status: limit.resource_exhausted.then_some(RESOURCE_EXHAUSTED),
            tells_clients: limit.tells_clients,
            response: ops(&limit.response_headers),
            request: ops(&limit.request_headers),
            ..plain
        });
        Some(id)
    }

    /// The limit of a VirtualService, which all its rules share wherever they hold.
    pub(super) fn rate(&mut self, meta: &Meta, rate: RequestRate) -> RateLimitId {
        let place = Placed {
            kind: "VirtualService",
            meta,
            path: "metadata.annotations[\"outrigger.dev/local-rate-limit\"]",
            holds_for: "its HTTP rules".into(),
            stat_prefix: format!("{}.{}", meta.namespace, meta.name),
            size: Some(BucketSize::new(rate.burst, rate.requests, rate.per)),
        };
        self.file(place, |plain, _| plain)
    }

    /// Files a limit, made from one that refuses everything it has no token for; the one of this origin and this place,
    /// if it is there already.
    fn file(
        &mut self,
        place: Placed<'_>,
        settle: impl FnOnce(RateLimit, &mut dyn FnMut(&str, BucketSize) -> SizedBucket) -> RateLimit,
    ) -> RateLimitId {
        let resource = place.meta.resource_name(place.kind);
        let key = format!("{resource} {} {}", place.path, place.holds_for);
        if let Some(made) = self.made.get(&key) {
            return *made;
        }
        // A configuration with 2^32 limits does not fit into memory.
        let id = RateLimitId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let registry = &mut *self.registry;
        let counts = registry.limit_counts(&place.stat_prefix);
        let mut bucket = |of: &str, size| SizedBucket {
            size,
            bucket: registry.bucket(&format!("{key} {of} {size:?}")),
        };
        let origin = Origin {
            resource: self.resources.id_of(place.kind, place.meta),
            path: place.path.into(),
            line: place.meta.locate(place.path).line,
        };
        let plain = RateLimit {
            holds_for: place.holds_for.into(),
            counts,
            stat_prefix: place.stat_prefix.into(),
            bucket: place.size.map(|size| bucket("", size)),
            ..RateLimit::new(origin)
        };
        let made = settle(plain, &mut bucket);
        self.list.push(made);
        self.made.insert(key, id);
        id
    }
}

fn size(written: TokenBucket) -> BucketSize {
    let fill = written.tokens_per_fill.unwrap_or(1);
    BucketSize::new(written.max_tokens, fill, written.fill_interval)
}
