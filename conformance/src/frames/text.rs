//! Frames as a case writes them: what is sent becomes bytes, what is awaited a first line and fields.

use crate::Problem;
use crate::escape::unescape;
use crate::script::{self, Action, Awaited, Role, Step};

/// What a client begins with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames, by number.
pub(super) const KINDS: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

/// Error codes, by number (RFC 9113 §7).
pub const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Settings, and their numbers (RFC 9113 §6.5.2, RFC 8441 §3).
pub(super) const SETTINGS: [(&str, u16); 7] = [
    ("HEADER_TABLE_SIZE", 1),
    ("ENABLE_PUSH", 2),
    ("MAX_CONCURRENT_STREAMS", 3),
    ("INITIAL_WINDOW_SIZE", 4),
    ("MAX_FRAME_SIZE", 5),
    ("MAX_HEADER_LIST_SIZE", 6),
    ("ENABLE_CONNECT_PROTOCOL", 8),
];

/// Parses a script in frames. `first_line` is the line of its first line in `file`.
///
/// # Errors
/// A line that means nothing.
pub fn parse(file: &str, first_line: usize, text: &str, role: Role) -> Result<Vec<Step>, Problem> {
    let mut steps = vec![Step {
        line: first_line,
        action: Action::Frames,
    }];
    let mut is_greeted = false;
    let mut lines = (first_line..).zip(text.lines()).peekable();
    while let Some((number, line)) = lines.next() {
        let wrong = |what: String| Problem::new(file, number, what);
        let step = |action| Step {
            line: number,
            action,
        };
        match line.chars().next() {
            None | Some('#') => {}
            Some('*') => {
                script::commands(line[1..].trim(), number, &mut steps).map_err(wrong)?;
            }
            Some(arrow @ ('>' | '<')) => {
                let mut rest = Vec::new();
                while let Some((_, next)) = lines.next_if(|(_, next)| is_field_of(next, arrow)) {
                    rest.push(next[1..].trim_start_matches("   "));
                }
                let first = line[1..].trim();
                if (arrow == '>') == (role == Role::Client) {
                    let mut bytes = greeting(first, role, &mut is_greeted);
                    bytes.extend(frame(first, &rest).map_err(wrong)?);
                    steps.push(step(Action::Send(bytes)));
                } else {
                    if !is_greeted {
                        steps.push(step(Action::Send(greeting("", role, &mut is_greeted))));
                    }
                    steps.push(step(Action::Await(awaited(first, &rest).map_err(wrong)?)));
                }
            }
            Some(_) => {
                return Err(wrong(format!(
                    "`{line}` begins with none of `>`, `<`, `*` and `#`"
                )));
            }
        }
    }
    Ok(steps)
}

/// Fields and payloads of a frame stand below it, further in.
fn is_field_of(line: &str, arrow: char) -> bool {
    line.strip_prefix(arrow)
        .is_some_and(|l| l.starts_with("   "))
}

/// What goes before everything else, unless the script says it.
fn greeting(first: &str, role: Role, is_greeted: &mut bool) -> Vec<u8> {
    if std::mem::replace(is_greeted, true) || first.starts_with("RAW") {
        return Vec::new();
    }
    let mut bytes = match role {
        Role::Client => PREFACE.to_vec(),
        Role::Service => Vec::new(),
    };
    if !first.starts_with("SETTINGS") {
        put(4, 0, 0, &[], &mut bytes);
    }
    bytes
}

pub(super) fn put(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    // No case has a payload of 16 MiB.
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A frame as bytes, perhaps several times.
fn frame(first: &str, rest: &[&str]) -> Result<Vec<u8>, String> {
    if let Some((count, one)) = first.split_once(" x ") {
        let count: u32 = number(count)?;
        let mut bytes = Vec::new();
        for n in 0..count {
            bytes.extend(single(one, rest, 2 * n)?);
        }
        return Ok(bytes);
    }
    single(first, rest, 0)
}

/// One frame, on a stream that is so much higher than the one that is written.
fn single(first: &str, rest: &[&str], above: u32) -> Result<Vec<u8>, String> {
    let (words, flags) = flags(first);
    let text = || unescape(&rest.join("\r\n"));
    let mut out = Vec::new();
    match *words {
        ["RAW"] => return text(),
        ["FRAME", kind, flags, stream] => {
            let kind = u8::try_from(number::<u32>(kind)?).map_err(|e| e.to_string())?;
            let flags = u8::try_from(number::<u32>(flags)?).map_err(|e| e.to_string())?;
            put(kind, flags, number(stream)?, &text()?, &mut out);
        }
        ["DATA", stream] => put(0, flags & 1, number(stream)?, &text()?, &mut out),
        ["HEADERS", stream] => put(
            1,
            flags,
            number::<u32>(stream)? + above,
            &block(&[], rest)?,
            &mut out,
        ),
        ["CONTINUATION", stream] => {
            put(9, flags & 4, number(stream)?, &block(&[], rest)?, &mut out);
        }
        ["RST_STREAM", stream, code] => {
            put(
                3,
                0,
                number::<u32>(stream)? + above,
                &code_number(code)?.to_be_bytes(),
                &mut out,
            );
        }
        ["SETTINGS", "ACK"] => put(4, 1, 0, &[], &mut out),
        ["SETTINGS"] => {
            let mut payload = Vec::new();
            for line in rest {
                let (name, value) = line.split_once(": ").ok_or("write `NAME: value`")?;
                let known = SETTINGS.iter().find(|(n, _)| *n == name);
                let (_, id) = known.ok_or_else(|| format!("`{name}` is no setting"))?;
                payload.extend_from_slice(&id.to_be_bytes());
                payload.extend_from_slice(&number::<u32>(value)?.to_be_bytes());
            }
            put(4, 0, 0, &payload, &mut out);
        }
        ["PING"] => put(6, 0, 0, b"01234567", &mut out),
        ["GOAWAY", last, code] => {
            let mut payload = number::<u32>(last)?.to_be_bytes().to_vec();
            payload.extend(code_number(code)?.to_be_bytes());
            put(7, 0, 0, &payload, &mut out);
        }
        ["WINDOW_UPDATE", stream, increment] => {
            let increment = number::<u32>(increment)?.to_be_bytes();
            put(8, 0, number(stream)?, &increment, &mut out);
        }
        [status, stream] if is_status(status) => {
            put(
                1,
                flags,
                number(stream)?,
                &block(&[(":status", status)], rest)?,
                &mut out,
            );
        }
        [method, stream, target] if is_method(method) => {
            let (authority, path) = split_target(target);
            let pseudo = [
                (":method", method),
                (":scheme", "http"),
                (":authority", authority),
                (":path", path),
            ];
            put(
                1,
                flags,
                number::<u32>(stream)? + above,
                &block(&pseudo, rest)?,
                &mut out,
            );
        }
        _ => return Err(format!("`{first}` is no frame")),
    }
    Ok(out)
}

/// Words that are no flags, and the flags. A header block ends with its frame, unless it `CONTINUES`.
fn flags(first: &str) -> (Vec<&str>, u8) {
    let (mut words, mut flags) = (Vec::new(), 4);
    for word in first.split_whitespace() {
        match word {
            "END_STREAM" => flags |= 1,
            "CONTINUES" => flags &= !4,
            word => words.push(word),
        }
    }
    (words, flags)
}

/// Literals without a table (RFC 7541 §6.2.2): what they say is what the case says.
fn block(pseudo: &[(&str, &str)], rest: &[&str]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for (name, value) in pseudo {
        literal(name.as_bytes(), value.as_bytes(), &mut out);
    }
    for line in rest {
        if let Some(bytes) = line.strip_prefix("RAW ") {
            out.extend(unescape(bytes)?);
            continue;
        }
        let colon = line.char_indices().skip(1).find(|(_, c)| *c == ':');
        let (at, _) = colon.ok_or_else(|| format!("`{line}` is no `name: value`"))?;
        let value = line[at + 1..]
            .strip_prefix(' ')
            .unwrap_or_else(|| &line[at + 1..]);
        literal(&unescape(&line[..at])?, &unescape(value)?, &mut out);
    }
    Ok(out)
}

fn literal(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    for text in [name, value] {
        // RFC 7541 §5.1, with a prefix of 7 bits.
        match text.len() {
            short @ 0..127 => out.push(short as u8),
            long => {
                out.push(127);
                let mut left = long - 127;
                while left >= 128 {
                    out.push((left % 128) as u8 | 128);
                    left /= 128;
                }
                out.push(left as u8);
            }
        }
        out.extend_from_slice(text);
    }
}

/// A frame that must come: its type, stream and words in the first line, then fields or a payload.
fn awaited(first: &str, rest: &[&str]) -> Result<Awaited, String> {
    let (mut words, flags) = flags(first);
    let mut wanted = Awaited::default();
    let mut expect = |name: &str, value: &str| {
        wanted.fields.push((name.to_owned(), value.to_owned()));
    };
    match *words {
        [status, stream] if is_status(status) => {
            expect(":status", status);
            words = vec!["HEADERS", stream];
        }
        [method, stream, target] if is_method(method) => {
            let (authority, path) = split_target(target);
            expect(":method", method);
            expect(":authority", authority);
            expect(":path", path);
            words = vec!["HEADERS", stream];
        }
        [kind, ..] if KINDS.contains(&kind) => {}
        _ => return Err(format!("`{first}` is no frame")),
    }
    wanted.first = words.join(" ");
    if flags & 1 == 1 {
        wanted.first += " END_STREAM";
    }
    if words.first() == Some(&"DATA") {
        wanted.body = Some(unescape(&rest.join("\r\n"))?);
        return Ok(wanted);
    }
    for line in rest {
        match line.strip_prefix('!') {
            Some(name) => wanted.absent.push(name.to_owned()),
            None => {
                let colon = line.char_indices().skip(1).find(|(_, c)| *c == ':');
                let (at, _) = colon.ok_or_else(|| format!("`{line}` is no `name: value`"))?;
                let value = line[at + 1..].trim().to_owned();
                wanted.fields.push((line[..at].to_owned(), value));
            }
        }
    }
    Ok(wanted)
}

fn is_status(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit())
}

/// Names of frames are none, though they look like it.
fn is_method(word: &str) -> bool {
    let is_name = KINDS.contains(&word) || ["FRAME", "RAW"].contains(&word);
    !is_name && word.bytes().all(|b| b.is_ascii_uppercase())
}

fn split_target(target: &str) -> (&str, &str) {
    target.split_at(target.find('/').unwrap_or(target.len()))
}

fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    let number = parsed.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("`{text}` is no number, or too large"))
}

fn code_number(name: &str) -> Result<u32, String> {
    let known = (0..).zip(CODES).find(|(_, code)| *code == name);
    known.map_or_else(|| number(name), |(number, _)| Ok(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> String {
        let steps = parse("f", 1, text, Role::Client).unwrap();
        let bytes = steps.iter().filter_map(|step| match &step.action {
            Action::Send(bytes) => Some(bytes.clone()),
            _ => None,
        });
        let all = bytes.collect::<Vec<_>>().concat();
        all.escape_ascii().to_string()
    }

    #[test]
    fn frames_become_bytes() {
        let hello = format!(
            r"{}\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            PREFACE.escape_ascii()
        );
        for (text, want) in [
            ("> RAW\n>   GET\\n", "GET\\n".to_owned()),
            (
                "> PING",
                format!(r"{hello}\x00\x00\x08\x06\x00\x00\x00\x00\x0001234567"),
            ),
            (
                "> SETTINGS\n>   MAX_CONCURRENT_STREAMS: 258",
                format!(
                    r"{}\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x01\x02",
                    PREFACE.escape_ascii()
                ),
            ),
            (
                "> HEADERS 3 END_STREAM CONTINUES\n>   a: b",
                format!(r"{hello}\x00\x00\x05\x01\x01\x00\x00\x00\x03\x00\x01a\x01b"),
            ),
            (
                "> 2 x RST_STREAM 5 CANCEL",
                format!(
                    r"{hello}\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x08\x00\x00\x04\x03\x00\x00\x00\x00\x07\x00\x00\x00\x08"
                ),
            ),
        ] {
            assert_eq!(sent(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_awaited_has_words_and_fields() {
        let steps = parse(
            "f",
            1,
            "< 200 1 END_STREAM\n<   a: b\n<   !c\n",
            Role::Client,
        )
        .unwrap();
        let Some(Action::Await(wanted)) = steps.last().map(|step| &step.action) else {
            panic!("{steps:?}")
        };
        assert_eq!(wanted.first, "HEADERS 1 END_STREAM");
        assert_eq!(wanted.fields.len(), 2);
        assert_eq!(wanted.absent, ["c"]);
        for text in [
            "> DANCE",
            "> RST_STREAM 1 NONE",
            "> SETTINGS\n>   X: 1",
            "x",
        ] {
            assert!(parse("f", 1, text, Role::Client).is_err(), "{text}");
        }
    }
}
