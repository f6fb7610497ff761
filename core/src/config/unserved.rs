//! Rules for services that are not among the files, as a whole.
//!
//! Owns what is said first of all: whoever keeps rules and leaves services to the cluster gets a 503 for every request,
//! and no line of the files is wrong. One destination that leads nowhere is the business of the lint.

use super::code::Code;
use super::finding::Finding;
use super::kubernetes::{Reach, Service};
use super::resources::Resources;
use super::virtual_service::VirtualService;

/// Part of the message, because a run writes no help beside its findings.
const REMEDY: &str = "add what `kubectl get svc,endpointslice,pod -o yaml` prints";

/// What is missing altogether: services, or the endpoints of all of them. For what was loaded without errors.
#[must_use]
pub fn unserved(resources: &Resources) -> Option<Finding> {
    if !resources.have_services() {
        let mut rules = resources.virtual_services.iter();
        let rule = rules.find(|rule| has_destination(rule))?;
        let message = format!(
            "there are VirtualServices and no Service or ServiceEntry: whatever they route ends in a 503; {REMEDY}"
        );
        return Some(Finding::about(
            Code::NoServices,
            "VirtualService",
            &rule.meta,
            "",
            message,
            "",
        ));
    }
    let has_endpoints = !resources.slices().is_empty() || !resources.pods.is_empty();
    let mut waiting = resources
        .services
        .iter()
        .filter(|service| needs_endpoints(service));
    let first = waiting.next().filter(|_| !has_endpoints)?;
    let message = match waiting.count() {
        0 => format!(
            "the service has no endpoints: there is no EndpointSlice or Pod; requests to it end in a 503; {REMEDY}"
        ),
        more => format!(
            "{} services have no endpoints: there is no EndpointSlice or Pod; requests to them end in a 503; {REMEDY}",
            more + 1
        ),
    };
    let meta = &first.meta;
    Some(Finding::about(
        Code::NoEndpoints,
        "Service",
        meta,
        "",
        message,
        "",
    ))
}

fn has_destination(rule: &VirtualService) -> bool {
    rule.http.iter().any(|http| !http.route.is_empty())
        || !rule.tls.is_empty()
        || !rule.tcp.is_empty()
}

/// Not one that is another name for somebody else.
const fn needs_endpoints(service: &Service) -> bool {
    match service.reach {
        Reach::ClusterIp(_) | Reach::Headless => true,
        Reach::ExternalName(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    #[test]
    fn what_is_missing_altogether_is_told() {
        const RULE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n\
            spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}\n---\n";
        const ANSWER: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\n\
            spec: {hosts: [b], http: [{directResponse: {status: 200}}]}\n---\n";
        const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n\
            spec: {selector: {app: a}, ports: [{name: http, port: 80}]}\n---\n";
        const OTHER: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: b}\n\
            spec: {selector: {app: b}, ports: [{name: http, port: 80}]}\n---\n";
        const ALIAS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: c}\n\
            spec: {type: ExternalName, externalName: example.com, ports: [{name: http, port: 80}]}\n---\n";
        const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\n\
            status: {podIP: 10.0.0.1}\n---\n";
        const ENTRY: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\n\
            spec: {hosts: [e.example], ports: [{number: 80, name: http}], resolution: DNS}\n---\n";
        let none: Option<(Code, &str)> = None;
        for (files, expected) in [
            (&[][..], none),
            (&[ANSWER], none),
            (&[RULE], Some((Code::NoServices, "no Service or"))),
            (&[ANSWER, RULE], Some((Code::NoServices, "503"))),
            (&[RULE, ENTRY], none),
            (
                &[RULE, SERVICE],
                Some((Code::NoEndpoints, "the service has")),
            ),
            (
                &[SERVICE, OTHER, ALIAS],
                Some((Code::NoEndpoints, "2 services")),
            ),
            (&[ALIAS], none),
            (&[RULE, SERVICE, POD], none),
        ] {
            let text = files.concat();
            let source = Source {
                name: "a.yaml",
                bytes: text.as_bytes(),
            };
            let found = unserved(&load(&[source], "default").resources);
            assert_eq!(
                found.as_ref().map(|f| f.code),
                expected.map(|(code, _)| code),
                "{text}"
            );
            if let (Some(found), Some((_, words))) = (found, expected) {
                assert!(found.message.contains(words), "{found}");
                assert!(
                    found.line > 0 && found.message.contains("kubectl"),
                    "{found}"
                );
            }
        }
    }
}
