//! What stands on the wire (<https://protobuf.dev/programming-guides/encoding/>), as a document.
//!
//! Values are those of protobuf's JSON form, but for whole numbers of 64 bits, which stand bare. Where a field that there is one
//! of comes again, messages are merged and of anything else the last counts.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_types::Struct;
use serde_json::{Map, Number, Value};

use super::table::{Field, Kind, Message, Symbols};
use crate::structs;

/// Bytes of one object: 4 MiB. Kubernetes keeps none larger than 1.5 MiB.
pub const MAX_BYTES: usize = 4 << 20;

/// Values in one object, messages and entries of maps included.
pub const MAX_VALUES: usize = 262_144;

/// Messages in messages.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They do not say what they claim to, in this field of this message; 0 where they end in the middle of it or are none.
    Torn(&'static str, u32),
    /// There are more than [`MAX_BYTES`] of them.
    TooLong(usize),
    /// There are more than [`MAX_VALUES`] values in them.
    TooMany,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn(message, 0) => write!(f, "its bytes are no `{message}`"),
            Self::Torn(message, number) => {
                write!(f, "field {number} of a `{message}` in it cannot be read")
            }
            Self::TooLong(bytes) => write!(f, "it has {bytes} bytes, more than {MAX_BYTES}"),
            Self::TooMany => write!(f, "it holds more than {MAX_VALUES} values"),
            Self::TooDeep => write!(f, "it is nested deeper than {MAX_DEPTH} messages"),
        }
    }
}

impl std::error::Error for Fault {}

/// What a message says.
///
/// # Errors
/// It is none, or holds too much.
pub(super) fn document(of: &'static Message, bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault::TooLong(bytes.len()));
    }
    let mut document = Map::new();
    Reader { left: MAX_VALUES }.message(of, bytes, MAX_DEPTH, &mut document)?;
    Ok(document)
}

struct Reader {
    /// Values that there is still room for.
    left: usize,
}

/// A value as the wire has it.
#[derive(Clone, Copy)]
enum Wire<'b> {
    Varint(u64),
    Eight([u8; 8]),
    Bytes(&'b [u8]),
}

/// It is not what it should be: whose field it is says the caller.
struct Other;

impl Reader {
    fn message(
        &mut self,
        of: &'static Message,
        mut bytes: &[u8],
        depth: usize,
        into: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes).map_err(|_| Fault::Torn(of.name, 0))?;
            let torn = |_: Other| Fault::Torn(of.name, number);
            self.left = self.left.checked_sub(1).ok_or(Fault::TooMany)?;
            let Some(field) = of.field(number) else {
                skip_field(wire, number, &mut bytes, DecodeContext::default())
                    .map_err(|_| Fault::Torn(of.name, number))?;
                // As unknown as a name would be: who reads the document tells of it.
                into.insert(format!("field {number} of {}", of.name), Value::Bool(true));
                continue;
            };
            let wire = next(wire, &mut bytes).map_err(torn)?;
            match (field.kind, wire) {
                (Kind::Map(key, value), Wire::Bytes(entry)) => {
                    let map = object(into, field.name);
                    let (key, value) = self.entry(of, number, (key, value), entry, depth)?;
                    map.insert(key, value);
                }
                (Kind::Message(inner), Wire::Bytes(inside)) if !field.is_list => {
                    self.message(inner, inside, depth, object(into, field.name))?;
                }
                (kind, Wire::Bytes(many)) if field.is_list && is_packable(kind) => {
                    self.packed(of, field, many, list(into, field))?;
                }
                (kind, wire) => {
                    let value = self.value(of, number, kind, wire, depth)?;
                    if field.is_list {
                        list(into, field).push(value);
                    } else {
                        into.insert(field.name.to_owned(), value);
                    }
                }
            }
        }
        Ok(())
    }

    /// One value of a field of `whose`.
    fn value(
        &mut self,
        whose: &'static Message,
        number: u32,
        kind: Kind,
        wire: Wire<'_>,
        depth: usize,
    ) -> Result<Value, Fault> {
        let value = match (kind, wire) {
            (Kind::Message(of), Wire::Bytes(inside)) => {
                let mut map = Map::new();
                self.message(of, inside, depth, &mut map)?;
                return Ok(Value::Object(map));
            }
            (Kind::Duration, Wire::Bytes(inside)) => duration(inside),
            (Kind::Wrapped(of), Wire::Bytes(inside)) => wrapped(*of, inside),
            (Kind::Free, Wire::Bytes(inside)) => Struct::decode(inside)
                .map(structs::to_json)
                .map_err(|_| Other),
            (kind, wire) => scalar(kind, wire),
        };
        value.map_err(|_| Fault::Torn(whose.name, number))
    }

    /// Scalars without keys, one behind the other.
    fn packed(
        &mut self,
        whose: &'static Message,
        field: &Field,
        mut bytes: &[u8],
        list: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        let wire = match field.kind {
            Kind::Double => WireType::SixtyFourBit,
            _ => WireType::Varint,
        };
        while !bytes.is_empty() {
            self.left = self.left.checked_sub(1).ok_or(Fault::TooMany)?;
            let value = next(wire, &mut bytes).and_then(|wire| scalar(field.kind, wire));
            list.push(value.map_err(|_| Fault::Torn(whose.name, field.number))?);
        }
        Ok(())
    }

    /// An entry of a map: a message whose first field is the key, and whose second is the value.
    fn entry(
        &mut self,
        whose: &'static Message,
        number: u32,
        (of_key, of_value): (&'static Kind, &'static Kind),
        mut bytes: &[u8],
        depth: usize,
    ) -> Result<(String, Value), Fault> {
        let torn = |_: Other| Fault::Torn(whose.name, number);
        let (mut key, mut value) = (empty(*of_key), empty(*of_value));
        while !bytes.is_empty() {
            let (at, wire) = decode_key(&mut bytes).map_err(|_| torn(Other))?;
            let wire = next(wire, &mut bytes).map_err(torn)?;
            match at {
                1 => key = self.value(whose, number, *of_key, wire, depth)?,
                2 => value = self.value(whose, number, *of_value, wire, depth)?,
                _ => return Err(torn(Other)),
            }
        }
        let key = match key {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok((key, value))
    }
}

/// The value behind a key.
fn next<'b>(wire: WireType, bytes: &mut &'b [u8]) -> Result<Wire<'b>, Other> {
    match wire {
        WireType::Varint => decode_varint(bytes).map(Wire::Varint).map_err(|_| Other),
        WireType::SixtyFourBit => {
            let (eight, rest) = bytes.split_first_chunk().ok_or(Other)?;
            *bytes = rest;
            Ok(Wire::Eight(*eight))
        }
        WireType::LengthDelimited => {
            let length = decode_varint(bytes).map_err(|_| Other)?;
            let length = usize::try_from(length).map_err(|_| Other)?;
            let (inside, rest) = bytes.split_at_checked(length).ok_or(Other)?;
            *bytes = rest;
            Ok(Wire::Bytes(inside))
        }
        // No field of ours is of four bytes or a group.
        WireType::ThirtyTwoBit | WireType::StartGroup | WireType::EndGroup => Err(Other),
    }
}

fn scalar(kind: Kind, wire: Wire<'_>) -> Result<Value, Other> {
    Ok(match (kind, wire) {
        (Kind::Text, Wire::Bytes(text)) => std::str::from_utf8(text).map_err(|_| Other)?.into(),
        (Kind::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Flag, Wire::Varint(is)) => (is != 0).into(),
        (Kind::Int32, Wire::Varint(number)) => low_signed(number).into(),
        (Kind::Uint32, Wire::Varint(number)) => low(number).into(),
        (Kind::Int64, Wire::Varint(number)) => number.cast_signed().into(),
        (Kind::Uint64, Wire::Varint(number)) => number.into(),
        (Kind::Symbol(symbols), Wire::Varint(number)) => named(symbols, low_signed(number)),
        (Kind::Double, Wire::Eight(bytes)) => double(f64::from_le_bytes(bytes)),
        _ => return Err(Other),
    })
}

/// Of 64 bits on the wire a number of 32 has the lower ones.
fn low(number: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "that is how it is read")]
    {
        number as u32
    }
}

fn low_signed(number: u64) -> i32 {
    low(number).cast_signed()
}

/// By its name; a number that has none yet is one.
fn named(symbols: Symbols, number: i32) -> Value {
    let name = symbols.iter().find(|(known, _)| *known == number);
    name.map_or_else(|| number.into(), |(_, name)| (*name).into())
}

/// What JSON cannot say stands in words, as in protobuf's JSON form, and is told by who reads it.
fn double(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}

/// A `google.protobuf.Duration` in seconds, such as `5s` and `0.250s`.
fn duration(bytes: &[u8]) -> Result<Value, Other> {
    let [seconds, nanos] = varints(bytes)?;
    let nanos = i128::from(seconds.cast_signed()) * 1_000_000_000 + i128::from(low_signed(nanos));
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, part) = (
        nanos.unsigned_abs() / 1_000_000_000,
        nanos.unsigned_abs() % 1_000_000_000,
    );
    Ok(match part {
        0 => format!("{sign}{whole}s"),
        _ if part % 1_000_000 == 0 => format!("{sign}{whole}.{:03}s", part / 1_000_000),
        _ if part % 1_000 == 0 => format!("{sign}{whole}.{:06}s", part / 1_000),
        _ => format!("{sign}{whole}.{part:09}s"),
    }
    .into())
}

/// The first two fields of a message that has numbers alone.
fn varints(mut bytes: &[u8]) -> Result<[u64; 2], Other> {
    let mut numbers = [0; 2];
    while !bytes.is_empty() {
        let (number, wire) = decode_key(&mut bytes).map_err(|_| Other)?;
        let Wire::Varint(value) = next(wire, &mut bytes)? else {
            return Err(Other);
        };
        let at = (number as usize).wrapping_sub(1);
        *numbers.get_mut(at).ok_or(Other)? = value;
    }
    Ok(numbers)
}

/// The scalar in a message of its own; absent in there it is zero.
fn wrapped(kind: Kind, mut bytes: &[u8]) -> Result<Value, Other> {
    let mut value = empty(kind);
    while !bytes.is_empty() {
        let (number, wire) = decode_key(&mut bytes).map_err(|_| Other)?;
        let wire = next(wire, &mut bytes)?;
        if number != 1 {
            return Err(Other);
        }
        value = scalar(kind, wire)?;
    }
    Ok(value)
}

const fn is_packable(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Flag
            | Kind::Int32
            | Kind::Uint32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Double
            | Kind::Symbol(_)
    )
}

/// What stands for nothing in an entry of a map, and in a message for a scalar.
fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Bytes => "".into(),
        Kind::Flag => false.into(),
        Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 => 0.into(),
        Kind::Double => 0.0.into(),
        Kind::Symbol(symbols) => named(symbols, 0),
        Kind::Duration => "0s".into(),
        Kind::Free | Kind::Message(_) | Kind::Map(..) => Value::Object(Map::new()),
        Kind::Wrapped(of) => empty(*of),
    }
}

/// The mapping of this name, which may have been begun.
fn object<'m>(into: &'m mut Map<String, Value>, name: &str) -> &'m mut Map<String, Value> {
    let empty = || Value::Object(Map::new());
    match into.entry(name).or_insert_with(empty) {
        Value::Object(map) => map,
        // A field is of one kind: what stands there was put there above.
        _ => unreachable!("a message where something else was"),
    }
}

fn list<'m>(into: &'m mut Map<String, Value>, field: &Field) -> &'m mut Vec<Value> {
    let empty = || Value::Array(Vec::new());
    match into.entry(field.name).or_insert_with(empty) {
        Value::Array(list) => list,
        _ => unreachable!("a list where something else was"),
    }
}
