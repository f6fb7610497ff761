//! Local rate limits, found for every rule of every virtual host: what EnvoyFilters insert into listeners, what they say
//! for routes, and what VirtualServices add by annotation.
//!
//! As in Istio, each listener that a filter is inserted into has a bucket of its own, and so has each route that a patch
//! is for. A bucket keeps what is in it from one snapshot to the next as long as its place and its settings stay.

mod descriptors;
mod sites;

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use super::Input;
use super::header_ops;
use super::labels::is_subset;
use super::resources::ResourceTable;
use crate::cluster::{BucketSize, Registry};
use crate::config::code::Code;
use crate::config::envoy_filter::{
    Change, Context, EnvoyFilter, Fraction, HeaderOption, Level, LimitPatch, LocalRateLimit,
    TokenBucket,
};
use crate::config::finding::Finding;
use crate::config::meta::Meta;
use crate::config::virtual_service::RequestRate;
use crate::message::FieldName;
use crate::snapshot::{
    DescribedBy, Descriptor, HeaderOps, HostLimits, HostTable, Limiter, Origin, PerMillion, Place,
    RateLimit, RateLimitId, Rule, SizedBucket, VirtualHost, VirtualHostId,
};
use sites::{Site, matches, sites};

/// The port for which nobody needs a service to reach a host that nobody knows.
const HTTP_PORT: u16 = 80;

/// The gRPC status of `rate_limited_as_resource_exhausted`.
const RESOURCE_EXHAUSTED: u8 = 8;

/// The rate limits of a snapshot.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    pub(super) list: Vec<RateLimit>,
    pub(super) unknown_hosts: Vec<(u16, Box<[Limiter]>)>,
    pub(super) findings: Vec<Finding>,
}

/// Gives virtual hosts their limits. `inbound` are those of the inbound listeners, with the application's port.
pub(super) fn attach(
    input: &Input<'_>,
    table: &HostTable,
    inbound: &[(VirtualHostId, u16)],
    virtual_hosts: &mut [VirtualHost],
    resources: &mut ResourceTable,
    registry: &mut Registry,
) -> RateLimits {
    let filters = selected(input);
    let rated = rated(input);
    if filters.is_empty() && rated.is_empty() {
        return RateLimits::default();
    }
    let mut builder = Builder {
        patches: filters
            .iter()
            .flat_map(|filter| filter.patches.iter().map(|patch| (*filter, patch)))
            .collect(),
        rated,
        made: BTreeMap::new(),
        list: Vec::new(),
        resources,
        registry,
    };
    let sites = sites(table, inbound, virtual_hosts);
    for (id, site) in &sites {
        let host = &mut virtual_hosts[id.0 as usize];
        let limits = HostLimits {
            rules: host.rules.iter().map(|r| builder.of(site, r)).collect(),
            otherwise: builder.inserted(site, None),
        };
        let has_limits = limits.rules.iter().any(|rule| !rule.is_empty());
        if has_limits || !limits.otherwise.is_empty() {
            host.limits = Some(Box::new(limits));
        }
    }
    let outbound = sites.values().filter(|site| !site.is_inbound);
    let ports: BTreeSet<u16> = outbound.map(|site| site.port).chain([HTTP_PORT]).collect();
    let unknown_hosts = ports.into_iter().filter_map(|port| {
        let limiters = builder.inserted(&Site::unknown(port), None);
        (!limiters.is_empty()).then_some((port, limiters))
    });
    RateLimits {
        unknown_hosts: unknown_hosts.collect(),
        findings: builder.unread(),
        list: builder.list,
    }
}

/// The filters that hold for the workload, in the order in which Istio applies them.
fn selected<'a>(input: &Input<'a>) -> Vec<&'a EnvoyFilter> {
    let (workload, root) = (input.workload, &input.mesh.root_namespace);
    let holds = |filter: &&EnvoyFilter| {
        let namespace = &filter.meta.namespace;
        !filter.is_targeted
            && (namespace == root || *namespace == workload.namespace)
            && is_subset(&filter.workload_selector, &workload.labels)
    };
    let mut all: Vec<_> = input.envoy_filters().into_iter().filter(holds).collect();
    all.sort_by_key(|filter| (filter.priority, filter.meta.namespace != *root)); // stable: by age within
    all
}

/// The VirtualServices that limit their requests, by namespace and name.
fn rated<'a>(input: &Input<'a>) -> BTreeMap<(&'a str, &'a str), (&'a Meta, RequestRate)> {
    let all = input.virtual_services().into_iter();
    all.filter_map(|service| {
        let meta = &service.meta;
        let rate = service.extensions.local_rate_limit?;
        Some(((&*meta.namespace, &*meta.name), (meta, rate)))
    })
    .collect()
}

struct Builder<'a, 'b> {
    /// In the order in which they are applied.
    patches: Vec<(&'a EnvoyFilter, &'a LimitPatch)>,
    rated: BTreeMap<(&'a str, &'a str), (&'a Meta, RequestRate)>,
    /// By what sets them up and what they hold for.
    made: BTreeMap<String, RateLimitId>,
    list: Vec<RateLimit>,
    resources: &'b mut ResourceTable,
    registry: &'b mut Registry,
}

/// What sets a limit up, and what for.
struct Placed<'a> {
    kind: &'static str,
    meta: &'a Meta,
    path: &'a str,
    holds_for: String,
    stat_prefix: String,
    size: Option<BucketSize>,
}

impl<'a> Builder<'a, '_> {
    /// The limits of a rule, in order.
    fn of(&mut self, site: &Site, rule: &Rule) -> Box<[Limiter]> {
        let mut limiters = self.inserted(site, Some(rule)).into_vec();
        let resource = rule.origin.as_ref().map(|origin| origin.resource);
        let rated = resource.and_then(|id| {
            let resource = &self.resources.list[id.0 as usize];
            let key = (&*resource.namespace, &*resource.name);
            self.rated.get(&key).copied()
        });
        if let Some((meta, rate)) = rated {
            limiters.push(Limiter {
                place: Place::BeforeRouter,
                limit: self.rate(meta, rate),
                described: Box::default(),
            });
        }
        limiters.sort_by_key(|limiter| limiter.place); // stable: as inserted within
        limiters.into()
    }

    /// The limits of the filters that are inserted into a listener, as the route says if it says anything.
    fn inserted(&mut self, site: &Site, rule: Option<&Rule>) -> Box<[Limiter]> {
        let mut limiters = Vec::new();
        for at in 0..self.patches.len() {
            let (filter, patch) = self.patches[at];
            let Change::Insert {
                port,
                place,
                name,
                limit,
            } = &patch.change
            else {
                continue;
            };
            let is_here =
                site.is_in(patch.context) && (*port == 0 || *port == u32::from(site.port));
            if !is_here {
                continue;
            }
            let (filter, patch, limit, holds_for) = self
                .overriding(name, site, rule)
                .unwrap_or_else(|| (filter, patch, limit, site.listener()));
            let Some(id) = self.make(filter, patch, limit, holds_for) else {
                continue;
            };
            let described = self.described(id, limit, site, rule);
            limiters.push(Limiter {
                place: *place,
                limit: id,
                described,
            });
        }
        limiters.into()
    }

    /// What a patch says to a filter of this name for a route, and for what together: the narrowest, and the last of
    /// those.
    fn overriding(
        &self,
        filter_name: &str,
        site: &Site,
        rule: Option<&Rule>,
    ) -> Option<(&'a EnvoyFilter, &'a LimitPatch, &'a LocalRateLimit, String)> {
        let rule = rule?;
        let mut best: Option<(Level, _, _, _)> = None;
        for (filter, patch) in &self.patches {
            let Change::Override {
                level,
                routes,
                limits,
                ..
            } = &patch.change
            else {
                continue;
            };
            let named = limits.iter().find(|(name, _)| name == filter_name);
            let (Some((_, limit)), true) = (named, site.is_in(patch.context)) else {
                continue;
            };
            if best.as_ref().is_some_and(|(best, ..)| *best > *level)
                || !matches(routes, *level, site, rule)
            {
                continue;
            }
            best = Some((*level, *filter, *patch, limit));
        }
        let (level, filter, patch, limit) = best?;
        let holds_for = match level {
            Level::Configuration => site.listener(),
            Level::VirtualHost => site.name.clone(),
            Level::Route => {
                let path = rule.origin.as_ref().map_or("", |origin| &*origin.path);
                format!("{} route {} {path}", site.name, rule.name)
                    .trim_end()
                    .to_owned()
            }
        };
        Some((filter, patch, limit, holds_for))
    }

    /// Which descriptors of a limit requests of a rule may have. The limit's own actions come before the route's, those
    /// before the virtual host's.
    fn described(
        &self,
        id: RateLimitId,
        limit: &'a LocalRateLimit,
        site: &Site,
        rule: Option<&Rule>,
    ) -> Box<[DescribedBy]> {
        let all = &self.list[id.0 as usize].descriptors;
        if all.is_empty() {
            return Box::default();
        }
        let of = |wanted: Level| {
            let patches = self.patches.iter().filter_map(|(_, patch)| {
                let Change::Override {
                    level,
                    routes,
                    rate_limits,
                    ..
                } = &patch.change
                else {
                    return None;
                };
                let holds = *level == wanted
                    && site.is_in(patch.context)
                    && matches(routes, wanted, site, rule?);
                holds.then_some(rate_limits)
            });
            patches.flatten().map(Vec::as_slice).collect::<Vec<_>>()
        };
        let own = || {
            limit
                .rate_limits
                .iter()
                .map(Vec::as_slice)
                .collect::<Vec<_>>()
        };
        let tries = [own(), of(Level::Route), of(Level::VirtualHost)];
        let lists = tries.into_iter().find(|lists| !lists.is_empty());
        descriptors::described(all, &lists.unwrap_or_default())
    }

    /// The limit of a patch for a place; `None` when it looks at no request.
    fn make(
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
        let status = limit.status.and_then(|code| u16::try_from(code).ok());
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
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
            // What is no error is no refusal either (Envoy).
            status: status
                .filter(|status| status.as_u16() >= 400)
                .unwrap_or(plain.status),
            grpc_status: limit.resource_exhausted.then_some(RESOURCE_EXHAUSTED),
            tells_clients: limit.tells_clients,
            response: ops(&limit.response_headers),
            request: ops(&limit.request_headers),
            ..plain
        });
        Some(id)
    }

    /// The limit of a VirtualService, which all its rules share wherever they hold.
    fn rate(&mut self, meta: &Meta, rate: RequestRate) -> RateLimitId {
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

    /// Tells what routes say to filters that nobody inserts.
    fn unread(&self) -> Vec<Finding> {
        let reads = |filter: &str, context: Context| {
            self.patches.iter().any(|(_, patch)| {
                let Change::Insert { name, .. } = &patch.change else {
                    return false;
                };
                let meets = context == Context::Any
                    || patch.context == Context::Any
                    || patch.context == context;
                name == filter && meets
            })
        };
        let mut findings = Vec::new();
        for (filter, patch) in &self.patches {
            let Change::Override { limits, .. } = &patch.change else {
                continue;
            };
            for (name, _) in limits.iter().filter(|(n, _)| !reads(n, patch.context)) {
                findings.push(Finding::about(
                    Code::RateLimitWithoutEffect,
                    "EnvoyFilter",
                    &filter.meta,
                    &patch.path,
                    format!("no `HTTP_FILTER` patch inserts `{name}`, so nothing reads this"),
                    "insert the filter as well",
                ));
            }
        }
        findings
    }
}

fn size(written: TokenBucket) -> BucketSize {
    let fill = written.tokens_per_fill.unwrap_or(1);
    BucketSize::new(written.max_tokens, fill, written.fill_interval)
}

/// A share above zero.
fn share(written: Option<Fraction>) -> Option<PerMillion> {
    let written = written?;
    let share = PerMillion::from_fraction(written.numerator, written.denominator);
    (share > PerMillion::default()).then_some(share)
}

fn ops(written: &[HeaderOption]) -> HeaderOps {
    let write = written.iter().filter_map(|header| {
        let name = FieldName::new(&header.name)?;
        Some((name, header_ops::value(&header.value, header.overwrite)))
    });
    HeaderOps {
        write: write.collect(),
        ..HeaderOps::default()
    }
}
