//! Global rate limits of filters: the services that keep them, found among those that this workload can ask.

use http::StatusCode;

use super::{Builder, RESOURCE_EXHAUSTED, error_status, ops, share};
use crate::compile::clusters::Clusters;
use crate::config::code::Code;
use crate::config::envoy_filter::{self, EnvoyFilter, LimitPatch, Service};
use crate::config::finding::Finding;
use crate::message::FieldName;
use crate::snapshot::{DestinationCluster, GlobalRateLimit, GlobalRateLimitId, Origin, PerMillion};
use crate::time::Duration;

/// How long an answer may take where it is not said (Envoy).
const TIMEOUT: Duration = Duration::from_millis(20);

impl Builder<'_, '_> {
    /// The limit of a patch, for a domain; `None` when it looks at no request.
    pub(super) fn make_global(
        &mut self,
        filter: &EnvoyFilter,
        patch: &LimitPatch,
        limit: &envoy_filter::GlobalRateLimit,
        domain: &str,
    ) -> Option<GlobalRateLimitId> {
        let service = limit.service.as_ref()?;
        let enabled = limit
            .enabled
            .map_or(Some(PerMillion::ALL), |of| share(Some(of)))?;
        // No request is an internal one to a sidecar.
        if limit.request_type == "internal" {
            return None;
        }
        let key = format!(
            "{} {} {domain}",
            filter.meta.resource_name("EnvoyFilter"),
            patch.path
        );
        if let Some(made) = self.made_global.get(&key) {
            return Some(*made);
        }
        // A configuration with 2^32 limits does not fit into memory.
        let id = GlobalRateLimitId(u32::try_from(self.global.len()).unwrap_or(u32::MAX));
        let of = |written, default| match written {
            None => default,
            Some(_) => share(written).unwrap_or_default(),
        };
        let failure = match limit.denies_on_failure {
            true => PerMillion::ALL,
            false => PerMillion::default(),
        };
        let metadata = service.metadata.iter().filter_map(|(name, value)| {
            let value: Box<str> = value.as_str().into();
            Some((FieldName::new(name)?, value))
        });
        self.global.push(GlobalRateLimit {
            origin: Origin {
                resource: self.resources.id_of("EnvoyFilter", &filter.meta),
                path: patch.path.as_str().into(),
                line: filter.meta.locate(&patch.path).line,
            },
            domain: domain.into(),
            cluster: self.clusters.by_name(service.cluster.as_str().into()),
            authority: authority(service, self.clusters),
            metadata: metadata.collect(),
            timeout: Some(limit.timeout.unwrap_or(TIMEOUT)).filter(|time| !time.is_zero()),
            enabled,
            enforced: of(limit.enforced, PerMillion::ALL),
            denied_on_failure: of(limit.denied_on_failure, failure),
            status: error_status(limit.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS),
            grpc_status: limit.resource_exhausted.then_some(RESOURCE_EXHAUSTED),
            status_on_error: status_on_error(limit.status_on_error),
            tells_clients: limit.tells_clients,
            says_limited: !limit.hides_limited,
            response: ops(&limit.response_headers),
        });
        self.made_global.insert(key, id);
        Some(id)
    }
}

/// What calls say as their host.
fn authority(service: &Service, clusters: &Clusters) -> Box<str> {
    if !service.authority.is_empty() {
        return service.authority.as_str().into();
    }
    match clusters.by_name(service.cluster.as_str().into()) {
        DestinationCluster::Known(id) => clusters.list[id.0 as usize].host.clone(),
        DestinationCluster::Missing(name) => name,
        DestinationCluster::Passthrough => Box::default(),
    }
}

/// What is none, or an interim one, is 500.
fn status_on_error(written: Option<u32>) -> StatusCode {
    let code = written.and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| *code >= 200);
    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Tells of a service that there is not.
pub(super) fn tell_missing(
    filter: &EnvoyFilter,
    patch: &LimitPatch,
    limit: &envoy_filter::GlobalRateLimit,
    clusters: &Clusters,
) -> Option<Finding> {
    let name = &limit.service.as_ref()?.cluster;
    let DestinationCluster::Missing(name) = clusters.by_name(name.as_str().into()) else {
        return None;
    };
    let effect = match limit.denies_on_failure {
        true => "is refused",
        false => "passes, limited by nobody",
    };
    Some(Finding::about(
        Code::UnknownLimitService,
        "EnvoyFilter",
        &filter.meta,
        &format!("{}.patch.value", patch.path),
        format!("there is no cluster `{name}` to ask about limits, so every request {effect}"),
        "name a service of the mesh, as `outbound|PORT||HOST`; clusters that patches add are not used",
    ))
}
