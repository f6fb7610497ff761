//! Who gets in, who does not, and what is told of it.

use outrigger_core::peer::TlsFaultKind;
use outrigger_core::snapshot::{MutualTls, PeerNames, Trust};
use outrigger_tls::Proofs;

use super::authority::Authority;
use super::mesh::{CLIENT, Client, SERVER, Sidecar, Sides, application, client};

#[test]
fn strict_listeners_take_no_clear_text_and_permissive_ones_take_both() {
    let authority = Authority::new();
    for (mode, takes_clear_text) in [(MutualTls::Strict, false), (MutualTls::Permissive, true)] {
        let sides = Sides::server(mode);
        let near = Sidecar::start(application(), &sides, authority.identity(&[SERVER]));
        let far = Sides::client(SERVER);
        let far = Sidecar::start(near.addr, &far, authority.identity(&[CLIENT]));
        let (start, _) = Client::to(&far).ask("", b"x");
        assert_eq!(start, "HTTP/1.1 200 OK", "{mode:?}");
        let mut plain = Client::to(&near);
        if takes_clear_text {
            let (start, body) = plain.ask("", b"in the clear");
            assert_eq!((&*start, &*body), ("HTTP/1.1 200 OK", &b"in the clear"[..]));
            near.until(|tls, _| tls.clear_text == 1 && tls.handshakes == 1);
        } else {
            use std::io::Write;
            let mut stream = plain.0.get_ref();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n")
                .unwrap();
            assert_eq!(plain.rest(), b"", "nothing is answered");
            near.until(|tls, _| tls.faults(TlsFaultKind::NotTls) == 1 && tls.handshakes == 1);
        }
    }
}

/// An endpoint, what its client wants of it, and what comes of that.
#[test]
fn an_endpoint_that_does_not_prove_who_it_is_gets_no_request() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let wants = |names| {
        let mut tls = client(SERVER);
        tls.trust = match tls.trust {
            Trust::Chain { roots, crl, .. } => Trust::Chain { roots, crl, names },
            Trust::Nothing => Trust::Nothing,
        };
        tls
    };
    let nobody = wants(PeerNames::Of([].into()));
    let nothing = {
        let mut tls = client(SERVER);
        tls.trust = Trust::Nothing;
        tls
    };
    let verify_failed = "TLS_error:CERTIFICATE_VERIFY_FAILED";
    for (what, identity, tls, want) in [
        (
            "who is wanted",
            ours.identity(&[SERVER]),
            client(SERVER),
            "",
        ),
        (
            "any name will do",
            ours.identity(&[SERVER]),
            wants(PeerNames::Any),
            "",
        ),
        (
            "another name",
            ours.identity(&[CLIENT]),
            client(SERVER),
            verify_failed,
        ),
        (
            "no name will do",
            ours.identity(&[SERVER]),
            nobody,
            verify_failed,
        ),
        (
            "another authority",
            theirs.identity(&[SERVER]),
            client(SERVER),
            verify_failed,
        ),
        (
            "no name where one is wanted",
            ours.identity(&[SERVER]),
            wants(PeerNames::Wanted),
            verify_failed,
        ),
    ] {
        let both = {
            // The endpoint believes both authorities, so that it is the client that decides.
            let mut proofs = identity;
            let roots = [ours.root.clone(), theirs.root.clone()];
            proofs
                .roots(outrigger_core::snapshot::RootsName::Mesh, &roots)
                .unwrap();
            proofs
        };
        let near = Sidecar::start(application(), &Sides::server(MutualTls::Strict), both);
        let sides = Sides {
            client: Some(tls),
            ..Sides::default()
        };
        let far = Sidecar::start(near.addr, &sides, ours.identity(&[CLIENT]));
        let (start, _) = Client::to(&far).ask("", b"x");
        let told = far.told_of(1).pop().unwrap();
        match want {
            "" => assert_eq!(start, "HTTP/1.1 200 OK", "{what}: {told:?}"),
            want => {
                assert!(start.starts_with("HTTP/1.1 503 "), "{what}: {start}");
                assert!(told.details.contains(want), "{what}: {told:?}");
                assert!(near.told().is_empty(), "{what}: it got a request");
            }
        }
    }
    // Who wants nothing proved takes anybody.
    let near = Sidecar::start(application(), &Sides::server(MutualTls::Strict), {
        let mut proofs = theirs.identity(&[SERVER]);
        let roots = [ours.root.clone()];
        proofs
            .roots(outrigger_core::snapshot::RootsName::Mesh, &roots)
            .unwrap();
        proofs
    });
    let sides = Sides {
        client: Some(nothing),
        ..Sides::default()
    };
    let far = Sidecar::start(near.addr, &sides, ours.identity(&[CLIENT]));
    assert_eq!(Client::to(&far).ask("", b"x").0, "HTTP/1.1 200 OK");
}

#[test]
fn clients_that_do_not_prove_who_they_are_get_nothing() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let untrusted = TlsFaultKind::Untrusted;
    for (what, identity) in [
        ("another authority", {
            let mut proofs = theirs.identity(&[CLIENT]);
            let roots = [ours.root.clone()];
            proofs
                .roots(outrigger_core::snapshot::RootsName::Mesh, &roots)
                .unwrap();
            proofs
        }),
        (
            "another trust domain",
            ours.identity(&["spiffe://other/ns/shop/sa/web"]),
        ),
        (
            "a domain that only begins alike",
            ours.identity(&["spiffe://tdx/ns/shop/sa/web"]),
        ),
        ("two identities", ours.identity(&[CLIENT, SERVER])),
        ("no identity", ours.identity(&["web.shop"])),
    ] {
        let near = Sides::server(MutualTls::Strict);
        let near = Sidecar::start(application(), &near, ours.identity(&[SERVER]));
        let far = Sidecar::start(near.addr, &Sides::client(SERVER), identity);
        let (start, _) = Client::to(&far).ask("", b"x");
        assert!(start.starts_with("HTTP/1.1 503 "), "{what}: {start}");
        near.until(|tls, _| tls.faults(untrusted) > 0);
        assert!(near.told().is_empty(), "{what}: a request came in");
        assert_eq!(near.counted().0.handshakes, 0, "{what}");
    }
}

#[test]
fn without_an_identity_nobody_gets_in_or_out() {
    let authority = Authority::new();
    let near = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &near, Proofs::default());
    let far = Sidecar::start(near.addr, &Sides::client(SERVER), Proofs::default());
    let (start, _) = Client::to(&far).ask("", b"x");
    assert!(start.starts_with("HTTP/1.1 503 "), "{start}");
    let told = far.told_of(1).pop().unwrap();
    assert!(told.details.contains("NO_CERTIFICATE_SET"), "{told:?}");
    far.identities.swap(authority.identity(&[CLIENT]));
    let (start, _) = Client::to(&far).ask("", b"x");
    assert!(start.starts_with("HTTP/1.1 503 "), "{start}");
    near.until(|tls, _| tls.faults(TlsFaultKind::NoIdentity) > 0);
    near.identities.swap(authority.identity(&[SERVER]));
    let (start, _) = Client::to(&far).ask("", b"x");
    assert_eq!(start, "HTTP/1.1 200 OK");
}
