//! One question for one name: which servers are asked, for how long, and what counts as an answer.
//!
//! Owns the sockets. What the bytes mean is in `message`, what the machine says about names in `system`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::message::{self, Family, Reply};
use crate::random;
use crate::system::System;

/// One name has so long, whatever is tried for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the machine knows itself is looked at again after this.
const KNOWN_TTL: Duration = Duration::from_secs(5);

/// Room for an answer over UDP; without extensions no server sends more than 512 bytes (RFC 1035 §2.3.4).
const DATAGRAM: usize = 4096;

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In the order in which they were answered, one at least. An answer has room for some thousands.
    pub addresses: Vec<IpAddr>,
    /// How long that holds; zero when it was not said.
    pub ttl: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be asked for.
    NoName,
    /// There is none like this.
    NoSuchName,
    /// There is one, and it has no address.
    NoAddress,
    /// Nothing came of asking a server, the last one that was asked.
    Server(SocketAddr, Fault),
    /// All of it took too long.
    TookTooLong,
}

/// What a server did, or the system instead of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It did not answer in time.
    Silent,
    /// It said that it failed, with a code of RFC 1035 §4.1.1.
    Failed(u8),
    /// Its answer is a chain of aliases that has no end.
    Endless,
    /// It cannot be reached, in the system's words.
    Io(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("no name server can be asked for such a name"),
            Self::NoSuchName => f.write_str("there is no such name"),
            Self::NoAddress => f.write_str("the name has no address"),
            Self::Server(server, Fault::Silent) => {
                write!(f, "the name server {server} does not answer")
            }
            Self::Server(server, Fault::Failed(code)) => {
                let words = match code {
                    1 => " (FORMERR)",
                    2 => " (SERVFAIL)",
                    4 => " (NOTIMP)",
                    5 => " (REFUSED)",
                    _ => "",
                };
                write!(f, "the name server {server} fails with code {code}{words}")
            }
            Self::Server(server, Fault::Endless) => {
                write!(
                    f,
                    "the name server {server} answers with aliases that have no end"
                )
            }
            Self::Server(server, Fault::Io(words)) => {
                write!(f, "the name server {server} cannot be asked: {words}")
            }
            Self::TookTooLong => {
                write!(f, "asking for it took {} s", PATIENCE.as_secs())
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// Asks for a name.
pub async fn ask(name: &str, system: &System) -> Result<Answer, Failure> {
    let known = system.known(name);
    if !known.is_empty() {
        return Ok(Answer {
            addresses: reachable(known),
            ttl: KNOWN_TTL,
        });
    }
    let asked = timeout(PATIENCE, search(name, system)).await;
    asked.map_err(|_| Failure::TookTooLong)?
}

/// Tries the full names that a name may mean. A server that fails is no reason to take the name for another one.
async fn search(name: &str, system: &System) -> Result<Answer, Failure> {
    let mut failure = Failure::NoName;
    for candidate in system.candidates(name) {
        match both_families(&candidate, system).await {
            Err(Failure::NoSuchName) if failure != Failure::NoAddress => {
                failure = Failure::NoSuchName;
            }
            Err(Failure::NoSuchName | Failure::NoName) => {}
            Err(Failure::NoAddress) => failure = Failure::NoAddress,
            done @ (Ok(_) | Err(Failure::Server(..) | Failure::TookTooLong)) => return done,
        }
    }
    Err(failure)
}

/// Asks for addresses of both families at once. One of them that fails while the other has addresses is let pass: there
/// are servers that leave questions for AAAA unanswered.
async fn both_families(name: &str, system: &System) -> Result<Answer, Failure> {
    let (v4, v6) = tokio::join!(
        servers(name, Family::V4, system),
        servers(name, Family::V6, system)
    );
    let mut all = Answer {
        addresses: Vec::new(),
        ttl: Duration::MAX,
    };
    let mut failures = Vec::new();
    for outcome in [v4, v6] {
        match outcome {
            Ok(answer) if answer.addresses.is_empty() => failures.push(Failure::NoAddress),
            Ok(answer) => {
                all.addresses.extend(answer.addresses);
                all.ttl = all.ttl.min(answer.ttl);
            }
            Err(failure) => failures.push(failure),
        }
    }
    if all.addresses.is_empty() {
        // A server that failed comes first: nobody knows what it would have said.
        failures.sort_by_key(|failure| match failure {
            Failure::Server(..) | Failure::TookTooLong => 0,
            Failure::NoAddress => 1,
            Failure::NoSuchName => 2,
            Failure::NoName => 3,
        });
        return Err(failures.swap_remove(0));
    }
    all.addresses = reachable(all.addresses);
    Ok(all)
}

/// Asks one server after the other, until one answers.
async fn servers(name: &str, family: Family, system: &System) -> Result<Answer, Failure> {
    let mut failure = Failure::NoName;
    for _ in 0..system.attempts {
        for server in system.in_turn(random()) {
            // Neither the number nor the port, which is the system's choice, can be guessed by who wants to answer instead.
            let Some(question) = message::question(random() as u16, name, family) else {
                return Err(Failure::NoName);
            };
            let accept = |said: &[u8]| message::reply(&question, family, said);
            let one = over_udp(&question, server, DATAGRAM, accept);
            let mut reply = in_time(one, system.timeout).await;
            if reply == Ok(Reply::Truncated) {
                reply = in_time(over_tcp(&question, server, accept), system.timeout).await;
            }
            let fault = match reply {
                Ok(Reply::Addresses { addresses, ttl }) => return Ok(Answer { addresses, ttl }),
                Ok(Reply::NoSuchName) => return Err(Failure::NoSuchName),
                Ok(Reply::Truncated) => Fault::Io("its answers are cut over TCP, too".into()),
                Ok(Reply::Endless) => Fault::Endless,
                Ok(Reply::Failed(code)) => Fault::Failed(code),
                Err(fault) => fault,
            };
            failure = Failure::Server(server, fault);
        }
    }
    Err(failure)
}

/// What comes of asking a server, in so much time.
pub(crate) async fn in_time<T>(
    reply: impl Future<Output = Result<T, Fault>>,
    most: Duration,
) -> Result<T, Fault> {
    timeout(most, reply).await.unwrap_or(Err(Fault::Silent))
}

/// Asks in a datagram, and hears what comes back until `accept` takes some of it. `room`: bytes of an answer; of a longer one
/// the rest is lost.
pub(crate) async fn over_udp<T>(
    question: &[u8],
    server: SocketAddr,
    room: usize,
    accept: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, Fault> {
    let socket = UdpSocket::bind(any_port(server.ip())).await?;
    // From then on only what comes from there is heard.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut room = vec![0; room];
    loop {
        let length = socket.recv(&mut room).await?;
        if let Some(reply) = accept(&room[..length]) {
            return Ok(reply);
        }
    }
}

/// Asks on a connection of its own.
pub(crate) async fn over_tcp<T>(
    question: &[u8],
    server: SocketAddr,
    accept: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, Fault> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, question).await?;
    let reply = accept(&read_framed(&mut stream).await?);
    reply.ok_or_else(|| Fault::Io("it answered something else over TCP".into()))
}

/// Writes a message with its length before it (RFC 1035 §4.2.2).
pub(crate) async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await
}

/// Reads a message with its length before it.
pub(crate) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Without addresses that this machine has no route for, such as those of IPv6 where there is none: an endpoint there
/// would fail every request. All of them, where none has a route.
fn reachable(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let routed: Vec<IpAddr> = addresses
        .iter()
        .copied()
        .filter(|ip| has_route(*ip))
        .collect();
    match routed.is_empty() {
        true => addresses,
        false => routed,
    }
}

/// Connecting a datagram socket looks the route up and sends nothing.
fn has_route(to: IpAddr) -> bool {
    /// Any; nothing goes there (discard).
    const PORT: u16 = 9;
    let socket = std::net::UdpSocket::bind(any_port(to));
    socket.is_ok_and(|socket| socket.connect((to, PORT)).is_ok())
}

fn any_port(of_family: IpAddr) -> SocketAddr {
    match of_family {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

#[cfg(test)]
mod tests;
