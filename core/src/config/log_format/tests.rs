//! Formats, and what is said about them.

use super::*;
use crate::snapshot::telemetry::{LogOperator, Moment, Span, TimeUnit};

fn faults(format: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let _ = text(format, &mut faults);
    faults
        .into_iter()
        .map(|fault| format!("{}{}", if fault.is_error { "" } else { "~" }, fault.message))
        .collect()
}

#[test]
fn default_formats_are_without_fault() {
    for format in [ISTIO_TEXT, ENVOY_TEXT] {
        assert_eq!(faults(format), [""; 0]);
    }
    for (_, format) in ISTIO_JSON {
        assert_eq!(faults(format), [""; 0]);
    }
}

#[test]
fn operators_are_cut_out() {
    let literal = |text: &str| LogPart::Literal(text.into());
    let operator = |operator| LogPart::Operator(operator, None);
    for (format, want) in [
        ("plain 100%%", vec![literal("plain 100%")]),
        (
            "%PROTOCOL%%RESPONSE_CODE%",
            vec![
                operator(LogOperator::Protocol),
                operator(LogOperator::ResponseCode),
            ],
        ),
        (
            "%COMMON_DURATION(US_CX_BEG:DS_TX_END:us)%",
            vec![operator(LogOperator::Duration(Span {
                from: Moment::AttemptBegan,
                to: Moment::Ended,
                unit: TimeUnit::Microseconds,
            }))],
        ),
        (
            "%UPSTREAM_CLUSTER%:%ROUTE_NAME:5%",
            vec![
                operator(LogOperator::UpstreamCluster),
                literal(":"),
                LogPart::Operator(LogOperator::RouteName, Some(5)),
            ],
        ),
    ] {
        let mut faults = Vec::new();
        assert_eq!(*text(format, &mut faults).parts, *want, "{format}");
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    for (format, want) in [
        ("100%", "a lone `%`"),
        ("%NO_SUCH%", "`%NO_SUCH%` is not a known format operator"),
        ("%REQ%", "`%REQ%` needs an argument"),
        ("%REQ(a b)%", "`a b` is no name of a header field"),
        ("%PROTOCOL(a)%", "`%PROTOCOL%` takes no argument"),
        ("%REQ(a):x%", "`%REQ(a):x%` is malformed"),
        ("%START_TIME(%Q)%", "`%Q` is not known in a date"),
        ("%GRPC_STATUS(LOUD)%", "`LOUD` is no form of a gRPC status"),
        ("%COMMON_DURATION(A:B:ms)%", "`A` is no moment of a request"),
        ("%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%", "`s` is none of"),
        ("%PATH(Q)%", "`Q` is neither"),
        (
            "%DYNAMIC_METADATA(a:b)%",
            "~`%DYNAMIC_METADATA(a:b)%` has no value",
        ),
        (
            "%DOWNSTREAM_PEER_ISSUER%",
            "~`%DOWNSTREAM_PEER_ISSUER%` has no",
        ),
        (
            "%UPSTREAM_WIRE_BYTES_SENT%",
            "~`%UPSTREAM_WIRE_BYTES_SENT%` has a value only for connections",
        ),
        (
            "%COMMON_DURATION(US_TX_BEG:DS_TX_END:ms)%",
            "~`%COMMON_DURATION(",
        ),
    ] {
        let said = faults(format);
        assert_eq!(said.len(), 1, "{format}: {said:?}");
        assert!(said[0].starts_with(want), "{format}: {said:?}");
    }
}

#[test]
fn json_keeps_types_and_nesting() {
    let (format, faults) =
        written(r#"{"a": "%PROTOCOL%", "b": {"c": [1, true, null, "x %BYTES_SENT%"]}}"#);
    assert!(faults.is_empty(), "{faults:?}");
    let LogFormat::Json { object, .. } = format else {
        panic!("it is JSON");
    };
    let LogJson::Object(fields) = &object else {
        panic!("{object:?}");
    };
    assert_eq!(&*fields[0].0, "\"a\":");
    assert_eq!(fields[0].1, LogJson::Value(LogOperator::Protocol, None));
    let shown = format!("{:?}", fields[1].1);
    for part in [
        "Literal(\"1\")",
        "Literal(\"true\")",
        "Literal(\"null\")",
        "Literal(\"x \")",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(written("{oops").1[0].is_error);
}
