//! Kubernetes documents as `kubectl get -o yaml` prints them, and what is read of them.

use super::{Pod, Port, Reach, Service, SliceEndpoint, TargetPort, TrafficDistribution};
use crate::config::fixture::judged_document;
use crate::config::{Resources, Source, load};

fn read(yaml: &str) -> Resources {
    let source = Source {
        name: "test.yaml",
        bytes: yaml.as_bytes(),
    };
    let loaded = load(&[source], "default");
    assert_eq!(loaded.findings, [], "{yaml}");
    loaded.resources
}

fn service(spec: &str) -> Service {
    let yaml = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}\n");
    read(&yaml).services.remove(0)
}

#[test]
fn services() {
    let read = service(
        "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'fd::1'], sessionAffinity: None, internalTrafficPolicy: Cluster,
          selector: {app: a}, ports: [
            {name: http, port: 80, protocol: TCP, targetPort: 8080, nodePort: 30000},
            {name: web, port: 81, targetPort: web-port, appProtocol: http},
            {name: dns, port: 53, protocol: UDP, targetPort: 53}]}",
    );
    assert_eq!(
        read.reach,
        Reach::ClusterIp(vec!["10.0.0.1".into(), "fd::1".into()])
    );
    let ports: Vec<(u16, &TargetPort, &str)> = read
        .ports
        .iter()
        .map(|port| (port.number, &port.target, port.protocol().as_str()))
        .collect();
    assert_eq!(
        ports,
        [
            (80, &TargetPort::Number(8080), "HTTP"),
            (81, &TargetPort::Name("web-port".into()), "HTTP"),
            (53, &TargetPort::Number(53), "UDP"),
        ]
    );
    for (spec, reach) in [
        ("{clusterIP: None}", Reach::Headless),
        ("{}", Reach::ClusterIp(vec![])),
        (
            "{type: ExternalName, externalName: a.com}",
            Reach::ExternalName("a.com".into()),
        ),
    ] {
        assert_eq!(service(spec).reach, reach, "{spec}");
    }
    let same = Port {
        number: 80,
        is_tcp: true,
        ..Port::default()
    };
    assert_eq!(service("{ports: [{port: 80}]}").ports, [same]);
}

#[test]
fn slices_and_pods() {
    let read = read(
        "
apiVersion: v1
kind: List
items:
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: a-x, generateName: a-, labels: {kubernetes.io/service-name: a}}
  addressType: IPv4
  ports: [{name: http, port: 8080, protocol: TCP}]
  endpoints:
  - addresses: [10.1.0.1]
    conditions: {ready: true, serving: true, terminating: false}
    nodeName: n1
    zone: z1
    targetRef: {kind: Pod, name: a-1, namespace: default, uid: u}
  - addresses: [10.1.0.2]
    conditions: {ready: false}
- apiVersion: v1
  kind: Pod
  metadata: {name: a-1, labels: {app: a}}
  spec: {serviceAccountName: sa, containers: [{name: c, image: i, ports: [{name: web, containerPort: 8080}]}]}
  status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: 'False'}]}
",
    );
    let slice = &read.endpoint_slices[0];
    assert_eq!((slice.service.as_str(), slice.ports[0].number), ("a", 8080));
    let ready: Vec<bool> = slice.endpoints.iter().map(|e| e.is_ready).collect();
    assert_eq!(ready, [true, false]);
    let SliceEndpoint {
        zone, node, pod, ..
    } = &slice.endpoints[0];
    assert_eq!((zone.as_str(), node.as_str()), ("z1", "n1"));
    assert_eq!(pod.as_ref().map(|pod| pod.name.as_str()), Some("a-1"));
    let Pod {
        addresses,
        ports,
        is_ready,
        service_account,
        ..
    } = &read.pods[0];
    assert_eq!(
        (addresses.as_slice(), *is_ready),
        (&["10.1.0.1".to_owned()][..], false)
    );
    assert_eq!(
        (ports.get("web"), service_account.as_str()),
        (Some(&8080), "sa")
    );
}

#[test]
fn endpoints_stand_for_slices() {
    const ENDPOINTS: &str = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets:
- addresses: [{ip: 10.1.0.1, nodeName: n1, hostname: a-0, targetRef: {kind: Pod, name: a-1, namespace: default}}]
  notReadyAddresses: [{ip: 10.1.0.2}]
  ports: [{name: http, port: 8080, protocol: TCP}]
- addresses: [{ip: 10.1.0.3}]
  ports: [{name: http, port: 8081}]\n---\n";
    const NONE: &str = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: b}\n---\n";
    const SLICE: &str = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice
metadata: {name: a-x, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nendpoints: [{addresses: [10.1.0.9]}]\n---\n";
    let resources = read(&[ENDPOINTS, NONE].concat());
    let slices = resources.slices();
    let shown = slices.iter().map(|slice| {
        let endpoints = slice.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|e| (e.addresses.join(" "), e.is_ready))
            .collect();
        let ports: Vec<_> = slice
            .ports
            .iter()
            .map(|p| (p.name.as_str(), p.number))
            .collect();
        (slice.service.as_str(), ports, endpoints)
    });
    let shown: Vec<_> = shown.collect();
    let at = |ip: &str, is_ready| (ip.to_owned(), is_ready);
    let expected = [
        (
            "a",
            vec![("http", 8080)],
            vec![at("10.1.0.1", true), at("10.1.0.2", false)],
        ),
        ("a", vec![("http", 8081)], vec![at("10.1.0.3", true)]),
        ("b", vec![], vec![]),
    ];
    assert_eq!(shown, expected);
    let SliceEndpoint {
        node,
        hostname,
        pod,
        ..
    } = &resources.slices()[0].endpoints[0];
    let pod = pod.as_ref().map(|pod| pod.name.as_str());
    assert_eq!(
        (node.as_str(), hostname.as_str(), pod),
        ("n1", "a-0", Some("a-1"))
    );
    // Slices of the Service take their place.
    let resources = read(&[ENDPOINTS, NONE, SLICE].concat());
    let slices = resources.slices();
    let services: Vec<_> = slices.iter().map(|slice| slice.service.as_str()).collect();
    assert_eq!(services, ["a", "b"]);
    assert_eq!(slices[0].endpoints[0].addresses, ["10.1.0.9"]);
}

#[test]
fn services_say_whom_clients_are_to_prefer() {
    use TrafficDistribution::{Any, PreferSameNode, PreferSameZone};
    for (annotation, field, want) in [
        ("", "", Any),
        ("", "PreferClose", PreferSameZone),
        ("", "PreferSameZone", PreferSameZone),
        ("", "PreferSameNode", PreferSameNode),
        ("preferclose", "", PreferSameZone),
        ("PreferSameNode", "", PreferSameNode),
        ("any", "", Any),
        ("PreferSameNode", "PreferClose", PreferSameZone),
    ] {
        let annotations = match annotation {
            "" => String::new(),
            text => format!("annotations: {{networking.istio.io/traffic-distribution: {text}}}"),
        };
        let spec = match field {
            "" => String::new(),
            text => format!("trafficDistribution: {text}"),
        };
        let yaml = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, {annotations}}}\nspec: {{{spec}}}\n"
        );
        let got = read(&yaml).services.remove(0).traffic_distribution;
        assert_eq!(got, want, "{annotation} {field}");
    }
    let unknown = "apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {networking.istio.io/traffic-distribution: near}}\n";
    let told = judged_document(unknown);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("unknown-traffic-distribution metadata.annotations"),
        "{told:?}"
    );
}

#[test]
fn what_would_mislead_is_told() {
    for (yaml, expected) in [
        (
            "kind: Service\nspec: {ports: [{port: 0}]}",
            "invalid-port spec.ports[0].port",
        ),
        (
            "kind: Service\nspec: {ports: [{port: 80, targetPort: 70000}]}",
            "invalid-port spec.ports[0].targetPort",
        ),
        (
            "kind: Service\nspec: {ports: [{port: 80}, {port: 81}]}",
            "duplicate-port spec.ports[1]",
        ),
        (
            "kind: Service\nspec: {type: ExternalName}",
            "invalid-host spec.externalName",
        ),
        ("kind: Pod\nspec: []", "wrong-type spec"),
        (
            "kind: Service\nspec: {trafficDistribution: preferclose}",
            "unknown-traffic-distribution spec.trafficDistribution",
        ),
    ] {
        let yaml = format!("apiVersion: v1\nmetadata: {{name: a}}\n{yaml}\n");
        assert_eq!(judged_document(&yaml), [expected], "{yaml}");
    }
    for (yaml, expected) in [
        (
            "kind: Endpoints\napiVersion: v1\nsubsets: [{addresses: [{ip: a.com}]}]",
            "invalid-address subsets[0].addresses[0].ip",
        ),
        (
            "kind: EndpointSlice\naddressType: FQDN\nendpoints: [{addresses: [a.com]}]",
            "slice-of-names addressType",
        ),
        (
            "kind: EndpointSlice\naddressType: IPv4\nendpoints: [{addresses: [a.com]}]",
            "invalid-address endpoints[0].addresses[0]",
        ),
    ] {
        let group = "apiVersion: discovery.k8s.io/v1\n";
        let group = if yaml.contains("apiVersion") {
            ""
        } else {
            group
        };
        let labels = "labels: {kubernetes.io/service-name: a}";
        let yaml = format!("{group}metadata: {{name: a, {labels}}}\n{yaml}\n");
        assert_eq!(judged_document(&yaml), [expected], "{yaml}");
    }
}
