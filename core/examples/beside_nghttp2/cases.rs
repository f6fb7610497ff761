//! What both are fed: the bytes of a peer, cut where a frame or a header block ends, so that what comes of each piece can be
//! told apart. Owns the cut, the file that passes them on, and which inputs of the fuzz corpus become cases.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::codec;
use crate::codec::wire::{PREFACE, block, frame, settings};

/// What a peer says on one connection, and a name to find it again.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) label: String,
    /// Ours is the client: the peer is a server.
    pub(crate) is_client: bool,
    pub(crate) pieces: Vec<Vec<u8>>,
}

/// A frame's head.
const HEAD: usize = 9;

/// The largest payload that both take.
const MAX_FRAME: usize = 1 << 14;

/// HEADERS, PUSH_PROMISE and CONTINUATION, and the flag that ends their block.
const OF_BLOCKS: [u8; 3] = [1, 5, 9];
const END_HEADERS: u8 = 4;

impl Case {
    /// Cuts `bytes` behind the preface and behind each frame, but not within a header block: nghttp2 decodes as bytes come,
    /// and our codec when the block is whole.
    pub(crate) fn cut(label: String, is_client: bool, bytes: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        if !is_client {
            let (preface, frames) = rest.split_at(rest.len().min(PREFACE.len()));
            if preface != PREFACE {
                let pieces = vec![bytes.to_vec()];
                return Self {
                    label,
                    is_client,
                    pieces,
                };
            }
            pieces.push(preface.to_vec());
            rest = frames;
        }
        let (mut from, mut at) = (0, 0);
        while let Some(head) = rest.get(at..at + HEAD) {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let end = at + HEAD + length;
            if end > rest.len() {
                // It is too long as soon as its head is here. Of others nothing is to be said before they are whole.
                if length > MAX_FRAME && from == at {
                    pieces.push(head.to_vec());
                }
                break;
            }
            at = end;
            if !OF_BLOCKS.contains(&head[3]) || head[4] & END_HEADERS != 0 {
                pieces.push(rest[from..at].to_vec());
                from = at;
            }
        }
        Self {
            label,
            is_client,
            pieces,
        }
    }

    /// Appends it to a file of cases, numbers in the order of the network.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let piece = |out: &mut dyn Write, bytes: &[u8]| {
            out.write_all(&(bytes.len() as u32).to_be_bytes())?;
            out.write_all(bytes)
        };
        piece(out, self.label.as_bytes())?;
        out.write_all(&u32::from(self.is_client).to_be_bytes())?;
        out.write_all(&(self.pieces.len() as u32).to_be_bytes())?;
        self.pieces.iter().try_for_each(|bytes| piece(out, bytes))
    }

    /// Reads all cases of a file.
    pub(crate) fn read_all(mut from: impl Read) -> io::Result<Vec<Self>> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let mut rest = &bytes[..];
        let mut cases = Vec::new();
        while !rest.is_empty() {
            let label = String::from_utf8_lossy(taken(&mut rest)?).into_owned();
            let is_client = number(&mut rest)? != 0;
            let count = number(&mut rest)?;
            let pieces = (0..count).map(|_| Ok(taken(&mut rest)?.to_vec()));
            let pieces = pieces.collect::<io::Result<_>>()?;
            cases.push(Self {
                label,
                is_client,
                pieces,
            });
        }
        Ok(cases)
    }
}

fn number(rest: &mut &[u8]) -> io::Result<u32> {
    let (octets, after) = rest
        .split_first_chunk()
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = after;
    Ok(u32::from_be_bytes(*octets))
}

fn taken<'a>(rest: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let length = number(rest)? as usize;
    let (bytes, after) = rest
        .split_at_checked(length)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = after;
    Ok(bytes)
}

/// All inputs of the fuzz corpus that a peer of HTTP/2 could say.
pub(crate) fn corpus() -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, bytes) in inputs("http2_connection")? {
        let is_client = bytes.first().is_some_and(|first| first & 1 != 0);
        cases.push(Case::cut(name, is_client, &codec::connection(&bytes)));
    }
    for (name, bytes) in inputs("http2_cuts")? {
        let Some((first, said)) = bytes.split_first() else {
            continue;
        };
        let is_client = first & 1 != 0;
        cases.push(Case::cut(name, is_client, &greeted(is_client, said)));
    }
    for (name, bytes) in inputs("hpack")? {
        cases.push(Case::cut(name, false, &greeted(false, &requests(&bytes))));
    }
    Ok(cases)
}

/// Behind what every connection begins with.
pub(crate) fn greeted(is_client: bool, said: &[u8]) -> Vec<u8> {
    let preface = if is_client { b"" } else { PREFACE };
    [preface, &settings(&[]), &frame(4, 1, 0, b""), said].concat()
}

/// Blocks of a decoder's inputs, each behind an octet with its length, as requests: what must be there stands in front.
fn requests(mut bytes: &[u8]) -> Vec<u8> {
    let usual = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
    ]);
    let mut said = Vec::new();
    let mut stream = 1;
    while let [length, rest @ ..] = bytes {
        let (fields, after) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = after;
        // Changes of the table's size come first (RFC 7541 §4.2).
        let updates = fields
            .iter()
            .take_while(|octet| (0x20..0x3f).contains(*octet))
            .count();
        let (updates, fields) = fields.split_at(updates);
        said.extend(frame(1, 5, stream, &[updates, &usual, fields].concat()));
        stream += 2;
    }
    said
}

/// The files of one target, by name.
#[expect(clippy::disallowed_methods, reason = "the ban is for what core ships")]
fn inputs(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        all.push((format!("{target}/{name}"), fs::read(&path)?));
    }
    all.sort();
    Ok(all)
}
