//! Envoy's format strings for access logs: `[%START_TIME%] "%REQ(:METHOD)%" …`, and JSON objects of them.
//!
//! Owns the syntax of a whole format, and Istio's default ones. Which operators there are is in `operators`, how dates are
//! written in `times`. What an operator makes of a request is decided in `decision::access_log`.

mod operators;
mod times;

use super::code::Code;
use super::format::{FormatError, Piece, Pieces};
use super::mark::Mark;
use super::node::{Entry, Node, Scalar, Value};
use super::report::Report;
use super::value::quoted;
use crate::snapshot::telemetry::{LogFormat, LogJson, LogOperator, LogPart, LogText};
use operators::Known;

/// Istio's default line.
pub const ISTIO_TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
    \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% \
    %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
    %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/// Envoy's default line.
pub const ENVOY_TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

/// Istio's default object, by key.
const ISTIO_JSON: &[(&str, &str)] = &[
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    (
        "connection_termination_details",
        "%CONNECTION_TERMINATION_DETAILS%",
    ),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    (
        "upstream_service_time",
        "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    ),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    (
        "upstream_transport_failure_reason",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    ),
];

/// What is wrong with a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatFault {
    /// Envoy would refuse it; otherwise it takes it, and part of it has no value here.
    pub is_error: bool,
    /// For people.
    pub message: String,
}

impl FormatFault {
    fn error(message: String) -> Self {
        Self {
            is_error: true,
            message,
        }
    }

    /// Tells it of the field at which the report stands.
    pub(super) fn tell(self, report: &mut Report) {
        let (code, help) = match self.is_error {
            true => (
                Code::InvalidLogFormat,
                "docs/logging.md lists the operators",
            ),
            false => (Code::OperatorNotInEffect, ""),
        };
        report.raise(code, self.message, help);
    }
}

/// Istio's default line.
#[must_use]
pub fn istio_text() -> LogFormat {
    LogFormat::Text(text(ISTIO_TEXT, &mut Vec::new()))
}

/// Istio's default object.
#[must_use]
pub fn istio_json() -> LogFormat {
    let field = |(key, format): &(&str, &str)| {
        let value = string(format, &mut Vec::new());
        (encoded_key(key), value)
    };
    LogFormat::Json {
        object: LogJson::Object(ISTIO_JSON.iter().map(field).collect()),
        omits_empty: false,
    }
}

/// Reads a line of text; a line end is added where there is none. What is wrong is told.
pub(super) fn read_text(format: &str, report: &mut Report) -> LogFormat {
    let mut faults = Vec::new();
    let text = line(format, &mut faults);
    faults.into_iter().for_each(|fault| fault.tell(report));
    LogFormat::Text(text)
}

/// Reads a JSON object of format strings. What is wrong is told.
pub(super) fn read_json(node: &Node, report: &mut Report) -> LogFormat {
    let mut faults = Vec::new();
    if !matches!(node.value, Value::Map(_)) {
        faults.push(FormatFault::error("a JSON format is an object".to_owned()));
    }
    let object = json(node, &mut faults);
    faults.into_iter().for_each(|fault| fault.tell(report));
    LogFormat::Json {
        object,
        omits_empty: false,
    }
}

/// Reads a format that somebody wrote outside of configuration: a JSON object if it begins like one, or else a line of text.
#[must_use]
pub fn written(format: &str) -> (LogFormat, Vec<FormatFault>) {
    let mut faults = Vec::new();
    let format = match format.trim_start().starts_with('{') {
        true => json_text(format, &mut faults),
        false => LogFormat::Text(line(format, &mut faults)),
    };
    (format, faults)
}

/// A JSON object as text.
pub(super) fn json_text(format: &str, faults: &mut Vec<FormatFault>) -> LogFormat {
    let object = match serde_json::from_str::<serde_json::Value>(format) {
        Ok(serde_json::Value::Object(fields)) => {
            json(&node_of(serde_json::Value::Object(fields)), faults)
        }
        Ok(_) => {
            faults.push(FormatFault::error("a JSON format is an object".to_owned()));
            LogJson::Object(Box::default())
        }
        Err(why) => {
            faults.push(FormatFault::error(format!("this is not JSON: {why}")));
            LogJson::Object(Box::default())
        }
    };
    LogFormat::Json {
        object,
        omits_empty: false,
    }
}

fn node_of(value: serde_json::Value) -> Node {
    let scalar = |text: String, plain| {
        Value::Scalar(Scalar {
            text: text.into(),
            plain,
        })
    };
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(is_true) => scalar(is_true.to_string(), true),
        serde_json::Value::Number(number) => scalar(number.to_string(), true),
        serde_json::Value::String(text) => scalar(text, false),
        serde_json::Value::Array(items) => Value::Seq(items.into_iter().map(node_of).collect()),
        serde_json::Value::Object(fields) => {
            let entry = |(key, value): (String, _)| Entry {
                key: Scalar {
                    text: key.into(),
                    plain: false,
                },
                at: Mark::default(),
                value: node_of(value),
            };
            Value::Map(fields.into_iter().map(entry).collect())
        }
    };
    Node {
        at: Mark::default(),
        value,
    }
}

fn line(format: &str, faults: &mut Vec<FormatFault>) -> LogText {
    let end = if format.ends_with('\n') { "" } else { "\n" };
    text(&format!("{format}{end}"), faults)
}

/// A line of text. What cannot be read stands there as it is written, and is told.
#[must_use]
pub fn text(format: &str, faults: &mut Vec<FormatFault>) -> LogText {
    LogText {
        parts: parts(format, faults).into(),
        omits_empty: false,
    }
}

/// A JSON object of format strings.
#[must_use]
pub fn json(node: &Node, faults: &mut Vec<FormatFault>) -> LogJson {
    match &node.value {
        Value::Null => LogJson::Literal("null".into()),
        Value::Seq(items) => LogJson::List(items.iter().map(|item| json(item, faults)).collect()),
        Value::Map(entries) => {
            let field = |entry: &Entry| {
                let value = json(&entry.value, faults);
                (encoded_key(&entry.key.text), value)
            };
            LogJson::Object(entries.iter().map(field).collect())
        }
        Value::Scalar(scalar) if scalar.plain && is_json_literal(&scalar.text) => {
            LogJson::Literal(scalar.text.clone())
        }
        Value::Scalar(scalar) => string(&scalar.text, faults),
    }
}

/// Whether JSON has the same word for it.
fn is_json_literal(text: &str) -> bool {
    matches!(text, "true" | "false") || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn encoded_key(key: &str) -> Box<str> {
    // Text can always be written as JSON.
    let key = serde_json::to_string(key).unwrap_or_default();
    format!("{key}:").into()
}

/// A text of JSON: an operator alone keeps its type.
fn string(format: &str, faults: &mut Vec<FormatFault>) -> LogJson {
    let mut parts = parts(format, faults);
    match (parts.pop(), parts.is_empty()) {
        (Some(LogPart::Operator(operator, length)), true) => LogJson::Value(operator, length),
        (last, _) => {
            parts.extend(last);
            LogJson::Text(LogText {
                parts: parts.into(),
                omits_empty: false,
            })
        }
    }
}

fn parts(format: &str, faults: &mut Vec<FormatFault>) -> Vec<LogPart> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut pieces = Pieces::of(format);
    loop {
        match pieces.next() {
            Ok(None) => break,
            Ok(Some(Piece::Text(text))) => literal.push_str(text),
            Ok(Some(Piece::Operator(operator))) => {
                let part = match operators::parse(operator) {
                    Known::Part(part) => part,
                    Known::Absent(part) => {
                        let what = match part {
                            LogPart::Operator(LogOperator::Absent, _) | LogPart::Literal(_) => {
                                "no value in this proxy"
                            }
                            LogPart::Operator(..) => {
                                "a value only for connections that are not HTTP"
                            }
                        };
                        let message =
                            format!("`%{}%` has {what}", quoted(operator).trim_matches('`'));
                        faults.push(FormatFault {
                            is_error: false,
                            message,
                        });
                        part
                    }
                    Known::Not(why) => {
                        faults.push(FormatFault::error(why));
                        continue;
                    }
                };
                flush(&mut literal, &mut parts);
                parts.push(part);
            }
            Err(error @ (FormatError::LonePercent | FormatError::UnknownOperator(_))) => {
                faults.push(FormatFault::error(error.to_string()));
                break;
            }
        }
    }
    flush(&mut literal, &mut parts);
    parts
}

fn flush(literal: &mut String, parts: &mut Vec<LogPart>) {
    if !literal.is_empty() {
        parts.push(LogPart::Literal(core::mem::take(literal).into()));
    }
}

#[cfg(test)]
mod tests;
