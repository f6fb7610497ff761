//! Bytes, and what they say. Those of `tests/istio` were made by another's encoder, with every field of every kind: a line of
//! bytes, and a line of the document.

use bytes::BufMut;
use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::json;

use super::table::{Message, message};
use super::*;
use crate::carried::key_of;
use crate::kinds::{Asked, Kind};

const PREFIX: &str = "type.googleapis.com/";

const MADE: [(&str, &str, &str); 14] = [
    made(
        "networking.v1alpha3",
        "VirtualService",
        include_str!("../../tests/istio/VirtualService.txt"),
    ),
    made(
        "networking.v1alpha3",
        "DestinationRule",
        include_str!("../../tests/istio/DestinationRule.txt"),
    ),
    made(
        "networking.v1alpha3",
        "ServiceEntry",
        include_str!("../../tests/istio/ServiceEntry.txt"),
    ),
    made(
        "networking.v1alpha3",
        "Sidecar",
        include_str!("../../tests/istio/Sidecar.txt"),
    ),
    made(
        "networking.v1alpha3",
        "Gateway",
        include_str!("../../tests/istio/Gateway.txt"),
    ),
    made(
        "networking.v1alpha3",
        "WorkloadEntry",
        include_str!("../../tests/istio/WorkloadEntry.txt"),
    ),
    made(
        "networking.v1alpha3",
        "WorkloadGroup",
        include_str!("../../tests/istio/WorkloadGroup.txt"),
    ),
    made(
        "networking.v1alpha3",
        "EnvoyFilter",
        include_str!("../../tests/istio/EnvoyFilter.txt"),
    ),
    made(
        "networking.v1beta1",
        "ProxyConfig",
        include_str!("../../tests/istio/ProxyConfig.txt"),
    ),
    made(
        "security.v1beta1",
        "PeerAuthentication",
        include_str!("../../tests/istio/PeerAuthentication.txt"),
    ),
    made(
        "security.v1beta1",
        "RequestAuthentication",
        include_str!("../../tests/istio/RequestAuthentication.txt"),
    ),
    made(
        "security.v1beta1",
        "AuthorizationPolicy",
        include_str!("../../tests/istio/AuthorizationPolicy.txt"),
    ),
    made(
        "telemetry.v1alpha1",
        "Telemetry",
        include_str!("../../tests/istio/Telemetry.txt"),
    ),
    made(
        "mesh.v1alpha1",
        "MeshConfig",
        include_str!("../../tests/istio/MeshConfig.txt"),
    ),
];

const fn made(
    package: &'static str,
    kind: &'static str,
    pairs: &'static str,
) -> (&'static str, &'static str, &'static str) {
    (package, kind, pairs)
}

fn kind(name: &str) -> &'static Kind {
    let kinds = Asked::Istiod.kinds();
    kinds.into_iter().find(|kind| kind.kind == name).unwrap()
}

fn key(name: &str) -> Key {
    let kind = kind(name);
    let name = if kind.is_mesh_config() {
        ""
    } else {
        "shop/cart"
    };
    key_of(kind, name).unwrap()
}

fn read(package: &str, name: &str, bytes: &[u8]) -> Result<Value, Fault> {
    let type_url = format!("{PREFIX}istio.{package}.{name}");
    document(&key(name), &BTreeMap::new(), &type_url, bytes).expect("the kind is of that type")
}

fn rule(bytes: &[u8]) -> Result<Value, Fault> {
    read("networking.v1alpha3", "VirtualService", bytes)
}

fn of_hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A field of bytes.
fn of(number: u32, inside: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(inside.len() as u64, &mut bytes);
    bytes.put_slice(inside);
    bytes
}

fn number(at: u32, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(at, WireType::Varint, &mut bytes);
    encode_varint(value, &mut bytes);
    bytes
}

#[test]
fn every_field_of_every_kind_is_read_as_it_was_written() {
    let mut kinds: Vec<_> = Asked::Istiod.kinds().iter().map(|kind| kind.kind).collect();
    for (package, kind, pairs) in MADE {
        let lines: Vec<&str> = pairs.lines().collect();
        for pair in lines.chunks(2) {
            let mut wanted: Value = serde_json::from_str(pair[1]).unwrap();
            if kind == "MeshConfig" {
                meant::complete(wanted.as_object_mut().unwrap());
            }
            assert_eq!(read(package, kind, &of_hex(pair[0])), Ok(wanted), "{kind}");
        }
        assert!(!lines.is_empty(), "{kind}");
        kinds.retain(|other| *other != kind);
    }
    assert!(kinds.is_empty(), "nothing was made for {kinds:?}");
}

#[test]
fn a_kind_consists_of_its_own_message_alone() {
    for type_url in [
        "istio.networking.v1alpha3.VirtualService",
        "type.googleapis.com/istio.networking.v1alpha3.Gateway",
        "type.googleapis.com/istio.networking.v1.VirtualService",
        "type.googleapis.com/istio.networking.v1alpha3.VirtualServices",
        "type.googleapis.com/google.protobuf.Struct",
        "",
    ] {
        assert_eq!(
            document(&key("VirtualService"), &BTreeMap::new(), type_url, &[]),
            None
        );
    }
    let services = Kind::named("v1", "Service").unwrap();
    let services = key_of(services, "shop/cart").unwrap();
    let type_url = "type.googleapis.com/istio.networking.v1alpha3.Service";
    assert_eq!(document(&services, &BTreeMap::new(), type_url, &[]), None);
}

#[test]
fn what_no_table_has_is_found_by_who_reads() {
    // In the middle of others, of every type of the wire, also one that is used no more.
    let mut route = of(17, b"first");
    route.extend(number(4000, 7));
    route.extend(of(4001, b"what"));
    encode_key(4002, WireType::ThirtyTwoBit, &mut route);
    route.put_slice(&[0; 4]);
    encode_key(4003, WireType::SixtyFourBit, &mut route);
    route.put_slice(&[0; 8]);
    encode_key(4004, WireType::StartGroup, &mut route);
    encode_key(4004, WireType::EndGroup, &mut route);
    let wanted = json!({"http": [{
        "name": "first",
        "field 4000 of HTTPRoute": true, "field 4001 of HTTPRoute": true, "field 4002 of HTTPRoute": true,
        "field 4003 of HTTPRoute": true, "field 4004 of HTTPRoute": true,
    }]});
    assert_eq!(rule(&of(3, &route)), Ok(wanted));
    // A number of an enum that has no name yet stands as it is, and is told of where the symbol is read.
    let mode = read(
        "security.v1beta1",
        "PeerAuthentication",
        &of(2, &number(1, 9)),
    );
    assert_eq!(mode, Ok(json!({"mtls": {"mode": 9}})));
}

#[test]
fn what_comes_again_is_merged_and_the_last_counts() {
    // VirtualService.http[0].retries, in two parts, with `attempts` twice.
    let mut retries = of(7, &number(1, 2));
    retries.extend(of(7, &[number(1, 3), of(3, b"5xx")].concat()));
    let wanted = json!({"http": [{"retries": {"attempts": 3, "retryOn": "5xx"}}]});
    assert_eq!(rule(&of(3, &retries)), Ok(wanted));
}

#[test]
fn durations_are_written_in_seconds() {
    for (seconds, nanos, wanted) in [
        (0, 0, "0s"),
        (5, 0, "5s"),
        (0, 250_000_000, "0.250s"),
        (1, 1_000, "1.000001s"),
        (1, 1, "1.000000001s"),
        (-1, -500_000_000, "-1.500s"),
        (1, -500_000_000, "0.500s"),
        (i64::MAX, 999_999_999, "9223372036854775807.999999999s"),
    ] {
        let timeout = prost_types::Duration { seconds, nanos }.encode_to_vec();
        let wanted = json!({"http": [{"timeout": wanted}]});
        assert_eq!(rule(&of(3, &of(6, &timeout))), Ok(wanted));
    }
}

#[test]
fn a_number_that_json_cannot_say_stands_in_words() {
    let mut percent = Vec::new();
    encode_key(1, WireType::SixtyFourBit, &mut percent);
    percent.put_f64_le(f64::NAN);
    let wanted = json!({"http": [{"mirrorPercentage": {"value": "NaN"}}]});
    assert_eq!(rule(&of(3, &of(19, &percent))), Ok(wanted));
}

#[test]
fn what_is_no_message_of_its_type_is_told_by_its_field() {
    for (bytes, fault) in [
        (vec![0xff], Fault::Torn("VirtualService", 0)),
        // A number where there is text, and the other way round.
        (number(1, 1), Fault::Torn("VirtualService", 1)),
        (of(3, &of(18, b"xx")), Fault::Torn("HTTPRoute", 18)),
        (of(1, &[0xff, 0xfe]), Fault::Torn("VirtualService", 1)),
        (vec![0x0a, 0x05, b'a'], Fault::Torn("VirtualService", 1)),
        (of(3, &of(6, &[0x08])), Fault::Torn("HTTPRoute", 6)),
        (
            of(3, &of(1, &of(5, &of(3, b"")))),
            Fault::Torn("HTTPMatchRequest", 5),
        ),
        (vec![0; MAX_BYTES + 1], Fault::TooLong(MAX_BYTES + 1)),
    ] {
        assert_eq!(rule(&bytes), Err(fault.clone()));
        assert!(!fault.to_string().is_empty());
    }
}

#[test]
fn what_holds_too_much_is_refused() {
    // Two bytes for each: an empty name of a gateway.
    let gateways = |count: usize| [0x12, 0].repeat(count);
    assert!(rule(&gateways(MAX_VALUES)).is_ok());
    assert_eq!(rule(&gateways(MAX_VALUES + 1)), Err(Fault::TooMany));
    // None of Istio's messages holds itself.
    static NESTED: Message = Message::new("Nested", &[message(1, "in", &NESTED)]);
    let nested = |depth: usize| (1..depth).fold(Vec::new(), |inner, _| of(1, &inner));
    assert!(read::document(&NESTED, &nested(MAX_DEPTH)).is_ok());
    let deep = read::document(&NESTED, &nested(MAX_DEPTH + 1));
    assert_eq!(deep, Err(Fault::TooDeep));
    // What stands in an EnvoyFilter's value is anybody's.
    let mut value = json!(1);
    for _ in 0..200 {
        value = json!({ "a": value });
    }
    let value = crate::structs::from_json(&json!({ "a": value })).encode_to_vec();
    let deep = of(4, &of(3, &of(2, &value)));
    let read = read("networking.v1alpha3", "EnvoyFilter", &deep);
    assert_eq!(read, Err(Fault::Torn("EnvoyFilter.Patch", 2)));
}

#[test]
fn what_istiod_says_of_other_services_is_plain() {
    let mut entry = of(1, b"cart.shop.svc.cluster.local");
    entry.extend(of(2, b"0.0.0.0"));
    let port = [number(1, 80), of(2, b"UnsupportedProtocol"), of(3, b"web")].concat();
    entry.extend(of(3, &port));
    let kind = kind("ServiceEntry");
    let read = |name: &str| {
        let key = key_of(kind, name).unwrap();
        let type_url = "type.googleapis.com/istio.networking.v1alpha3.ServiceEntry";
        document(&key, &BTreeMap::new(), type_url, &entry)
            .unwrap()
            .unwrap()
    };
    let synthetic = read("shop/synthetic-cart");
    assert_eq!(synthetic["addresses"], json!([]));
    assert_eq!(synthetic["ports"], json!([{"number": 80, "name": "web"}]));
    assert_eq!(read("shop/cart")["addresses"], json!(["0.0.0.0"]));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0..MADE.len()) {
        let (package, kind, _) = MADE[at];
        let _ = read(package, kind, &bytes);
    }

    /// Torn and changed anywhere, what was made is read or refused.
    #[test]
    fn no_change_panics(at in 0..MADE.len(), line in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), is in any::<u8>(), cut in any::<bool>()) {
        let (package, kind, pairs) = MADE[at];
        let lines: Vec<&str> = pairs.lines().step_by(2).collect();
        let mut bytes = of_hex(line.get::<&str>(&lines));
        if bytes.is_empty() {
            return Ok(());
        }
        let place = place.index(bytes.len());
        bytes[place] = is;
        if cut {
            bytes.truncate(place);
        }
        let _ = read(package, kind, &bytes);
    }
}
