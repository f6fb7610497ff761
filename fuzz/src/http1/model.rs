//! A slow, whole-buffer reading of pipelined messages, written from the grammar of RFC 9112 with regular expressions, to
//! compare the streaming reader with. It knows framing, acceptance and which fields go no further; it does not know limits,
//! and of trailers only those of [`TRAILERS`].

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::bytes::Regex;

/// Trailers that are neither forbidden nor dropped.
pub const TRAILERS: [&str; 2] = ["grpc-status", "x-sum"];

/// Trailers that route, frame or authenticate, and so are never any.
pub const FORBIDDEN: [&str; 4] = [
    "authorization",
    "content-length",
    "host",
    "transfer-encoding",
];

/// What the model saw of one message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Method, authority and path, or the status.
    pub start: [Vec<u8>; 3],
    /// Those that go on, by name: all but those that route, frame or concern the connection.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Another message may follow on this connection.
    pub persists: bool,
    /// The protocol that a request asks for, in lower case.
    pub upgrade: Option<String>,
    pub body: Vec<u8>,
    pub trailers: usize,
}

/// How the bytes end.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// After a whole message.
    Clean,
    /// Inside a message.
    Cut,
    /// With something that is no message.
    Refused,
}

/// What a response answers.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub method: &'a str,
    /// It asked to switch protocols.
    pub upgrade: bool,
}

const TOKEN: &str = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+";

fn regex(pattern: &str) -> Regex {
    let pattern = pattern
        .replace("TOKEN", TOKEN)
        .replace("TEXT", r"[\t -~\x80-\xff]*");
    Regex::new(&format!("(?s-u){pattern}")).expect("the pattern is a good one")
}

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| regex($pattern));
    };
}

pattern!(
    REQUEST,
    r"^(TOKEN) ([!-\x22$-~]+) HTTP/1\.([01])\r\n((?:TOKEN:TEXT\r\n)*)\r\n$"
);
// An upstream may end lines with LF, fold them, and put blanks before a colon.
pattern!(
    RESPONSE,
    r"^HTTP/1\.([01]) ([1-9][0-9]{2})(?: TEXT)?\r?\n((?:TOKEN[\t ]*:TEXT(?:\r?\n[\t ]TEXT)*\r?\n)*)\r?\n$"
);
pattern!(FIELD, r"(TOKEN)[\t ]*:(TEXT(?:\r?\n[\t ]TEXT)*)\r?\n");
pattern!(ABSOLUTE, r"^(?i:https?)://([^/?]*)(.*)$");
pattern!(
    AUTHORITY,
    r"^(?:\[([0-9A-Fa-f:.]+)\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(:[0-9]*)?$"
);
pattern!(PROTOCOL, r"^(?:TOKEN|/)+$");
pattern!(NUMBER, r"^[0-9]+$");
pattern!(
    CHUNK,
    r#"^([0-9a-fA-F]{1,16})((?:[\t ]*;[\t ]*TOKEN(?:[\t ]*=[\t ]*(?:TOKEN|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*)\r\n"#
);
pattern!(TRAILER_SECTION, r"^((?:TOKEN:TEXT\r\n)*)\r\n");
pattern!(END_OF_RESPONSE_HEAD, r"\n\r?\n");

/// The fields of a head.
struct Fields {
    is_11: bool,
    all: Vec<(String, Vec<u8>)>,
}

/// How a body is framed.
enum Body {
    None,
    Length(u128),
    Chunked,
    /// All that comes.
    Rest,
}

/// Reads all requests of a connection that ends after these bytes.
pub fn requests(mut bytes: &[u8]) -> (Vec<Message>, End) {
    let mut requests = Vec::new();
    loop {
        if matches!(bytes, b"" | b"\r" | b"\r\n") {
            return (requests, End::Clean);
        }
        match request(bytes.strip_prefix(b"\r\n").unwrap_or(bytes)) {
            Ok((request, rest)) => {
                requests.push(request);
                bytes = rest;
            }
            Err(end) => return (requests, end),
        }
    }
}

/// Reads all responses of a connection that ends after these bytes, each to the same question.
pub fn responses(question: Question<'_>, mut bytes: &[u8]) -> (Vec<Message>, End) {
    let mut responses = Vec::new();
    let mut is_over = false;
    while !bytes.is_empty() && !is_over {
        match response(question, bytes, &mut is_over) {
            Ok((response, rest)) => {
                responses.push(response);
                bytes = rest;
            }
            Err(end) => return (responses, end),
        }
    }
    (responses, End::Clean)
}

fn request(bytes: &[u8]) -> Result<(Message, &[u8]), End> {
    let end = find(bytes, b"\r\n\r\n").ok_or(End::Cut)? + 4;
    let (head, rest) = bytes.split_at(end);
    let head = REQUEST.captures(head).ok_or(End::Refused)?;
    let (method, target) = (&head[1], &head[2]);
    let fields = Fields::read(&head[3] == b"1", &head[4]);
    let (authority, path) = target_of(method, target)?;
    let host = match &fields.values("host")[..] {
        [] if fields.is_11 => return Err(End::Refused),
        [] => Vec::new(),
        // Only where the target has an authority.
        [host] if host.is_empty() && authority.is_some() => Vec::new(),
        [host] if is_authority(host) => host.clone(),
        [..] => return Err(End::Refused),
    };
    let body = match (method, fields.is_coded(), fields.length()?) {
        (b"CONNECT", true, _) | (b"CONNECT", false, Some(1..)) => return Err(End::Refused),
        (b"CONNECT", false, Some(0) | None) => Body::None,
        (_, true, length) => fields.chunked(length)?,
        (_, false, length) => length.map_or(Body::None, Body::Length),
    };
    let (body, trailers, rest) = body_of(&body, rest)?;
    let persists = fields.persists();
    let upgrade = fields.upgrade().filter(|_| method != b"CONNECT");
    let mut on = fields.that_go_on();
    on.retain(|(name, _)| name != "host");
    let message = Message {
        start: [method.to_vec(), authority.unwrap_or(host), path],
        persists,
        upgrade,
        fields: on,
        body,
        trailers,
    };
    Ok((message, rest))
}

fn response<'a>(
    question: Question<'_>,
    bytes: &'a [u8],
    is_over: &mut bool,
) -> Result<(Message, &'a [u8]), End> {
    let end = END_OF_RESPONSE_HEAD.find(bytes).ok_or(End::Cut)?.end();
    let (head, rest) = bytes.split_at(end);
    let head = RESPONSE.captures(head).ok_or(End::Refused)?;
    let status = &head[2];
    let fields = Fields::read(&head[1] == b"1", &head[3]);
    let (body, is_tunnel) = if question.method == "CONNECT" && status[0] == b'2' {
        (Body::Rest, true)
    } else if status == b"204" || status[0] == b'1' {
        let has_none = !fields.is_coded() && matches!(fields.length()?, None | Some(0));
        match (has_none, status == b"101") {
            (true, false) => (Body::None, false),
            (true, true) if question.upgrade => (Body::Rest, true),
            (true, true) | (false, _) => return Err(End::Refused),
        }
    } else {
        let length = fields.length()?;
        let body = match (fields.is_coded(), length) {
            (true, length) => fields.chunked(length)?,
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::Rest,
        };
        let is_bodiless = question.method == "HEAD" || status == b"304";
        (if is_bodiless { Body::None } else { body }, false)
    };
    *is_over = matches!(body, Body::Rest);
    let persists = fields.persists() && !*is_over;
    let (body, trailers, rest) = body_of(&body, rest)?;
    let message = Message {
        start: [status.to_vec(), Vec::new(), Vec::new()],
        persists: persists && !is_tunnel,
        upgrade: None,
        fields: fields.that_go_on(),
        body,
        trailers,
    };
    Ok((message, rest))
}

/// The authority, if the target has one, and the path.
fn target_of(method: &[u8], target: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), End> {
    let good = |authority: &[u8]| is_authority(authority).then(|| authority.to_vec());
    if method == b"CONNECT" {
        // With a port, and not an empty one.
        let is_whole = AUTHORITY
            .captures(target)
            .is_some_and(|parts| parts.get(2).is_some());
        let authority = good(target).filter(|_| is_whole && !target.ends_with(b":"));
        return Ok((Some(authority.ok_or(End::Refused)?), Vec::new()));
    }
    if target == b"*" && method == b"OPTIONS" || target[0] == b'/' {
        return Ok((None, target.to_vec()));
    }
    let absolute = ABSOLUTE.captures(target).ok_or(End::Refused)?;
    let authority = good(&absolute[1]).ok_or(End::Refused)?;
    let path = match (&absolute[2], method) {
        (b"", b"OPTIONS") => b"*".to_vec(),
        (rest @ [b'/', ..], _) => rest.to_vec(),
        (rest, _) => [b"/", rest].concat(),
    };
    Ok((Some(authority), path))
}

fn is_authority(text: &[u8]) -> bool {
    let Some(parts) = AUTHORITY.captures(text) else {
        return false;
    };
    let text = |at: usize| {
        parts
            .get(at)
            .map(|part| String::from_utf8_lossy(part.as_bytes()))
    };
    let port = text(2).map(|port| port[1..].trim_start_matches('0').to_owned());
    let is_port = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    is_port && text(1).is_none_or(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

impl Fields {
    fn read(is_11: bool, lines: &[u8]) -> Self {
        let all = FIELD.captures_iter(lines).map(|field| {
            let name = String::from_utf8_lossy(&field[1]).to_ascii_lowercase();
            let folds = field[2].split(|b| matches!(b, b'\r' | b'\n'));
            let lines: Vec<_> = folds.map(trim).filter(|line| !line.is_empty()).collect();
            (name, lines.join(&b' '))
        });
        let all = all.collect();
        Self { is_11, all }
    }

    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let named = self.all.iter().filter(|(of, _)| of == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    /// The elements of all lists of this name, in lower case.
    fn elements(&self, name: &str) -> Vec<String> {
        let values = self.values(name).join(&b',').to_ascii_lowercase();
        let elements = values.split(|b| *b == b',').map(trim);
        let elements = elements.filter(|element| !element.is_empty());
        // As Latin-1, since any bytes may stand there.
        elements
            .map(|e| e.iter().map(|b| char::from(*b)).collect())
            .collect()
    }

    fn is_coded(&self) -> bool {
        !self.values("transfer-encoding").is_empty()
    }

    fn length(&self) -> Result<Option<u128>, End> {
        match &self.values("content-length")[..] {
            [] => Ok(None),
            [digits] if NUMBER.is_match(digits) => {
                let digits = String::from_utf8_lossy(digits)
                    .trim_start_matches('0')
                    .to_owned();
                let length = format!("0{digits}").parse().ok();
                let length = length.filter(|length: &u128| *length < 1 << 63);
                length.map(Some).ok_or(End::Refused)
            }
            [..] => Err(End::Refused),
        }
    }

    /// The framing, where a coding is named.
    fn chunked(&self, length: Option<u128>) -> Result<Body, End> {
        match &self.values("transfer-encoding")[..] {
            [coding] if coding.eq_ignore_ascii_case(b"chunked") => {}
            [..] => return Err(End::Refused),
        }
        match self.is_11 && length.is_none() {
            true => Ok(Body::Chunked),
            false => Err(End::Refused),
        }
    }

    fn persists(&self) -> bool {
        let options = [
            self.elements("connection"),
            self.elements("proxy-connection"),
        ]
        .concat();
        let says = |what: &str| options.iter().any(|option| option == what);
        !says("close") && (self.is_11 || says("keep-alive"))
    }

    /// The first protocol of those that are named, if it is asked for; never `h2c`, and only where it has a good name.
    fn upgrade(&self) -> Option<String> {
        let is_asked = self.elements("connection").iter().any(|o| o == "upgrade");
        let mut protocols = self.elements("upgrade");
        protocols.retain(|protocol| protocol != "h2c");
        let first = protocols.into_iter().next()?;
        (is_asked && self.is_11 && PROTOCOL.is_match(first.as_bytes())).then_some(first)
    }

    fn that_go_on(self) -> Vec<(String, Vec<u8>)> {
        let mut dropped = self.elements("connection");
        dropped.retain(|name| !name.starts_with("x-forwarded-") && !name.starts_with("x-envoy-"));
        let left = |name: &str| dropped.iter().any(|dropped| dropped == name);
        let mut on = self.all;
        on.retain(|(name, _)| goes_on(name) && !left(name));
        on.sort_by(|a, b| a.0.cmp(&b.0));
        on
    }
}

/// Whether a field of this name says something to whoever reads the message next. `te` does only at times, and a length
/// only where it frames, so that neither is looked at.
fn goes_on(name: &str) -> bool {
    ![
        "connection",
        "content-length",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ]
    .contains(&name)
}

/// A body, how many trailers, and what follows.
fn body_of<'a>(body: &Body, rest: &'a [u8]) -> Result<(Vec<u8>, usize, &'a [u8]), End> {
    match body {
        Body::None => Ok((Vec::new(), 0, rest)),
        Body::Rest => Ok((rest.to_vec(), 0, b"")),
        Body::Length(length) => {
            let length = usize::try_from(*length).map_err(|_| End::Cut)?;
            let body = rest.get(..length).ok_or(End::Cut)?;
            Ok((body.to_vec(), 0, &rest[length..]))
        }
        Body::Chunked => chunks(rest),
    }
}

fn chunks(mut rest: &[u8]) -> Result<(Vec<u8>, usize, &[u8]), End> {
    let mut body = Vec::new();
    loop {
        find(rest, b"\n").ok_or(End::Cut)?;
        let line = CHUNK.captures(rest).ok_or(End::Refused)?;
        let size = u64::from_str_radix(&String::from_utf8_lossy(&line[1]), 16);
        let size = size
            .ok()
            .filter(|size| *size < 1 << 63)
            .ok_or(End::Refused)?;
        let size = usize::try_from(size).map_err(|_| End::Cut)?;
        rest = &rest[line[0].len()..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..size).ok_or(End::Cut)?);
        rest = match &rest[size..] {
            [b'\r', b'\n', after @ ..] => after,
            [] | [b'\r'] => return Err(End::Cut),
            [..] => return Err(End::Refused),
        };
    }
    if let Some(section) = TRAILER_SECTION.captures(rest) {
        let fields = Fields::read(true, &section[1]);
        let known = fields
            .all
            .iter()
            .filter(|(name, _)| TRAILERS.contains(&name.as_str()));
        return Ok((body, known.count(), &rest[section[0].len()..]));
    }
    Err(find(rest, b"\r\n\r\n").map_or(End::Cut, |_| End::Refused))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
