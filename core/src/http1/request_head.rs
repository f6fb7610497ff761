//! The head of a request: from bytes to a version-neutral head and the facts of this connection.

use http::Method;

use super::authority::is_authority;
use super::field_lines;
use super::framing::{self, Framing};
use super::hop_by_hop::{self, Connection};
use super::limits::{Limits, MAX_FIELDS};
use super::plain::{Lengths, Plain};
use super::refusals::{BAD_HOST, HEAD_TOO_LARGE, MANY_HOSTS, NO_HOST, START_LINE, VERSION};
use super::target::Target;
use crate::decision::Refused;
use crate::message::{Headers, Known, RequestHead, Version};

/// What a request says about its own transport, which its [`RequestHead`] does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// How its body is framed; [`Framing::None`] for CONNECT, whose bytes after the head wait for the answer.
    pub framing: Framing,
    /// The client wants to use the connection again.
    pub keep_alive: bool,
    /// The protocol the client wants to switch to; never `h2c`.
    pub upgrade: Option<Box<str>>,
    /// The client takes trailers (`te: trailers`).
    pub accepts_trailers: bool,
}

/// Checks what can be told from the first line alone, so that other protocols are refused before their head would end.
pub(super) fn check_first_line(line: &[u8]) -> Result<(), Refused> {
    let version = line
        .len()
        .checked_sub(b" HTTP/1.1".len())
        .map(|at| &line[at..]);
    match version {
        Some(b" HTTP/1.1" | b" HTTP/1.0") => Ok(()),
        // RFC 9110 §2.3: one digit each, case-sensitive. Well formed but not ours.
        Some([b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(VERSION)
        }
        Some([..]) | None => Err(START_LINE),
    }
}

/// Reads a complete head; `bytes` ends with its empty line and its lines end with CRLF.
pub(super) fn parse(
    bytes: &[u8],
    limits: &Limits,
    into: &mut RequestHead,
) -> Result<RequestFacts, Refused> {
    let mut room = field_lines::room();
    let room = &mut room[..limits.fields.min(MAX_FIELDS)];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, room) {
        Ok(httparse::Status::Complete(end)) if end == bytes.len() => {}
        // The version was judged with the first line; what `httparse` takes for one here is a target with a space.
        Ok(_) | Err(httparse::Error::Version) => return Err(START_LINE),
        Err(error) => return Err(field_lines::refusal(error)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(START_LINE);
    };
    let line = RequestLine {
        method: method.as_bytes(),
        target: target.as_bytes(),
        version: match minor {
            0 => Version::Http10,
            _ => Version::Http11,
        },
    };
    take(line, into, |headers| {
        field_lines::copy(parsed.headers, headers)
    })
}

/// Reads a head that `bytes` begin with, and says how long it is, where that takes one look: it is whole, every line is as
/// it would be written, and nothing is wrong with it. `None` says nothing about it; then its end is looked for first.
pub(super) fn parse_at_once(
    bytes: &[u8],
    limits: &Limits,
    into: &mut RequestHead,
) -> Option<(RequestFacts, usize)> {
    let mut lengths = Lengths::new();
    let plain = Plain::read(bytes, limits, &mut lengths)?;
    let line = RequestLine::read(plain.first_line)?;
    let facts = take(line, into, |headers| {
        plain.copy(&lengths, headers).map_err(|_| HEAD_TOO_LARGE)
    });
    Some((facts.ok()?, plain.len))
}

/// A request line (RFC 9112 §3), taken apart.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

impl<'a> RequestLine<'a> {
    /// Takes a line apart that is as it would be written. `None` says nothing about it.
    fn read(line: &'a [u8]) -> Option<Self> {
        let (rest, version) = line.split_last_chunk::<{ b" HTTP/1.1".len() }>()?;
        let version = match version {
            b" HTTP/1.1" => Version::Http11,
            b" HTTP/1.0" => Version::Http10,
            _ => return None,
        };
        let space = rest.iter().position(|octet| *octet == b' ')?;
        Some(Self {
            method: &rest[..space],
            target: &rest[space + 1..],
            version,
        })
    }
}

fn take(
    line: RequestLine<'_>,
    into: &mut RequestHead,
    copy_fields: impl FnOnce(&mut Headers) -> Result<(), Refused>,
) -> Result<RequestFacts, Refused> {
    into.clear();
    into.method = Method::from_bytes(line.method).map_err(|_| START_LINE)?;
    into.version = line.version;
    copy_fields(&mut into.headers)?;
    let target = Target::read(&into.method, line.target)?;
    target.put_path(&into.method, &mut into.path);
    let host = one_host(into.version, &into.headers)?;
    let authority = target.authority().map_or(host, Ok)?;
    into.authority.extend_from_slice(authority);
    facts(into)
}

/// The value of Host (RFC 9112 §3.2). The outer error is for a field that may not stand at all; the inner one for a
/// missing or empty one, which a target with an authority excuses only as far as the RFC does.
fn one_host(version: Version, headers: &Headers) -> Result<Result<&[u8], Refused>, Refused> {
    let mut hosts = headers.get_all(Known::Host);
    match (hosts.next(), hosts.next(), version) {
        (Some(_), Some(_), _) => Err(MANY_HOSTS),
        // Every HTTP/1.1 request has one, whatever its target.
        (None, _, Version::Http11 | Version::Http2) => Err(NO_HOST),
        (None, _, Version::Http10) => Ok(Ok(b"")),
        (Some(b""), None, _) => Ok(Err(NO_HOST)),
        (Some(host), None, _) if is_authority(host) => Ok(Ok(host)),
        (Some(_), None, _) => Err(BAD_HOST),
    }
}

/// Reads what concerns the connection and removes it from the head.
fn facts(head: &mut RequestHead) -> Result<RequestFacts, Refused> {
    let version = head.version;
    let headers = &mut head.headers;
    let framing = framing::of_request(version, &head.method, headers)?;
    let connection = Connection::read(headers)?;
    let connect = head.method == Method::CONNECT;
    let facts = RequestFacts {
        framing,
        keep_alive: connection.persists(version),
        upgrade: (!connect)
            .then(|| connection.upgrade_token(version, headers))
            .flatten(),
        accepts_trailers: hop_by_hop::accepts_trailers(headers),
    };
    let also: &[Known] = if connect {
        &[Known::Host, Known::ContentLength]
    } else {
        &[Known::Host]
    };
    connection.strip(headers, also);
    Ok(facts)
}
