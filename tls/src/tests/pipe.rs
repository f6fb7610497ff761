//! A stream in memory for tests, which takes and gives as many bytes at a time as it is told to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::TlsFacts;
use outrigger_core::snapshot::{
    Alpn, ClientTls, Keepalive, KeyName, MutualTls, PeerNames, RootsName, ServerTls, Sni, Spoken,
    TlsParameters, Trust,
};
use outrigger_core::worker::Handshake;
use outrigger_runtime::Stream;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::contexts::Contexts;
use crate::handshake::{as_client, as_server};
use crate::identities::{Identities, Proofs};
use crate::scratch::Scratch;
use crate::stream::Secured;

/// One direction.
#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    is_over: bool,
    /// How many bytes are moved at a time, in turn.
    moves: Vec<usize>,
    at: usize,
}

impl Way {
    fn most(&mut self) -> usize {
        let most = self.moves.get(self.at % self.moves.len().max(1));
        self.at += 1;
        most.map_or(usize::MAX, |most| *most)
    }
}

/// One end.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    comes: Rc<RefCell<Way>>,
    goes: Rc<RefCell<Way>>,
}

/// Both ends; each direction moves so many bytes at a time.
pub(crate) fn pipe(moves: [&[usize]; 2]) -> (Pipe, Pipe) {
    let [there, back] = moves.map(|moves| {
        Rc::new(RefCell::new(Way {
            moves: moves.to_vec(),
            ..Way::default()
        }))
    });
    let one = Pipe {
        comes: Rc::clone(&back),
        goes: Rc::clone(&there),
    };
    let other = Pipe {
        comes: there,
        goes: back,
    };
    (one, other)
}

impl Stream for Pipe {
    fn poll_readable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.has_unread() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn poll_read(&mut self, _: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>> {
        if !self.has_unread() {
            return Poll::Pending;
        }
        let mut way = self.comes.borrow_mut();
        let room = space.capacity() - space.len();
        let most = way.most();
        if most == 0 && !way.bytes.is_empty() {
            return Poll::Pending;
        }
        let count = most.min(room).min(way.bytes.len());
        space.extend(way.bytes.drain(..count));
        if way.bytes.is_empty() {
            // It holds nothing that is not a connection's.
            way.bytes = VecDeque::new();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        let mut way = self.goes.borrow_mut();
        // Now and then nothing is taken.
        let most = way.most();
        if most == 0 {
            return Poll::Pending;
        }
        let count = most.min(outbox.front().len());
        way.bytes.extend(&outbox.front()[..count]);
        Poll::Ready(Ok(count))
    }

    fn shutdown_write(&mut self) {
        self.goes.borrow_mut().is_over = true;
    }

    fn reset(self) {}

    fn keep_alive(&self, _: Keepalive) -> io::Result<()> {
        Ok(())
    }

    fn has_unread(&self) -> bool {
        let way = self.comes.borrow();
        !way.bytes.is_empty() || way.is_over
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn original_dst(&self) -> Option<SocketAddr> {
        None
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.goes.borrow_mut().is_over = true;
    }
}

/// Contexts of a workload that believes itself.
pub(crate) fn contexts() -> Arc<Contexts> {
    contexts_until(4096)
}

/// The certificate that it has besides, which is good.
pub(crate) fn spare() -> KeyName {
    KeyName::Files("spare".into(), "spare".into())
}

/// The same; what it shows as a server is good until that year.
pub(crate) fn contexts_until(year: i32) -> Arc<Contexts> {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).expect("a root").der().clone();
    let issuer = Issuer::new(params, key);
    let mut proofs = Proofs::default();
    for (name, year) in [(KeyName::Mesh, year), (spare(), 4096)] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        let id = "spiffe://td/ns/a/sa/b".try_into().expect("a name");
        params.subject_alt_names = vec![SanType::URI(id)];
        params.not_after = date_time_ymd(year, 1, 1);
        let leaf = params.signed_by(&key, &issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![leaf.der().clone()];
        proofs.key(name, chain, key).expect("it is good");
    }
    proofs.roots(RootsName::Mesh, &[root]).expect("it is good");
    Arc::new(Contexts::new(
        Arc::new(Identities::new(proofs)),
        crate::LONGEST_HELLO,
    ))
}

/// Both sides of a connection, and what each has learnt.
pub(crate) type Pair = [(Secured<Pipe>, TlsFacts); 2];

/// A connection between two of the workload, over a pipe.
pub(crate) fn shake(contexts: &Arc<Contexts>, moves: [&[usize]; 2], scratch: &Rc<Scratch>) -> Pair {
    let tls = ClientTls {
        identity: Some(KeyName::Mesh),
        trust: Trust::Chain {
            roots: RootsName::Mesh,
            crl: None,
            names: PeerNames::Any,
        },
        sni: Sni::None,
        alpn: Alpn::Mesh,
        parameters: TlsParameters::default(),
    };
    shake_as(tls, contexts, moves, scratch)
}

/// The same, with these settings of the client.
pub(crate) fn shake_as(
    tls: ClientTls,
    contexts: &Arc<Contexts>,
    moves: [&[usize]; 2],
    scratch: &Rc<Scratch>,
) -> Pair {
    let (one, other) = pipe(moves);
    let handshake = Handshake::new(&Arc::new(tls), "", Spoken::Http1);
    let server = ServerTls {
        mode: MutualTls::Strict,
        parameters: TlsParameters::default(),
        trust_domains: ["td".into()].into(),
        port: 80,
        servers: Box::default(),
    };
    let client = as_client(one, Arc::clone(contexts), handshake, Rc::clone(scratch));
    let server = as_server(
        other,
        BytesMut::new(),
        Arc::clone(contexts),
        Arc::new(server).into(),
        Rc::clone(scratch),
        std::future::pending(),
    );
    let (mut client, mut server) = (Box::pin(client), Box::pin(server));
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut ours, mut theirs) = (None, None);
    for _ in 0..1_000_000 {
        if ours.is_none()
            && let Poll::Ready(made) = client.as_mut().poll(cx)
        {
            ours = Some(made.expect("the client agrees"));
        }
        if theirs.is_none()
            && let Poll::Ready(made) = server.as_mut().poll(cx)
        {
            theirs = Some(made.expect("the server agrees"));
        }
        if ours.is_some() && theirs.is_some() {
            break;
        }
    }
    let (stream, facts) = theirs.expect("it ends");
    [
        ours.expect("it ends"),
        (stream, facts.expect("it is protected")),
    ]
}
