//! Who is on the other side, as its sidecar says: Istio's `x-envoy-peer-metadata`, a base64 of a protobuf `Struct`.
//!
//! Nobody proves what stands there, so it is good for metrics and for nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use outrigger_core::peer::Identity;
use outrigger_core::snapshot::LONGEST_METADATA;

/// With padding at its end or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The names that metadata give a workload; `None` when they cannot be understood.
pub(crate) fn identity(metadata: &[u8]) -> Option<Identity> {
    let bytes = Some(metadata).filter(|text| text.len() <= LONGEST_METADATA)?;
    let bytes = BASE64.decode(bytes).ok()?;
    let fields = fields(&bytes)?;
    let text = |name: &str| match fields.get(name) {
        Some(Value::Text(text)) => text.as_str(),
        Some(Value::Fields(_)) | None => "",
    };
    let labels = match fields.get("LABELS") {
        Some(Value::Fields(labels)) => self::fields(labels)?,
        Some(Value::Text(_)) | None => BTreeMap::new(),
    };
    let labels = labels.into_iter().filter_map(|(name, value)| match value {
        Value::Text(text) => Some((name, text)),
        Value::Fields(_) => None,
    });
    let identity = Identity::of(text("WORKLOAD_NAME"), text("NAMESPACE"), &labels.collect());
    Some(Identity {
        cluster: text("CLUSTER_ID").into(),
        ..identity
    })
}

/// A value of a `Struct`, as far as it matters here.
enum Value<'a> {
    Text(String),
    /// A `Struct` of its own.
    Fields(&'a [u8]),
}

/// `google.protobuf.Struct`: field 1 is a map, each of whose entries has its key in field 1 and its value in field 2.
fn fields(bytes: &[u8]) -> Option<BTreeMap<String, Value<'_>>> {
    let mut all = BTreeMap::new();
    for entry in messages(bytes, 1) {
        let entry = entry?;
        let key = messages(entry, 1).next()??;
        let key = String::from_utf8(key.to_vec()).ok()?;
        let Some(value) = messages(entry, 2).next() else {
            continue;
        };
        let value = value?;
        // `google.protobuf.Value`: 3 is a string, 5 a `Struct`.
        if let Some(text) = messages(value, 3).next() {
            all.insert(key, Value::Text(String::from_utf8(text?.to_vec()).ok()?));
        } else if let Some(inside) = messages(value, 5).next() {
            all.insert(key, Value::Fields(inside?));
        }
    }
    Some(all)
}

/// The fields of one number that have a length, in order; `None` ends them where the encoding is broken.
fn messages(bytes: &[u8], number: u64) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        loop {
            let before = rest.filter(|rest| !rest.is_empty())?;
            let Some((field, kind, inside, after)) = field(before) else {
                rest = None;
                return Some(None);
            };
            rest = Some(after);
            if field == number && kind == 2 {
                return Some(Some(inside));
            }
        }
    })
}

/// The number, the wire type, the content and what follows it.
fn field(bytes: &[u8]) -> Option<(u64, u64, &[u8], &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let (length, rest) = match tag & 7 {
        0 => return varint(rest).map(|(_, after)| (tag >> 3, 0, &[][..], after)),
        1 => (8, rest),
        2 => varint(rest)?,
        5 => (4, rest),
        _ => return None,
    };
    let (inside, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((tag >> 3, tag & 7, inside, after))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use outrigger_core::snapshot::OwnMetadata;

    use super::*;

    fn message(number: u8, inside: &[u8]) -> Vec<u8> {
        let length = u8::try_from(inside.len()).unwrap();
        assert!(length < 128, "one byte is enough here");
        [&[number << 3 | 2, length], inside].concat()
    }

    fn entry(key: &str, value: &[u8]) -> Vec<u8> {
        message(1, &[message(1, key.as_bytes()), message(2, value)].concat())
    }

    fn text(text: &str) -> Vec<u8> {
        message(3, text.as_bytes())
    }

    #[test]
    fn metadata_of_istio_are_understood() {
        let labels = [entry("app", &text("web")), entry("version", &text("v2"))].concat();
        let all = [
            entry("NAME", &text("web-v2-1-x")),
            // A number, which is passed over.
            entry("PORT", &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            entry("NAMESPACE", &text("shop")),
            entry("WORKLOAD_NAME", &text("web-v2")),
            entry("CLUSTER_ID", &text("Kubernetes")),
            entry("LABELS", &message(5, &labels)),
        ]
        .concat();
        let identity = identity(BASE64.encode(&all).as_bytes()).unwrap();
        let names = [
            &identity.workload,
            &identity.namespace,
            &identity.canonical_service,
            &identity.canonical_revision,
            &identity.app,
            &identity.version,
            &identity.cluster,
        ];
        let names: Vec<&str> = names.into_iter().map(|name| &**name).collect();
        assert_eq!(
            names,
            ["web-v2", "shop", "web", "v2", "web", "v2", "Kubernetes"]
        );
        for end in 1..all.len() {
            // No part of it is taken for something else, and none panics.
            let _ = super::identity(BASE64.encode(&all[..end]).as_bytes());
        }
    }

    #[test]
    fn what_we_tell_is_understood() {
        let labels = [
            ("app", "web"),
            ("version", "v2"),
            ("topology.istio.io/cluster", "c1"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let own = Identity::of("web-v2", "shop", &labels.into());
        let told = OwnMetadata::of(&own).unwrap();
        assert_eq!(identity(&told.value), Some(own));
    }

    #[test]
    fn what_is_no_metadata_names_nobody() {
        for nonsense in ["", "%", "CgM="] {
            let told = identity(nonsense.as_bytes());
            assert!(
                told.is_none_or(|told| told == Identity::default()),
                "{nonsense}"
            );
        }
        assert!(identity(&vec![b'A'; LONGEST_METADATA + 1]).is_none());
    }
}
