//! Which names applications are told, and where connections go to the addresses that they are told.

use super::*;
use crate::config::mesh::ProxyConfig;
use crate::policy::filter_chain::{Chosen, Seen, choose};

fn mesh(dns_auto_allocate: Option<bool>) -> MeshConfig {
    MeshConfig {
        default_config: ProxyConfig {
            dns_capture: true,
            dns_auto_allocate,
            ..ProxyConfig::default()
        },
        ..MeshConfig::default()
    }
}

fn asked(config: &str, mesh: &MeshConfig) -> Snapshot {
    compiled_for(config, &Workload::default(), mesh)
}

/// What the mesh's controller has given to services is theirs, and nobody else's.
#[test]
fn services_have_the_addresses_that_their_status_says() {
    let spec = "{hosts: [a.test, b.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, \
                endpoints: [{address: 10.0.0.1}]}";
    let with = |spec: &str, status: &str| {
        format!("{}status: {{addresses: [{status}]}}\n", entry("s", spec))
    };
    let given = "{host: a.test, value: 240.240.7.7}, {host: A.test, value: '2001:2::f0f0:707'}, {host: other, value: 240.240.7.8}, \
                 {host: b.test, value: none}, {value: 240.240.7.9}";
    let exactly = |snapshot: &Snapshot, name: &str| {
        let Some(known) = snapshot.names.find(name) else {
            return "-".to_owned();
        };
        let words = known.addresses.iter().map(ToString::to_string);
        words.collect::<Vec<_>>().join(" ")
    };
    let snapshot = asked(&with(spec, given), &mesh(None));
    assert_eq!(exactly(&snapshot, "a.test"), "240.240.7.7 2001:2::f0f0:707");
    assert_eq!(told(&snapshot, "b.test"), "auto auto");
    let written = spec.replacen('{', "{addresses: [10.9.9.9], ", 1);
    for (spec, is_on, want) in [(spec, Some(false), "-"), (&written, None, "10.9.9.9")] {
        let snapshot = asked(&with(spec, given), &mesh(is_on));
        assert_eq!(exactly(&snapshot, "a.test"), want);
    }
    // Whose hash wants an address that somebody was given takes the next one.
    let alone = asked(&entry("s", spec), &mesh(None));
    let wanted = exactly(&alone, "b.test");
    let wanted = wanted.split(' ').next().unwrap();
    let given = format!("{{host: a.test, value: {wanted}}}");
    let snapshot = asked(&with(spec, &given), &mesh(None));
    assert_eq!(exactly(&snapshot, "a.test"), wanted);
    assert!(!exactly(&snapshot, "b.test").starts_with(wanted));
}

/// The addresses of a name, allocated ones as `auto`; `-` where the name is nobody's.
fn told(snapshot: &Snapshot, name: &str) -> String {
    let Some(known) = snapshot.names.find(name) else {
        return "-".to_owned();
    };
    let words = known.addresses.iter().map(|ip| match ip.to_string() {
        text if text.starts_with("240.240.") || text.starts_with("2001:2::") => "auto".to_owned(),
        text => text,
    });
    words.collect::<Vec<_>>().join(" ")
}

const CONFIG: &str = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: default}
  spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, 'fd00::10'], ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: far, namespace: other}
  spec: {clusterIP: 10.96.0.11, ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: db, namespace: default}
  spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
- apiVersion: v1
  kind: Service
  metadata: {name: empty, namespace: default}
  spec: {clusterIP: None, selector: {app: none}, ports: [{name: tcp, port: 5432}]}
- apiVersion: v1
  kind: Service
  metadata: {name: outside, namespace: default}
  spec: {type: ExternalName, externalName: api.example.com, ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: hidden, namespace: other, annotations: {networking.istio.io/exportTo: .}}
  spec: {clusterIP: 10.96.0.12, ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: db-0, namespace: default, labels: {app: db}}
  spec: {hostname: db-0, subdomain: db}
  status: {podIPs: [{ip: 10.2.0.1}], conditions: [{type: Ready, status: 'True'}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: db-1, namespace: default, labels: {app: db}}
  spec: {hostname: db-1, subdomain: db}
  status: {podIPs: [{ip: 10.2.0.2}], conditions: [{type: Ready, status: 'True'}]}
";

fn entry(name: &str, spec: &str) -> String {
    istio("ServiceEntry", &format!("name: {name}"), spec)
}

#[test]
fn services_have_the_names_of_kubernetes_and_their_addresses() {
    let snapshot = asked(CONFIG, &mesh(None));
    for (name, want) in [
        ("web", "10.96.0.10 fd00::10"),
        ("web.default", "10.96.0.10 fd00::10"),
        ("web.default.svc", "10.96.0.10 fd00::10"),
        ("web.default.svc.cluster.local", "10.96.0.10 fd00::10"),
        ("far", "-"),
        ("far.other", "10.96.0.11"),
        ("db", "10.2.0.1 10.2.0.2"),
        ("db-1.db", "10.2.0.2"),
        ("db-1.db.default.svc.cluster.local", "10.2.0.2"),
        ("db-2.db", "-"),
        // The name server knows more of them than we do.
        ("empty.default", "-"),
        ("outside.default", "-"),
        ("hidden.other", "-"),
    ] {
        assert_eq!(told(&snapshot, name), want, "{name}");
    }
    let nobody_asks = compiled(CONFIG);
    assert!(nobody_asks.names.is_empty());
}

#[test]
fn services_without_addresses_get_some_unless_somebody_does_not_want_that() {
    const PORT: &str = "ports: [{number: 80, name: http, protocol: HTTP}]";
    const LABEL: &str = "labels: {networking.istio.io/enable-autoallocate-ip: 'false'}";
    let config = [
        entry(
            "a",
            &format!("{{hosts: [static.test, second.test], {PORT}, resolution: STATIC}}"),
        ),
        entry(
            "b",
            &format!("{{hosts: [dns.test], {PORT}, resolution: DNS}}"),
        ),
        entry(
            "c",
            &format!("{{hosts: [none.test], {PORT}, resolution: NONE}}"),
        ),
        entry(
            "d",
            &format!("{{hosts: ['*.wild.test'], {PORT}, resolution: STATIC}}"),
        ),
        entry(
            "e",
            &format!("{{hosts: ['*.dynamic.test'], {PORT}, resolution: DYNAMIC_DNS}}"),
        ),
        entry(
            "f",
            &format!("{{hosts: [own.test], addresses: [10.1.1.1], {PORT}, resolution: STATIC}}"),
        ),
        entry(
            "g",
            &format!(
                "{{hosts: [block.test], addresses: [10.1.2.0/24], {PORT}, resolution: STATIC}}"
            ),
        ),
        entry(
            &format!("h, {LABEL}"),
            &format!("{{hosts: [without.test], {PORT}, resolution: STATIC}}"),
        ),
        entry(
            "i",
            &format!(
                "{{hosts: ['*.given.test'], addresses: [10.1.3.1], {PORT}, resolution: STATIC}}"
            ),
        ),
    ]
    .concat();
    let snapshot = asked(&config, &mesh(None));
    for (name, want) in [
        ("static.test", "auto auto"),
        ("second.test", "auto auto"),
        ("dns.test", "auto auto"),
        ("none.test", "-"),
        ("a.wild.test", "-"),
        ("a.dynamic.test", "auto auto"),
        ("own.test", "10.1.1.1"),
        ("block.test", "-"),
        ("without.test", "-"),
        ("a.given.test", "10.1.3.1"),
        ("given.test", "-"),
    ] {
        assert_eq!(told(&snapshot, name), want, "{name}");
    }
    let of = |name: &str| snapshot.names.find(name).unwrap().addresses.to_vec();
    assert_ne!(
        of("static.test"),
        of("second.test"),
        "each host has its own"
    );
    let no = asked(&config, &mesh(Some(false)));
    assert_eq!(told(&no, "static.test"), "-");
    assert_eq!(told(&no, "own.test"), "10.1.1.1");
}

/// The cluster that connections to an address go to.
fn reached(snapshot: &Snapshot, to: SocketAddr) -> String {
    let listener = snapshot.listeners.find(to);
    match choose(listener, to.ip(), Seen::Other) {
        Chosen::Rule(rule) => {
            let rules = &snapshot.virtual_host(rule.virtual_host).rules;
            let Action::Forward(forward) = &*rules[rule.rule as usize].action else {
                panic!("a rule for connections forwards");
            };
            short(&cluster_name(snapshot, &forward.destinations[0].cluster))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn connections_to_given_addresses_are_told_apart() {
    let tcp = |name: &str| {
        let spec = format!(
            "{{hosts: [{name}.test], ports: [{{number: 5432, name: tcp, protocol: TCP}}], resolution: STATIC, endpoints: [{{address: 10.0.0.1}}]}}"
        );
        entry(name, &spec)
    };
    // `compiled_for` finds that nothing is told of a conflict.
    let snapshot = asked(&[tcp("one"), tcp("two")].concat(), &mesh(None));
    for name in ["one.test", "two.test"] {
        for ip in snapshot.names.find(name).unwrap().addresses {
            let to = SocketAddr::new(*ip, 5432);
            assert_eq!(reached(&snapshot, to), format!("5432||{name}"), "{ip}");
            let other = SocketAddr::new(*ip, 5433);
            assert_eq!(reached(&snapshot, other), "Unknown", "{ip}");
        }
    }
    let elsewhere = "10.9.9.9:5432".parse().unwrap();
    assert_eq!(
        reached(&snapshot, elsewhere),
        "Unknown",
        "they have addresses"
    );
    // HTTP by address alone, as with any address of a service.
    let http = service("shop", "default", "10.0.0.1");
    let snapshot = asked(&http, &mesh(None));
    let known = snapshot.names.find("shop.default").unwrap();
    let ip = known.addresses[0];
    check_snapshot(&snapshot, &http, &[(&format!("GET {ip}/"), "80||shop")]);
}
