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
}
