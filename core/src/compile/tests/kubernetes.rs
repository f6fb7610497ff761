//! Services, EndpointSlices and Pods as a cluster prints them.

use super::*;

const CONFIG: &str = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: default}
  spec:
    clusterIP: 10.96.0.10
    selector: {app: web}
    ports: [{name: http, port: 80, targetPort: 8080}, {name: grpc, port: 81}, {name: dns, port: 53, protocol: UDP}]
- apiVersion: v1
  kind: Service
  metadata: {name: pods}
  spec:
    selector: {app: pods}
    ports: [{name: http-a, port: 80, targetPort: named}, {name: http-b, port: 81, targetPort: 9000}]
- apiVersion: v1
  kind: Service
  metadata: {name: headless}
  spec:
    clusterIP: None
    selector: {app: pods}
    ports: [{name: http, port: 80}]
- apiVersion: v1
  kind: Service
  metadata: {name: outside}
  spec: {type: ExternalName, externalName: api.example.com, ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: hidden, namespace: other, annotations: {networking.istio.io/exportTo: .}}
  spec: {ports: [{name: http, port: 80}]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
  addressType: IPv4
  ports: [{name: http, port: 8080}]
  endpoints:
  - {addresses: [10.1.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web-a, namespace: default}, zone: z1}
  - {addresses: [10.1.0.2], conditions: {ready: false}}
  - {addresses: [10.1.0.3], targetRef: {kind: Pod, name: web-c}}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-a, namespace: default, labels: {app: web, version: v1}}
  status: {podIPs: [{ip: 10.1.0.1}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-c, namespace: default, labels: {app: web, version: v2, istio-locality: r.z2}}
  status: {podIPs: [{ip: 10.1.0.3}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: p1, labels: {app: pods}}
  spec: {containers: [{name: c, ports: [{name: named, containerPort: 7000}]}]}
  status: {podIPs: [{ip: 10.2.0.1}], conditions: [{type: Ready, status: 'True'}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: p2, labels: {app: pods}}
  status: {podIPs: [{ip: 10.2.0.2}], conditions: [{type: Ready, status: 'False'}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: rival, creationTimestamp: '2001-01-01T00:00:00Z'}
spec:
  hosts: [web.default.svc.cluster.local]
  ports: [{number: 99, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.9.9.9}]
";

#[test]
fn endpoints_come_from_slices_and_pods() {
    let snapshot = compiled(CONFIG);
    for (cluster, want) in [
        // A port of that name in a ServiceEntry of the host and namespace gives it endpoints, whatever its number.
        ("80||web", "10.1.0.1:8080 10.1.0.3:8080 10.9.9.9:99"),
        ("80|v1|web", "10.1.0.1:8080"),
        ("81||web", ""),
        ("80||pods", "10.2.0.1:7000"),
        ("81||pods", "10.2.0.1:9000"),
        ("80||headless", "10.2.0.1:80"),
        ("80||outside", "10.9.0.1:80"),
    ] {
        assert_eq!(addresses(&snapshot, cluster), want, "{cluster}");
    }
    let localities: Vec<&str> = find(&snapshot, "80||web")
        .endpoints
        .iter()
        .map(|e| &*e.locality)
        .collect();
    assert_eq!(localities, ["/z1", "r/z2", ""]);
    let names: Vec<String> = snapshot.clusters.iter().map(|c| short(&c.name)).collect();
    assert!(
        !names.iter().any(|name| name.starts_with("53|")),
        "{names:?}"
    );
}

#[test]
fn services_answer_under_their_addresses_too() {
    check(
        CONFIG,
        &[
            ("GET web/", "80||web"),
            ("GET web:81/", "81||web"),
            ("GET 10.96.0.10/", "80||web"),
            ("GET web:99/", "80||web"),
            ("GET headless/", "80||headless"),
            ("GET hidden.other/", "unknown host"),
        ],
    );
}
