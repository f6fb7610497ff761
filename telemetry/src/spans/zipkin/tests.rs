//! The document, as Zipkin's own model has it.

use outrigger_core::snapshot::{Address, CollectorProtocol};

use super::*;
use crate::spans::fixture::{collector, policy, told};

#[test]
fn spans_are_a_list_of_objects() {
    let path = "/api/v2/spans".into();
    let at = collector(
        CollectorProtocol::Zipkin { path },
        Address::Name("c".into(), 1),
    );
    let identity = Identity {
        addr: Some("[fd00::7]:0".parse().unwrap()),
        ..Identity::default()
    };
    let document = encode(&[told(policy("cart.shop", at))], &identity);
    let read: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let local = serde_json::json!({ "serviceName": "cart.shop", "ipv6": "fd00::7" });
    let want = serde_json::json!([
        {
            "traceId": "00000000000000ab00000000000000cd",
            "id": "0000000000000011",
            "parentId": "0000000000000022",
            "kind": "SERVER",
            "name": "cart.shop:8080/*",
            "timestamp": 1_000_001,
            "duration": 2,
            "localEndpoint": local,
            "remoteEndpoint": { "ipv4": "10.0.0.1", "port": 4000 },
            "tags": { "component": "proxy" },
        },
        {
            "traceId": "00000000000000ab00000000000000cd",
            "id": "0000000000000033",
            "parentId": "0000000000000011",
            "kind": "CLIENT",
            "name": "router inbound|8080|| egress",
            "timestamp": 1_000_001,
            "duration": 1,
            "localEndpoint": local,
            "tags": { "error": "true", "outrigger.error": "connection timeout" },
        },
    ]);
    assert_eq!(read, want);
}
