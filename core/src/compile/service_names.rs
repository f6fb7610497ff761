//! Which names applications may ask for: those of the services that they see and that have addresses, in all the spellings
//! of Kubernetes, and those of the pods of headless services (Istio's name table).

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::hosts::Hosts;
use super::services::RegistryService;
use crate::config::names;
use crate::snapshot::{Address, ServiceNames};

/// The names, where applications ask us for them.
pub(super) fn service_names(hosts: &Hosts<'_>) -> ServiceNames {
    let input = hosts.targets.input;
    if !input.mesh.default_config.dns_capture {
        return ServiceNames::default();
    }
    let (client, domain) = (&input.workload.namespace, &input.mesh.cluster_domain);
    let (mut own, mut others, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for service in hosts.targets.services.iter() {
        let mut ports = service.ports.iter();
        if !ports.any(|port| hosts.listener_of(service, port).is_some()) {
            continue;
        }
        for (name, of_name) in named(service, hosts) {
            // A snapshot with 2^32 names does not fit into memory.
            let at = addresses.len() as u32;
            addresses.push(of_name);
            let pod = name.strip_suffix(&*service.host).unwrap_or_default();
            for (alias, is_other) in names::aliases(&service.host, client, domain)
                .into_iter()
                .zip([false].into_iter().chain(core::iter::repeat(true)))
            {
                let list = if is_other { &mut others } else { &mut own };
                list.push((format!("{pod}{alias}").into(), at));
            }
        }
    }
    // A name of its own comes before the short name of somebody else.
    own.extend(others);
    ServiceNames::new(own, addresses)
}

/// The names of a service and its pods, in full, that have addresses.
fn named(service: &RegistryService<'_>, hosts: &Hosts<'_>) -> Vec<(String, Box<[IpAddr]>)> {
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    if service.is_headless {
        let clusters = hosts.targets.clusters.of_host(&service.host);
        for endpoint in clusters.flat_map(|cluster| &*cluster.endpoints) {
            let Address::Socket(at) = &endpoint.address else {
                continue;
            };
            let of_pod = match &*endpoint.hostname {
                "" => None,
                hostname => Some(format!("{hostname}.{}", service.host)),
            };
            for name in [Some(service.host.clone()), of_pod].into_iter().flatten() {
                let all = found.entry(name).or_default();
                if !all.contains(&at.ip()) {
                    all.push(at.ip());
                }
            }
        }
    } else {
        let written = service
            .addresses
            .iter()
            .filter_map(|text| text.parse().ok());
        let usable = written.filter(|ip: &IpAddr| !ip.is_unspecified());
        let all: Vec<IpAddr> = usable.chain(service.allocated.iter().copied()).collect();
        if !all.is_empty() {
            found.insert(service.host.clone(), all);
        }
    }
    let found = found.into_iter();
    found.map(|(name, all)| (name, all.into())).collect()
}
