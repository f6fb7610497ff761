//! Rate limits, found for every rule of every virtual host: what EnvoyFilters insert into listeners, what they say for routes,
//! and what VirtualServices add by annotation.
//!
//! Owns which limits look at which requests; what each is, is for `local` and `global` to say. As in Istio, each listener that a filter is inserted into has a bucket of its own, and so has each route that a patch
//! is for. A bucket keeps what is in it from one snapshot to the next as long as its place and its settings stay.

mod descriptors;
mod global;
mod local;
mod sites;
mod unread;

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use super::Input;
use super::clusters::Clusters;
use super::header_ops;
use super::labels::is_subset;
use super::resources::ResourceTable;
use crate::cluster::Registry;
use crate::config::envoy_filter::{
    self, Change, EnvoyFilter, Fraction, HeaderOption, HostLists, InsertedLimit, Level, LimitPatch,
    LocalRateLimit, PerRoute, RouteLimits,
};
use crate::config::finding::Finding;
use crate::config::meta::Meta;
use crate::config::virtual_service::RequestRate;
use crate::message::FieldName;
use crate::snapshot::{
    Action, Describes, GlobalRateLimit, GlobalRateLimitId, HeaderOps, HostLimits, Limit, Limiter,
    PerMillion, Place, RateLimit, RateLimitId, Rule, VirtualHost,
};
use sites::{Side, Site, matches, sites};

pub(super) use sites::Places;

/// The port for which nobody needs a service to reach a host that nobody knows.
const HTTP_PORT: u16 = 80;

/// The gRPC status of `rate_limited_as_resource_exhausted`.
const RESOURCE_EXHAUSTED: u8 = 8;

/// A filter of a patch, as it is written.
type Written<'a, T> = (&'a EnvoyFilter, &'a LimitPatch, &'a T);

/// What a route says to a filter.
struct Said<'a> {
    filter: &'a EnvoyFilter,
    patch: &'a LimitPatch,
    said: &'a PerRoute,
    /// What it holds for together.
    holds_for: String,
}

/// The rate limits of a snapshot.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    pub(super) list: Vec<RateLimit>,
    pub(super) global: Vec<GlobalRateLimit>,
    pub(super) unknown_hosts: Vec<(u16, Box<[Limiter]>)>,
    /// Of ports of Gateways.
    pub(super) unknown_at_gateways: Vec<(u16, Box<[Limiter]>)>,
    pub(super) findings: Vec<Finding>,
}

/// Gives virtual hosts their limits.
pub(super) fn attach(
    (input, clusters): (&Input<'_>, &Clusters),
    places: Places<'_>,
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
        clusters,
        made: BTreeMap::new(),
        list: Vec::new(),
        made_global: BTreeMap::new(),
        global: Vec::new(),
        resources,
        registry,
    };
    let sites = sites(places, virtual_hosts);
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
    let is_outbound = |site: &&Site| site.side == Side::Outbound && site.socket.is_none();
    let outbound = sites.values().filter(is_outbound);
    let ports: BTreeSet<u16> = outbound.map(|site| site.port).chain([HTTP_PORT]).collect();
    let of_gateways: BTreeSet<u16> = places.gateways.iter().map(|of| of.port).collect();
    let mut unknown = |ports: BTreeSet<u16>, site: fn(u16) -> Site| {
        let limited = ports.into_iter().filter_map(|port| {
            let limiters = builder.inserted(&site(port), None);
            (!limiters.is_empty()).then_some((port, limiters))
        });
        limited.collect()
    };
    RateLimits {
        unknown_hosts: unknown(ports, Site::unknown),
        unknown_at_gateways: unknown(of_gateways, Site::nowhere),
        findings: builder.findings(),
        list: builder.list,
        global: builder.global,
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
    clusters: &'b Clusters,
    /// By what sets them up and what they hold for.
    made: BTreeMap<String, RateLimitId>,
    list: Vec<RateLimit>,
    /// The same of global ones, and their domains.
    made_global: BTreeMap<String, GlobalRateLimitId>,
    global: Vec<GlobalRateLimit>,
    resources: &'b mut ResourceTable,
    registry: &'b mut Registry,
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
                limit: Limit::Local {
                    id: self.rate(meta, rate),
                    described: Box::default(),
                },
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
            let said = self.said_to(name, site, rule);
            let limit = match limit {
                InsertedLimit::Local(limit) => self.local((filter, patch, limit), said, site, rule),
                InsertedLimit::Global(limit) => {
                    self.global((filter, patch, limit), said, site, rule)
                }
            };
            if let Some(limit) = limit {
                let place = *place;
                limiters.push(Limiter { place, limit });
            }
        }
        limiters.into()
    }

    /// A local limit, or the one that the route sets in its place.
    fn local(
        &mut self,
        inserted: Written<'a, LocalRateLimit>,
        said: Option<Said<'a>>,
        site: &Site,
        rule: Option<&Rule>,
    ) -> Option<Limit> {
        let ((filter, patch, limit), holds_for) = match said {
            Some(Said {
                filter,
                patch,
                said: PerRoute::Local(limit),
                holds_for,
            }) => ((filter, patch, limit), holds_for),
            Some(Said {
                said: PerRoute::Global(_),
                ..
            })
            | None => (inserted, site.listener()),
        };
        let id = self.make(filter, patch, limit, holds_for)?;
        let lists = self.lists(
            &limit.rate_limits,
            (limit.stage, limit.host_lists),
            site,
            rule,
        );
        let all = &self.list[id.0 as usize].descriptors;
        let described = descriptors::described(all, &lists);
        Some(Limit::Local { id, described })
    }

    /// A global limit, for requests that are sent on and have a descriptor.
    fn global(
        &mut self,
        (filter, patch, limit): Written<'a, envoy_filter::GlobalRateLimit>,
        said: Option<Said<'a>>,
        site: &Site,
        rule: Option<&Rule>,
    ) -> Option<Limit> {
        let rule = rule.filter(|rule| matches!(*rule.action, Action::Forward(_)))?;
        let said = match said.map(|said| said.said) {
            Some(PerRoute::Global(said)) => Some(said),
            Some(PerRoute::Local(_)) | None => None,
        };
        let own = match said {
            Some(said) if !said.rate_limits.is_empty() => &said.rate_limits,
            Some(_) | None => &limit.rate_limits,
        };
        let hosts = said.map(|said| said.host_lists).unwrap_or_default();
        let described = self.lists(own, (limit.stage, hosts), site, Some(rule));
        if described.is_empty() {
            return None;
        }
        let domain = said.map(|said| &*said.domain).filter(|of| !of.is_empty());
        let domain = domain.unwrap_or(&limit.domain);
        let id = self.make_global(filter, patch, limit, domain)?;
        let described = described.into_iter().cloned().collect();
        Some(Limit::Global { id, described })
    }

    /// What a patch says to a filter of this name for a route, and for what together: the narrowest, and the last of
    /// those.
    fn said_to(&self, filter_name: &str, site: &Site, rule: Option<&Rule>) -> Option<Said<'a>> {
        let rule = rule?;
        let mut best: Option<(Level, _, _, _)> = None;
        for (filter, patch) in &self.patches {
            let Change::Override {
                level,
                routes,
                said,
            } = &patch.change
            else {
                continue;
            };
            let named = said.filters.iter().find(|(name, _)| name == filter_name);
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
        let (level, filter, patch, said) = best?;
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
        Some(Said {
            filter,
            patch,
            said,
            holds_for,
        })
    }

    /// What descriptors are made of requests of a rule for a limit of a stage. Its own come in the place of all others; those of
    /// the route's virtual host where the route says nothing, or as well.
    fn lists(
        &self,
        own: &'a [Describes],
        (stage, hosts): (u32, HostLists),
        site: &Site,
        rule: Option<&Rule>,
    ) -> Vec<&'a Describes> {
        if !own.is_empty() {
            return own.iter().collect();
        }
        let Some(rule) = rule else {
            return Vec::new();
        };
        let of = |wanted: Level| -> Vec<&'a RouteLimits> {
            let patches = self.patches.iter().filter_map(|(_, patch)| {
                let Change::Override {
                    level,
                    routes,
                    said,
                } = &patch.change
                else {
                    return None;
                };
                let holds = *level == wanted
                    && site.is_in(patch.context)
                    && matches(routes, wanted, site, rule);
                holds.then_some(said)
            });
            patches.collect()
        };
        let (route, host) = (of(Level::Route), of(Level::VirtualHost));
        let includes_host = route.iter().any(|said| said.includes_host);
        let is_silent = route.iter().all(|said| said.rate_limits.is_empty());
        let host = match hosts {
            _ if includes_host => host,
            HostLists::Include => host,
            HostLists::Override if is_silent => host,
            HostLists::Override | HostLists::Ignore => Vec::new(),
        };
        let all = route.into_iter().chain(host);
        let all = all.flat_map(|said| &said.rate_limits);
        all.filter(|by| by.stage == stage).collect()
    }
}

/// A share above zero.
fn share(written: Option<Fraction>) -> Option<PerMillion> {
    let written = written?;
    let share = PerMillion::from_fraction(written.numerator, written.denominator);
    (share > PerMillion::default()).then_some(share)
}

/// What is no error is no refusal either (Envoy).
fn error_status(written: Option<u32>) -> Option<StatusCode> {
    let code = written.and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| *code >= 400);
    code.and_then(|code| StatusCode::from_u16(code).ok())
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
