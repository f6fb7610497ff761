//! Where two stories of the same cases differ. What both refuse is the same when both refuse the stream, or both the
//! connection; the codes may differ.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use outrigger_core::http2::Code;

use crate::cases::Case;
use crate::kinds::Known;
use crate::meaning::translated;
use crate::story::{Field, OfStream, Story, Told, escaped, is_untaken};

/// The stream on which our client asks for a tunnel.
const TUNNEL: u32 = 9;

/// One difference.
#[derive(Debug)]
struct Difference {
    case: usize,
    piece: usize,
    detail: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By kind, in the order of the cases.
    kinds: BTreeMap<String, Vec<Difference>>,
    differences: usize,
    /// Pieces after which both had told something, and the same.
    same: usize,
    /// Cases without a difference.
    alike: usize,
}

/// Compares all cases.
pub(crate) fn all(cases: &[Case], ours: &Story, theirs: &Story) -> Found {
    let mut found = Found::default();
    for (number, case) in cases.iter().enumerate() {
        let before = found.differences;
        one(number, case, ours, theirs, &mut found);
        found.alike += usize::from(before == found.differences);
    }
    found
}

fn one(number: usize, case: &Case, ours: &Story, theirs: &Story, found: &mut Found) {
    let mut walk = Walk {
        case: number,
        is_client: case.is_client,
        found,
        parted: BTreeSet::new(),
        peer: Peer::default(),
    };
    let nothing = Told::default();
    for (piece, bytes) in case.pieces.iter().enumerate() {
        let at = (number, piece);
        let is_told = ours.contains_key(&at) || theirs.contains_key(&at);
        let ours = ours.get(&at).unwrap_or(&nothing);
        let theirs = in_our_words(theirs.get(&at).unwrap_or(&nothing), case.is_client);
        let frame = Frame::of(bytes, &walk.peer, case.is_client);
        if ours.dead.is_some() || theirs.dead.is_some() {
            return walk.death(piece, &frame, ours, &theirs);
        }
        let before = walk.found.differences;
        walk.streams(piece, &frame, ours, &theirs);
        walk.found.same += usize::from(is_told && before == walk.found.differences);
        if theirs.is_over {
            return;
        }
    }
}

/// On the way through a case.
struct Walk<'a> {
    case: usize,
    is_client: bool,
    found: &'a mut Found,
    /// Of a stream that one has reset and the other has not, nothing else can be the same.
    parted: BTreeSet<u32>,
    peer: Peer,
}

impl Walk<'_> {
    fn note(&mut self, piece: usize, kind: String, detail: String) {
        let case = self.case;
        self.found.differences += 1;
        let difference = Difference {
            case,
            piece,
            detail,
        };
        self.found.kinds.entry(kind).or_default().push(difference);
    }

    /// One has ended the connection, or both have.
    fn death(&mut self, piece: usize, frame: &Frame, ours: &Told, theirs: &Told) {
        let both = refusals(ours, theirs, frame.stream);
        let is_both = ours.dead.is_some() && theirs.dead.is_some();
        // What comes of an earlier difference is none of its own.
        if !is_both && !self.parted.contains(&frame.stream) {
            self.note(piece, format!("{}: {both}", frame.name), String::new());
        }
        if let Some(codes) = codes(ours.code, theirs.code) {
            let kind = format!("{}: {codes}: {both}", frame.name);
            self.note(piece, kind, String::new());
        }
    }

    fn streams(&mut self, piece: usize, frame: &Frame, ours: &Told, theirs: &Told) {
        if ours.acks != theirs.acks || ours.pongs != theirs.pongs {
            let kind = format!("{}: another answer", frame.name);
            self.note(piece, kind, format!("{ours:?}\n{theirs:?}"));
        }
        let none = OfStream::default();
        let all: BTreeSet<u32> = ours
            .streams
            .keys()
            .chain(theirs.streams.keys())
            .copied()
            .collect();
        for stream in all {
            if self.parted.contains(&stream) || stream == 0 {
                continue;
            }
            let here = ours.streams.get(&stream).unwrap_or(&none);
            let there = theirs.streams.get(&stream).unwrap_or(&none);
            if here == there && here.reset.is_none() {
                self.peer.note(stream, here);
                continue;
            }
            // Some frames concern several streams.
            let name = match self.peer.state(stream, self.is_client) {
                state if stream != frame.stream => format!("{}{state}", frame.name),
                _ => frame.name.clone(),
            };
            let mut what = refusals(ours, theirs, stream);
            match (here.reset, there.reset) {
                (Some(_), Some(_)) => {
                    self.peer.reset.insert(stream);
                    if let Some(codes) = codes(here.reset, there.reset) {
                        let kind = format!("{name}: {codes}: {what}");
                        self.note(piece, kind, String::new());
                    }
                    continue;
                }
                (None, None) => what = unlike(here, there),
                (Some(_), None) | (None, Some(_)) => {}
            }
            let detail = format!("stream {stream}\n    {here:?}\n    {there:?}");
            self.note(piece, format!("{name}: {what}"), detail);
            self.parted.insert(stream);
        }
    }
}

/// What both said against the peer.
fn refusals(ours: &Told, theirs: &Told, stream: u32) -> String {
    format!("{} | {}", said(ours, stream), said(theirs, stream))
}

/// What both know of the peer's streams.
#[derive(Debug, Default)]
struct Peer {
    /// A head came that is not interim.
    begun: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    /// By both.
    reset: BTreeSet<u32>,
    /// Requests for tunnels.
    tunnels: BTreeSet<u32>,
}

impl Peer {
    fn note(&mut self, stream: u32, told: &OfStream) {
        let is_final = |field: &Field| {
            field.0 == ":method" || field.0 == ":status" && !field.1.starts_with('1')
        };
        if told.heads.iter().flatten().any(is_final) {
            self.begun.insert(stream);
        }
        let is_connect = |field: &Field| field.0 == ":method" && field.1 == "CONNECT";
        if told.heads.iter().flatten().any(is_connect) {
            self.tunnels.insert(stream);
        }
        if told.ends || told.gone {
            self.ended.insert(stream);
        }
    }

    /// What a frame means depends on this.
    fn state(&self, stream: u32, is_client: bool) -> &'static str {
        if self.reset.contains(&stream) {
            " of a stream that was reset"
        } else if self.ended.contains(&stream) {
            " of a stream that the peer has ended"
        } else if is_untaken(stream) {
            " of a stream that nobody takes"
        } else if self.tunnels.contains(&stream) || is_client && stream == TUNNEL {
            " of a CONNECT"
        } else {
            ""
        }
    }
}

/// The frame of a piece, in words, and its stream.
struct Frame {
    name: String,
    stream: u32,
}

impl Frame {
    fn of(piece: &[u8], peer: &Peer, is_client: bool) -> Self {
        let octets = piece.get(5..9).and_then(|octets| octets.first_chunk());
        let stream = octets.map_or(0, |octets| u32::from_be_bytes(*octets) & 0x7fff_ffff);
        let state = peer.state(stream, is_client);
        // Blocks are named by the frame that begins them.
        let (name, state) = match piece.get(3) {
            _ if piece.starts_with(b"PRI") => ("preface", ""),
            Some(0) => ("DATA", state),
            Some(1) if peer.begun.contains(&stream) => ("trailers", state),
            Some(1) => ("HEADERS", state),
            Some(2) => ("PRIORITY", state),
            Some(3) => ("RST_STREAM", state),
            Some(4) => ("SETTINGS", ""),
            Some(5) => ("PUSH_PROMISE", ""),
            Some(6) => ("PING", ""),
            Some(7) => ("GOAWAY", ""),
            Some(8) => ("WINDOW_UPDATE", state),
            Some(9) => ("CONTINUATION", ""),
            Some(10..) | None => ("unknown", ""),
        };
        let name = format!("{name}{state}");
        Self { name, stream }
    }
}

/// Both have refused, with codes that are not the same.
fn codes(ours: Option<u32>, theirs: Option<u32>) -> Option<String> {
    let (ours, theirs) = (Code::of(ours?), Code::of(theirs?));
    (ours != theirs).then(|| format!("{ours:?} and {theirs:?}"))
}

/// What was told against the peer, without what is of this case only.
fn said(told: &Told, stream: u32) -> String {
    let reset = told
        .streams
        .get(&stream)
        .is_some_and(|told| told.reset.is_some());
    let why = told.why.first().map_or("", String::as_str);
    let (scope, reason) = match &told.dead {
        // What goes with GOAWAY says most.
        Some(reason) if !reason.is_empty() => ("connection", reason.as_str()),
        Some(_) => ("connection", why),
        None if reset => ("stream", why),
        None => return "taken".into(),
    };
    match general(reason) {
        reason if reason.is_empty() => scope.into(),
        reason => format!("{scope}, {reason}"),
    }
}

/// A reason of nghttp2's without numbers and values, of which there is no end: `value: [x]` is `value: []`.
fn general(reason: &str) -> String {
    let (front, _) = reason.split_once("value: [").unwrap_or((reason, ""));
    front
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect::<String>()
        .trim_end_matches([',', ' '])
        .to_owned()
}

fn unlike(ours: &OfStream, theirs: &OfStream) -> String {
    let mut what = Vec::new();
    let mut note = |differs: bool, name| what.extend(differs.then_some(name));
    note(ours.heads != theirs.heads, "head");
    note(ours.data != theirs.data, "data");
    note(ours.ends != theirs.ends, "end");
    note(ours.gone != theirs.gone, "reset by the peer");
    format!("another {}", what.join(", "))
}

fn in_our_words(theirs: &Told, is_client: bool) -> Told {
    let mut told = theirs.clone();
    for (stream, of_stream) in &mut told.streams {
        let head = |fields: &Vec<Field>| {
            let is_trailer = !fields.iter().any(|field| field.0.starts_with(':'));
            let fields = translated(fields, is_client && *stream == TUNNEL);
            fields.filter(|_| !(is_trailer && is_untaken(*stream)))
        };
        of_stream.heads = of_stream.heads.iter().filter_map(head).collect();
    }
    told.streams
        .retain(|_, of_stream| *of_stream != OfStream::default());
    told
}

impl Found {
    /// Says what was found; whether all of it is known.
    pub(crate) fn print(
        &self,
        cases: &[Case],
        known: &Known,
        out: &mut impl Write,
    ) -> io::Result<bool> {
        let pieces: usize = cases.iter().map(|case| case.pieces.len()).sum();
        writeln!(
            out,
            "{} cases, {pieces} frames and blocks; of {} both told something and the same; {} cases are alike to their end",
            cases.len(),
            self.same,
            self.alike,
        )?;
        let mut unseen: BTreeSet<&str> = known.all().collect();
        let mut is_fine = true;
        for (kind, found) in &self.kinds {
            let count = found.len();
            if let Some((listed, reason)) = known.reason(kind) {
                unseen.remove(listed);
                writeln!(out, "{count:6}  {kind}\n        {reason}")?;
                continue;
            }
            is_fine = false;
            writeln!(out, "{count:6}  NOT KNOWN  {kind}")?;
            for one in found.iter().take(3) {
                print_one(one, &cases[one.case], out)?;
            }
        }
        for kind in unseen {
            writeln!(out, "  none  {kind}")?;
        }
        Ok(is_fine)
    }
}

fn print_one(difference: &Difference, case: &Case, out: &mut impl Write) -> io::Result<()> {
    let Difference {
        case: number,
        piece,
        detail,
    } = difference;
    writeln!(
        out,
        "        case {number} ({}), piece {piece}: {detail}",
        case.label
    )?;
    for bytes in &case.pieces[piece.saturating_sub(3)..=*piece] {
        let shown = &bytes[..bytes.len().min(160)];
        let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "            {hex}\n            {}", escaped(shown))?;
    }
    Ok(())
}
