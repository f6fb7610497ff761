//! The rules of a VirtualService with its delegates' rules in their places (reference §2.3).
//!
//! One level only. A delegate that is missing or not exported to the root's namespace leaves nothing in its place.

use std::borrow::Cow;

use super::Input;
use super::visibility::is_visible;
use crate::config::virtual_service::{
    Delegate, Destination, HttpMatchRequest, HttpMirrorPolicy, HttpRoute, StringMatch,
    VirtualService,
};
use crate::config::{Code, Finding, names};

/// A route as it holds, with where it was written.
#[derive(Clone, Debug)]
pub(super) struct Expanded<'a> {
    /// The resource the route stands in; its namespace resolves short host names.
    pub(super) resource: &'a VirtualService,
    /// `spec.http[2]`.
    pub(super) path: String,
    /// The route, with what it inherits.
    pub(super) route: Cow<'a, HttpRoute>,
    /// Its match entries, each with its field path; empty matches everything.
    pub(super) matches: Vec<(String, Cow<'a, HttpMatchRequest>)>,
}

/// The most pairs of match entries that the delegating rules of one VirtualService may come to. Each pair is a rule in
/// memory, and two files of modest size could ask for more than fit.
const MAX_PAIRS: usize = 65_536;

/// What stands in the place of a rule.
#[derive(Clone, Copy, Debug)]
enum Substitute<'a> {
    /// The rule itself.
    Itself,
    /// The rules of this delegate.
    Delegate(&'a VirtualService),
    /// Nothing: there is no such delegate for us.
    Missing,
    /// Nothing: the delegate would come to more than [`MAX_PAIRS`].
    TooLarge,
}

fn places<'a>(
    resource: &'a VirtualService,
    input: &Input<'a>,
) -> impl Iterator<Item = (usize, &'a HttpRoute, Substitute<'a>)> {
    let mut left = MAX_PAIRS;
    resource.http.iter().enumerate().map(move |(at, route)| {
        let Some(delegate) = &route.delegate else {
            return (at, route, Substitute::Itself);
        };
        let Some(found) = find_delegate(input, delegate, resource) else {
            return (at, route, Substitute::Missing);
        };
        let inner: usize = found.http.iter().map(|r| r.matches.len().max(1)).sum();
        let pairs = route.matches.len().max(1).saturating_mul(inner);
        match left.checked_sub(pairs) {
            Some(rest) => {
                left = rest;
                (at, route, Substitute::Delegate(found))
            }
            None => (at, route, Substitute::TooLarge),
        }
    })
}

/// All routes of a VirtualService in order.
#[must_use]
pub(super) fn expand<'a>(resource: &'a VirtualService, input: &Input<'a>) -> Vec<Expanded<'a>> {
    let mut out = Vec::new();
    let path = |at: usize| format!("spec.http[{at}]");
    for (at, route, place) in places(resource, input) {
        match place {
            Substitute::Itself => out.push(plain(resource, path(at), route)),
            Substitute::Delegate(found) => {
                let domain = &input.mesh.cluster_domain;
                let root = Root {
                    route,
                    namespace: &resource.meta.namespace,
                    domain,
                };
                for (at, inner) in found.http.iter().enumerate() {
                    out.extend(merge(&root, plain(found, path(at), inner)));
                }
            }
            Substitute::Missing | Substitute::TooLarge => {}
        }
    }
    out
}

/// Tells of the rules of a VirtualService whose delegates are too large to be put in their places.
pub(super) fn tell_too_large(
    resource: &VirtualService,
    input: &Input<'_>,
    findings: &mut Vec<Finding>,
) {
    for (at, _, place) in places(resource, input) {
        if !matches!(place, Substitute::TooLarge) {
            continue;
        }
        let path = format!("spec.http[{at}].delegate");
        let mark = resource.meta.locate(&path);
        let message = format!(
            "with its delegate the rule comes to too many pairs of match entries (more than {MAX_PAIRS} in one \
             VirtualService); it is left out"
        );
        findings.push(Finding {
            resource: Some(resource.meta.resource_name("VirtualService")),
            path,
            help: "each entry of the rule goes with each of the delegate: use fewer on one side"
                .into(),
            ..Finding::new(Code::TooManyRules, &resource.meta.file, mark, message)
        });
    }
}

fn plain<'a>(resource: &'a VirtualService, path: String, route: &'a HttpRoute) -> Expanded<'a> {
    let matches = route.matches.iter().enumerate();
    let path = route.api.as_ref().map_or(path, |api| api.path.clone());
    let of_entry = |at: usize| match &route.api {
        Some(api) => api.entry.clone(),
        None => format!("{path}.match[{at}]"),
    };
    Expanded {
        resource,
        matches: matches
            .map(|(at, entry)| (of_entry(at), Cow::Borrowed(entry)))
            .collect(),
        path,
        route: Cow::Borrowed(route),
    }
}

fn find_delegate<'a>(
    input: &Input<'a>,
    delegate: &Delegate,
    root: &VirtualService,
) -> Option<&'a VirtualService> {
    let namespace = match delegate.namespace.as_str() {
        "" => root.meta.namespace.as_str(),
        namespace => namespace,
    };
    let default = &input.mesh.default_virtual_service_export_to;
    let mut all = input.resources.virtual_services.iter();
    let found = all.find(|vs| {
        vs.meta.namespace == namespace && vs.meta.name == delegate.name && vs.is_delegate()
    })?;
    let is_seen = is_visible(&found.export_to, default, namespace, &root.meta.namespace);
    (is_seen && !found.meta.rejected).then_some(found)
}

/// A root's rule, and where its short host names belong.
struct Root<'a> {
    route: &'a HttpRoute,
    namespace: &'a str,
    domain: &'a str,
}

/// A delegate's rule under a root's; `None` when no request can meet both.
fn merge<'a>(root: &Root<'a>, inner: Expanded<'a>) -> Option<Expanded<'a>> {
    if inner.route.delegate.is_some() {
        return None;
    }
    let matches = if root.route.matches.is_empty() {
        inner.matches
    } else if inner.matches.is_empty() {
        let roots = root.route.matches.iter();
        roots
            .map(|entry| {
                let entry = with_full_gateways(entry, root.namespace, root.domain);
                (inner.path.clone(), entry)
            })
            .collect()
    } else {
        let own = inner.resource.meta.namespace.as_str();
        let pairs = root.route.matches.iter().flat_map(|outer| {
            let outer = with_full_gateways(outer, root.namespace, root.domain);
            let of_delegate = inner.matches.iter();
            of_delegate.filter_map(move |(path, entry)| {
                let entry = with_full_gateways(entry, own, root.domain);
                let both = merge_match(&outer, &entry)?;
                Some((path.clone(), Cow::Owned(both)))
            })
        });
        let pairs: Vec<_> = pairs.collect();
        if pairs.is_empty() {
            return None;
        }
        pairs
    };
    let mut route = inner.route.into_owned();
    inherit(root, &mut route);
    Some(Expanded {
        matches,
        route: Cow::Owned(route),
        ..inner
    })
}

/// An entry whose gateways have their full names, so that they mean the same in another namespace.
fn with_full_gateways<'e>(
    entry: &'e HttpMatchRequest,
    namespace: &str,
    domain: &str,
) -> Cow<'e, HttpMatchRequest> {
    if entry.gateways.is_empty() {
        return Cow::Borrowed(entry);
    }
    let full = entry.gateways.iter().map(|gateway| {
        if names::is_mesh_gateway(gateway) {
            return gateway.clone();
        }
        let (namespace, name) = names::gateway(gateway, namespace, domain);
        format!("{namespace}/{name}")
    });
    Cow::Owned(HttpMatchRequest {
        gateways: full.collect(),
        ..entry.clone()
    })
}

/// Fills in what the delegate's rule leaves unset, each field by itself: a delegate's `mirror` and a root's `mirrors` are
/// both in effect. The destinations of a root are named in its own namespace.
fn inherit(from: &Root<'_>, route: &mut HttpRoute) {
    let root = from.route;
    let names = [root.name.as_str(), route.name.as_str()];
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    route.name = names.join("-");
    fill(&mut route.rewrite, &root.rewrite);
    fill(&mut route.direct_response, &root.direct_response);
    fill(&mut route.timeout, &root.timeout);
    fill(&mut route.retries, &root.retries);
    fill(&mut route.fault, &root.fault);
    fill(&mut route.mirror_percent, &root.mirror_percent);
    fill(&mut route.mirror_percentage, &root.mirror_percentage);
    if route.mirror.is_none() {
        route.mirror = root.mirror.as_ref().map(|to| from.qualify(to));
    }
    if route.mirrors.is_empty() {
        let mirrors = root.mirrors.iter().map(|mirror| HttpMirrorPolicy {
            destination: from.qualify(&mirror.destination),
            ..mirror.clone()
        });
        route.mirrors = mirrors.collect();
    }
    fill(&mut route.cors_policy, &root.cors_policy);
    fill(&mut route.headers, &root.headers);
}

impl Root<'_> {
    /// The destination with its host's full name, so that it means the same in a delegate's namespace.
    fn qualify(&self, destination: &Destination) -> Destination {
        Destination {
            host: names::resolve(&destination.host, self.namespace, self.domain),
            ..destination.clone()
        }
    }
}

fn fill<T: Clone>(field: &mut Option<T>, from: &Option<T>) {
    if field.is_none() {
        field.clone_from(from);
    }
}

/// Both conditions together; `None` when they cannot be met by one request, or not be written as one entry.
fn merge_match(root: &HttpMatchRequest, inner: &HttpMatchRequest) -> Option<HttpMatchRequest> {
    if root.ignore_uri_case != inner.ignore_uri_case {
        return None;
    }
    Some(HttpMatchRequest {
        name: [root.name.as_str(), inner.name.as_str()]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
            .join("-"),
        uri: merge_text(root.uri.as_ref(), inner.uri.as_ref())?,
        scheme: merge_text(root.scheme.as_ref(), inner.scheme.as_ref())?,
        method: merge_text(root.method.as_ref(), inner.method.as_ref())?,
        authority: merge_text(root.authority.as_ref(), inner.authority.as_ref())?,
        headers: merge_map(&root.headers, &inner.headers, merge_both)?,
        without_headers: merge_map(&root.without_headers, &inner.without_headers, equal)?,
        query_params: merge_map(&root.query_params, &inner.query_params, merge_both)?,
        ignore_uri_case: inner.ignore_uri_case,
        port: merge_value(&root.port, &inner.port, &0)?,
        source_labels: merge_map(&root.source_labels, &inner.source_labels, equal)?,
        source_namespace: merge_value(
            &root.source_namespace,
            &inner.source_namespace,
            &String::new(),
        )?,
        gateways: if inner.gateways.is_empty() {
            root.gateways.clone()
        } else if root.gateways.is_empty()
            || inner.gateways.iter().all(|g| root.gateways.contains(g))
        {
            inner.gateways.clone()
        } else {
            return None;
        },
        stat_prefix: if inner.stat_prefix.is_empty() {
            root.stat_prefix.clone()
        } else {
            inner.stat_prefix.clone()
        },
    })
}

fn merge_value<T: Clone + PartialEq>(root: &T, inner: &T, unset: &T) -> Option<T> {
    if root == unset || root == inner {
        Some(inner.clone())
    } else {
        (inner == unset).then(|| root.clone())
    }
}

type Map<V> = std::collections::BTreeMap<String, V>;

fn merge_map<V: Clone>(
    root: &Map<V>,
    inner: &Map<V>,
    both: impl Fn(&V, &V) -> Option<V>,
) -> Option<Map<V>> {
    let mut merged = root.clone();
    for (key, value) in inner {
        let value = match root.get(key) {
            Some(outer) => both(outer, value)?,
            None => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    Some(merged)
}

fn equal<V: Clone + PartialEq>(root: &V, inner: &V) -> Option<V> {
    (root == inner).then(|| inner.clone())
}

fn merge_text(
    root: Option<&StringMatch>,
    inner: Option<&StringMatch>,
) -> Option<Option<StringMatch>> {
    match (root, inner) {
        (Some(root), Some(inner)) => merge_both(root, inner).map(Some),
        (one, other) => Some(one.or(other).cloned()),
    }
}

/// Both matches on one text. A regex goes with nothing, because nobody can say what both mean together.
fn merge_both(root: &StringMatch, inner: &StringMatch) -> Option<StringMatch> {
    use StringMatch::{Exact, Prefix, Present, Regex};
    let holds = match (root, inner) {
        (_, Present) => return Some(root.clone()),
        (Present, _) => true,
        (Exact(root), Exact(inner)) => root == inner,
        (Prefix(root), Exact(inner) | Prefix(inner)) => inner.starts_with(root.as_str()),
        (Exact(_), Prefix(_)) | (Regex(_), _) | (_, Regex(_)) => false,
    };
    holds.then(|| inner.clone())
}

#[cfg(test)]
mod tests;
