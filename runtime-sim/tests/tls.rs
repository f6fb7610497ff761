//! TLS in virtual time is what it proves: a client, a sidecar before it, and a sidecar before the service.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::cluster::{HostKey, Registry};
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{
    Action, Address, Alpn, ClientTls, Cluster, ClusterId, Condition, Destination,
    DestinationCluster, Endpoint, Forward, HeaderOps, KeyName, MutualTls, PeerNames, RootsName,
    Rule, ServerTls, Snapshot, Sni, TlsParameters, Trust, VirtualHost, VirtualHostId,
};
use outrigger_core::time::Instant;
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::{
    Peer, Proved, Proving, Reaction, ScriptedClient, ScriptedService, Serve, Simulation, Speaks,
    Weather, certificate,
};

const WEB: &str = "td/ns/shop/sa/web";
const CART: &str = "td/ns/shop/sa/cart";

/// An inbound listener before one address.
fn snapshot(to: &str, mode: MutualTls, wants: Option<&str>) -> Arc<Snapshot> {
    let mut registry = Registry::default();
    let state = registry.host(HostKey {
        cluster: "inbound".into(),
        address: to.into(),
    });
    let mut endpoint = Endpoint::new(Address::Socket(to.parse().unwrap()), state);
    endpoint.is_secured = wants.is_some();
    let tls = wants.map(|name| {
        Arc::new(ClientTls {
            identity: Some(KeyName::Mesh),
            trust: Trust::Chain {
                roots: RootsName::Mesh,
                crl: None,
                names: PeerNames::Of([format!("spiffe://{name}").into()].into()),
            },
            sni: Sni::Name("cart".into()),
            alpn: Alpn::Mesh,
            parameters: TlsParameters::default(),
        })
    });
    let cluster = Cluster {
        endpoints: [endpoint].into(),
        tls,
        ..Cluster::new("inbound|80||".into(), Arc::default())
    };
    let destination = Destination {
        weight: 1,
        cluster: DestinationCluster::Known(ClusterId(0)),
        request: HeaderOps::default(),
        response: HeaderOps::default(),
    };
    let rule = Rule {
        name: "default".into(),
        origin: None,
        fields: Default::default(),
        condition: Condition::default(),
        action: Arc::new(Action::Forward(Forward {
            destinations: [destination].into(),
            total_weight: 1,
            ..Forward::default()
        })),
    };
    Arc::new(Snapshot {
        virtual_hosts: [VirtualHost {
            name: "inbound|http|80".into(),
            rules: [rule].into(),
            ..VirtualHost::default()
        }]
        .into(),
        clusters: Arc::new(vec![cluster].into()),
        inbound: [VirtualHostId(0)].into(),
        inbound_tls: [Arc::new(ServerTls {
            mode,
            parameters: TlsParameters::default(),
            trust_domains: ["td".into()].into(),
            port: 80,
            ..ServerTls::default()
        })]
        .into(),
        ..Snapshot::default()
    })
}

/// What comes of one request to a sidecar of which this is known: the status, if there is an answer, and the details.
fn ask(
    (mode, wants): (MutualTls, Option<&str>),
    client: Option<&str>,
    service: Option<&str>,
) -> (Option<String>, Option<String>) {
    let mut sim = Simulation::new(7, Weather::default());
    let told = Rc::<RefCell<Option<String>>>::default();
    let records = Rc::clone(&told);
    let sidecar = sim.sidecar(
        snapshot("10.0.0.1:80", mode, wants),
        WorkerSettings::default(),
        Box::new(move |record, _| *records.borrow_mut() = Some(record.details.to_string())),
    );
    sim.prove(sidecar, Proved::as_mesh(certificate(WEB)));
    sim.expose("in", sidecar, ListenerKind::Inbound(0));
    let answers: Box<dyn Serve> = Box::new(ScriptedService::always(Reaction::ok("hello")));
    sim.serve(
        "10.0.0.1:80",
        match service {
            None => answers,
            Some(name) => Box::new(Proving::new(answers, Speaks::as_mesh(certificate(name)))),
        },
    );
    let (asks, seen) = ScriptedClient::new([b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()]);
    let asks: Box<dyn Peer> = Box::new(asks);
    sim.connect(
        "in",
        match client {
            None => asks,
            Some(name) => Box::new(Proving::new(asks, Speaks::as_mesh(certificate(name)))),
        },
    );
    sim.run(Instant::from_millis(60_000)).unwrap();
    let status = seen
        .borrow()
        .responses
        .first()
        .map(|(head, _)| head.line.clone());
    (status, told.take())
}

#[test]
fn who_proves_who_it_is_is_let_in_and_believed() {
    use MutualTls::{Disable, Permissive, Strict};
    let ok = Some("200");
    let verify = Some("503 CERTIFICATE_VERIFY_FAILED");
    let version = Some("503 WRONG_VERSION_NUMBER");
    for (case, client, service, want) in [
        ((Disable, None), None, None, ok),
        ((Disable, None), Some(WEB), None, None),
        ((Permissive, None), None, None, ok),
        ((Permissive, None), Some(WEB), None, ok),
        ((Strict, None), Some(WEB), None, ok),
        ((Strict, None), None, None, None),
        ((Strict, None), Some("other/ns/a/sa/b"), None, None),
        ((Disable, Some(CART)), None, Some(CART), ok),
        ((Disable, Some(CART)), None, Some(WEB), verify),
        ((Disable, Some(CART)), None, None, version),
        (
            (Disable, None),
            None,
            Some(CART),
            Some("502 protocol_error"),
        ),
    ] {
        let (status, details) = ask(case, client, service);
        let what = format!("{case:?} {client:?} {service:?}: {status:?} {details:?}");
        let Some(want) = want else {
            assert_eq!(status, None, "{what}");
            continue;
        };
        let (code, word) = want.split_once(' ').unwrap_or((want, ""));
        assert!(status.is_some_and(|status| status.contains(code)), "{what}");
        assert!(
            details.is_some_and(|details| details.contains(word)),
            "{what}"
        );
    }
}

/// Between two sidecars both learn who the other is, and a sidecar that is not who is wanted is told from one that is.
#[test]
fn sidecars_prove_who_they_are_to_each_other() {
    for (identity, want) in [(CART, "200"), (WEB, "503")] {
        let mut sim = Simulation::new(3, Weather::default());
        let told = Rc::<RefCell<u64>>::default();
        let records = Rc::clone(&told);
        let near = sim.sidecar(
            snapshot("10.0.0.1:80", MutualTls::Strict, None),
            WorkerSettings::default(),
            Box::new(move |_, _| *records.borrow_mut() += 1),
        );
        let far = sim.sidecar(
            snapshot("10.0.0.2:80", MutualTls::Disable, Some(CART)),
            WorkerSettings::default(),
            Box::new(|_, _| {}),
        );
        sim.prove(near, Proved::as_mesh(certificate(identity)));
        sim.prove(far, Proved::as_mesh(certificate(WEB)));
        sim.expose("10.0.0.2:80", near, ListenerKind::Inbound(0));
        sim.expose("in", far, ListenerKind::Inbound(0));
        let answers = ScriptedService::always(Reaction::ok("hello"));
        sim.serve("10.0.0.1:80", Box::new(answers));
        let (asks, seen) = ScriptedClient::new([b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()]);
        sim.connect("in", Box::new(asks));
        sim.run(Instant::from_millis(60_000)).unwrap();
        let start = seen.borrow().responses[0].0.line.clone();
        assert!(start.contains(want), "{identity}: {start}");
        assert_eq!(*told.borrow(), u64::from(want == "200"));
    }
}
