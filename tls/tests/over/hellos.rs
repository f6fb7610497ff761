//! Odd hellos: versions that are over, names that are none, protocols that confuse, records that are cut; and sessions that somebody
//! carries elsewhere. What is whole and makes sense is answered, everything else with an alert, and the next client is served.

use std::io::{Read, Write};

use outrigger_core::peer::{TlsFaultKind, TlsVersion};
use outrigger_core::snapshot::MutualTls;
use rustls::HandshakeKind;

use super::authority::Authority;
use super::by_hand::{Hand, ask, by_hand, connect, shake};
use super::mesh::{CLIENT, SERVER, Sidecar, Sides, application};

/// A ClientHello by hand.
struct Hello<'a> {
    /// The version that old servers looked at (RFC 8446 §4.1.2).
    legacy: u16,
    /// `supported_versions`; none without.
    versions: &'a [u16],
    /// The content of `server_name`, if there is one.
    names: Option<Vec<u8>>,
    /// The content of `application_layer_protocol_negotiation`.
    protocols: Vec<u8>,
}

/// The first bytes of an answer (RFC 8446 §6): a ServerHello, or an alert with its number.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Hello,
    Alert(u8),
    Nothing,
}

/// For what is no hello: decode_error, or illegal_parameter.
const MALFORMED: &[Answer] = &[Answer::Alert(50), Answer::Alert(47)];
const PROTOCOL_VERSION: Answer = Answer::Alert(70);

impl Default for Hello<'_> {
    fn default() -> Self {
        Self {
            legacy: 0x0303,
            versions: &[0x0304, 0x0303],
            names: Some(named(&[(0, b"cart.shop")])),
            protocols: protocols(&[b"istio"]),
        }
    }
}

/// The content of `server_name` (RFC 6066 §3): kinds and names.
fn named(names: &[(u8, &[u8])]) -> Vec<u8> {
    let one = |(kind, name): &(u8, &[u8])| [&[*kind][..], &counted(name)].concat();
    counted(&names.iter().flat_map(one).collect::<Vec<u8>>())
}

/// The content of the extension of protocols (RFC 7301 §3.1).
fn protocols(names: &[&[u8]]) -> Vec<u8> {
    let one = |name: &&[u8]| [&[u8::try_from(name.len()).unwrap()], *name].concat();
    counted(&names.iter().flat_map(one).collect::<Vec<u8>>())
}

/// Behind its length of two bytes.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

impl Hello<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        let mut add = |kind: u16, content: &[u8]| {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(counted(content));
        };
        if let Some(names) = &self.names {
            add(0, names);
        }
        // Groups, kinds of points, signatures, and a share for X25519.
        add(10, &counted(&[0, 29, 0, 23]));
        add(11, &[1, 0]);
        add(13, &counted(&[4, 3, 8, 4, 4, 1, 8, 7]));
        add(51, &counted(&[&[0, 29][..], &counted(&[9; 32])].concat()));
        add(16, &self.protocols);
        if !self.versions.is_empty() {
            let all: Vec<u8> = self.versions.iter().flat_map(|v| v.to_be_bytes()).collect();
            add(43, &[&[u8::try_from(all.len()).unwrap()], &*all].concat());
        }
        let suites = [0x13, 1, 0x13, 2, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 9, 0, 0x2f];
        let mut body = self.legacy.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(counted(&suites));
        body.extend([1, 0]);
        body.extend(counted(&extensions));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1][..], &length[1..], &body].concat();
        [&[22, 3, 1][..], &counted(&message)].concat()
    }
}

fn answer(near: &Sidecar, sent: &[u8]) -> Answer {
    let mut stream = connect(near);
    stream.write_all(sent).unwrap();
    let mut first = Vec::new();
    let _ = stream.take(7).read_to_end(&mut first);
    match *first {
        [22, ..] => Answer::Hello,
        [21, 3, _, 0, 2, _, number] => Answer::Alert(number),
        [] => Answer::Nothing,
        _ => panic!("{first:?}"),
    }
}

fn near(mode: MutualTls, authority: &Authority) -> Sidecar {
    let sides = Sides::server(mode);
    Sidecar::start(application(), &sides, authority.identity(&[SERVER]))
}

/// Somebody who means well is served.
fn serves(near: &Sidecar, authority: &Authority) {
    let mut client = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], false);
    let mut stream = connect(near);
    assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
    assert!(ask(&mut client, &mut stream).is_ok());
}

#[test]
fn versions_that_are_over_are_refused() {
    let authority = Authority::new();
    let new_only = {
        let mut sides = Sides::server(MutualTls::Strict);
        sides.server.parameters.min_version = Some(TlsVersion::Tls13);
        Sidecar::start(application(), &sides, authority.identity(&[SERVER]))
    };
    let near = near(MutualTls::Strict, &authority);
    for (legacy, versions, both, new) in [
        (0x0303, &[0x0304, 0x0303][..], Answer::Hello, Answer::Hello),
        (0x0303, &[0x0304], Answer::Hello, Answer::Hello),
        (0x0303, &[0x0303], Answer::Hello, PROTOCOL_VERSION),
        (0x0303, &[], Answer::Hello, PROTOCOL_VERSION),
        (0x0302, &[], PROTOCOL_VERSION, PROTOCOL_VERSION),
        (0x0301, &[], PROTOCOL_VERSION, PROTOCOL_VERSION),
        (0x0300, &[], PROTOCOL_VERSION, PROTOCOL_VERSION),
        (
            0x0303,
            &[0x0302, 0x0301],
            PROTOCOL_VERSION,
            PROTOCOL_VERSION,
        ),
        (
            0x0303,
            &[0x7f1c, 0xfefd],
            PROTOCOL_VERSION,
            PROTOCOL_VERSION,
        ),
    ] {
        let hello = Hello {
            legacy,
            versions,
            ..Hello::default()
        }
        .bytes();
        assert_eq!(answer(&near, &hello), both, "{legacy:x} {versions:x?}");
        assert_eq!(answer(&new_only, &hello), new, "{legacy:x} {versions:x?}");
    }
    serves(&near, &authority);
    serves(&new_only, &authority);
}

#[test]
fn odd_names_and_protocols_are_refused_or_mean_nothing() {
    let authority = Authority::new();
    let near = near(MutualTls::Permissive, &authority);
    let long = [b'a'; 300];
    let sni = |names: Vec<u8>| Hello {
        names: Some(names),
        ..Hello::default()
    };
    let alpn = |protocols: Vec<u8>| Hello {
        protocols,
        ..Hello::default()
    };
    for (what, hello, want) in [
        (
            "no name",
            Hello {
                names: None,
                ..Hello::default()
            },
            &[Answer::Hello][..],
        ),
        (
            "in upper case",
            sni(named(&[(0, b"CART.Shop")])),
            &[Answer::Hello],
        ),
        (
            "with a dot at its end",
            sni(named(&[(0, b"cart.shop.")])),
            &[Answer::Hello],
        ),
        (
            "an address",
            sni(named(&[(0, b"127.0.0.1")])),
            &[Answer::Hello],
        ),
        ("an empty name", sni(named(&[(0, b"")])), MALFORMED),
        ("no names in the list", sni(named(&[])), MALFORMED),
        (
            "a name that is too long",
            sni(named(&[(0, &long)])),
            MALFORMED,
        ),
        (
            "a NUL in a name",
            sni(named(&[(0, b"cart\0.shop")])),
            MALFORMED,
        ),
        (
            "two names",
            sni(named(&[(0, b"a.shop"), (0, b"b.shop")])),
            MALFORMED,
        ),
        ("nothing at all", sni(Vec::new()), MALFORMED),
        (
            "a length beyond the end",
            sni(vec![0xff, 0xff, 0, 0, 1, b'a']),
            MALFORMED,
        ),
        ("no protocols", alpn(protocols(&[])), MALFORMED),
        (
            "an empty protocol",
            alpn(protocols(&[b"", b"istio"])),
            MALFORMED,
        ),
        (
            "the mesh's behind others",
            alpn(protocols(&[b"h2", b"x", b"istio"])),
            &[Answer::Hello],
        ),
        (
            "one that begins as the mesh's",
            alpn(protocols(&[b"istiod"])),
            &[Answer::Nothing],
        ),
        (
            "the mesh's in upper case",
            alpn(protocols(&[b"ISTIO"])),
            &[Answer::Nothing],
        ),
        (
            "a NUL behind the mesh's",
            alpn(protocols(&[b"istio\0"])),
            &[Answer::Nothing],
        ),
        (
            "a length beyond the end",
            alpn(vec![0, 9, 5, b'i']),
            MALFORMED,
        ),
    ] {
        let answer = answer(&near, &hello.bytes());
        assert!(want.contains(&answer), "{what}: {answer:?}");
    }
    serves(&near, &authority);
}

/// What a client asks for is told in one case, whatever letters it is written in.
#[test]
fn names_are_told_in_lower_case() {
    let authority = Authority::new();
    let near = near(MutualTls::Strict, &authority);
    let hand = Hand::new(Some(authority.sign(&[CLIENT])), &["istio"], false);
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    for (at, (asked, told)) in (1..).zip([
        ("CART.Shop", Some("cart.shop")),
        (&*longest, Some(&*longest)),
        ("127.0.0.1", None),
    ]) {
        let (mut client, mut stream) = (hand.client_of(asked), connect(&near));
        assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
        assert!(ask(&mut client, &mut stream).is_ok());
        let facts = near.told_of(at).pop().unwrap().client.unwrap();
        assert_eq!(facts.sni.as_deref(), told, "{asked}");
    }
}

/// A hello may come in records of any size (RFC 8446 §5.1), and nothing may come behind it.
#[test]
fn a_hello_may_be_cut_into_records() {
    let authority = Authority::new();
    for mode in [MutualTls::Strict, MutualTls::Permissive] {
        let near = near(mode, &authority);
        let hello = Hello::default().bytes();
        let message = &hello[5..];
        for size in [1, 3, 4, 5, 100, message.len()] {
            let records = message
                .chunks(size)
                .map(|part| [&[22, 3, 1][..], &counted(part)].concat());
            let records: Vec<u8> = records.flatten().collect();
            assert_eq!(answer(&near, &records), Answer::Hello, "{mode:?} {size}");
        }
        // Records without anything in them would never end.
        let empty = [22, 3, 1, 0, 0].repeat(10_000);
        assert_ne!(answer(&near, &empty), Answer::Hello, "{mode:?}");
        // Data that nobody has agreed on (early data is off), and another hello.
        for behind in [&[23, 3, 3, 0, 1, 0][..], &hello] {
            let both = [&hello[..], behind].concat();
            assert_ne!(answer(&near, &both), Answer::Hello, "{mode:?}");
        }
        near.until(|tls, _| tls.faults(TlsFaultKind::NotTls) == 3);
        serves(&near, &authority);
    }
}

/// A ticket is worth something where it was given, and early data nowhere.
#[test]
fn a_session_is_worth_nothing_elsewhere() {
    let authority = Authority::new();
    let [here, elsewhere] = [(), ()].map(|()| near(MutualTls::Strict, &authority));
    for old in [false, true] {
        let hand = Hand::new(Some(authority.sign(&[CLIENT])), &["istio"], old);
        let kind = |near: &Sidecar| {
            let (mut client, mut stream) = (hand.client(), connect(near));
            assert!(client.early_data().is_none(), "it was not offered");
            assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
            assert!(ask(&mut client, &mut stream).is_ok());
            client.handshake_kind()
        };
        assert_eq!(kind(&here), Some(HandshakeKind::Full));
        assert_eq!(kind(&here), Some(HandshakeKind::Resumed));
        assert_eq!(kind(&elsewhere), Some(HandshakeKind::Full), "{old}");
        // A session belongs to who began it: with another certificate there is nothing to take up.
        hand.forget();
        assert_eq!(kind(&here), Some(HandshakeKind::Full));
    }
}

/// What was agreed on says nothing of what is spoken: that is what the first bytes are.
#[test]
fn protocols_do_not_confuse() {
    let authority = Authority::new();
    let near = near(MutualTls::Strict, &authority);
    for offered in [
        &["istio-h2", "istio", "h2"][..],
        &["istio-http/1.1", "istio", "http/1.1"],
    ] {
        for is_h2 in [false, true] {
            let mut client = by_hand(Some(authority.sign(&[CLIENT])), offered, false);
            let mut stream = connect(&near);
            assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
            if is_h2 {
                // The preface, an empty SETTINGS, and a PING that is answered (RFC 9113 §3.4, §6.7).
                let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0whoisit?";
                client.writer().write_all(hello).unwrap();
                let mut tls = rustls::Stream::new(&mut client, &mut stream);
                let mut said = Vec::new();
                while !said.ends_with(b"whoisit?") {
                    let mut byte = [0];
                    tls.read_exact(&mut byte).unwrap();
                    said.push(byte[0]);
                }
            } else {
                assert_eq!(
                    ask(&mut client, &mut stream).as_deref(),
                    Ok("HTTP/1.1 200 OK")
                );
            }
        }
    }
}
