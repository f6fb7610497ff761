//! How a stream becomes a protected one: as client of an endpoint, and as server of a client, once it is known what that speaks.
//!
//! The time that it may take is core's to bound; what is held meanwhile is bounded here.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::{TlsFacts, TlsFault};
use outrigger_core::snapshot::{Alpn, MutualTls, ServerTls, Sni, Termination, Trust};
use outrigger_core::sniff::{self, ClientHello, FirstBytes};
use outrigger_core::worker::{Handshake, Hearing};
use outrigger_runtime::Stream;
use rustls::server::Accepted;
use rustls::{ClientConnection, Connection};
use rustls_pki_types::ServerName;

use crate::contexts::{self, Contexts};
use crate::hello::{Hello, LONGEST_HELLO, Looks, Refused};
use crate::identities::Identities;
use crate::scratch::Scratch;
use crate::session::Session;
use crate::stream::{Kind, Secured};
use crate::verify::NOBODY;
use crate::{facts, fault};

/// What is read of a hello at a time: those of most clients come whole.
const READ: usize = 2048;

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
    let (name, server) = wanted(&handshake)?;
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

/// Whom a client wants, in two forms.
///
/// # Errors
/// It is no name that can be asked for.
pub(crate) fn wanted(
    handshake: &Handshake,
) -> Result<(Option<&str>, ServerName<'static>), TlsFault> {
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
    Ok((name, server))
}

/// Shakes hands as the server of one client whose stream somebody brings, where no system lies beneath it. Without facts the client
/// speaks clear text.
///
/// # Errors
/// TLS cannot be agreed on, and nothing else may be spoken.
pub async fn accept<T: Stream>(
    stream: T,
    identities: Arc<Identities>,
    tls: Arc<ServerTls>,
) -> Result<(Secured<T>, Option<TlsFacts>), TlsFault> {
    let contexts = Arc::new(Contexts::new(identities, LONGEST_HELLO));
    let came = BytesMut::new();
    as_server(stream, came, contexts, tls.into(), Rc::default(), pending()).await
}

/// As the server of a client, of whom this came already. After `silence` one who has said nothing is taken for a client in clear text, where that may be spoken.
///
/// # Errors
/// TLS cannot be agreed on, and nothing else may be spoken.
pub(crate) async fn as_server<T: Stream>(
    mut stream: T,
    mut sniffed: BytesMut,
    contexts: Arc<Contexts>,
    hearing: Hearing,
    scratch: Rc<Scratch>,
    silence: impl Future<Output = ()>,
) -> Result<(Secured<T>, Option<TlsFacts>), TlsFault> {
    let (tls, most) = (&*hearing.tls, contexts.longest_hello);
    let is_heard = !sniffed.is_empty() || speaks(&mut stream, &mut sniffed, silence).await?;
    if !is_heard && tls.mode == MutualTls::Permissive {
        return Ok((Secured::plain(stream, sniffed), None));
    }
    loop {
        match Looks::of(&sniffed) {
            Looks::Undecided => read(&mut stream, &mut sniffed).await?,
            Looks::Tls => break,
            Looks::ClearText if matches!(tls.mode, MutualTls::Strict | MutualTls::ByName) => {
                return Err(TlsFault::NotTls);
            }
            Looks::ClearText => return Ok((Secured::plain(stream, sniffed), None)),
        }
    }
    if hearing.passes {
        let hello = hello(&mut stream, &mut sniffed, most).await?;
        let mut offered = hello.alpn.iter();
        if !offered.any(|name| Alpn::is_of_the_mesh(name.as_bytes())) {
            return Ok((Secured::plain(stream, sniffed), None));
        }
    }
    let mut termination = None;
    if tls.mode == MutualTls::ByName {
        match named(&mut stream, &mut sniffed, tls, most).await? {
            None => return Ok((Secured::plain(stream, sniffed), None)),
            found @ Some(_) => termination = found,
        }
    }
    let accepted = whole(&mut stream, sniffed, most).await?;
    let sni = accepted
        .client_hello()
        .server_name()
        .map(str::to_ascii_lowercase);
    let connection = match answer(&contexts, tls, termination, accepted) {
        Ok(connection) => connection,
        Err(Refused { fault, last_words }) => {
            say(&mut stream, &last_words);
            return Err(fault);
        }
    };
    let mut session = Box::new(Session::new(stream, connection, scratch));
    poll_fn(|cx| session.poll_handshake(cx)).await?;
    let facts = facts::of(session.connection(), sni.map(Into::into), true)?;
    Ok((Secured(Kind::Protected(session)), Some(facts)))
}

/// Reads the first bytes. Whether some came before that time was up.
async fn speaks<T: Stream>(
    stream: &mut T,
    into: &mut BytesMut,
    silence: impl Future<Output = ()>,
) -> Result<bool, TlsFault> {
    let mut silence = pin!(silence);
    poll_fn(|cx| match poll_some(stream, into, cx) {
        Poll::Ready(came) => Poll::Ready(came.map(|()| true)),
        Poll::Pending => silence.as_mut().poll(cx).map(|()| Ok(false)),
    })
    .await
}

/// Reads some more.
async fn read<T: Stream>(stream: &mut T, into: &mut BytesMut) -> Result<(), TlsFault> {
    poll_fn(|cx| poll_some(stream, into, cx)).await
}

/// Reads what is there. Waiting for the first bytes holds no memory, also where a system calls a stream readable of which it does
/// not know yet, as tokio does with new ones: only reading tells whether anything came.
fn poll_some<T: Stream>(
    stream: &mut T,
    into: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<(), TlsFault>> {
    ready!(stream.poll_readable(cx)).map_err(|_| fault::ended())?;
    into.reserve(READ);
    let Poll::Ready(count) = stream.poll_read(cx, into) else {
        if into.is_empty() {
            *into = BytesMut::new();
        }
        return Poll::Pending;
    };
    Poll::Ready(match count {
        Ok(0) | Err(_) => Err(fault::ended()),
        Ok(_) => Ok(()),
    })
}

/// The ClientHello, which may come in any number of pieces.
async fn whole<T: Stream>(
    stream: &mut T,
    mut came: BytesMut,
    most: usize,
) -> Result<Accepted, TlsFault> {
    let mut hello = Hello::of(most);
    loop {
        match hello.take(&mut came) {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => read(stream, &mut came).await?,
            Err(Refused { fault, last_words }) => {
                say(stream, &last_words);
                return Err(fault);
            }
        }
    }
}

/// How a gateway takes TLS off for the name that a client asks for; `None` where it passes. The hello stays where it is: whoever
/// it passes to is to read it.
async fn named<'t, T: Stream>(
    stream: &mut T,
    came: &mut BytesMut,
    tls: &'t ServerTls,
    most: usize,
) -> Result<Option<&'t Termination>, TlsFault> {
    let hello = hello(stream, came, most).await?;
    let at = tls.server(hello.server_name.as_deref());
    let server = at.and_then(|at| tls.servers.get(at));
    let why = || TlsFault::NothingInCommon("no server has the name that is asked for".into());
    Ok(server.ok_or_else(why)?.termination.as_ref())
}

/// What a client says first, which stays where it is.
async fn hello<T: Stream>(
    stream: &mut T,
    came: &mut BytesMut,
    most: usize,
) -> Result<ClientHello, TlsFault> {
    loop {
        match sniff::look(came) {
            FirstBytes::Tls(hello) => return Ok(hello),
            FirstBytes::Http | FirstBytes::Other => return Err(TlsFault::NotTls),
            FirstBytes::Undecided if came.len() > most => return Err(TlsFault::HelloTooLong),
            FirstBytes::Undecided => read(stream, came).await?,
        }
    }
}

/// Picks the context by what a client says of itself.
fn answer(
    contexts: &Contexts,
    tls: &ServerTls,
    termination: Option<&Termination>,
    accepted: Accepted,
) -> Result<Connection, Refused> {
    let answered = termination.map_or(Alpn::ANSWERED, contexts::answered);
    let (is_of_the_mesh, answers) = {
        let hello = accepted.client_hello();
        let mut offered = hello.alpn().into_iter().flatten();
        (
            offered.any(Alpn::is_of_the_mesh),
            contexts::can_answer(&hello, answered),
        )
    };
    // Istio: a listener that takes clear text, too, takes TLS without the mesh's protocols for the application's own.
    if tls.mode == MutualTls::Permissive && !is_of_the_mesh {
        let why = "no protocol of the mesh is offered";
        return Err(TlsFault::NothingInCommon(why.into()).into());
    }
    let config = match termination {
        None => contexts.server(tls, answers)?,
        Some(termination) => contexts.gateway(tls, termination, answers)?,
    };
    let connection = accepted.into_connection(config);
    let connection = connection.map_err(|(error, alert)| Refused::by(&error, alert))?;
    Ok(Connection::Server(connection))
}

/// Says why there is no connection, as far as the stream takes it at once.
fn say<T: Stream>(stream: &mut T, last_words: &[u8]) {
    if last_words.is_empty() {
        return;
    }
    let mut outbox = Outbox::default();
    outbox.put(last_words);
    stream.say_last(&mut outbox);
    stream.shutdown_write();
}
