//! Objects in protobuf of Istio's own types, as istiod sends them, read into the document that somebody would have written.
//!
//! Owns what a message of the wire says (`read`) and which types there are (`types`), by tables of our own. What the fields
//! mean, and which of them there should not be, is found by who reads the document: a field that no table has is put into it by
//! its number, where it is as unknown as a name would be.

mod read;
mod table;
mod types;

pub use read::{Fault, MAX_BYTES, MAX_DEPTH, MAX_VALUES};

use serde_json::{Map, Value};

use crate::object::Key;

/// What a message of this type says, as a document: durations as `5s`, enums by name, and a scalar in a message of its own bare.
/// `None` where it is not what such an object consists of.
///
/// # Errors
/// It is no message of that type, or one that holds too much.
#[must_use]
pub fn document(key: &Key, type_url: &str, bytes: &[u8]) -> Option<Result<Value, Fault>> {
    let of = types::of(key.kind, type_url)?;
    let read = read::document(of, bytes);
    Some(read.map(|mut fields| {
        if key.kind.is_mesh_config() {
            complete(&mut fields);
        }
        if key.kind.kind == "ServiceEntry" && key.name.starts_with(SYNTHETIC) {
            plain(&mut fields);
        }
        Value::Object(fields)
    }))
}

/// How istiod calls what it tells of a service that is none of a ServiceEntry.
const SYNTHETIC: &str = "synthetic-";

/// istiod has words for what such a service lacks, which a ServiceEntry has no words for: an address (`0.0.0.0`), and a protocol
/// that somebody declared.
fn plain(service: &mut Map<String, Value>) {
    if let Some(Value::Array(addresses)) = service.get_mut("addresses") {
        addresses.retain(|address| address != "0.0.0.0");
    }
    if let Some(Value::Array(ports)) = service.get_mut("ports") {
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            if port
                .get("protocol")
                .is_some_and(|said| said == "UnsupportedProtocol")
            {
                port.remove("protocol");
            }
        }
    }
}

/// istiod sends what is in force, defaults included: what is not there is zero, also where a file without it would stand for
/// something else.
fn complete(mesh: &mut Map<String, Value>) {
    mesh.entry("enableTracing").or_insert(Value::Bool(false));
}

#[cfg(test)]
mod tests;
