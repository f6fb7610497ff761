//! Clients that break off, send a byte at a time, too much, or nonsense: each costs only its own connection.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use outrigger_core::peer::TlsFaultKind;
use outrigger_core::snapshot::MutualTls;
use outrigger_core::worker::WorkerSettings;

use super::authority::Authority;
use super::by_hand::{ASK, ask, by_hand, connect, shake};
use super::mesh::{CLIENT, Client, PATIENCE, SERVER, Sidecar, Sides, application};

fn near(mode: MutualTls, authority: &Authority) -> Sidecar {
    let sides = Sides::server(mode);
    Sidecar::start(application(), &sides, authority.identity(&[SERVER]))
}

#[test]
fn a_client_by_hand_gets_an_answer_however_it_sends() {
    let authority = Authority::new();
    let near = near(MutualTls::Strict, &authority);
    for old in [false, true] {
        for piece in [1, 7, 100_000] {
            let identity = authority.sign(&[CLIENT]);
            let mut client = by_hand(Some(identity), &["istio", "http/1.1"], old);
            let mut stream = connect(&near);
            assert_eq!(shake(&mut client, &mut stream, piece, usize::MAX), Ok(true));
            let answer = ask(&mut client, &mut stream);
            assert_eq!(answer.as_deref(), Ok("HTTP/1.1 200 OK"), "{old} {piece}");
        }
    }
}

/// Without the mesh's protocols it is the application's own TLS, which only a listener that takes nothing else takes for the
/// mesh's. Protocols that nobody knows are no reason to refuse.
#[test]
fn protocols_tell_the_mesh_from_the_application() {
    let authority = Authority::new();
    for (mode, protocols, takes) in [
        (MutualTls::Permissive, &["istio"][..], true),
        (MutualTls::Permissive, &["istio-peer-exchange", "x"], true),
        (MutualTls::Permissive, &["istio-h9"], true),
        (MutualTls::Permissive, &["http/1.1"], false),
        (MutualTls::Permissive, &[], false),
        (MutualTls::Strict, &[], true),
        (MutualTls::Strict, &["http/1.1"], true),
        (MutualTls::Strict, &["x"], true),
    ] {
        let near = near(mode, &authority);
        let mut client = by_hand(Some(authority.sign(&[CLIENT])), protocols, false);
        let mut stream = connect(&near);
        let shaken = shake(&mut client, &mut stream, 1000, usize::MAX);
        assert_eq!(shaken.is_ok(), takes, "{mode:?} {protocols:?} {shaken:?}");
        match takes {
            true => assert!(ask(&mut client, &mut stream).is_ok()),
            false => near.until(|tls, _| tls.faults(TlsFaultKind::NothingInCommon) == 1),
        }
    }
}

#[test]
fn a_client_without_a_certificate_is_told_that_it_needs_one() {
    let authority = Authority::new();
    let near = near(MutualTls::Strict, &authority);
    for (old, want) in [(false, "CertificateRequired"), (true, "")] {
        let mut client = by_hand(None, &["istio"], old);
        let mut stream = connect(&near);
        let shaken = shake(&mut client, &mut stream, 1000, usize::MAX);
        let why = match shaken {
            Ok(_) => ask(&mut client, &mut stream).unwrap_err(),
            Err(why) => why,
        };
        assert!(why.contains(want), "{why}");
    }
    near.until(|tls, _| tls.faults(TlsFaultKind::NoCertificate) == 2);
    assert!(near.told().is_empty());
}

/// Each cut of a handshake ends its connection, and others go on.
#[test]
fn a_handshake_may_break_off_at_each_byte() {
    let authority = Authority::new();
    let near = near(MutualTls::Strict, &authority);
    let mut kept = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], false);
    let mut kept_stream = connect(&near);
    assert_eq!(
        shake(&mut kept, &mut kept_stream, 1000, usize::MAX),
        Ok(true)
    );
    let mut most = 0;
    let cuts = loop {
        let mut client = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], false);
        let mut stream = connect(&near);
        if shake(&mut client, &mut stream, 1000, most).unwrap() {
            break most;
        }
        // Bytes that say the same again and again are skipped, but for some.
        most += 1 + usize::from(most > 300) * 11;
    };
    assert!(cuts > 500, "{cuts}");
    near.until(|tls, _| tls.faults(TlsFaultKind::Refused) as usize > 300);
    assert_eq!(
        ask(&mut kept, &mut kept_stream).as_deref(),
        Ok("HTTP/1.1 200 OK")
    );
}

#[test]
fn nonsense_and_endless_hellos_are_refused() {
    let authority = Authority::new();
    // A ClientHello that says that it is as long as may be, in records as long as may be.
    let mut endless = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
    endless.resize(5 + 0x4000, 0);
    let record = [&[22, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat();
    endless.extend(record.repeat(4));
    for (what, kind, sent) in [
        (
            "nothing of TLS behind the first bytes",
            TlsFaultKind::NotTls,
            vec![22, 3, 1, 0, 5, 9, 9, 9, 9, 9],
        ),
        (
            "an alert at first",
            TlsFaultKind::NotTls,
            vec![22, 3, 1, 0, 2, 2, 40],
        ),
        (
            "a record without an end",
            TlsFaultKind::HelloTooLong,
            [&[22, 3, 3, 0xff, 0xff][..], &[1; 70_000]].concat(),
        ),
        ("an endless hello", TlsFaultKind::HelloTooLong, endless),
        (
            "an old hello",
            TlsFaultKind::NotTls,
            vec![0x80, 0x2e, 1, 0, 2],
        ),
        ("clear text", TlsFaultKind::NotTls, ASK.to_vec()),
    ] {
        let near = near(MutualTls::Strict, &authority);
        let mut stream = connect(&near);
        let _ = stream.write_all(&sent);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(
            rest.len() < 10,
            "{what}: only an alert comes back: {rest:?}"
        );
        near.until(|tls, _| tls.faults(kind) == 1);
    }
}

#[test]
fn a_handshake_that_stalls_is_given_up_and_counted() {
    let authority = Authority::new();
    let settings = WorkerSettings {
        tls_handshake_timeout: Some(Duration::from_millis(200)),
        ..WorkerSettings::default()
    };
    for mode in [MutualTls::Strict, MutualTls::Permissive] {
        let sides = Sides::server(mode);
        let near = Sidecar::set(
            application(),
            &sides,
            authority.identity(&[SERVER]),
            settings,
        );
        let mut silent = connect(&near);
        let mut stalled = connect(&near);
        let mut client = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], false);
        shake(&mut client, &mut stalled, 1000, 50).unwrap();
        for stream in [&mut silent, &mut stalled] {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            assert_eq!(rest, b"");
        }
        // Bytes that keep coming buy no time.
        let mut slow = connect(&near);
        slow.set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let mut client = by_hand(None, &["istio"], false);
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        assert!(hello.len() > 200, "it would take more than a second");
        let began = Instant::now();
        for byte in hello {
            if slow.write_all(&[byte]).is_err() {
                break;
            }
            match slow.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => break,
                Ok(_) => panic!("nothing was whole that could be answered"),
            }
            assert!(began.elapsed() < PATIENCE);
        }
        near.until(|tls, _| tls.late == 3);
    }
}

/// After a close the other side knows that nothing was cut off: an answer in one piece, which may be on its way still, and one
/// in many.
#[test]
fn an_end_is_said() {
    let authority = Authority::new();
    let near = near(MutualTls::Strict, &authority);
    for length in [10, 100_000] {
        let mut client = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], false);
        let mut stream = connect(&near);
        assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
        let last = format!("GET /{length} HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n");
        client.writer().write_all(last.as_bytes()).unwrap();
        let mut all = Vec::new();
        let mut tls = rustls::Stream::new(&mut client, &mut stream);
        // An end that is not said is an error of the library.
        tls.read_to_end(&mut all).unwrap();
        assert!(all.len() > length);
    }
}

/// A drain closes what rests, whatever TLS itself still has to say.
#[test]
fn a_drain_ends_protected_connections_that_rest() {
    let authority = Authority::new();
    let mut near = near(MutualTls::Strict, &authority);
    let mut client = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], false);
    let mut stream = connect(&near);
    assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
    assert!(ask(&mut client, &mut stream).is_ok());
    // New keys are asked for, which is no request.
    client.refresh_traffic_keys().unwrap();
    let mut said = Vec::new();
    client.write_tls(&mut said).unwrap();
    stream.write_all(&said).unwrap();
    let drained = near.running.take().unwrap().drain(Duration::from_secs(20));
    assert_eq!(drained.cut_off, 0);
    let mut plain = Client(std::io::BufReader::new(stream));
    let _ = plain.0.get_mut().flush();
    assert!(!plain.rest().is_empty(), "its end is said");
}
