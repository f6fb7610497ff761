//! What TLS has to do with requests: who may be read, what is told of a client, and which connections are apart.

use super::*;
use crate::cluster::Registry;
use crate::compile::{Answers, Workload, compile};
use crate::config::{MeshConfig, Source, load};
use crate::peer::{PeerCertificate, TlsFacts, TlsFault, TlsVersion};
use crate::snapshot::{
    Alpn, ClientTls, Cluster, KeyName, MutualTls, ServerTls, Sni, Spoken, TlsParameters, Trust,
};

/// Another host that leads to the same service.
const ANOTHER_HOST: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: h}
spec: {hosts: [h.test, g.test], http: [{route: [{destination: {host: h.test}}]}]}
";

fn facts(principal: &str) -> Arc<TlsFacts> {
    Arc::new(TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni: None,
        alpn: None,
        resumed: false,
        peer: Some(PeerCertificate {
            uri_names: [format!("spiffe://{principal}").into()].into(),
            ..PeerCertificate::default()
        }),
    })
}

fn client_tls(sni: Sni) -> Arc<ClientTls> {
    Arc::new(ClientTls {
        identity: Some(KeyName::Mesh),
        trust: Trust::Nothing,
        sni,
        alpn: Alpn::Mesh,
        parameters: TlsParameters::default(),
    })
}

/// The service, with its endpoint protected like this.
fn protected(tls: Option<&Arc<ClientTls>>, registry: &mut Registry) -> Arc<Snapshot> {
    let text = format!("{SERVICE}{ANOTHER_HOST}");
    let loaded = load(
        &[Source {
            name: "config.yaml",
            bytes: text.as_bytes(),
        }],
        "default",
    );
    let compiled = compile(
        &loaded.resources,
        &Workload::default(),
        &MeshConfig::default(),
        &[],
        &Answers::new(),
        registry,
        0,
    );
    let mut snapshot = compiled.snapshot;
    let clusters = snapshot.clusters.iter().cloned();
    let clusters = clusters.map(|mut cluster: Cluster| {
        cluster.tls = tls.cloned();
        for endpoint in &mut cluster.endpoints {
            endpoint.is_secured = tls.is_some();
        }
        cluster
    });
    snapshot.clusters = Arc::new(clusters.collect::<Vec<_>>().into());
    Arc::new(snapshot)
}

/// A worker with an inbound listener in this mode, and a client of it.
fn inbound(mode: MutualTls, settings: WorkerSettings) -> Driver {
    let mut snapshot = from_yaml(SERVICE).snapshot;
    snapshot.inbound_tls = [Arc::new(ServerTls {
        mode,
        ..ServerTls::default()
    })]
    .into();
    let mut d = Driver::crowd(Arc::new(snapshot), settings, 1, 0);
    d.accept_from(Peer {
        listener: ListenerKind::Inbound(0),
        ..driver::PEER
    });
    d
}

#[test]
fn a_client_is_not_read_before_it_is_known_what_it_speaks() {
    for mode in [MutualTls::Permissive, MutualTls::Strict] {
        for (answer, is_read) in [
            (Input::Secured(Some(facts("td/ns/a/sa/b"))), true),
            (Input::Secured(None), true),
            (Input::NotSecured(TlsFault::NotTls.into()), false),
            (Input::Broken, false),
            (Input::Eof, false),
        ] {
            let mut d = inbound(mode, WorkerSettings::default());
            let (id, hearing) = d.securing.take().expect("it is to be found out");
            assert_eq!((Some(id), hearing.tls.mode), (d.parties[0].client, mode));
            assert!(!d.reads(Side::Downstream) && !d.writes(Side::Downstream));
            d.input(Side::Downstream, answer.clone());
            match is_read {
                true => assert!(d.reads(Side::Downstream), "{answer:?}"),
                false => assert_eq!(d.outputs(), [Said::Close(Side::Downstream)], "{answer:?}"),
            }
        }
    }
    let d = inbound(MutualTls::Disable, WorkerSettings::default());
    assert!(d.securing.is_none() && d.reads(Side::Downstream));
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let mut d = inbound(MutualTls::Strict, WorkerSettings::default());
    let until = d.worker.next_deadline().expect("it has a deadline");
    assert_eq!(until, Instant::ZERO + Duration::from_secs(15));
    d.now = until;
    d.time();
    assert_eq!(d.outputs(), [Said::Close(Side::Downstream)]);
    let d = inbound(
        MutualTls::Strict,
        WorkerSettings {
            tls_handshake_timeout: None,
            ..WorkerSettings::default()
        },
    );
    assert_eq!(d.worker.next_deadline(), None, "without a limit");
}

#[test]
fn what_was_proved_of_a_client_is_told_with_each_of_its_requests() {
    let mut d = inbound(MutualTls::Strict, WorkerSettings::default());
    let proved = facts("td/ns/a/sa/b");
    d.input(Side::Downstream, Input::Secured(Some(Arc::clone(&proved))));
    for _ in 0..2 {
        d.sends(Side::Downstream, b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n");
        let id = d.worker.exchange_on(d.name(Side::Downstream).unwrap());
        let told = id.and_then(|id| d.worker.exchange(id)?.client_tls());
        assert!(told.is_some_and(|told| Arc::ptr_eq(told, &proved)));
        d.receives(Side::Downstream);
    }
}

#[test]
fn a_drain_lets_a_handshake_end_and_closes_what_says_nothing_then() {
    let mut d = inbound(MutualTls::Strict, WorkerSettings::default());
    d.input(Side::Downstream, Input::Drain);
    assert_eq!(d.outputs(), []);
    d.input(Side::Downstream, Input::Secured(None));
    d.now = d.worker.next_deadline().expect("it ends soon");
    assert_eq!(d.now, Instant::ZERO + Duration::from_secs(1));
    d.time();
    assert_eq!(d.outputs(), [Said::Close(Side::Downstream)]);
}

#[test]
fn a_kept_connection_is_used_only_for_who_wants_it_protected_like_that() {
    let all = [
        None,
        Some(client_tls(Sni::None)),
        Some(client_tls(Sni::Name("a".into()))),
        Some(client_tls(Sni::Host)),
    ];
    for (have, first) in all.iter().enumerate() {
        for (want, second) in all.iter().enumerate() {
            let registry = &mut Registry::default();
            let mut d = Driver::with(protected(first.as_ref(), registry));
            d.round(GET, OK);
            assert_eq!(d.wanted_tls.is_some(), first.is_some());
            // The same value, made anew by a reload.
            let second = second.as_ref().map(|tls| Arc::new((**tls).clone()));
            let said = d.adopt(protected(second.as_ref(), registry));
            let closed = said
                .iter()
                .any(|said| matches!(said, Said::Close(_) | Said::CloseKept(_)));
            assert_eq!(closed, have != want, "{have} {want}: {said:?}");
            d.sends(Side::Downstream, GET);
            let connects = d
                .outputs()
                .iter()
                .any(|said| matches!(said, Said::Connect(_)));
            assert_eq!(connects, have != want, "{have} {want}");
        }
    }
}

#[test]
fn a_connection_that_names_a_host_serves_no_other_host() {
    let tls = client_tls(Sni::Host);
    let registry = &mut Registry::default();
    let mut d = Driver::with(protected(Some(&tls), registry));
    for (host, named, connects) in [
        ("h.test", "h.test", true),
        ("H.test:80", "h.test", false),
        ("g.test", "g.test", true),
        ("h.test", "", false),
    ] {
        let get = format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n");
        d.outputs();
        d.round(get.as_bytes(), OK);
        let said = d.outputs();
        let is_new = said.iter().any(|said| matches!(said, Said::Connect(_)));
        assert_eq!(is_new, connects, "{host}: {said:?}");
        if connects {
            let handshake = d.wanted_tls.as_ref().expect("it is protected");
            assert_eq!(handshake.host.as_deref(), Some(named));
            assert_eq!(handshake.spoken, Spoken::Http1);
        }
    }
}

/// A request that was on the connection while its protection changed leaves none behind.
#[test]
fn a_connection_in_use_while_its_protection_changes_is_not_kept() {
    let registry = &mut Registry::default();
    let tls = client_tls(Sni::None);
    let mut d = Driver::with(protected(None, registry));
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.adopt(protected(Some(&tls), registry));
    d.sends(Side::Upstream, OK);
    d.receives(Side::Downstream);
    assert_eq!(d.worker.counts().idle, 0);
}

#[test]
fn tls_that_cannot_be_agreed_on_is_a_connection_failure_that_says_why() {
    for (fault, word) in [
        (TlsFault::NotTls, "WRONG_VERSION_NUMBER"),
        (
            TlsFault::Untrusted("expired".into()),
            "CERTIFICATE_VERIFY_FAILED",
        ),
        (TlsFault::Refused("unknown ca".into()), "PEER_ALERT"),
        (TlsFault::NoIdentity("no key".into()), "NO_CERTIFICATE_SET"),
        (
            TlsFault::NothingInCommon("suite".into()),
            "HANDSHAKE_FAILURE",
        ),
        (TlsFault::NoCertificate, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
    ] {
        let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
        d.sends(Side::Downstream, GET);
        d.fails(ConnectFault::Tls(fault.clone()));
        let client = d.receives(Side::Downstream);
        assert!(client.starts_with("HTTP/1.1 503 "), "{client}");
        let text = format!(
            "reset reason: remote connection failure, transport failure reason: TLS_error:{word}"
        );
        assert!(client.ends_with(&text), "{client}");
        let record = d.record();
        assert_eq!(
            record.details.to_string(),
            format!(
                "upstream_reset_before_response_started{{remote_connection_failure|TLS_error:{word}}}"
            )
        );
        assert_eq!(record.flags().to_string(), "UF");
        assert_eq!(record.transport_failure.as_deref(), Some(&fault));
    }
}
