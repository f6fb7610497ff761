//! Envoy's operators: which there are, what they take, and which have a value in this proxy.

use super::times;
use crate::message::FieldName;
use crate::snapshot::telemetry::{
    AddressForm, FieldOf, GrpcStatusForm, LogField, LogOperator, LogPart, Moment, Span, TimeUnit,
    TlsPart, Whose,
};

/// What an operator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// One that has a value here.
    Part(LogPart),
    /// One of Envoy's that has none here, of anything or of requests, and is told.
    Absent(LogPart),
    /// None, and why.
    Not(String),
}

/// Operators of Envoy's and Istio's without a value here. Those that end in `*` stand for all that begin so.
const ABSENT: &[&str] = &[
    "CEL",
    "CLUSTER_METADATA",
    "CONNECTION_ID",
    "DOWNSTREAM_DETECTED_CLOSE_TYPE",
    "DOWNSTREAM_HANDSHAKE_DURATION",
    "DOWNSTREAM_HEADER_BYTES_*",
    "DOWNSTREAM_LOCAL_CLOSE_REASON",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_LOCAL_EMAIL_SAN",
    "DOWNSTREAM_LOCAL_IP_SAN",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT*",
    "DOWNSTREAM_PEER_CHAIN_*",
    "DOWNSTREAM_PEER_EMAIL_SAN",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_IP_SAN",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_OTHERNAME_SAN",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DYNAMIC_METADATA",
    "FILTER_CHAIN_NAME",
    "FILTER_STATE",
    "LOCAL_REPLY_BODY",
    "METADATA",
    "REQUEST_HEADERS_BYTES",
    "REQUEST_TX_DURATION",
    "RESPONSE_HEADERS_BYTES",
    "RESPONSE_TRAILERS_BYTES",
    "ROUNDTRIP_DURATION",
    "START_TIME_LOCAL",
    "EMIT_TIME_LOCAL",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
    "TRAILER",
    "UNIQUE_ID",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
    "UPSTREAM_CONNECTION_POOL_READY_DURATION",
    "UPSTREAM_DETECTED_CLOSE_TYPE",
    "UPSTREAM_FILTER_STATE",
    "UPSTREAM_HEADER_BYTES_*",
    "UPSTREAM_HOSTS_ATTEMPTED",
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_HOST_NAMES_ATTEMPTED",
    "UPSTREAM_LOCAL_CLOSE_REASON",
    "UPSTREAM_LOCAL_DNS_SAN",
    "UPSTREAM_LOCAL_IP_SAN",
    "UPSTREAM_LOCAL_SUBJECT",
    "UPSTREAM_LOCAL_URI_SAN",
    "UPSTREAM_METADATA",
    "UPSTREAM_PEER_*",
    "UPSTREAM_TLS_*",
];

/// Of Istio's default line: there is no virtual cluster in Istio, and nobody is told of that.
const SILENT: &[&str] = &["VIRTUAL_CLUSTER_NAME"];

/// Reads what stands between two percent signs.
pub(super) fn parse(text: &str) -> Known {
    let Some((name, argument, length)) = cut(text) else {
        return Known::Not(format!("`%{text}%` is malformed"));
    };
    let absent = || LogPart::Operator(LogOperator::Absent, None);
    if SILENT.contains(&name) {
        return Known::Part(absent());
    }
    let is_absent = |known: &&str| match known.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *known,
    };
    if ABSENT.iter().any(is_absent) {
        return Known::Absent(absent());
    }
    let plain = argument.map_or_else(|| without_argument(name), |_| None);
    match plain.map_or_else(|| with_argument(name, argument), Ok) {
        Ok(operator) => {
            let part = LogPart::Operator(operator, length);
            match part {
                LogPart::Operator(
                    LogOperator::Absent
                    | LogOperator::WireBytesFromClient
                    | LogOperator::WireBytesToClient,
                    _,
                ) => Known::Absent(part),
                LogPart::Operator(..) | LogPart::Literal(_) => Known::Part(part),
            }
        }
        Err(why) => Known::Not(why),
    }
}

/// `NAME`, `NAME(argument)` and `NAME(argument):length`.
fn cut(text: &str) -> Option<(&str, Option<&str>, Option<usize>)> {
    let Some((name, rest)) = text.split_once('(') else {
        return Some(match text.split_once(':') {
            Some((name, length)) => (name, None, Some(length.parse().ok()?)),
            None => (text, None, None),
        });
    };
    let (argument, length) = rest.rsplit_once(')')?;
    let length = match length.strip_prefix(':') {
        Some(length) => Some(length.parse().ok()?),
        None if length.is_empty() => None,
        None => return None,
    };
    Some((name, Some(argument), length))
}

fn without_argument(name: &str) -> Option<LogOperator> {
    Some(match name {
        "DURATION" => millis(Moment::Began, Moment::Ended),
        "REQUEST_DURATION" => millis(Moment::Began, Moment::Received),
        "RESPONSE_DURATION" => millis(Moment::Began, Moment::Answered),
        "RESPONSE_TX_DURATION" => millis(Moment::Answered, Moment::Ended),
        "PROTOCOL" => LogOperator::Protocol,
        "UPSTREAM_PROTOCOL" => LogOperator::UpstreamProtocol,
        "RESPONSE_CODE" => LogOperator::ResponseCode,
        "RESPONSE_CODE_DETAILS" => LogOperator::ResponseCodeDetails,
        "CONNECTION_TERMINATION_DETAILS" => LogOperator::TerminationDetails,
        "RESPONSE_FLAGS" => LogOperator::ResponseFlags,
        "RESPONSE_FLAGS_LONG" => LogOperator::ResponseFlagsLong,
        "GRPC_STATUS" => LogOperator::GrpcStatus(GrpcStatusForm::Camel),
        "GRPC_STATUS_NUMBER" => LogOperator::GrpcStatus(GrpcStatusForm::Number),
        "QUERY_PARAMS" => LogOperator::Query,
        "BYTES_RECEIVED" => LogOperator::BytesReceived,
        "BYTES_SENT" => LogOperator::BytesSent,
        "DOWNSTREAM_WIRE_BYTES_RECEIVED" | "UPSTREAM_WIRE_BYTES_SENT" => {
            LogOperator::WireBytesFromClient
        }
        "DOWNSTREAM_WIRE_BYTES_SENT" | "UPSTREAM_WIRE_BYTES_RECEIVED" => {
            LogOperator::WireBytesToClient
        }
        "ROUTE_NAME" => LogOperator::RouteName,
        "VIRTUAL_HOST_NAME" => LogOperator::VirtualHostName,
        "UPSTREAM_HOST" => LogOperator::UpstreamHost,
        "UPSTREAM_HOST_NAME" => LogOperator::UpstreamHostName,
        "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" => LogOperator::UpstreamCluster,
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => LogOperator::UpstreamTransportFailure,
        "DOWNSTREAM_TLS_VERSION" => LogOperator::DownstreamTls(TlsPart::Version),
        "DOWNSTREAM_TLS_CIPHER" => LogOperator::DownstreamTls(TlsPart::Cipher),
        "REQUESTED_SERVER_NAME" => LogOperator::DownstreamTls(TlsPart::ServerName),
        "DOWNSTREAM_PEER_URI_SAN" => LogOperator::DownstreamTls(TlsPart::PeerUris),
        "DOWNSTREAM_PEER_DNS_SAN" => LogOperator::DownstreamTls(TlsPart::PeerDns),
        "DOWNSTREAM_PEER_SUBJECT" => LogOperator::DownstreamTls(TlsPart::PeerSubject),
        "DOWNSTREAM_PEER_FINGERPRINT_256" => LogOperator::DownstreamTls(TlsPart::PeerFingerprint),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => LogOperator::AttemptCount,
        "STREAM_ID" => LogOperator::StreamId,
        "TRACE_ID" => LogOperator::TraceId,
        "HOSTNAME" => LogOperator::Hostname,
        "ACCESS_LOG_TYPE" => LogOperator::AccessLogType,
        _ => return address(name),
    })
}

const fn millis(from: Moment, to: Moment) -> LogOperator {
    LogOperator::Duration(Span {
        from,
        to,
        unit: TimeUnit::Milliseconds,
    })
}

/// `DIRECT` is the connection's own address. So is the other one here: no field of a request changes it.
fn address(name: &str) -> Option<LogOperator> {
    let (whose, form) = [
        ("_ADDRESS", AddressForm::Whole),
        ("_ADDRESS_WITHOUT_PORT", AddressForm::WithoutPort),
        ("_PORT", AddressForm::Port),
    ]
    .into_iter()
    .find_map(|(ending, form)| {
        let whose = match name.strip_suffix(ending)? {
            "DOWNSTREAM_REMOTE" | "DOWNSTREAM_DIRECT_REMOTE" => Whose::DownstreamRemote,
            "DOWNSTREAM_LOCAL" | "DOWNSTREAM_DIRECT_LOCAL" => Whose::DownstreamLocal,
            "UPSTREAM_REMOTE" => Whose::UpstreamRemote,
            "UPSTREAM_LOCAL" => Whose::UpstreamLocal,
            _ => return None,
        };
        Some((whose, form))
    })?;
    Some(LogOperator::Address(whose, form))
}

/// `None` as argument is none at all, which some operators take.
fn with_argument(name: &str, argument: Option<&str>) -> Result<LogOperator, String> {
    let needed = || argument.ok_or_else(|| format!("`%{name}%` needs an argument"));
    let field = || {
        let argument = needed()?;
        field_of(argument).ok_or_else(|| format!("`{argument}` is no name of a header field"))
    };
    Ok(match name {
        "START_TIME" => LogOperator::StartTime(times::parse(argument)?),
        "EMIT_TIME" => LogOperator::EmitTime(times::parse(argument)?),
        "REQ" => LogOperator::Request(field()?),
        "REQ_WITHOUT_QUERY" => LogOperator::RequestWithoutQuery(field()?),
        "RESP" => LogOperator::Response(field()?),
        "PATH" => path(argument)?,
        "QUERY_PARAM" => LogOperator::QueryParameter(needed()?.into()),
        "QUERY_PARAMS" => LogOperator::Query,
        "GRPC_STATUS" => LogOperator::GrpcStatus(match needed()? {
            "" | "CAMEL_STRING" => GrpcStatusForm::Camel,
            "SNAKE_STRING" => GrpcStatusForm::Snake,
            "NUMBER" => GrpcStatusForm::Number,
            other => return Err(format!("`{other}` is no form of a gRPC status")),
        }),
        "COMMON_DURATION" => common_duration(needed()?)?,
        "ENVIRONMENT" => LogOperator::Environment(needed()?.into()),
        _ => {
            return Err(match argument.and_then(|_| without_argument(name)) {
                Some(_) => format!("`%{name}%` takes no argument"),
                None => format!("`%{name}%` is not a known format operator"),
            });
        }
    })
}

/// `PATH(WQ|NQ:PATH|ORIG|ORIG_OR_PATH)`.
fn path(argument: Option<&str>) -> Result<LogOperator, String> {
    let (query, which) = argument.unwrap_or_default().split_once(':').map_or_else(
        || (argument.unwrap_or_default(), ""),
        |(query, which)| (query, which),
    );
    let with_query = match query {
        "" | "WQ" => true,
        "NQ" => false,
        other => return Err(format!("`{other}` is neither `WQ` nor `NQ`")),
    };
    let original = || LogField::Named(original_path());
    let (name, otherwise) = match which {
        "PATH" => (LogField::Path, None),
        "ORIG" => (original(), None),
        "" | "ORIG_OR_PATH" => (original(), Some(LogField::Path)),
        other => return Err(format!("`{other}` is no kind of path")),
    };
    Ok(LogOperator::Path {
        with_query,
        field: FieldOf { name, otherwise },
    })
}

#[expect(
    clippy::expect_used,
    reason = "a name in lower case without blanks is a token"
)]
fn original_path() -> FieldName {
    FieldName::new("x-envoy-original-path").expect("it is a token")
}

/// `COMMON_DURATION(START:END:PRECISION)`. A moment that is Envoy's and not known here has no value.
fn common_duration(argument: &str) -> Result<LogOperator, String> {
    let mut words = argument.split(':');
    let (Some(from), Some(to), Some(unit), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("`{argument}` is not `START:END:PRECISION`"));
    };
    let unit = match unit {
        "ms" => TimeUnit::Milliseconds,
        "us" => TimeUnit::Microseconds,
        "ns" => TimeUnit::Nanoseconds,
        other => return Err(format!("`{other}` is none of `ms`, `us` and `ns`")),
    };
    Ok(match (moment(from)?, moment(to)?) {
        (Some(from), Some(to)) => LogOperator::Duration(Span { from, to, unit }),
        (None, _) | (_, None) => LogOperator::Absent,
    })
}

fn moment(name: &str) -> Result<Option<Moment>, String> {
    Ok(Some(match name {
        "DS_RX_BEG" => Moment::Began,
        "DS_RX_END" => Moment::Received,
        "US_CX_BEG" => Moment::AttemptBegan,
        "US_RX_BEG" | "DS_TX_BEG" => Moment::Answered,
        "DS_TX_END" => Moment::Ended,
        "US_CX_END" | "US_HS_END" | "US_TX_BEG" | "US_TX_END" | "US_RX_BODY_BEG" | "US_RX_END" => {
            return Ok(None);
        }
        other => return Err(format!("`{other}` is no moment of a request")),
    }))
}

/// `NAME` or `NAME?OTHER`.
fn field_of(argument: &str) -> Option<FieldOf> {
    let (name, otherwise) = match argument.split_once('?') {
        Some((name, other)) => (name, Some(field(other)?)),
        None => (argument, None),
    };
    Some(FieldOf {
        name: field(name)?,
        otherwise,
    })
}

fn field(name: &str) -> Option<LogField> {
    Some(match name.to_ascii_lowercase().as_str() {
        ":method" => LogField::Method,
        ":path" => LogField::Path,
        ":authority" | "host" => LogField::Authority,
        ":scheme" => LogField::Scheme,
        ":status" => LogField::Status,
        name => LogField::Named(FieldName::new(name)?),
    })
}
