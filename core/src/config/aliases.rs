//! Kubernetes Services of type ExternalName that are other names for services of the mesh (Istio since 1.21).
//!
//! Which services there are and who may see them is said by the caller; one that names nobody in the mesh is no alias.

use std::collections::BTreeMap;

use super::kubernetes::{Reach, Service};
use super::names;

/// How many ExternalName services may lead from one to the next; resolvers do not follow CNAMEs for longer either.
const MAX_HOPS: usize = 16;

/// What ExternalName services lead to: from their full host to that of the service which is none of them.
#[must_use]
pub fn resolve<'a>(
    services: impl Iterator<Item = &'a Service>,
    cluster_domain: &str,
    is_service: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let written: BTreeMap<String, String> = services
        .filter_map(|service| {
            let (name, namespace) = (&service.meta.name, &service.meta.namespace);
            let host = names::service_host(&name.to_ascii_lowercase(), namespace, cluster_domain);
            match &service.reach {
                Reach::ExternalName(to) => Some((host, names::normalize(to).into_owned())),
                Reach::ClusterIp(_) | Reach::Headless => None,
            }
        })
        .collect();
    let end_of = |alias: &String| {
        let mut at = alias;
        for _ in 0..MAX_HOPS {
            at = written.get(at)?;
            if !written.contains_key(at) {
                return is_service(at).then(|| at.clone());
            }
        }
        None
    };
    let resolved = written.keys().filter_map(|alias| {
        let end = end_of(alias)?;
        Some((alias.clone(), end))
    });
    resolved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::meta::Meta;

    #[test]
    fn aliases_lead_to_services_of_the_mesh() {
        let service = |name: &str, to: &str| Service {
            meta: Meta {
                name: name.into(),
                namespace: "a".into(),
                ..Meta::default()
            },
            reach: Reach::ExternalName(to.into()),
            ..Service::default()
        };
        let chain = (0..=MAX_HOPS).map(|at| {
            let next = match at {
                MAX_HOPS => "web.example".into(),
                at => format!("hop{}.a.svc.local", at + 1),
            };
            service(&format!("hop{at}"), &next)
        });
        let mut services = vec![
            service("plain", "web.example"),
            service("Dotted", "WEB.example."),
            service("twice", "plain.a.svc.local"),
            service("outside", "api.example"),
            service("itself", "itself.a.svc.local"),
            service("tic", "tac.a.svc.local"),
            service("tac", "tic.a.svc.local"),
        ];
        services.extend(chain);
        let found = resolve(services.iter(), "local", |host| host == "web.example");
        for (name, is_alias) in [
            ("plain", true),
            ("dotted", true),
            ("twice", true),
            ("outside", false),
            ("itself", false),
            ("tic", false),
            ("tac", false),
            ("hop0", false),
            ("hop1", true),
        ] {
            let to = found.get(&format!("{name}.a.svc.local"));
            let want = is_alias.then_some("web.example");
            assert_eq!(to.map(String::as_str), want, "{name}");
        }
    }
}
