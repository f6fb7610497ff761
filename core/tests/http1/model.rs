//! A slow, whole-buffer reading of pipelined requests, written from the grammar of RFC 9112 with regular expressions, to
//! compare the streaming reader with. It knows framing and acceptance; it does not know limits.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// What the model saw of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    /// How many `x-sum` trailers: the one that is neither forbidden nor dropped.
    pub(crate) trailers: usize,
}

/// How the bytes end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After a whole request.
    Clean,
    /// Inside a request.
    Cut,
    /// With something that is no request.
    Refused,
}

const TOKEN: &str = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+";

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?s-u){}", pattern.replace("TOKEN", TOKEN))).unwrap()
}

static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^(TOKEN) (/[!-\x22$-~]*|\*) HTTP/1\.([01])\r\n((?:TOKEN:[\t -~\x80-\xff]*\r\n)*)\r\n$")
});
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(TOKEN):[\t ]*([\t -~\x80-\xff]*?)[\t ]*\r\n"));
static HOST: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^([0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(:[0-9]{0,4})?$"));
static LENGTH: LazyLock<Regex> = LazyLock::new(|| regex(r"^[0-9]{1,18}$"));
static CHUNK: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#""(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*""#;
    regex(&format!(
        r"^([0-9a-fA-F]{{1,15}})((?:[\t ]*;[\t ]*TOKEN(?:[\t ]*=[\t ]*(?:TOKEN|{quoted}))?)*)\r\n"
    ))
});
static TRAILERS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^((?:TOKEN:[\t -~\x80-\xff]*\r\n)*)\r\n"));

/// Reads all requests of a connection that ends after these bytes.
pub(crate) fn read(mut bytes: &[u8]) -> (Vec<Request>, End) {
    let mut requests = Vec::new();
    loop {
        if matches!(bytes, b"" | b"\r" | b"\r\n") {
            return (requests, End::Clean);
        }
        match one(bytes.strip_prefix(b"\r\n").unwrap_or(bytes)) {
            Ok((request, rest)) => {
                requests.push(request);
                bytes = rest;
            }
            Err(end) => return (requests, end),
        }
    }
}

fn one(bytes: &[u8]) -> Result<(Request, &[u8]), End> {
    let end = find(bytes, b"\r\n\r\n").ok_or(End::Cut)? + 4;
    let (head, rest) = bytes.split_at(end);
    let head = HEAD.captures(head).ok_or(End::Refused)?;
    let values = |name: &str| -> Vec<Vec<u8>> {
        FIELD
            .captures_iter(&head[4])
            .filter(|field| field[1].eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field[2].to_vec())
            .collect()
    };
    let is_11 = &head[3] == b"1";
    let hosts = values("host");
    let hosts_are_good = match &hosts[..] {
        [] => !is_11,
        [host] => HOST.is_match(host),
        [..] => false,
    };
    let method_fits = &head[2] != b"*" || &head[1] == b"OPTIONS";
    if !hosts_are_good || !method_fits || &head[1] == b"CONNECT" {
        return Err(End::Refused);
    }
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => Ok((request(&head, b"", 0), rest)),
        ([length], []) if LENGTH.is_match(length) => {
            let length: usize = String::from_utf8_lossy(length).parse().unwrap();
            let body = rest.get(..length).ok_or(End::Cut)?;
            Ok((request(&head, body, 0), &rest[length..]))
        }
        ([], [coding]) if is_11 && coding.eq_ignore_ascii_case(b"chunked") => chunks(&head, rest),
        _ => Err(End::Refused),
    }
}

fn chunks<'a>(head: &Captures<'_>, mut rest: &'a [u8]) -> Result<(Request, &'a [u8]), End> {
    let mut body = Vec::new();
    loop {
        find(rest, b"\n").ok_or(End::Cut)?;
        let line = CHUNK.captures(rest).ok_or(End::Refused)?;
        let size = usize::from_str_radix(&String::from_utf8_lossy(&line[1]), 16).unwrap();
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
    if let Some(trailers) = TRAILERS.captures(rest) {
        let count = FIELD
            .captures_iter(&trailers[1])
            .filter(|field| field[1].eq_ignore_ascii_case(b"x-sum"))
            .count();
        return Ok((request(head, &body, count), &rest[trailers[0].len()..]));
    }
    Err(find(rest, b"\r\n\r\n").map_or(End::Cut, |_| End::Refused))
}

fn request(head: &Captures<'_>, body: &[u8], trailers: usize) -> Request {
    Request {
        method: String::from_utf8_lossy(&head[1]).into(),
        target: String::from_utf8_lossy(&head[2]).into(),
        body: body.to_vec(),
        trailers,
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
