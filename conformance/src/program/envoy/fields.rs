//! From header operations to the fields of Envoy's messages that add and remove headers.

use outrigger_core::snapshot::{FieldText, HeaderOps, HeaderValue, ValuePart};
use serde_json::{Value, json};

use super::Derived;

/// Writes request operations into a route or a weighted cluster.
pub(super) fn request(ops: &HeaderOps, into: &mut Value) -> Derived<()> {
    write("request", ops, into);
    let Some(authority) = &ops.authority else {
        return Ok(());
    };
    into["host_rewrite_literal"] = literal(authority)?.into();
    Ok(())
}

/// Writes response operations into a route or a weighted cluster.
pub(super) fn response(ops: &HeaderOps, into: &mut Value) {
    write("response", ops, into);
}

fn write(direction: &str, ops: &HeaderOps, into: &mut Value) {
    if !ops.remove.is_empty() {
        let names = ops.remove.iter().map(|name| Value::from(name.as_str()));
        into[format!("{direction}_headers_to_remove")] = names.collect();
    }
    if !ops.write.is_empty() {
        into[format!("{direction}_headers_to_add")] = options(ops);
    }
}

/// Envoy's list of `HeaderValueOption`.
pub(super) fn options(ops: &HeaderOps) -> Value {
    let option = |(name, value): &(outrigger_core::message::FieldName, HeaderValue)| {
        let action = match value.overwrite {
            true => "OVERWRITE_IF_EXISTS_OR_ADD",
            false => "APPEND_IF_EXISTS_OR_ADD",
        };
        let text: String = value.parts.iter().map(format).collect();
        json!({ "header": { "key": name.as_str(), "value": text }, "append_action": action })
    };
    ops.write.iter().map(option).collect()
}

/// An authority that speaks of the request; Istio writes it as it stands, too.
fn literal(value: &HeaderValue) -> Derived<String> {
    let part = |part: &ValuePart| match part {
        ValuePart::Literal(text) => Ok(text.to_string()),
        _ => Err("an authority made of the request is only a text to Istio"),
    };
    value.parts.iter().map(part).collect()
}

/// A piece of a value in Envoy's format.
fn format(part: &ValuePart) -> String {
    match part {
        ValuePart::Literal(text) => text.replace('%', "%%"),
        ValuePart::Request(field) => operator("REQ", field),
        ValuePart::Response(field) => operator("RESP", field),
        ValuePart::DownstreamRemoteAddress { without_port } => {
            address("DOWNSTREAM_REMOTE_ADDRESS", *without_port)
        }
        ValuePart::DownstreamLocalAddress { without_port } => {
            address("DOWNSTREAM_LOCAL_ADDRESS", *without_port)
        }
        ValuePart::Protocol => "%PROTOCOL%".to_owned(),
        ValuePart::UpstreamHost => "%UPSTREAM_HOST%".to_owned(),
        ValuePart::RouteName => "%ROUTE_NAME%".to_owned(),
        ValuePart::ResponseCode => "%RESPONSE_CODE%".to_owned(),
    }
}

fn address(name: &str, without_port: bool) -> String {
    match without_port {
        true => format!("%{name}_WITHOUT_PORT%"),
        false => format!("%{name}%"),
    }
}

fn operator(name: &str, field: &FieldText) -> String {
    let otherwise = field.otherwise.iter().map(|other| format!("?{other}"));
    let length = field.length.iter().map(|length| format!(":{length}"));
    let (otherwise, length): (String, String) = (otherwise.collect(), length.collect());
    format!("%{name}({}{otherwise}){length}%", field.name)
}
