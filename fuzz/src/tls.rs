//! What must hold for the bytes of clients of a listener with TLS: however they are cut, the same comes of them, clear text comes through
//! as it is, and nobody is known who has not finished a handshake with his own key. The fuzz targets call [`first_bytes`] and
//! [`handshake`]; tests of `tls` replay their corpora.

#[path = "../../tls/tests/over/anybody.rs"]
mod anybody;
#[path = "tls/stream.rs"]
mod stream;

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use outrigger_core::peer::TlsFacts;
use outrigger_core::snapshot::{KeyName, MutualTls, RootsName, ServerTls, TlsParameters};
use outrigger_identity::authority::Authority;
use outrigger_identity::{Material, pem_material};
use outrigger_runtime::Stream as _;
use outrigger_tls::{Identities, Proofs, accept};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion, version};
use rustls_pki_types::ServerName;

use anybody::Anybody;
use stream::{Line, line};

const CLIENT: &str = "td/ns/shop/sa/web";

/// Both sides of a mesh.
struct Mesh {
    identities: Arc<Identities>,
    /// Of both versions.
    clients: [Arc<ClientConfig>; 2],
}

static MESH: LazyLock<Mesh> = LazyLock::new(|| {
    let authority = Authority::new("td").expect("there is randomness");
    let (server, client) = (material(&authority, "cart"), material(&authority, "web"));
    let mut proofs = Proofs::default();
    let taken = proofs.key(KeyName::Mesh, server.chain, server.key);
    taken
        .and_then(|()| proofs.roots(RootsName::Mesh, &server.roots))
        .expect("they fit");
    let config = |version: &'static SupportedProtocolVersion| {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder
            .with_protocol_versions(&[version])
            .expect("it has suites");
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_client_auth_cert(client.chain.clone(), client.key.clone_key())
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![b"istio".to_vec()];
        Arc::new(config)
    };
    Mesh {
        identities: Arc::new(Identities::new(proofs)),
        clients: [config(&version::TLS13), config(&version::TLS12)],
    }
});

fn material(authority: &Authority, account: &str) -> Material {
    let (now, century) = (SystemTime::now(), Duration::from_secs(3_155_760_000));
    let issued = authority
        .issue("shop", account, now, century)
        .expect("it is signed");
    let root = authority.root(now, century).expect("it is signed");
    pem_material(&issued.chain, &issued.key, &root).expect("it is PEM")
}

fn server(mode: MutualTls) -> ServerTls {
    ServerTls {
        mode,
        parameters: TlsParameters::default(),
        trust_domains: ["td".into()].into(),
        port: 80,
        servers: Box::default(),
    }
}

/// What came of a client.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It speaks clear text, and says this.
    Plain(Vec<u8>),
    Refused,
}

/// The first byte chooses a mode, the second says how many of those behind it are lengths of pieces; the rest is what a client says
/// before it ends.
pub fn first_bytes(bytes: &[u8]) {
    let [mode, count, rest @ ..] = bytes else {
        return;
    };
    let mode = match mode % 2 {
        0 => MutualTls::Strict,
        _ => MutualTls::Permissive,
    };
    let (cuts, said) = rest.split_at(usize::from(*count).min(rest.len()));
    let whole = outcome(mode, said, &[]);
    assert_eq!(whole, outcome(mode, said, &[1]), "a byte at a time");
    assert_eq!(whole, outcome(mode, said, cuts), "in pieces of {cuts:?}");
    let is_tls = said.starts_with(&[22, 3]);
    match &whole {
        Outcome::Plain(text) => {
            assert!(mode == MutualTls::Permissive && !is_tls);
            assert_eq!(text, said, "as it is");
        }
        Outcome::Refused => assert!(mode == MutualTls::Strict || is_tls || said.len() < 2),
    }
}

fn outcome(mode: MutualTls, said: &[u8], cuts: &[u8]) -> Outcome {
    let (client, stream) = line(cuts);
    client.say(said);
    client.end();
    let mut accepting = pin!(accept(
        stream,
        Arc::clone(&MESH.identities),
        Arc::new(server(mode))
    ));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(came) = accepting.as_mut().poll(&mut cx) else {
        panic!("there is nothing to wait for");
    };
    match came {
        Err(_) => Outcome::Refused,
        Ok((_, Some(facts))) => panic!("nobody has finished a handshake: {facts:?}"),
        Ok((mut stream, None)) => {
            let mut all = BytesMut::with_capacity(said.len() + 1);
            while let Poll::Ready(Ok(1..)) = stream.poll_read(&mut cx, &mut all) {}
            Outcome::Plain(all.to_vec())
        }
    }
}

/// A real client shakes hands. The first two bytes choose versions, the next two where it is cut off, or where a byte is changed by the
/// fifth; the rest are lengths of pieces.
pub fn handshake(bytes: &[u8]) {
    let [mode, old, high, low, change, cuts @ ..] = bytes else {
        return;
    };
    let at = usize::from(u16::from_be_bytes([*high, *low]));
    let mode = [MutualTls::Strict, MutualTls::Permissive][usize::from(mode % 2)];
    let config = Arc::clone(&MESH.clients[usize::from(old % 2)]);
    let name = ServerName::try_from("cart.shop").expect("it is a name");
    let mut tls = ClientConnection::new(config, name).expect("its settings are good");
    let (client, stream) = line(cuts);
    let mut accepting = pin!(accept(
        stream,
        Arc::clone(&MESH.identities),
        Arc::new(server(mode))
    ));
    let mut cx = Context::from_waker(Waker::noop());
    let mut sent = 0;
    loop {
        sent += speak(&mut tls, &client, sent, at, *change);
        if let Poll::Ready(came) = accepting.as_mut().poll(&mut cx) {
            let is_cut = *change == 0 && sent > at;
            let is_clear = *change != 0 && at < 2 && mode == MutualTls::Permissive;
            return match came.ok().map(|(_, facts)| facts) {
                Some(Some(facts)) => judge(facts, is_cut),
                Some(None) => assert!(is_clear, "a record of TLS is no clear text"),
                None => {}
            };
        }
        if !listen(&mut tls, &client) {
            client.end();
        }
    }
}

/// Says what the client has to say, but for what is cut off or changed. How much that was.
fn speak(tls: &mut ClientConnection, line: &Line, sent: usize, at: usize, change: u8) -> usize {
    let mut said = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut said).expect("memory takes everything");
    }
    let here = at.checked_sub(sent).filter(|here| *here < said.len());
    match here {
        Some(here) if change == 0 => {
            line.say(&said[..here]);
            line.end();
        }
        Some(here) => {
            said[here] ^= change;
            line.say(&said);
        }
        None => line.say(&said),
    }
    said.len()
}

/// Hears what the server has said. Whether there is any use in going on.
fn listen(tls: &mut ClientConnection, line: &Line) -> bool {
    let said = line.heard();
    let mut rest = &said[..];
    while !rest.is_empty() {
        if !tls.read_tls(&mut rest).is_ok_and(|count| count > 0)
            || tls.process_new_packets().is_err()
        {
            return false;
        }
    }
    !said.is_empty() || tls.wants_write()
}

/// A byte that says nothing may be another one: of the version in the head of a record.
fn judge(facts: TlsFacts, is_cut: bool) {
    let peer = facts.peer.expect("who shows nothing is refused");
    assert_eq!(peer.principal(), Some(CLIENT));
    assert!(!is_cut, "it was cut off");
}
