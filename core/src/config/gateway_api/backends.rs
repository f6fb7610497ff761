//! What a rule sends to, and whether it may.

use super::Pieces;
use super::headers;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::finding::Finding;
use crate::config::kubernetes::Service;
use crate::config::meta::Meta;
use crate::config::names::{CLUSTER_DOMAIN, service_host};
use crate::config::virtual_service::{ApiKind, Destination, Headers};

/// Where a rule sends to.
#[derive(Debug)]
pub(super) struct Backend {
    /// Where it stands: `spec.rules[0].backendRefs[1]`.
    pub(super) path: String,
    pub(super) kind: BackendKind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: Option<u32>,
    pub(super) weight: i32,
    /// `None` where a filter does what is not understood.
    pub(super) headers: Option<Headers>,
}

/// What a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BackendKind {
    Service,
    /// Istio's: whoever has this host.
    Hostname,
    /// Nothing that is sent to.
    Other(String),
}

/// Reads a backend. Its weight is 1 where none is written.
pub(super) fn read(backend: &mut Object<'_, '_>, meta: &Meta) -> Backend {
    backend.take("group");
    let kind = backend.optional_string("kind");
    let namespace = backend.string("namespace");
    let weight = backend.optional_integer("weight").unwrap_or(1);
    if weight < 0 {
        let message = format!("{weight} is no weight");
        let report = backend.report();
        report.raise_in("weight", Code::InvalidWeight, message, "use 0 or more");
    }
    Backend {
        path: backend.report().path().to_owned(),
        kind: match kind.as_deref() {
            None | Some("Service") => BackendKind::Service,
            Some("Hostname") => BackendKind::Hostname,
            Some(other) => BackendKind::Other(other.to_owned()),
        },
        namespace: match namespace.is_empty() {
            true => meta.namespace.clone(),
            false => namespace,
        },
        name: backend.string("name"),
        port: backend.optional_integer("port"),
        weight,
        headers: headers::of_backend(backend),
    }
}

impl Pieces {
    /// The destination of a backend of a route. One that may not be named leads to a name that nobody has, so that its share is answered 500.
    pub(super) fn destination(
        &self,
        (kind, meta): (ApiKind, &Meta),
        backend: &Backend,
        services: &[Service],
        findings: &mut Vec<Finding>,
    ) -> Destination {
        let Backend {
            namespace, name, ..
        } = backend;
        let from = (kind.as_str(), meta.namespace.as_str());
        let refused = match &backend.kind {
            BackendKind::Other(kind) => {
                let message = format!("a {kind} is no backend here: its share is answered 500");
                Some((Code::NotInEffect, message, "name a Service"))
            }
            _ if backend.headers.is_none() => None,
            BackendKind::Hostname => None,
            BackendKind::Service if self.is_granted(from, ("Service", namespace, name)) => None,
            BackendKind::Service => {
                let message = format!(
                    "no ReferenceGrant of `{namespace}` lets the route name Service `{name}`: its share is answered 500"
                );
                let help = "add a ReferenceGrant to the namespace of the service";
                Some((Code::NotGranted, message, help))
            }
        };
        let is_refused = refused.is_some() || backend.headers.is_none();
        let mut tell = |code, field: &str, message: String, help: &str| {
            let (kind, path) = (kind.as_str(), format!("{}{field}", backend.path));
            findings.push(Finding::about(code, kind, meta, &path, message, help));
        };
        match refused {
            Some((code, message, help)) => tell(code, "", message, help),
            None if backend.kind == BackendKind::Service && !is_refused => {
                if let Some((code, field, message)) = missing(backend, services) {
                    tell(code, field, message, "");
                }
            }
            None => {}
        }
        Destination {
            host: match (&backend.kind, is_refused) {
                (_, true) => format!("{name}.{namespace}.refused.invalid"),
                (BackendKind::Hostname, false) => name.clone(),
                (BackendKind::Service | BackendKind::Other(_), false) => {
                    service_host(name, namespace, CLUSTER_DOMAIN)
                }
            },
            subset: String::new(),
            port: backend.port,
        }
    }
}

/// What of a Service is not there, where services were read.
fn missing(backend: &Backend, services: &[Service]) -> Option<(Code, &'static str, String)> {
    let Backend {
        namespace, name, ..
    } = backend;
    let found = (services.iter())
        .find(|service| service.meta.namespace == *namespace && service.meta.name == *name);
    let Some(service) = found else {
        let message =
            format!("there is no Service `{namespace}/{name}`: its share is answered 500");
        return (!services.is_empty()).then_some((Code::UnknownHost, ".name", message));
    };
    match backend.port {
        None => {
            let message = "a Service is named with its port: without one its share is answered 500 unless it has only one";
            (service.ports.len() != 1).then(|| (Code::UnknownPort, "", message.to_owned()))
        }
        Some(port) => {
            let has = service.ports.iter().any(|of| u32::from(of.number) == port);
            let message = format!(
                "Service `{namespace}/{name}` has no port {port}: its share is answered 500"
            );
            (!has).then_some((Code::UnknownPort, ".port", message))
        }
    }
}
