//! What became of a route, in the words of the API (`RouteParentStatus`): who took it, and whether what it names is there. For whoever
//! has a status to write; nothing is decided by it.

use super::Pieces;
use super::attach::Attached;
use super::class::Owner;
use super::route::{Parent, ParentKind, Route};
use crate::config::code::Code;
use crate::config::finding::Finding;
use crate::config::virtual_service::ApiKind;

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStatus {
    /// Which of the kinds of routes.
    pub kind: ApiKind,
    /// The route's namespace.
    pub namespace: String,
    /// The route's name.
    pub name: String,
    /// Positions in `spec.parentRefs` of those that are carried here, each with why it did not take the route, if it did not
    /// (`Accepted`). A Gateway that is not there, or of another controller, is not among them.
    pub parents: Vec<(usize, Result<(), Reason>)>,
    /// Why one of its backends is sent nothing (`ResolvedRefs`).
    pub resolved: Result<(), Reason>,
}

/// A reason of the API, with words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Such as `NoMatchingParent`.
    pub reason: &'static str,
    /// In words.
    pub message: String,
}

impl Pieces {
    /// That of a route that parents took, or not; `findings` are those of its backends.
    pub(super) fn status(
        &self,
        route: &Route,
        attached: &Attached,
        findings: &[Finding],
    ) -> RouteStatus {
        let is_ours = |at: usize| {
            let mut parents = route.parents.iter();
            parents.any(|parent| parent.at == at && self.is_carried(parent))
        };
        let ours = attached.iter().filter(|(at, _)| is_ours(*at));
        let parents = ours.map(|(at, found)| {
            let accepted = found.as_ref().map(|_| ()).map_err(|why| Reason {
                reason: why.reason,
                message: why.message.clone(),
            });
            (*at, accepted)
        });
        RouteStatus {
            kind: route.kind,
            namespace: route.meta.namespace.clone(),
            name: route.meta.name.clone(),
            parents: parents.collect(),
            resolved: findings.iter().find_map(unresolved).map_or(Ok(()), Err),
        }
    }

    /// That of a route that has errors: nobody takes it.
    pub(super) fn rejected(&self, route: &Route) -> RouteStatus {
        let ours = route.parents.iter().filter(|to| self.is_carried(to));
        let why = Reason {
            reason: "UnsupportedValue",
            message: "the route has errors".to_owned(),
        };
        RouteStatus {
            kind: route.kind,
            namespace: route.meta.namespace.clone(),
            name: route.meta.name.clone(),
            parents: ours.map(|to| (to.at, Err(why.clone()))).collect(),
            resolved: Ok(()),
        }
    }

    /// Whether a parent is for proxies like this one: what is of the mesh is, a Gateway as its class says.
    fn is_carried(&self, parent: &Parent) -> bool {
        match parent.to {
            ParentKind::Service | ParentKind::Hostname => true,
            ParentKind::Gateway => {
                let mut gateways = self.gateways.iter();
                let found = gateways.find(|gateway| {
                    gateway.meta.namespace == parent.namespace && gateway.meta.name == parent.name
                });
                found.is_some_and(|gateway| self.owner(&gateway.class) == Owner::Ours)
            }
        }
    }
}

fn unresolved(finding: &Finding) -> Option<Reason> {
    let reason = match finding.code {
        Code::NotInEffect => "InvalidKind",
        Code::NotGranted => "RefNotPermitted",
        Code::UnknownHost | Code::UnknownPort => "BackendNotFound",
        _ => return None,
    };
    let message = format!("{}: {}", finding.path, finding.message);
    Some(Reason { reason, message })
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    /// A class of ours and one of another, a Gateway of each, a Service, and a route.
    fn told(parent: &str, backend: &str, more: &str) -> Vec<String> {
        let api = "apiVersion: gateway.networking.k8s.io/v1\n";
        let class = |name: &str, controller: &str| {
            format!(
                "{api}kind: GatewayClass\nmetadata: {{name: {name}}}\nspec: {{controllerName: {controller}}}\n---\n"
            )
        };
        let gateway = |name: &str, class: &str, allowed: &str| {
            format!(
                "{api}kind: Gateway\nmetadata: {{name: {name}}}\nspec: {{gatewayClassName: {class}, listeners: [{{name: http, port: 80, protocol: HTTP, hostname: '*.shop.example', allowedRoutes: {allowed}}}]}}\n---\n"
            )
        };
        let text = class("istio", "istio.io/gateway-controller")
            + &class("other", "example.com/other")
            + &gateway("ours", "istio", "{}")
            + &gateway("grpc", "istio", "{kinds: [{kind: GRPCRoute}]}")
            + &gateway("foreign", "other", "{}")
            + &gateway("strange", "unread", "{}")
            + "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{name: http, port: 80}]}\n---\n"
            + &format!(
                "{api}kind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: none}}, {{{parent}}}], {more}, rules: [{{backendRefs: [{{{backend}}}]}}]}}\n"
            );
        let source = Source {
            name: "a",
            bytes: text.as_bytes(),
        };
        let loaded = load(&[source], "shop");
        let status = &loaded.resources.gateway_api.statuses[0];
        assert_eq!((&*status.namespace, &*status.name), ("shop", "r"));
        let of = |name: &str, told: &Result<(), super::Reason>| match told {
            Ok(()) => name.to_owned(),
            Err(why) => format!("{name}: {}", why.reason),
        };
        let mut all: Vec<String> = (status.parents.iter())
            .map(|(at, told)| of(&at.to_string(), told))
            .collect();
        all.push(of("refs", &status.resolved));
        all
    }

    #[test]
    fn what_became_of_a_route_is_said_as_the_api_says_it() {
        let service = "group: '', kind: Service, name: a";
        let good = "name: a, port: 80";
        let host = "hostnames: [a.shop.example]";
        for (parent, backend, more, want) in [
            (service, good, host, &["1", "refs"][..]),
            ("name: ours", good, host, &["1", "refs"]),
            ("name: foreign", good, host, &["refs"]),
            ("name: strange", good, host, &["refs"]),
            ("group: x, kind: Other, name: a", good, host, &["refs"]),
            (
                "group: '', kind: Service, name: b",
                good,
                host,
                &["1: NoMatchingParent", "refs"],
            ),
            (
                "name: ours, sectionName: b",
                good,
                host,
                &["1: NoMatchingParent", "refs"],
            ),
            (
                "name: grpc",
                good,
                host,
                &["1: NotAllowedByListeners", "refs"],
            ),
            (
                "name: ours",
                good,
                "hostnames: [a.example]",
                &["1: NoMatchingListenerHostname", "refs"],
            ),
            (
                "name: ours",
                "name: b, port: 80",
                host,
                &["1", "refs: BackendNotFound"],
            ),
            (
                "name: ours",
                "name: a, port: 81",
                host,
                &["1", "refs: BackendNotFound"],
            ),
            (
                "name: ours",
                "kind: Bucket, name: a",
                host,
                &["1", "refs: InvalidKind"],
            ),
            (
                "name: ours",
                "name: a, namespace: b, port: 80",
                host,
                &["1", "refs: RefNotPermitted"],
            ),
            // Also where nobody takes it, and where it has errors.
            (
                "name: grpc",
                "name: b, port: 80",
                host,
                &["1: NotAllowedByListeners", "refs: BackendNotFound"],
            ),
            (
                "name: ours",
                good,
                "hostnames: ['a b']",
                &["1: UnsupportedValue", "refs"],
            ),
        ] {
            assert_eq!(
                told(parent, backend, more),
                want,
                "{parent}; {backend}; {more}"
            );
        }
    }
}
