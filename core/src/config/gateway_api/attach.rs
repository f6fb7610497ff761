//! Whom a route is bound to: listeners that let it, or a service of the mesh.

use super::Pieces;
use super::listener::{ApiGateway, Listener, ListenerProtocol, ListenerTls};
use super::route::{Parent, ParentKind, Route};
use crate::config::code::Code;
use crate::config::finding::Finding;
use crate::config::kubernetes::Service;
use crate::config::names::{self, CLUSTER_DOMAIN, service_host};
use crate::config::virtual_service::ApiKind;

/// There is no such parent, or no such part of it.
const NO_PARENT: &str = "NoMatchingParent";

/// `allowedRoutes` of no listener lets the route.
const NOT_ALLOWED: &str = "NotAllowedByListeners";

/// What a route is bound to.
#[derive(Debug)]
pub(super) enum Bound {
    /// A listener, as it is named in `gateways`.
    Listener(String),
    /// A host of the mesh, and the one port of it if it is for one alone.
    Host {
        host: String,
        /// The namespace whose clients it is for; `None` for all.
        only: Option<String>,
        port: Option<u32>,
    },
}

/// What each parent made of a route, by its position.
pub(super) type Attached = Vec<(usize, Result<Vec<Bound>, Refusal>)>;

impl Pieces {
    /// What each parent makes of a route; those that do not take it are told.
    pub(super) fn attach(
        &self,
        route: &Route,
        services: &[Service],
        findings: &mut Vec<Finding>,
    ) -> Attached {
        let mut attached = Vec::new();
        for parent in &route.parents {
            let found = match parent.to {
                ParentKind::Gateway => self.listeners(route, parent),
                ParentKind::Service => service(route, parent, services),
                ParentKind::Hostname => Ok(vec![Bound::Host {
                    host: parent.name.clone(),
                    only: None,
                    port: parent.port,
                }]),
            };
            if let Err(why) = &found {
                let (kind, path) = (route.kind.as_str(), format!("spec.{}", why.path));
                let (message, help) = (why.message.clone(), why.help);
                let about = Finding::about(why.code, kind, &route.meta, &path, message, help);
                findings.push(about);
            }
            attached.push((parent.at, found));
        }
        attached
    }

    fn listeners(&self, route: &Route, parent: &Parent) -> Result<Vec<Bound>, Refusal> {
        let Parent {
            at,
            namespace,
            name,
            ..
        } = parent;
        let is_meant = |gateway: &&ApiGateway| {
            gateway.meta.namespace == *namespace && gateway.meta.name == *name
        };
        let Some(gateway) = self.gateways.iter().find(is_meant) else {
            // Where no Gateway was read they are kept elsewhere.
            return match self.gateways.is_empty() {
                true => Ok(Vec::new()),
                false => Err(Refusal {
                    code: Code::UnknownGateway,
                    reason: NO_PARENT,
                    path: format!("parentRefs[{at}].name"),
                    message: format!("there is no Gateway `{namespace}/{name}`"),
                    help: "add it, or correct the name",
                }),
            };
        };
        let refusal = |(code, reason), field: &str, message: String, help| Refusal {
            code,
            reason,
            path: format!("parentRefs[{at}]{field}"),
            message,
            help,
        };
        let listeners: Vec<&Listener> = gateway.listeners.iter().collect();
        let named = kept(&listeners, |listener| is_named(listener, parent)).ok_or_else(|| {
            let message = format!("Gateway `{namespace}/{name}` has no such listener");
            let help = "correct `sectionName` or `port`";
            refusal((Code::UnknownGateway, NO_PARENT), "", message, help)
        })?;
        let fitting = kept(&named, |listener| takes(listener, route.kind)).ok_or_else(|| {
            let kind = route.kind.as_str();
            let message = format!(
                "no listener that is meant of Gateway `{namespace}/{name}` is for a {kind}"
            );
            let help = "bind to one of a protocol that fits, and see to its `allowedRoutes.kinds`";
            refusal((Code::UnknownGateway, NOT_ALLOWED), "", message, help)
        })?;
        let lets = |listener: &Listener| {
            let (from, own) = (&route.meta.namespace, &gateway.meta.namespace);
            listener.namespaces.lets(from, own, &self.namespaces)
        };
        let allowed = kept(&fitting, lets).ok_or_else(|| {
            let from = &route.meta.namespace;
            let message =
                format!("Gateway `{namespace}/{name}` lets no route of namespace `{from}` bind");
            let help = "see to `allowedRoutes.namespaces` of the listener";
            refusal((Code::RouteNotAllowed, NOT_ALLOWED), "", message, help)
        })?;
        let common =
            kept(&allowed, |listener| has_common(listener, route)).ok_or_else(|| Refusal {
                code: Code::GatewayHostMismatch,
                reason: "NoMatchingListenerHostname",
                path: "hostnames".to_owned(),
                message: format!(
                    "no listener that is meant of Gateway `{namespace}/{name}` has one of the hosts"
                ),
                help: "add a listener for the host, or correct it",
            })?;
        Ok(common
            .into_iter()
            .map(|listener| Bound::Listener(format!("{namespace}/{name}~{}", listener.name)))
            .collect())
    }
}

/// Why a parent does not take a route.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    /// As the API has it (`RouteConditionReason`).
    pub(super) reason: &'static str,
    /// Below `spec`.
    path: String,
    pub(super) message: String,
    help: &'static str,
}

/// Those that are so; `None` where there are none.
fn kept<'l>(
    listeners: &[&'l Listener],
    is_so: impl Fn(&Listener) -> bool,
) -> Option<Vec<&'l Listener>> {
    let kept: Vec<&Listener> = (listeners.iter().copied())
        .filter(|listener| is_so(listener))
        .collect();
    (!kept.is_empty()).then_some(kept)
}

fn is_named(listener: &Listener, parent: &Parent) -> bool {
    let mut section = parent.section.iter();
    section.all(|section| *section == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

fn takes(listener: &Listener, kind: ApiKind) -> bool {
    let passes = listener.tls == Some(ListenerTls::Passthrough);
    let fits = match (kind, listener.protocol) {
        (ApiKind::Http | ApiKind::Grpc, ListenerProtocol::Http) => true,
        (ApiKind::Http | ApiKind::Grpc, ListenerProtocol::Https) => !passes,
        (ApiKind::Tls, ListenerProtocol::Tls) | (ApiKind::Tcp, ListenerProtocol::Tcp) => true,
        (ApiKind::Tcp, ListenerProtocol::Tls) => !passes,
        (ApiKind::Http | ApiKind::Grpc, ListenerProtocol::Tls | ListenerProtocol::Tcp)
        | (
            ApiKind::Tls,
            ListenerProtocol::Http | ListenerProtocol::Https | ListenerProtocol::Tcp,
        )
        | (ApiKind::Tcp, ListenerProtocol::Http | ListenerProtocol::Https) => false,
    };
    let mut kinds = listener.kinds.iter();
    fits && (listener.kinds.is_empty() || kinds.any(|of| of == kind.as_str()))
}

fn has_common(listener: &Listener, route: &Route) -> bool {
    let mut hostnames = route.hostnames.iter();
    route.hostnames.is_empty()
        || hostnames.any(|hostname| names::overlaps(&listener.hostname, hostname))
}

/// A route in the namespace of the service is for all of its clients, one elsewhere for those of its own namespace (GEP-1426).
fn service(route: &Route, parent: &Parent, services: &[Service]) -> Result<Vec<Bound>, Refusal> {
    let Parent {
        at,
        namespace,
        name,
        ..
    } = parent;
    let mut all = services.iter();
    let found =
        all.find(|service| service.meta.namespace == *namespace && service.meta.name == *name);
    if found.is_none() && !services.is_empty() {
        return Err(Refusal {
            code: Code::UnknownHost,
            reason: NO_PARENT,
            path: format!("parentRefs[{at}].name"),
            message: format!("there is no Service `{namespace}/{name}`"),
            help: "add it, or correct the name",
        });
    }
    let by_name = |section: &String| {
        let ports = found.map(|service| service.ports.as_slice());
        let mut ports = ports.unwrap_or_default().iter();
        ports
            .find(|port| port.name == *section)
            .map(|port| u32::from(port.number))
    };
    let port = match (&parent.section, parent.port) {
        (Some(section), None) => Some(by_name(section).ok_or_else(|| Refusal {
            code: Code::UnknownPort,
            reason: NO_PARENT,
            path: format!("parentRefs[{at}].sectionName"),
            message: format!("Service `{namespace}/{name}` has no port called `{section}`"),
            help: "correct the name",
        })?),
        (_, port) => port,
    };
    let own = &route.meta.namespace;
    Ok(vec![Bound::Host {
        host: service_host(name, namespace, CLUSTER_DOMAIN),
        only: (own != namespace).then(|| own.clone()),
        port,
    }])
}
