//! The words between a worker and its runtime: what happened on a socket, and what is to be done with one.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::peer::{ClientId, ConnId, ExchangeId, TlsFacts, TlsFault, TlsFaultKind, UpstreamId};
use crate::snapshot::{Address, ClientTls, Keepalive, ServerTls, Sni, Spoken};

/// Why no connection could be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectFault {
    /// The peer refused it or cannot be reached.
    Refused,
    /// The name has no address, or could not be resolved.
    Unresolved,
    /// This machine could not begin: no descriptors, no ports, no permission.
    Local,
    /// It was made, and TLS could not be agreed on.
    Tls(TlsFault),
}

impl ConnectFault {
    /// Why TLS could not be agreed on, if that is it.
    #[must_use]
    pub const fn tls(&self) -> Option<TlsFaultKind> {
        match self {
            Self::Tls(fault) => Some(fault.kind()),
            Self::Refused | Self::Unresolved | Self::Local => None,
        }
    }
}

/// How a connection to an endpoint is to be protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// By what, and what the endpoint must prove.
    pub tls: Arc<ClientTls>,
    /// Whom to name where that is the host of the request ([`Sni::Host`]), in lower case and without a port. It may be an
    /// address, which is not named (RFC 6066 §3) and can be proved.
    pub host: Option<Box<str>>,
    /// What will be spoken, so no other protocol is offered ([`crate::snapshot::Alpn::offered`]).
    pub spoken: Spoken,
}

impl Handshake {
    /// Toward an endpoint, for a request to this host.
    #[must_use]
    pub fn new(tls: &Arc<ClientTls>, host: &str, spoken: Spoken) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self {
            tls: Arc::clone(tls),
            host: (tls.sni == Sni::Host).then(|| host.to_ascii_lowercase().into()),
            spoken,
        }
    }
}

/// How a connection to an endpoint is made. Recordings have of it what protects it; the rest follows from the configuration and from
/// who the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Whether, and when, the system is to ask if the endpoint is still there.
    #[serde(skip)]
    pub keepalive: Option<Keepalive>,
    /// What is said first, before TLS.
    #[serde(skip)]
    pub preface: Option<Arc<[u8]>>,
    /// How it is protected; `None` for clear text.
    pub handshake: Option<Box<Handshake>>,
}

/// How it is found out what a client speaks, and what is agreed on with one that speaks TLS. Recordings have of it what is agreed
/// on, and what came of the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// See [`ServerTls`].
    pub tls: Arc<ServerTls>,
    /// A client that says nothing for so long is taken for one in clear text, where that may be spoken; `None` waits as long as a
    /// handshake may take.
    #[serde(skip)]
    pub silence: Option<Duration>,
    /// Where clear text may be spoken: TLS without a protocol of the mesh is the application's own, and passes as it is.
    #[serde(skip)]
    pub passes: bool,
}

impl From<Arc<ServerTls>> for Hearing {
    /// Whoever says nothing is waited for, and no TLS passes.
    fn from(tls: Arc<ServerTls>) -> Self {
        Self {
            tls,
            silence: None,
            passes: false,
        }
    }
}

/// What is known of a connection once it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Our own address on it, where somebody logs it.
    pub local: Option<SocketAddr>,
    /// What TLS on it has proved; `None` for clear text.
    pub tls: Option<Arc<TlsFacts>>,
}

impl Facts {
    /// Nothing is known of it but that it is clear text.
    pub const CLEAR: Self = Self {
        local: None,
        tls: None,
    };
}

/// What happened on one connection, told to [`Worker::handle_input`](crate::worker::Worker::handle_input). Small, because most
/// are reads and writes, several a request: what is said once a connection stands apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// This many bytes, at least one, were read into [`Worker::space`](crate::worker::Worker::space).
    Read(usize),
    /// The peer will send nothing more.
    Eof,
    /// The connection is broken: reading failed.
    Broken,
    /// Writing failed; what the peer had sent before may still be waiting to be read.
    WriteFailed,
    /// This many bytes of [`Worker::outbox`](crate::worker::Worker::outbox) were written.
    Wrote(usize),
    /// The connection that [`Output::Connect`] asked for is made.
    Connected(Box<Facts>),
    /// It could not be made; its name is free.
    ConnectFailed(Box<ConnectFault>),
    /// The client's connection that [`Output::Secure`] was about can be read: what TLS has proved, or `None` where the client
    /// speaks clear text and may.
    Secured(Option<Arc<TlsFacts>>),
    /// Nothing can be said on it.
    NotSecured(Box<TlsFault>),
    /// The client's connection is to end as soon as nothing is in flight on it.
    Drain,
}

/// Why nobody has said whose a client's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unintroduced {
    /// It began otherwise, or ended before it was said.
    Unsaid,
    /// The header is longer than is read.
    TooLong,
    /// It did not come in time.
    Late,
}

/// What the runtime must do, in order, from [`Worker::poll_output`](crate::worker::Worker::poll_output).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Make a connection in this manner. Answer with `Connected` or `ConnectFailed`.
    Connect(UpstreamId, Address, Manner),
    /// Before anything is read from a client's connection: find out whether the client speaks TLS, and agree on it. Answer with
    /// `Secured` or `NotSecured`.
    ///
    /// What was read of it already is the beginning of what the client says there; a recording has it where it was read.
    Secure(ClientId, Hearing, #[serde(skip)] Box<[u8]>),
    /// Close a connection, with an ordinary close, or give up making it. Its name is free.
    Close(ConnId),
    /// Close a client's connection with a reset, because an ordinary close would look like a whole message.
    Reset(ClientId),
    /// Say that nothing more will be written (half-close).
    ShutdownWrite(ConnId),
    /// A request ended: [`Worker::ended`](crate::worker::Worker::ended) tells its story until the next call.
    Ended(ExchangeId),
    /// Let every worker of the process, this one too, call
    /// [`Worker::on_announced`](crate::worker::Worker::on_announced) soon.
    Announce,
    /// From now on this is waited for on a connection.
    Wait(ConnId, Interest),
    /// Close a connection to an endpoint with a reset, because its client was reset and bytes only pass.
    Abort(UpstreamId),
    /// Close a client's connection, with an ordinary close, because nobody said whose it is where that has to be said (PROXY protocol).
    Refuse(ClientId, Unintroduced),
}

/// What is waited for on a connection that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interest {
    /// Read from it.
    pub read: bool,
    /// Write [`Worker::outbox`](crate::worker::Worker::outbox) to it. That comes first: it frees memory.
    pub write: bool,
}

impl Interest {
    /// Becomes another one. Whether that is a change.
    pub(crate) fn is_news(&mut self, now: Self) -> bool {
        core::mem::replace(self, now) != now
    }
}
