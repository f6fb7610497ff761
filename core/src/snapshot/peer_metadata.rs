//! What a sidecar tells others of its workload, as Istio's does: `x-envoy-peer-metadata`, a base64 of a protobuf `Struct`, and
//! `x-envoy-peer-metadata-id`, under which those who get it keep what they understood.
//!
//! Nobody proves it, so it is good for metrics and for nothing else. How that of others is understood is the business of who
//! counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::peer::Identity;
use crate::xxhash::xxh64;

/// Longer metadata is nobody's. Istio's are a few hundred bytes.
pub const LONGEST_METADATA: usize = 16 * 1024;

/// What is told, made once for a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnMetadata {
    /// Names what is told: two workloads that tell other things have other ones.
    pub id: Box<[u8]>,
    /// What is told.
    pub value: Box<[u8]>,
}

impl OwnMetadata {
    /// What is told of a workload; nothing of one that has no name.
    #[must_use]
    pub fn of(identity: &Identity) -> Option<Self> {
        let Identity {
            workload,
            namespace,
            canonical_service,
            canonical_revision,
            app,
            version,
            cluster,
        } = identity;
        if [workload, canonical_service, app, version]
            .iter()
            .all(|name| name.is_empty())
        {
            return None;
        }
        // Sorted by key, as Istio writes them.
        let labels = fields(&[
            ("app", text(app)),
            ("service.istio.io/canonical-name", text(canonical_service)),
            (
                "service.istio.io/canonical-revision",
                text(canonical_revision),
            ),
            ("version", text(version)),
        ]);
        let all = fields(&[
            ("CLUSTER_ID", text(cluster)),
            // `google.protobuf.Value`, 5: a `Struct`.
            ("LABELS", Some(message(5, &labels))),
            ("NAMESPACE", text(namespace)),
            ("WORKLOAD_NAME", text(workload)),
        ]);
        // Envoy keeps what it understood under the id alone, so that hangs on what is told.
        let digest = xxh64(&all, 0);
        let name = match workload.is_empty() {
            true => canonical_service,
            false => workload,
        };
        let id = format!(
            "sidecar~0.0.0.0~{name}-{digest:016x}.{namespace}~{namespace}.svc.cluster.local"
        );
        Some(Self {
            id: id.into_bytes().into(),
            value: STANDARD.encode(all).into_bytes().into(),
        })
    }
}

/// `google.protobuf.Value`, 3: a string; `None` where there is nothing to say.
fn text(value: &str) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| message(3, value.as_bytes()))
}

/// `google.protobuf.Struct`: field 1 is a map, each of whose entries has its key in field 1 and its value in field 2.
fn fields(all: &[(&str, Option<Vec<u8>>)]) -> Vec<u8> {
    let there = all
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let each = there.map(|(key, value)| {
        let entry = [message(1, key.as_bytes()), message(2, value)].concat();
        message(1, &entry)
    });
    each.collect::<Vec<_>>().concat()
}

/// A field of a message that has a length (wire type 2).
fn message(number: u8, inside: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = inside.len();
    while length >= 0x80 {
        // The lower seven bits.
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(inside);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn called(labels: &[(&str, &str)]) -> Identity {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Identity::of("", "mall", &labels.collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn a_workload_is_told_as_istio_tells_it() {
        let own = OwnMetadata::of(&called(&[("app", "web"), ("version", "v1")])).unwrap();
        let bytes = STANDARD.decode(&own.value).unwrap();
        assert_eq!(bytes[..11], *b"\n\x82\x01\n\x06LABELS");
        let told = String::from_utf8_lossy(&bytes);
        // Keys in order, each behind its tag and length.
        let keys = [
            "LABELS",
            "app",
            "canonical-name",
            "canonical-revision",
            "version",
            "NAMESPACE",
        ];
        let places: Vec<_> = keys.iter().map(|key| told.find(key).unwrap()).collect();
        assert!(places.is_sorted(), "{told:?}");
        let id = String::from_utf8(own.id.to_vec()).unwrap();
        assert!(id.starts_with("sidecar~0.0.0.0~web-"), "{id}");
        assert!(id.ends_with(".mall~mall.svc.cluster.local"), "{id}");
    }

    #[test]
    fn other_metadata_have_another_id() {
        let of = |version| OwnMetadata::of(&called(&[("app", "web"), ("version", version)]));
        assert_eq!(of("v1"), of("v1"));
        assert_ne!(of("v1").unwrap().id, of("v2").unwrap().id);
    }

    #[test]
    fn nothing_is_told_of_nobody() {
        assert_eq!(OwnMetadata::of(&called(&[])), None);
        assert_eq!(OwnMetadata::of(&called(&[("team", "a")])), None);
    }

    #[test]
    fn long_fields_have_long_lengths() {
        assert_eq!(message(2, &[7; 300])[..4], [0x12, 0xac, 0x02, 7]);
    }
}
