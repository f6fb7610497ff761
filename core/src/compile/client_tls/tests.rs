//! What each mode comes to, and who is spoken to in TLS of the mesh.

use crate::cluster::Registry;
use crate::compile::{Answers, Workload, compile};
use crate::config::{Source, load, load_mesh};
use crate::snapshot::{
    Address, Alpn, ClientTls, KeyName, PeerNames, RootsName, Snapshot, Sni, TlsParameters, Trust,
};

/// A service with three pods, of which one has no sidecar, and one says so.
const SHOP: &str = "
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: mall}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: mall, labels: {app: shop, version: v1, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: till}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: mall, labels: {app: shop, version: v2}}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: mall, labels: {app: shop, version: v2, security.istio.io/tlsMode: disabled}}
status: {podIP: 10.0.0.3}
";

fn compiled(yaml: &str, mesh: &str, has_identity: bool) -> Snapshot {
    let source = |text: &'static str| Source {
        name: "f",
        bytes: text.as_bytes(),
    };
    let loaded = load(&[source(yaml.to_owned().leak())], "client");
    let errors = loaded.findings.iter().filter(|f| f.blocks());
    assert_eq!(errors.count(), 0, "{:?}", loaded.findings);
    let mesh = load_mesh(source(mesh.to_owned().leak())).0;
    let workload = Workload {
        namespace: "client".into(),
        spiffe_id: has_identity.then(|| "spiffe://cluster.local/ns/client/sa/default".into()),
        ..Workload::default()
    };
    let registry = &mut Registry::default();
    let answers = Answers::new();
    compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &answers,
        registry,
        0,
    )
    .snapshot
}

/// The TLS of a cluster, and the last number of the addresses of the endpoints that are secured.
fn towards(snapshot: &Snapshot, name: &str) -> (Option<ClientTls>, Vec<u8>) {
    let mut clusters = snapshot.clusters.iter();
    let cluster = clusters.find(|c| &*c.name == name).expect(name);
    let secured = cluster.endpoints.iter().filter(|e| e.is_secured);
    let last = |address: &Address| match address {
        Address::Socket(core::net::SocketAddr::V4(at)) => at.ip().octets()[3],
        other => panic!("{other} is no address of IPv4"),
    };
    let secured = secured.map(|endpoint| last(&endpoint.address)).collect();
    (cluster.tls.as_deref().cloned(), secured)
}

const OF_SHOP: &str = "outbound|80||shop.mall.svc.cluster.local";

fn names(all: &[&str]) -> PeerNames {
    PeerNames::Of(all.iter().map(|name| (*name).into()).collect())
}

fn of_mesh(names: PeerNames, sni: &str) -> ClientTls {
    ClientTls {
        identity: Some(KeyName::Mesh),
        trust: Trust::Chain {
            roots: RootsName::Mesh,
            crl: None,
            names,
        },
        sni: Sni::Name(sni.into()),
        alpn: Alpn::Mesh,
        parameters: TlsParameters::default(),
    }
}

fn rule(host: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: r, namespace: client}}\nspec: {{host: {host}, {spec}}}\n"
    )
}

fn of_shop(spec: &str) -> String {
    format!("{SHOP}{}", rule("shop.mall.svc.cluster.local", spec))
}

const IDS: [&str; 2] = [
    "spiffe://cluster.local/ns/mall/sa/default",
    "spiffe://cluster.local/ns/mall/sa/till",
];

const SNI: &str = "outbound_.80_._.shop.mall.svc.cluster.local";

#[test]
fn endpoints_with_a_sidecar_are_spoken_to_in_tls_of_the_mesh() {
    let auto = Some(of_mesh(names(&IDS), SNI));
    for (what, yaml, mesh, has_identity, wanted) in [
        ("by itself", SHOP, "{}", true, (auto.clone(), vec![1])),
        ("without identity", SHOP, "{}", false, (None, vec![])),
        (
            "turned off",
            SHOP,
            "enableAutoMtls: false",
            true,
            (None, vec![]),
        ),
        (
            "a rule without TLS",
            &of_shop("trafficPolicy: {outlierDetection: {}}"),
            "{}",
            true,
            (auto, vec![1]),
        ),
        (
            "a rule against it",
            &of_shop("trafficPolicy: {tls: {mode: DISABLE}}"),
            "{}",
            true,
            (None, vec![]),
        ),
        (
            "a rule for all",
            &of_shop("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"),
            "enableAutoMtls: false",
            true,
            (Some(of_mesh(names(&IDS), SNI)), vec![1, 2, 3]),
        ),
        (
            "its own names",
            &of_shop(
                "trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: Till.Test, subjectAltNames: [x]}}",
            ),
            "{}",
            true,
            (Some(of_mesh(names(&["x"]), "till.test")), vec![1, 2, 3]),
        ),
    ] {
        assert_eq!(
            towards(&compiled(yaml, mesh, has_identity), OF_SHOP),
            wanted,
            "{what}"
        );
    }
}

#[test]
fn an_endpoint_that_takes_no_tls_is_left_alone() {
    let policy = |namespace: &str, spec: &str| {
        format!(
            "{SHOP}---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
             metadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"
        )
    };
    let selected = |mode: &str, port: u16| {
        format!(
            "{{selector: {{matchLabels: {{app: shop}}}}, portLevelMtls: {{{port}: {{mode: {mode}}}}}}}"
        )
    };
    for (yaml, wanted) in [
        (policy("mall", "{mtls: {mode: DISABLE}}"), vec![]),
        (policy("istio-system", "{mtls: {mode: DISABLE}}"), vec![]),
        (policy("client", "{mtls: {mode: DISABLE}}"), vec![1]),
        (policy("mall", "{mtls: {mode: PERMISSIVE}}"), vec![1]),
        (policy("mall", &selected("DISABLE", 8080)), vec![]),
        (policy("mall", &selected("DISABLE", 80)), vec![1]),
    ] {
        let (_, secured) = towards(&compiled(&yaml, "{}", true), OF_SHOP);
        assert_eq!(secured, wanted, "{yaml}");
    }
}

#[test]
fn aliases_of_the_trust_domain_are_taken_for_it() {
    let mesh = "trustDomain: td1\ntrustDomainAliases: [td2]";
    let (tls, _) = towards(&compiled(SHOP, mesh, true), OF_SHOP);
    let wanted = names(&[
        "spiffe://td1/ns/mall/sa/default",
        "spiffe://td1/ns/mall/sa/till",
        "spiffe://td2/ns/mall/sa/default",
        "spiffe://td2/ns/mall/sa/till",
    ]);
    assert_eq!(tls, Some(of_mesh(wanted, SNI)));
}

#[test]
fn subsets_and_ports_have_tls_of_their_own() {
    let yaml = of_shop(
        "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]}, \
         subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, \
         trafficPolicy: {tls: {mode: DISABLE}}}]",
    );
    let snapshot = compiled(&yaml, "{}", true);
    let cluster = |subset: &str| format!("outbound|80|{subset}|shop.mall.svc.cluster.local");
    let (v1, secured) = towards(&snapshot, &cluster("v1"));
    let sni = "outbound_.80_.v1_.shop.mall.svc.cluster.local";
    assert_eq!(v1, Some(of_mesh(names(&IDS), sni)));
    assert_eq!(secured, [1]);
    assert_eq!(towards(&snapshot, &cluster("v2")), (None, vec![]));
}

/// A ServiceEntry whose port is that of TLS.
fn entry(more: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e, namespace: client}}\n\
         spec: {{hosts: [api.test], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 443}}]{more}}}\n"
    )
}

#[test]
fn tls_is_originated_for_the_outside() {
    let chain = |roots, crl: Option<&str>, names| Trust::Chain {
        roots,
        crl: crl.map(Into::into),
        names,
    };
    let simple = |trust, sni| ClientTls {
        identity: None,
        trust,
        sni,
        alpn: Alpn::Plain,
        parameters: TlsParameters::default(),
    };
    let file = |name: &str| RootsName::File(name.into());
    let secret = |namespace: &str| (Box::from(namespace), Box::from("s"));
    let of_system = chain(RootsName::System, None, PeerNames::Wanted);
    let listed = ", subjectAltNames: [spiffe://x/y, api.example]";
    for (more, tls, wanted) in [
        ("", "{mode: SIMPLE}", simple(of_system.clone(), Sni::Host)),
        (
            "",
            "{mode: SIMPLE, caCertificates: system, sni: API.Other}",
            simple(of_system, Sni::Name("api.other".into())),
        ),
        (
            "",
            "{mode: SIMPLE, caCertificates: /ca.pem, caCrl: /crl.pem, subjectAltNames: [a, b]}",
            simple(
                chain(file("/ca.pem"), Some("/crl.pem"), names(&["a", "b"])),
                Sni::Host,
            ),
        ),
        (
            listed,
            "{mode: SIMPLE}",
            simple(
                chain(
                    RootsName::System,
                    None,
                    names(&["api.example", "spiffe://x/y"]),
                ),
                Sni::Host,
            ),
        ),
        (
            "",
            "{mode: SIMPLE, insecureSkipVerify: true}",
            simple(Trust::Nothing, Sni::Host),
        ),
        (
            "",
            "{mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /r}",
            ClientTls {
                identity: Some(KeyName::Files("/c".into(), "/k".into())),
                ..simple(chain(file("/r"), None, PeerNames::Wanted), Sni::Host)
            },
        ),
        (
            "",
            "{mode: MUTUAL, credentialName: s}",
            ClientTls {
                identity: Some(KeyName::Secret(secret("client").0, secret("client").1)),
                ..simple(
                    chain(
                        RootsName::Secret(secret("client").0, secret("client").1),
                        None,
                        PeerNames::Wanted,
                    ),
                    Sni::Host,
                )
            },
        ),
        (
            "",
            "{mode: SIMPLE, credentialName: 'kubernetes://vault/s'}",
            simple(
                chain(
                    RootsName::Secret(secret("vault").0, secret("vault").1),
                    None,
                    PeerNames::Wanted,
                ),
                Sni::Host,
            ),
        ),
    ] {
        let more = format!(", endpoints: [{{address: 10.0.0.7}}]{more}");
        let yaml = entry(&more) + &rule("api.test", &format!("trafficPolicy: {{tls: {tls}}}"));
        let snapshot = compiled(&yaml, "{}", false);
        let found = towards(&snapshot, "outbound|80||api.test");
        assert_eq!(found, (Some(wanted), vec![7]), "{tls}");
    }
}

#[test]
fn entries_are_of_the_mesh_where_they_say_so() {
    let account = ", endpoints: [{address: 10.0.0.7, serviceAccount: x}, {address: 10.0.0.8}]";
    let (tls, secured) = towards(
        &compiled(&entry(account), "{}", true),
        "outbound|80||api.test",
    );
    assert_eq!((tls, secured), (None, vec![]), "outside is the default");
    let inside = format!("{account}, location: MESH_INTERNAL, subjectAltNames: [till.test]");
    let (tls, secured) = towards(
        &compiled(&entry(&inside), "{}", true),
        "outbound|80||api.test",
    );
    let wanted = names(&["spiffe://cluster.local/ns/client/sa/x", "till.test"]);
    let sni = "outbound_.80_._.api.test";
    assert_eq!((tls, secured), (Some(of_mesh(wanted, sni)), vec![7]));
}

#[test]
fn where_a_client_wanted_to_go_is_secured_by_a_rule_alone() {
    let entry = entry("").replace("resolution: STATIC", "resolution: NONE");
    let snapshot = compiled(&entry, "{}", true);
    assert_eq!(towards(&snapshot, "outbound|80||api.test").0, None);
    let secured = entry + &rule("api.test", "trafficPolicy: {tls: {mode: SIMPLE}}");
    let snapshot = compiled(&secured, "{}", true);
    assert!(towards(&snapshot, "outbound|80||api.test").0.is_some());
}

#[test]
fn what_the_mesh_agrees_to_holds_for_its_own_tls_and_defaults_for_other() {
    let mesh = "meshMTLS: {minProtocolVersion: TLSV1_3}\ntlsDefaults: {ecdhCurves: [P-256]}";
    let snapshot = compiled(SHOP, mesh, true);
    let of_mesh = towards(&snapshot, OF_SHOP).0.unwrap().parameters;
    assert!(of_mesh.min_version.is_some() && of_mesh.key_exchanges.is_empty());
    let yaml = entry("") + &rule("api.test", "trafficPolicy: {tls: {mode: SIMPLE}}");
    let other = towards(&compiled(&yaml, mesh, true), "outbound|80||api.test");
    let other = other.0.unwrap().parameters;
    assert!(other.min_version.is_none() && other.key_exchanges.len() == 1);
}

/// A Service may say who answers for it where endpoints do not, or besides them.
#[test]
fn a_service_names_accounts_by_annotation() {
    let of = |accounts: &str| {
        let annotations =
            format!("metadata: {{name: shop, namespace: mall, annotations: {{{accounts}}}}}");
        SHOP.replacen("metadata: {name: shop, namespace: mall}", &annotations, 1)
    };
    let [default, till] = IDS;
    for (accounts, want) in [
        (
            "alpha.istio.io/kubernetes-serviceaccounts: 'back, side'",
            &[
                "spiffe://cluster.local/ns/mall/sa/back",
                default,
                "spiffe://cluster.local/ns/mall/sa/side",
                till,
            ][..],
        ),
        (
            "alpha.istio.io/canonical-serviceaccounts: 'other/ns/a/sa/b,spiffe://x/ns/a/sa/c'",
            &[
                default,
                till,
                "spiffe://other/ns/a/sa/b",
                "spiffe://x/ns/a/sa/c",
            ],
        ),
    ] {
        let snapshot = compiled(&of(accounts), "{}", true);
        let (tls, _) = towards(&snapshot, OF_SHOP);
        assert_eq!(tls, Some(of_mesh(names(want), SNI)), "{accounts}");
    }
}
