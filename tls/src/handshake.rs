//! How a stream becomes a protected one: as client of an endpoint, and as server of a client, once it is known what that speaks.
//!
//! The time that it may take is core's to bound; what is held meanwhile is bounded here.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::{Buf as _, BytesMut};
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::{TlsFacts, TlsFault};
use outrigger_core::snapshot::{MutualTls, ServerTls, Sni, Trust};
use outrigger_core::worker::Handshake;
use outrigger_runtime::Stream;
use rustls::server::{Accepted, Acceptor};
use rustls::{ClientConnection, Connection};
use rustls_pki_types::ServerName;

use crate::contexts::{self, Contexts};
use crate::scratch::Scratch;
use crate::session::Session;
use crate::stream::{Kind, Secured};
use crate::verify::NOBODY;
use crate::{facts, fault};

/// How long a ClientHello may be, with the heads of its records; Envoy's inspector of TLS stops there too.
const MOST_HELLO: usize = 16 * 1024;

/// What is read of it at a time: those of most clients come whole.
const READ: usize = 2048;

/// The type of records that handshakes are in (RFC 8446 §5.1). No head of HTTP begins so.
const HANDSHAKE: u8 = 22;

/// The first byte of the version in every record.
const MAJOR: u8 = 3;

/// Where the type of the first message of a handshake stands, behind the head of its record, and what it must be (RFC 8446 §4).
const TYPE_AT: usize = 5;
const CLIENT_HELLO: u8 = 1;

/// As the client of an endpoint.
///
/// # Errors
/// TLS cannot be agreed on.
pub(crate) async fn as_client<T: Stream>(
    stream: T,
    contexts: Arc<Contexts>,
    handshake: Handshake,
    scratch: Rc<Scratch>,
) -> Result<(Secured<T>, TlsFacts), TlsFault> {
    let config = contexts.client(&handshake)?;
    let name = match &handshake.tls.sni {
        Sni::None => None,
        Sni::Name(name) => Some(&**name),
        Sni::Host => handshake.host.as_deref(),
    };
    let server = ServerName::try_from(name.unwrap_or(NOBODY).to_owned());
    let server = server.map_err(|_| {
        let name = name.unwrap_or_default();
        TlsFault::NoIdentity(format!("`{name}` is no name to ask for").into())
    })?;
    let is_named = matches!(server, ServerName::DnsName(_)) && name.is_some();
    let connection = ClientConnection::new(config, server).map_err(|error| fault::of(&error))?;
    let mut session = Box::new(Session::new(
        stream,
        Connection::Client(connection),
        scratch,
    ));
    poll_fn(|cx| session.poll_handshake(cx)).await?;
    let sni = name.filter(|_| is_named).map(Into::into);
    let is_proof = handshake.tls.trust != Trust::Nothing;
    let facts = facts::of(session.connection(), sni, is_proof)?;
    Ok((Secured(Kind::Protected(session)), facts))
}

/// As the server of a client.
///
/// # Errors
/// TLS cannot be agreed on, and nothing else may be spoken.
pub(crate) async fn as_server<T: Stream>(
    mut stream: T,
    contexts: Arc<Contexts>,
    tls: ServerTls,
    scratch: Rc<Scratch>,
) -> Result<(Secured<T>, Option<TlsFacts>), TlsFault> {
    let mut sniffed = BytesMut::new();
    loop {
        read(&mut stream, &mut sniffed).await?;
        match Looks::of(&sniffed) {
            Looks::Undecided => {}
            Looks::Tls => break,
            Looks::ClearText if tls.mode == MutualTls::Strict => return Err(TlsFault::NotTls),
            Looks::ClearText => return Ok((Secured(Kind::Plain(stream, sniffed)), None)),
        }
    }
    let accepted = hello(&mut stream, sniffed).await?;
    let sni = accepted
        .client_hello()
        .server_name()
        .map(str::to_ascii_lowercase);
    let connection = match answer(&contexts, &tls, accepted) {
        Ok(connection) => connection,
        Err((fault, last_words)) => {
            say(&mut stream, &last_words);
            return Err(fault);
        }
    };
    let mut session = Box::new(Session::new(stream, connection, scratch));
    poll_fn(|cx| session.poll_handshake(cx)).await?;
    let facts = facts::of(session.connection(), sni.map(Into::into), true)?;
    Ok((Secured(Kind::Protected(session)), Some(facts)))
}

/// What the first bytes of a client look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    /// There is one byte, which could be of either.
    Undecided,
    Tls,
    ClearText,
}

impl Looks {
    fn of(first: &[u8]) -> Self {
        match first {
            [] | [HANDSHAKE] => Self::Undecided,
            [HANDSHAKE, MAJOR, ..] => Self::Tls,
            _ => Self::ClearText,
        }
    }
}

/// Reads some more. Waiting for it holds no memory.
async fn read<T: Stream>(stream: &mut T, into: &mut BytesMut) -> Result<(), TlsFault> {
    let ready = poll_fn(|cx| stream.poll_readable(cx)).await;
    ready.map_err(|_| fault::ended())?;
    into.reserve(READ);
    let count = poll_fn(|cx| stream.poll_read(cx, into)).await;
    match count {
        Ok(0) | Err(_) => Err(fault::ended()),
        Ok(_) => Ok(()),
    }
}

/// The ClientHello, which may come in any number of pieces.
async fn hello<T: Stream>(stream: &mut T, mut came: BytesMut) -> Result<Accepted, TlsFault> {
    let mut acceptor = Acceptor::default();
    let mut length = 0;
    while came.len() <= TYPE_AT {
        read(stream, &mut came).await?;
    }
    if came[TYPE_AT] != CLIENT_HELLO {
        return Err(TlsFault::NotTls);
    }
    loop {
        length += came.len();
        while !came.is_empty() {
            let mut rest = &came[..];
            let taken = acceptor.read_tls(&mut rest).map_err(|_| TlsFault::NotTls)?;
            if taken == 0 {
                return Err(TlsFault::NotTls);
            }
            came.advance(taken);
            match acceptor.accept() {
                Ok(Some(accepted)) if came.is_empty() => return Ok(accepted),
                // Nothing may follow it before it was answered (early data is off).
                Ok(Some(_)) => return Err(TlsFault::NotTls),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut last_words = Vec::new();
                    let _ = alert.write_all(&mut last_words);
                    say(stream, &last_words);
                    return Err(fault::of(&error));
                }
            }
        }
        if length > MOST_HELLO {
            return Err(TlsFault::NotTls);
        }
        read(stream, &mut came).await?;
    }
}

/// Picks the context by what a client says of itself.
fn answer(
    contexts: &Contexts,
    tls: &ServerTls,
    accepted: Accepted,
) -> Result<Connection, (TlsFault, Vec<u8>)> {
    let (is_of_the_mesh, answers) = {
        let hello = accepted.client_hello();
        let mut offered = hello.alpn().into_iter().flatten();
        (
            offered.any(contexts::is_of_the_mesh),
            contexts::can_answer(&hello),
        )
    };
    // Istio: a listener that takes clear text, too, takes TLS without the mesh's protocols for the application's own.
    if tls.mode != MutualTls::Strict && !is_of_the_mesh {
        let why = "no protocol of the mesh is offered";
        return Err((TlsFault::NothingInCommon(why.into()), Vec::new()));
    }
    let config = contexts.server(tls, answers);
    let config = config.map_err(|fault| (fault, Vec::new()))?;
    match accepted.into_connection(config) {
        Ok(connection) => Ok(Connection::Server(connection)),
        Err((error, mut alert)) => {
            let mut last_words = Vec::new();
            let _: io::Result<()> = alert.write_all(&mut last_words);
            Err((fault::of(&error), last_words))
        }
    }
}

/// Says why there is no connection, as far as the stream takes it at once.
fn say<T: Stream>(stream: &mut T, last_words: &[u8]) {
    if last_words.is_empty() {
        return;
    }
    let mut outbox = Outbox::default();
    outbox.put(last_words);
    let _ = stream.poll_write(&mut Context::from_waker(Waker::noop()), &outbox);
    stream.shutdown_write();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_bytes_tell() {
        for (first, want) in [
            (&b""[..], Looks::Undecided),
            (b"\x16", Looks::Undecided),
            (b"\x16\x03", Looks::Tls),
            (b"\x16\x03\x01\x02", Looks::Tls),
            (b"\x16\x02", Looks::ClearText),
            (b"G", Looks::ClearText),
            (b"PRI * HTTP/2.0", Looks::ClearText),
            (b"\x80\x2e\x01", Looks::ClearText),
        ] {
            assert_eq!(Looks::of(first), want, "{first:?}");
        }
    }
}
