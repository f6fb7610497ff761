//! Precedence beside a plain model, and what listeners take.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::cluster::Registry;
use crate::compile::{Answers, Compiled, Inbound, Workload, compile};
use crate::config::meta::Meta;
use crate::config::{MeshConfig, Resources, Source, load, load_mesh};

type Labels = BTreeMap<String, String>;

const ROOT: &str = "istio-system";

/// What is in the way of a client of a port, found as slowly and plainly as Istio's words say it: from the narrowest scope
/// to the widest, the first mode that is set.
fn model(all: &[PeerAuthentication], namespace: &str, labels: &Labels, port: u16) -> MutualTls {
    let mut usable: Vec<&PeerAuthentication> = all.iter().filter(|r| !r.meta.rejected).collect();
    usable.sort_by_key(|r| {
        let meta = &r.meta;
        (
            meta.created.clone(),
            meta.name.clone(),
            meta.namespace.clone(),
        )
    });
    let mut asked = Vec::new();
    if namespace != ROOT {
        let of_workload = usable.iter().find(|r| {
            let mut wanted = r.selector.iter();
            r.meta.namespace == namespace
                && !r.selector.is_empty()
                && wanted.all(|(key, value)| labels.get(key) == Some(value))
        });
        if let Some(policy) = of_workload {
            asked.extend(policy.ports.get(&port).copied());
            asked.push(policy.mode);
        }
        let of_namespace = usable
            .iter()
            .find(|r| r.meta.namespace == namespace && r.selector.is_empty());
        asked.extend(of_namespace.map(|policy| policy.mode));
    }
    let of_mesh = usable
        .iter()
        .find(|r| r.meta.namespace == ROOT && r.selector.is_empty());
    asked.extend(of_mesh.map(|policy| policy.mode));
    for mode in asked {
        match mode {
            PeerMode::Unset => {}
            PeerMode::Disable => return MutualTls::Disable,
            PeerMode::Permissive => return MutualTls::Permissive,
            PeerMode::Strict => return MutualTls::Strict,
        }
    }
    MutualTls::Permissive
}

fn modes() -> impl Strategy<Value = PeerMode> {
    prop_oneof![
        Just(PeerMode::Unset),
        Just(PeerMode::Disable),
        Just(PeerMode::Permissive),
        Just(PeerMode::Strict),
    ]
}

fn label_sets() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[ab]", "[xy]", 0..3)
}

fn policies() -> impl Strategy<Value = PeerAuthentication> {
    let meta = (
        "[a-d]",
        prop_oneof![Just("shop"), Just("other"), Just(ROOT)],
        proptest::option::of(20..23u32),
        proptest::bool::weighted(0.1),
    );
    let ports = proptest::collection::btree_map(80..83u16, modes(), 0..3);
    (meta, label_sets(), modes(), ports).prop_map(
        |((name, namespace, created, rejected), selector, mode, ports)| PeerAuthentication {
            meta: Meta {
                name,
                namespace: namespace.into(),
                created: created.map(|year| format!("20{year}-01-01T00:00:00Z")),
                rejected,
                ..Meta::default()
            },
            // Ports without a selector are refused when they are read.
            ports: if selector.is_empty() {
                BTreeMap::new()
            } else {
                ports
            },
            selector,
            mode,
        },
    )
}

fn namespaces() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("shop"), Just("other"), Just("empty"), Just(ROOT)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn precedence_is_that_of_the_model(
        all in proptest::collection::vec(policies(), 0..8),
        namespace in namespaces(),
        labels in label_sets(),
    ) {
        let resources = Resources {
            peer_authentications: all,
            ..Resources::default()
        };
        let input = Input {
            resources: &resources,
            workload: &Workload::default(),
            mesh: &MeshConfig::default(),
        };
        let applied = PeerPolicies::new(&input).of(namespace, &labels);
        for port in 79..84 {
            let wanted = model(&resources.peer_authentications, namespace, &labels, port);
            prop_assert_eq!(applied.mode(port), wanted, "port {}", port);
        }
    }
}

/// Compiles for a workload `app: shop` of namespace `shop` with listeners for the ports 8080 and 9090.
fn compiled(yaml: &str, mesh: &str, has_identity: bool) -> Compiled {
    let source = |name, text: &'static [u8]| Source { name, bytes: text };
    let bytes = yaml.as_bytes();
    let resources = load(&[Source { name: "f", bytes }], "shop").resources;
    let mesh = load_mesh(source("m", mesh.to_owned().leak().as_bytes())).0;
    let workload = Workload {
        namespace: "shop".into(),
        labels: [("app".to_owned(), "shop".to_owned())].into(),
        spiffe_id: has_identity.then(|| "spiffe://cluster.local/ns/client/sa/default".into()),
        ..Workload::default()
    };
    let inbound = [8080, 9090].map(|port| Inbound {
        listen: ([127, 0, 0, 1], port + 1).into(),
        application: ([127, 0, 0, 1], port).into(),
    });
    let registry = &mut Registry::default();
    let answers = Answers::new();
    compile(
        &resources, &workload, &mesh, &inbound, &answers, registry, 0,
    )
}

fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

#[test]
fn listeners_take_what_the_port_of_the_application_says() {
    let ports = "{selector: {matchLabels: {app: shop}}, portLevelMtls: {8080: {mode: STRICT}}}";
    let all = policy("shop", "a", "{mtls: {mode: DISABLE}}") + &policy("shop", "b", ports);
    for (yaml, has_identity, wanted, said) in [
        ("", true, [MutualTls::Permissive; 2], None),
        ("", false, [MutualTls::Disable; 2], None),
        (&*all, true, [MutualTls::Strict, MutualTls::Disable], None),
        (&*all, false, [MutualTls::Strict, MutualTls::Disable], None),
        (
            &*(policy("shop", "c", ports) + &policy("shop", "d", ports)),
            true,
            [MutualTls::Strict, MutualTls::Permissive],
            Some("shadowed-peer-authentication shop/d"),
        ),
    ] {
        let compiled = compiled(yaml, "{}", has_identity);
        let modes: Vec<MutualTls> = compiled
            .snapshot
            .inbound_tls
            .iter()
            .map(|t| t.mode)
            .collect();
        assert_eq!(modes, wanted, "{yaml}");
        let told: Vec<String> = compiled
            .findings
            .iter()
            .map(|f| {
                let resource = f.resource.as_ref().unwrap();
                format!("{} {}/{}", f.code, resource.namespace, resource.name)
            })
            .collect();
        assert_eq!(told, said.into_iter().collect::<Vec<_>>(), "{yaml}");
    }
}

#[test]
fn listeners_know_whom_the_mesh_takes_for_its_own() {
    let mesh = "trustDomain: td1\ntrustDomainAliases: [td2, td1]\nmeshMTLS: {minProtocolVersion: TLSV1_3}\n";
    let compiled = compiled("", mesh, true);
    let tls = &compiled.snapshot.inbound_tls[0];
    let domains: Vec<&str> = tls.trust_domains.iter().map(|d| &**d).collect();
    assert_eq!(domains, ["td1", "td2"]);
    assert_eq!(
        tls.parameters.min_version,
        Some(crate::peer::TlsVersion::Tls13)
    );
}

#[test]
fn what_holds_for_a_listener_says_where_it_is_written() {
    let all = |namespace: &str, mode: &str| {
        policy(namespace, "all", &format!("{{mtls: {{mode: {mode}}}}}"))
    };
    let own = |more: &str| {
        policy(
            "shop",
            "own",
            &format!("{{selector: {{matchLabels: {{app: shop}}}}, {more}}}"),
        )
    };
    let port = "portLevelMtls: {8080: {mode: STRICT}}";
    let by_own = "PeerAuthentication shop/own spec.mtls.mode";
    let by_all = "PeerAuthentication shop/all spec.mtls.mode";
    let by_mesh = "PeerAuthentication istio-system/all spec.mtls.mode";
    for (yaml, want) in [
        (String::new(), None),
        (all("istio-system", "STRICT"), Some(by_mesh)),
        (
            all("istio-system", "STRICT") + &all("shop", "UNSET"),
            Some(by_mesh),
        ),
        (
            all("istio-system", "STRICT") + &all("shop", "DISABLE"),
            Some(by_all),
        ),
        (
            all("shop", "STRICT") + &own("mtls: {mode: UNSET}"),
            Some(by_all),
        ),
        (
            all("shop", "STRICT") + &own("mtls: {mode: DISABLE}"),
            Some(by_own),
        ),
        (
            all("shop", "DISABLE") + &own(port),
            Some("PeerAuthentication shop/own spec.portLevelMtls.8080.mode"),
        ),
        (
            own("mtls: {mode: DISABLE}, portLevelMtls: {9: {mode: STRICT}}"),
            Some(by_own),
        ),
    ] {
        let snapshot = compiled(&yaml, "{}", true).snapshot;
        let told = snapshot.inbound_tls_origins[0].as_ref().map(|origin| {
            assert!(origin.line > 0, "{yaml}");
            let resource = &snapshot.resources[origin.resource.0 as usize];
            format!("{resource} {}", origin.path)
        });
        assert_eq!(told.as_deref(), want, "{yaml}");
    }
}
