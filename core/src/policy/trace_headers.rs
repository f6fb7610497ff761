//! How traces stand in heads: W3C Trace Context (`traceparent`), and B3 in one header and in several.
//!
//! Owns both grammars, read and written. What is broken is read as absent: a trace that nobody can name is begun anew.
//! `tracestate` and `baggage` are not looked at, and stay beside the trace that they came with.

use smallvec::SmallVec;

use crate::decision::{SpanId, Trace, TraceForms, TraceId};
use crate::message::{Headers, Known};

/// The length of a `traceparent` of version 00.
const TRACEPARENT: usize = 55;

/// What the caller says of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Which trace, and the caller's span in it.
    pub context: Option<(TraceId, SpanId)>,
    /// Whether spans are to be told, if it has decided that.
    pub sampled: Option<bool>,
    /// It asks for all details (B3's debug).
    pub is_debug: bool,
    /// The forms that it said something in.
    pub forms: TraceForms,
}

/// Reads what the caller says. `prefers_w3c` tells which form counts where they disagree.
#[must_use]
pub fn read(headers: &Headers, prefers_w3c: bool) -> Caller {
    let (w3c, single, multi) = (read_w3c(headers), read_single(headers), read_multi(headers));
    let in_order = match prefers_w3c {
        true => [w3c, single, multi],
        false => [single, multi, w3c],
    };
    let mut caller = Caller::default();
    for said in in_order {
        caller.context = caller.context.or(said.context);
        caller.sampled = caller.sampled.or(said.sampled);
        caller.is_debug |= said.is_debug;
        caller.forms = caller.forms.or(said.forms);
    }
    caller
}

/// `traceparent` (Trace Context §3.2). More than one is none.
fn read_w3c(headers: &Headers) -> Caller {
    let mut values = headers.get_all(Known::Traceparent);
    let (Some(value), None) = (values.next(), values.next()) else {
        return Caller::default();
    };
    let Some((context, flags)) = parse_traceparent(value) else {
        return Caller::default();
    };
    Caller {
        context: Some(context),
        sampled: Some(flags & 1 == 1),
        is_debug: false,
        forms: TraceForms {
            w3c: true,
            ..TraceForms::default()
        },
    }
}

/// `version-trace-parent-flags`, in lower case. Later versions may say more behind another dash (§4.3).
fn parse_traceparent(value: &[u8]) -> Option<((TraceId, SpanId), u8)> {
    if value.len() < TRACEPARENT || value.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let version = hex(&value[..2])?;
    let is_whole = match version {
        0 => value.len() == TRACEPARENT,
        0xff => false,
        _ => value.get(TRACEPARENT).is_none_or(|byte| *byte == b'-'),
    };
    if !is_whole || [2, 35, 52].iter().any(|at| value[*at] != b'-') {
        return None;
    }
    let trace = TraceId {
        number: hex(&value[3..35]).filter(|id| *id != 0)?,
        is_short: false,
    };
    let flags = u8::try_from(hex(&value[53..55])?).ok()?;
    Some(((trace, span(&value[36..52])?), flags))
}

/// `b3`: `trace-span`, `trace-span-state` or `trace-span-state-parent`, or a state alone.
fn read_single(headers: &Headers) -> Caller {
    let Some(value) = headers.get(Known::B3) else {
        return Caller::default();
    };
    let forms = TraceForms {
        b3_single: true,
        ..TraceForms::default()
    };
    let said = |context, state: Option<&[u8]>| {
        let (sampled, is_debug) = match state {
            None => (None, false),
            Some(b"0") => (Some(false), false),
            Some(b"1") => (Some(true), false),
            Some(b"d") => (Some(true), true),
            Some(_) => return Caller::default(),
        };
        Caller {
            context,
            sampled,
            is_debug,
            forms,
        }
    };
    let mut parts = value.split(|byte| *byte == b'-');
    let first = parts.next().unwrap_or_default();
    let Some(second) = parts.next() else {
        return said(None, Some(first));
    };
    match (trace(first), span(second)) {
        (Some(trace), Some(span)) => said(Some((trace, span)), parts.next()),
        _ => Caller::default(),
    }
}

/// `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags`.
fn read_multi(headers: &Headers) -> Caller {
    let trace = headers.get(Known::XB3Traceid).and_then(trace);
    let context = trace.zip(headers.get(Known::XB3Spanid).and_then(span));
    let is_debug = headers.get(Known::XB3Flags) == Some(b"1");
    let sampled = match headers.get(Known::XB3Sampled) {
        _ if is_debug => Some(true),
        Some(b"1" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        Some(_) | None => None,
    };
    Caller {
        context,
        sampled,
        is_debug,
        forms: TraceForms {
            b3_multi: context.is_some() || sampled.is_some(),
            ..TraceForms::default()
        },
    }
}

/// A trace of B3: 128 or 64 bits.
fn trace(text: &[u8]) -> Option<TraceId> {
    let is_short = match text.len() {
        16 => true,
        32 => false,
        _ => return None,
    };
    let number = hex(text).filter(|id| *id != 0)?;
    Some(TraceId { number, is_short })
}

fn span(text: &[u8]) -> Option<SpanId> {
    let number = (text.len() == 16).then(|| hex(text)).flatten()?;
    let number = u64::try_from(number).ok().filter(|id| *id != 0)?;
    Some(SpanId(number))
}

fn hex(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number: u128, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | u128::from(digit))
    })
}

/// Says that the request is sent by `span` of a sampled trace, in every form that it is to be passed on in.
pub fn write(headers: &mut Headers, trace: &Trace, span: SpanId) {
    let forms = trace.forms;
    let (id, sender) = (trace_digits(trace.id), span_digits(span));
    if forms.w3c {
        headers.set(Known::Traceparent, &traceparent(trace.id, span, b'1'));
    }
    if !forms.b3_single && !forms.b3_multi {
        return;
    }
    let parent = span_digits(trace.span);
    if forms.b3_single {
        let state: &[u8] = if trace.is_debug { b"-d-" } else { b"-1-" };
        let parts = [&id[..], b"-", &sender, state, &parent];
        let value: SmallVec<[u8; 72]> =
            parts.iter().flat_map(|part| part.iter().copied()).collect();
        headers.set(Known::B3, &value);
    }
    if forms.b3_multi {
        headers.set(Known::XB3Traceid, &id);
        headers.set(Known::XB3Spanid, &sender);
        headers.set(Known::XB3Parentspanid, &parent);
        // Debug implies the decision, which must not stand beside it.
        if trace.is_debug {
            headers.set(Known::XB3Flags, b"1");
            headers.remove(Known::XB3Sampled);
        } else {
            headers.set(Known::XB3Sampled, b"1");
        }
    }
}

/// Says that nothing is told of a trace that begins here, so that nobody further on decides anew.
pub fn decline(headers: &mut Headers, trace: &Trace) {
    let forms = trace.forms;
    if forms.w3c {
        let value = traceparent(trace.id, trace.span, b'0');
        headers.set(Known::Traceparent, &value);
    }
    if forms.b3_single {
        headers.set(Known::B3, b"0");
    }
    if forms.b3_multi {
        headers.set(Known::XB3Sampled, b"0");
    }
}

fn traceparent(trace: TraceId, span: SpanId, flag: u8) -> [u8; TRACEPARENT] {
    let mut text = *b"00-................................-................-0f";
    let number = trace.number;
    text[3..19].copy_from_slice(&digits((number >> 64) as u64));
    text[19..35].copy_from_slice(&digits(number as u64));
    text[36..52].copy_from_slice(&digits(span.0));
    text[TRACEPARENT - 1] = flag;
    text
}

fn trace_digits(trace: TraceId) -> SmallVec<[u8; 32]> {
    let mut text = SmallVec::new();
    if !trace.is_short {
        text.extend_from_slice(&digits((trace.number >> 64) as u64));
    }
    text.extend_from_slice(&digits(trace.number as u64));
    text
}

fn span_digits(span: SpanId) -> [u8; 16] {
    digits(span.0)
}

fn digits(mut number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
    text
}

/// Takes out what belongs to a trace that is not continued.
pub fn forget(headers: &mut Headers) {
    for name in [
        Known::Traceparent,
        Known::Tracestate,
        Known::B3,
        Known::XB3Traceid,
        Known::XB3Spanid,
        Known::XB3Parentspanid,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
