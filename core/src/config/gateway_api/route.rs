//! Routes of the API: whom they bind to, and what of them is for whom.

use super::not_in_effect;
use super::rules::{self, Rule};
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::names;
use crate::config::virtual_service::ApiKind;

/// A route.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) meta: Meta,
    pub(super) kind: ApiKind,
    pub(super) parents: Vec<Parent>,
    /// In lower case; empty for all.
    pub(super) hostnames: Vec<String>,
    pub(super) rules: Vec<Rule>,
}

/// Whom a route binds to.
#[derive(Debug)]
pub(super) struct Parent {
    /// Its position.
    pub(super) at: usize,
    pub(super) to: ParentKind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) section: Option<String>,
    pub(super) port: Option<u32>,
}

/// What a route binds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParentKind {
    Gateway,
    /// A Service: the route is for calls inside the mesh.
    Service,
    /// A ServiceEntry, by the host that it has: Istio's `kind: Hostname`.
    Hostname,
}

/// Reads the `spec`.
pub(super) fn read(kind: ApiKind, spec: &mut Object<'_, '_>, meta: &Meta) -> Route {
    let mut at = 0;
    let parents = spec.messages("parentRefs", |parent| {
        at += 1;
        read_parent(parent, meta, at - 1)
    });
    let hostnames = match kind {
        ApiKind::Tcp => Vec::new(),
        ApiKind::Http | ApiKind::Grpc | ApiKind::Tls => read_hostnames(spec),
    };
    not_in_effect(
        spec,
        "useDefaultGateways",
        "there are no default Gateways here",
    );
    let mut at = 0;
    let rules = spec.messages("rules", |rule| {
        at += 1;
        rules::read(kind, rule, meta, at - 1)
    });
    // The API's own default: everything, and nowhere to send it.
    let rules = match (rules.is_empty(), kind) {
        (true, ApiKind::Http) => vec![Rule::everything()],
        _ => rules,
    };
    Route {
        meta: Meta::default(),
        kind,
        parents: parents.into_iter().flatten().collect(),
        hostnames,
        rules,
    }
}

fn read_parent(parent: &mut Object<'_, '_>, meta: &Meta, at: usize) -> Option<Parent> {
    parent.take("group");
    let kind = parent.optional_string("kind");
    let (namespace, name) = (parent.string("namespace"), parent.string("name"));
    let section = parent.optional_string("sectionName");
    let port = parent.optional_integer("port");
    let to = match kind.as_deref() {
        None | Some("Gateway") => ParentKind::Gateway,
        Some("Service") => ParentKind::Service,
        Some("Hostname") => ParentKind::Hostname,
        Some(other) => {
            let message = format!("routes for a {other} are not read: nothing is bound");
            let report = parent.report();
            report.raise_in(
                "kind",
                Code::NotInEffect,
                message,
                "bind to a Gateway or a Service",
            );
            return None;
        }
    };
    Some(Parent {
        at,
        to,
        namespace: match namespace.is_empty() {
            true => meta.namespace.clone(),
            false => namespace,
        },
        name,
        section: section.filter(|section| !section.is_empty()),
        port,
    })
}

fn read_hostnames(spec: &mut Object<'_, '_>) -> Vec<String> {
    let hostnames = spec.strings("hostnames");
    for (at, hostname) in hostnames.iter().enumerate() {
        if let Err(complaint) = names::check_host(hostname) {
            let message = format!("`{hostname}` {complaint}");
            let field = format!("hostnames[{at}]");
            spec.report()
                .raise_in(&field, Code::InvalidHost, message, "");
        }
    }
    let hostnames = hostnames.iter();
    hostnames
        .map(|hostname| names::normalize(hostname).into_owned())
        .collect()
}
