//! Routes of the Gateway API for one host, put together as the API says: the most particular match first, whichever route it is of.

use core::cmp::Reverse;

use super::Input;
use super::delegation::{Expanded, expand};
use super::virtual_services::Candidate;
use crate::config::virtual_service::VirtualService;

/// The rules of several routes in their order.
#[must_use]
pub(super) fn merged<'a>(
    routes: impl IntoIterator<Item = &'a VirtualService>,
    input: &Input<'a>,
) -> Vec<Expanded<'a>> {
    let routes = routes.into_iter();
    let mut all: Vec<Expanded<'a>> = routes.flat_map(|route| expand(route, input)).collect();
    // Stable: what is written first goes first.
    all.sort_by(|a, b| {
        let key = |of: &Expanded<'a>| {
            let precedence = of.route.api.as_ref().map(|api| api.precedence);
            let meta = &of.resource.meta;
            (
                Reverse(precedence),
                &meta.created,
                &meta.namespace,
                &meta.name,
            )
        };
        key(a).cmp(&key(b))
    });
    all
}

/// The rules of the mesh's routes for the host that a candidate is for. A namespace's own go before those of the service's, and are
/// not put together with them (GEP-1426).
#[must_use]
pub(super) fn of_host<'a>(
    candidates: &[Candidate<'a>],
    candidate: usize,
    input: &Input<'a>,
) -> Vec<Expanded<'a>> {
    let of = &candidates[candidate];
    let alike = candidates.iter().filter(|other| {
        let (other, of) = (other.resource, of.resource);
        other.api.is_some() && other.export_to == of.export_to
    });
    let for_host = alike.filter(|other| other.hosts == of.hosts);
    merged(for_host.map(|candidate| candidate.resource), input)
}
