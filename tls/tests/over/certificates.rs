//! Certificates that somebody made to be taken for somebody else, or that are no good any more: whoever shows them, as a client or
//! as an endpoint, gets nothing.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use outrigger_core::peer::TlsFaultKind;
use outrigger_core::snapshot::{KeyName, MutualTls, PeerNames, RootsName, Trust};
use outrigger_tls::Proofs;
use rcgen::{CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, SerialNumber};
use rustls::HandshakeKind;

use super::authority::{Authority, Signed};
use super::by_hand::{Hand, ask, by_hand, connect, shake};
use super::mesh::{
    CLIENT, Client, PATIENCE, SERVER, Sidecar, Sides, application, client as far_tls,
};

/// The number of the extension of names (RFC 5280 §4.2.1.6), and the tags of names in it.
const NAMES: &[u64] = &[2, 5, 29, 17];
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

/// Names as bytes, whatever they are.
fn names(names: &[(u8, &[u8])]) -> impl FnOnce(&mut CertificateParams) + use<> {
    let mut all = Vec::new();
    for (tag, name) in names {
        all.extend([*tag, u8::try_from(name.len()).unwrap()]);
        all.extend_from_slice(name);
    }
    assert!(all.len() < 128, "lengths of one byte");
    let content = [&[0x30, u8::try_from(all.len()).unwrap()], &*all].concat();
    move |params| {
        let extension = CustomExtension::from_oid_content(NAMES, content);
        params.subject_alt_names.clear();
        params.custom_extensions.push(extension);
    }
}

/// What nobody believes of a peer of a mesh, and the certificates that say it.
fn nobody_believes(authority: &Authority, who: &str) -> Vec<(&'static str, Signed)> {
    let sign = |change: &mut dyn FnMut(&mut CertificateParams)| authority.sign_as(&[who], change);
    let named = |all: &[(u8, &[u8])]| {
        let names = names(all);
        authority.sign_as(&[], names)
    };
    let id = who.as_bytes();
    let with = |behind: &[u8]| [id, behind].concat();
    let deep = (0..9_u8).fold(authority.authority(&[100]), |above, serial| {
        above.authority(&[serial + 1])
    });
    let other = "spiffe://td/ns/shop/sa/other";
    vec![
        ("a NUL in its URI", named(&[(URI, &with(b"\0.evil"))])),
        ("a NUL at the end of its URI", named(&[(URI, &with(b"\0"))])),
        (
            "a NUL in a host beside",
            named(&[(URI, id), (DNS, b"cart.shop\0.evil.test")]),
        ),
        ("a line break in its URI", named(&[(URI, &with(b"\n"))])),
        ("a space in its URI", named(&[(URI, &with(b" "))])),
        (
            "a letter beyond ASCII in its URI",
            named(&[(URI, &with(b"\xc3\xa9"))]),
        ),
        (
            "a byte that is no letter in its URI",
            named(&[(URI, &with(b"\xff"))]),
        ),
        (
            "a byte that is no letter in a host",
            named(&[(URI, id), (DNS, b"\xff\xfe")]),
        ),
        ("two URIs", named(&[(URI, id), (URI, other.as_bytes())])),
        ("the same URI twice", named(&[(URI, id), (URI, id)])),
        ("the URI as a host", named(&[(DNS, id)])),
        ("an empty URI beside", named(&[(URI, id), (URI, b"")])),
        ("no name", named(&[])),
        ("a common name alone", {
            let name = who.to_owned();
            authority.sign_as(&[], |params| {
                params.distinguished_name.push(DnType::CommonName, name);
            })
        }),
        (
            "another case",
            authority.sign(&[&who.replace("spiffe", "SPIFFE")]),
        ),
        (
            "another trust domain",
            authority.sign(&[&who.replace("//td/", "//dt/")]),
        ),
        ("a trust domain alone", authority.sign(&["spiffe://td"])),
        (
            "a trust domain without a path",
            authority.sign(&["spiffe://td/"]),
        ),
        (
            "a trust domain with a port",
            authority.sign(&[&who.replace("//td/", "//td:80/")]),
        ),
        (
            "for signing code",
            sign(&mut |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            }),
        ),
        (
            "over since an hour",
            sign(&mut |params| {
                params.not_after = (SystemTime::now() - Duration::from_secs(3_600)).into();
            }),
        ),
        (
            "not before an hour from now",
            sign(&mut |params| {
                params.not_before = (SystemTime::now() + Duration::from_secs(3_600)).into();
            }),
        ),
        ("a chain that is too long", deep.sign(&[who])),
        ("a chain without what is between", {
            let (mut chain, key) = authority.authority(&[1]).sign(&[who]);
            chain.truncate(1);
            (chain, key)
        }),
    ]
}

#[test]
fn no_client_is_believed_for_what_it_only_seems_to_be() {
    let authority = Authority::new();
    let sides = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &sides, authority.identity(&[SERVER]));
    let mut shown = nobody_believes(&authority, CLIENT);
    shown.push((
        "for servers only",
        authority.sign_as(&[CLIENT], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
    ));
    for (at, (what, identity)) in (1..).zip(shown) {
        for old in [false, true] {
            let mut client = by_hand(Some(identity_of(&identity)), &["istio"], old);
            let mut stream = connect(&near);
            let shaken = shake(&mut client, &mut stream, 1000, usize::MAX);
            let answer = shaken.and_then(|_| ask(&mut client, &mut stream));
            assert!(answer.is_err(), "{what}: {answer:?}");
        }
        near.until(|tls, _| tls.faults(TlsFaultKind::Untrusted) == 2 * at);
        assert!(near.told().is_empty(), "{what}: a request came in");
    }
    // A chain that leads over one more is good.
    let identity = authority.authority(&[1]).sign(&[CLIENT]);
    let mut client = by_hand(Some(identity), &["istio"], false);
    let mut stream = connect(&near);
    assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
    assert!(ask(&mut client, &mut stream).is_ok());
}

fn identity_of((chain, key): &Signed) -> Signed {
    (chain.clone(), key.clone_key())
}

#[test]
fn no_endpoint_is_believed_for_what_it_only_seems_to_be() {
    let authority = Authority::new();
    let mut shown = nobody_believes(&authority, SERVER);
    shown.push((
        "for clients only",
        authority.sign_as(&[SERVER], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }),
    ));
    for (what, identity) in shown {
        let sides = Sides::server(MutualTls::Strict);
        let near = Sidecar::start(application(), &sides, authority.proofs(identity));
        let far = Sidecar::start(
            near.addr,
            &Sides::client(SERVER),
            authority.identity(&[CLIENT]),
        );
        let (start, _) = Client::to(&far).ask("", b"x");
        assert!(start.starts_with("HTTP/1.1 503 "), "{what}: {start}");
        let told = far.told_of(1).pop().unwrap();
        let failed = "TLS_error:CERTIFICATE_VERIFY_FAILED";
        assert!(told.details.contains(failed), "{what}: {told:?}");
        assert!(near.told().is_empty(), "{what}: it got a request");
    }
}

/// A host in a certificate is compared as a name: a NUL, a dot more or a star that stands for too much make another one.
#[test]
fn hosts_of_endpoints_are_compared_as_names() {
    let authority = Authority::new();
    let wants = |name: &str| {
        let mut tls = far_tls(SERVER);
        tls.trust = Trust::Chain {
            roots: RootsName::Mesh,
            crl: None,
            names: PeerNames::Of([name.into()].into()),
        };
        Sides {
            client: Some(tls),
            ..Sides::default()
        }
    };
    for (shown, wanted, is_good) in [
        (&b"cart.shop"[..], "cart.shop", true),
        (b"CART.shop", "cart.shop", true),
        (b"*.cart.shop", "a.cart.shop", true),
        (b"*.cart.shop", "b.a.cart.shop", false),
        (b"*.cart.shop", "cart.shop", false),
        // A star for all names of a domain of the root's.
        (b"*.shop", "cart.shop", false),
        (b"*", "cart.shop", false),
        (b"*.*", "cart.shop", false),
        (b"c*.shop", "cart.shop", false),
        (b"cart.shop.evil", "cart.shop", false),
        (b"cart.shop\0.evil", "cart.shop", false),
        (b"cart.shop\0", "cart.shop", false),
        (b"cart", "cart.shop", false),
        (b"", "cart.shop", false),
    ] {
        let identity = authority.sign_as(&[], names(&[(DNS, shown), (URI, SERVER.as_bytes())]));
        let sides = Sides::server(MutualTls::Strict);
        let near = Sidecar::start(application(), &sides, authority.proofs(identity));
        let far = Sidecar::start(near.addr, &wants(wanted), authority.identity(&[CLIENT]));
        let (start, _) = Client::to(&far).ask("", b"x");
        let is_taken = start == "HTTP/1.1 200 OK";
        assert_eq!(is_taken, is_good, "{shown:?} for {wanted}: {start}");
    }
}

/// What an authority has revoked is not believed on either side: a leaf, and one that vouches for it.
#[test]
fn what_was_revoked_is_not_believed() {
    let root = Authority::new();
    let between = root.authority(&[7]);
    let numbered = |by: &Authority, name: &str, serial: u8| {
        by.sign_as(&[name], |params| {
            params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        })
    };
    for (what, by, list, is_good) in [
        ("nothing", &root, root.revoked(&[]), true),
        ("another leaf", &root, root.revoked(&[&[9]]), true),
        ("the leaf", &root, root.revoked(&[&[9], &[5]]), false),
        (
            "the leaf, by who vouches for it",
            &between,
            between.revoked(&[&[5]]),
            false,
        ),
        ("who vouches for it", &between, root.revoked(&[&[7]]), false),
        (
            "a leaf of the same number elsewhere",
            &between,
            root.revoked(&[&[5]]),
            true,
        ),
        (
            "the leaf, says somebody else",
            &root,
            Authority::new().revoked(&[&[5]]),
            true,
        ),
    ] {
        let lists = [list];
        let believes = |mut proofs: Proofs| {
            proofs.revoked_in_mesh(&lists).unwrap();
            proofs
        };
        // Of a client, to its server.
        let sides = Sides::server(MutualTls::Strict);
        let near = Sidecar::start(application(), &sides, believes(root.identity(&[SERVER])));
        let identity = root.proofs(numbered(by, CLIENT, 5));
        let far = Sidecar::start(near.addr, &Sides::client(SERVER), identity);
        let (start, _) = Client::to(&far).ask("", b"x");
        assert_eq!(start == "HTTP/1.1 200 OK", is_good, "{what}: {start}");
        let untrusted = u64::from(!is_good);
        near.until(|tls, _| (tls.faults(TlsFaultKind::Untrusted) > 0) == (untrusted > 0));
        // Of an endpoint, to its client: in the mesh, and by a list that a rule names.
        let near = Sidecar::start(application(), &sides, root.proofs(numbered(by, SERVER, 5)));
        let far = Sidecar::start(
            near.addr,
            &Sides::client(SERVER),
            believes(root.identity(&[CLIENT])),
        );
        let (start, _) = Client::to(&far).ask("", b"x");
        assert_eq!(start == "HTTP/1.1 200 OK", is_good, "{what}: {start}");
        let mut tls = far_tls(SERVER);
        tls.trust = Trust::Chain {
            roots: RootsName::Mesh,
            crl: Some("list".into()),
            names: PeerNames::Of([SERVER.into()].into()),
        };
        let sides = Sides {
            client: Some(tls),
            ..Sides::default()
        };
        let mut proofs = root.identity(&[CLIENT]);
        proofs.revoked("list", &lists).unwrap();
        let far = Sidecar::start(near.addr, &sides, proofs);
        let (start, _) = Client::to(&far).ask("", b"x");
        assert_eq!(start == "HTTP/1.1 200 OK", is_good, "{what}: {start}");
    }
}

/// Identities of another name of the mesh come in, and of no domain that is none of its names.
#[test]
fn aliases_of_a_trust_domain_are_names_of_the_mesh() {
    let authority = Authority::new();
    let mut sides = Sides::server(MutualTls::Strict);
    sides.server.trust_domains = ["td".into(), "old.td".into()].into();
    let near = Sidecar::start(application(), &sides, authority.identity(&[SERVER]));
    for (name, is_good) in [
        ("spiffe://td/ns/shop/sa/web", true),
        ("spiffe://old.td/ns/shop/sa/web", true),
        ("spiffe://older.td/ns/shop/sa/web", false),
        ("spiffe://old.td.evil/ns/shop/sa/web", false),
        ("spiffe://OLD.td/ns/shop/sa/web", false),
    ] {
        let mut client = by_hand(Some(authority.sign(&[name])), &["istio"], false);
        let mut stream = connect(&near);
        let shaken = shake(&mut client, &mut stream, 1000, usize::MAX);
        let answer = shaken.and_then(|_| ask(&mut client, &mut stream));
        assert_eq!(answer.is_ok(), is_good, "{name}: {answer:?}");
    }
}

/// Whoever is connected when its certificate ends goes on, as in Envoy; it does not connect again, not even by taking up a session
/// in which its certificate was good.
#[test]
fn a_certificate_that_ends_while_it_is_connected_opens_no_further_connection() {
    let authority = Authority::new();
    let sides = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &sides, authority.identity(&[SERVER]));
    // A machine that is too slow for the first time is given a longer one.
    let was_tried = [4, 16, 64]
        .iter()
        .any(|seconds| ends(&near, &authority, *seconds));
    assert!(was_tried, "its certificate ended before it had connected");
}

/// Plays a client whose certificate ends after so many seconds; `false` when it has not connected in that time.
fn ends(near: &Sidecar, authority: &Authority, seconds: u64) -> bool {
    // Certificates know whole seconds.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(since.unwrap().as_secs() + seconds);
    let identity = authority.sign_as(&[CLIENT], |params| {
        params.not_before = (until - Duration::from_secs(3_600)).into();
        params.not_after = until.into();
    });
    let hand = Hand::new(Some(identity), &["istio"], false);
    let connected = || -> Result<(rustls::ClientConnection, TcpStream), String> {
        let (mut client, mut stream) = (hand.client(), connect(near));
        shake(&mut client, &mut stream, 1000, usize::MAX)?;
        // With the ticket, which comes before the answer.
        ask(&mut client, &mut stream)?;
        Ok((client, stream))
    };
    let (first, again) = (connected(), connected());
    if SystemTime::now() >= until {
        return false;
    }
    let (mut kept, again) = (first.unwrap(), again.unwrap());
    assert_eq!(again.0.handshake_kind(), Some(HandshakeKind::Resumed));
    let began = Instant::now();
    let why = loop {
        assert!(began.elapsed() < 3 * PATIENCE);
        match connected() {
            Ok((client, _)) => {
                assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
                thread::yield_now();
            }
            Err(why) => break why,
        }
    };
    assert!(SystemTime::now() >= until, "{why}");
    near.until(|tls, _| tls.faults(TlsFaultKind::Untrusted) > 0);
    assert!(ask(&mut kept.0, &mut kept.1).is_ok(), "it goes on");
    // Without a session, too.
    hand.forget();
    assert!(connected().is_err());
    true
}

/// Of several keys the one that is asked for is shown: the mesh's is not what a rule's file holds.
#[test]
fn a_rule_shows_its_own_certificate_and_no_other() {
    let authority = Authority::new();
    let sides = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &sides, authority.identity(&[SERVER]));
    let of_the_rule = "spiffe://td/ns/shop/sa/rule";
    let name = KeyName::Files("chain".into(), "key".into());
    let mut proofs = authority.identity(&[CLIENT]);
    let (chain, key) = authority.sign(&[of_the_rule]);
    proofs.key(name.clone(), chain, key).unwrap();
    let mut tls = far_tls(SERVER);
    tls.identity = Some(name);
    let far = Sides {
        client: Some(tls),
        ..Sides::default()
    };
    let far = Sidecar::start(near.addr, &far, proofs);
    assert_eq!(Client::to(&far).ask("", b"x").0, "HTTP/1.1 200 OK");
    let facts = near.told_of(1).pop().unwrap().client.unwrap();
    assert_eq!(*facts.peer.unwrap().uri_names, [of_the_rule.into()]);
}
