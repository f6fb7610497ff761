//! What is said and heard in HTTP/2, what is known of a stream, and what heads may not hold.

use std::collections::VecDeque;

use crate::hpack::Field;

/// What we say at the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says {
    /// How large the table of the other side's fields may be.
    pub(crate) table: usize,
    /// What it may send on a stream before it hears more, at least what the protocol begins with.
    pub(crate) window: i64,
    /// How many streams it may have, if it begins them.
    pub(crate) streams: Option<u32>,
}

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Head(u32, Vec<Field>),
    Data(u32, Vec<u8>),
    /// The other side has ended a stream, with these trailers.
    End(u32, Vec<Field>),
    /// A stream is over without its end.
    Reset(u32, u32),
    /// No stream after this one is looked at.
    Leaves(u32),
}

/// A stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// What may be sent.
    pub(super) room: i64,
    pub(super) waits: VecDeque<Vec<u8>>,
    pub(super) end: Option<Vec<Field>>,
    pub(super) has_sent_end: bool,
    pub(super) has_head: bool,
    pub(super) has_ended: bool,
    /// What the other side may still send.
    pub(super) allowed: i64,
    /// Bytes of the body that the head promised.
    pub(super) promised: Option<u64>,
    pub(super) came: u64,
}

/// RFC 9113 §8.2: names in lower case, no control characters, pseudo-fields first and once, nothing of a connection.
pub(super) fn well_formed(fields: &[Field]) -> Result<(), String> {
    let mut is_regular = false;
    for (at, (name, value)) in fields.iter().enumerate() {
        let is_pseudo = name.starts_with(':');
        let is_name = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && c != ':';
        let is_bad = !name.trim_start_matches(':').chars().all(is_name)
            || name.len() == usize::from(is_pseudo)
            || value.chars().any(|c| matches!(c, '\0' | '\r' | '\n'))
            || is_pseudo && (is_regular || fields[..at].iter().any(|(other, _)| other == name))
            || [
                "connection",
                "keep-alive",
                "proxy-connection",
                "transfer-encoding",
                "upgrade",
                "host",
            ]
            .contains(&&**name)
            || name == "te" && value != "trailers";
        if is_bad {
            return Err(format!("`{name}: {value}` in {fields:?}"));
        }
        is_regular |= !is_pseudo;
    }
    Ok(())
}

/// RFC 9113 §8.3.1, §8.5, RFC 8441 §4.
pub(super) fn asks(fields: &[Field]) -> Result<(), String> {
    let has = |name: &str| fields.iter().any(|(n, v)| n == name && !v.is_empty());
    let is = |name: &str, value: &str| fields.iter().any(|(n, v)| n == name && v == value);
    let is_plain_connect = is(":method", "CONNECT") && !has(":protocol");
    let is_whole = match is_plain_connect {
        true => has(":authority") && !has(":path") && !has(":scheme"),
        false => [":method", ":path", ":scheme", ":authority"]
            .into_iter()
            .all(has),
    };
    match is_whole {
        true => Ok(()),
        false => Err(format!("no request: {fields:?}")),
    }
}

/// A number of a frame.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// What a frame carries beside its padding.
pub(super) fn unpadded(flags: u8, payload: &[u8]) -> Result<&[u8], String> {
    if flags & 8 == 0 {
        return Ok(payload);
    }
    let (pad, rest) = payload.split_first().ok_or("no room for padding")?;
    let end = rest.len().checked_sub(usize::from(*pad));
    let end = end.ok_or("more padding than there is")?;
    Ok(&rest[..end])
}
