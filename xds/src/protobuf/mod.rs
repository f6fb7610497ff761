//! Objects in protobuf of Istio's own types, as istiod sends them, read into the document that somebody would have written.
//!
//! Owns what a message of the wire says (`read`) and which types there are (`types`), by tables of our own,
//! and what istiod means by what nobody wrote as it is (`meant`). What the fields
//! mean, and which of them there should not be, is found by who reads the document: a field that no table has is put into it by
//! its number, where it is as unknown as a name would be.

mod meant;
mod read;
mod table;
mod types;

pub use meant::is_of_api;
pub use read::{Fault, MAX_BYTES, MAX_DEPTH, MAX_VALUES};

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::Key;

/// What a message of this type says, as a document: durations as `5s`, enums by name, and a scalar in a message of its own bare.
/// Annotations tell of what istiod made it. `None` where it is not what such an object consists of.
///
/// # Errors
/// It is no message of that type, or one that holds too much.
#[must_use]
pub fn document(
    key: &Key,
    annotations: &BTreeMap<String, String>,
    type_url: &str,
    bytes: &[u8],
) -> Option<Result<Value, Fault>> {
    let of = types::of(key.kind, type_url)?;
    let read = read::document(of, bytes);
    Some(read.map(|mut fields| {
        meant::say(key, annotations, &mut fields);
        Value::Object(fields)
    }))
}

#[cfg(test)]
mod tests;
