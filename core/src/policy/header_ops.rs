//! Header operations of a route and its destination (VirtualService `headers`), with Envoy's format strings.
//!
//! The order of the operations was settled when the snapshot was compiled; here they run. A value that comes out empty
//! is not written (Envoy), so `set: {x: "%REQ(y)%"}` without `y` leaves `x` alone.

use core::fmt;
use core::net::SocketAddr;
use std::io::Write as _;

use http::StatusCode;
use smallvec::SmallVec;

use super::rewrite::set_authority;
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::snapshot::{FieldText, HeaderOps, HeaderValue, ValuePart};

/// What format operators may speak of.
#[derive(Clone, Copy, Debug)]
pub struct FormatContext<'a> {
    /// The request as received, before any operation.
    pub request: &'a RequestHead,
    /// The scheme the client used.
    pub scheme: &'a str,
    /// Who sent the request, when it has an address.
    pub downstream_remote: Option<SocketAddr>,
    /// Where it was received, when that has an address.
    pub downstream_local: Option<SocketAddr>,
    /// The endpoint as logs write it; empty before one is picked.
    pub upstream_host: &'a str,
    /// The name of the rule.
    pub route_name: &'a str,
}

/// Runs operations on a request that is about to be forwarded.
pub fn apply_to_request(ops: &HeaderOps, head: &mut RequestHead, context: &FormatContext<'_>) {
    if ops.is_empty() {
        return;
    }
    apply(ops, &mut head.headers, context, None);
    if let Some(value) = &ops.authority {
        let authority = evaluate(value, context, None);
        if !authority.is_empty() {
            set_authority(head, &authority);
        }
    }
}

/// Runs operations on a response on its way to the client.
pub fn apply_to_response(ops: &HeaderOps, head: &mut ResponseHead, context: &FormatContext<'_>) {
    if !ops.is_empty() {
        apply(ops, &mut head.headers, context, Some(head.status));
    }
}

fn apply(
    ops: &HeaderOps,
    headers: &mut Headers,
    context: &FormatContext<'_>,
    status: Option<StatusCode>,
) {
    for name in &ops.remove {
        headers.remove_named(name);
    }
    for (name, value) in &ops.write {
        let text = evaluate(value, context, status.map(|status| (status, &*headers)));
        if text.is_empty() {
            continue;
        }
        if value.overwrite {
            headers.set_named(name, &text);
        } else {
            headers.append_named(name, &text);
        }
    }
}

/// A value with its operators filled in; on the stack when short.
type Text = SmallVec<[u8; 128]>;

fn evaluate(
    value: &HeaderValue,
    context: &FormatContext<'_>,
    response: Option<(StatusCode, &Headers)>,
) -> Text {
    let mut text = Text::new();
    for part in &value.parts {
        push_part(part, context, response, &mut text);
    }
    text
}

fn push_part(
    part: &ValuePart,
    context: &FormatContext<'_>,
    response: Option<(StatusCode, &Headers)>,
    text: &mut Text,
) {
    match part {
        ValuePart::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
        ValuePart::Request(field) => {
            push_field(field, |name| request_field(name, context), text);
        }
        ValuePart::Response(field) => {
            if let Some((_, headers)) = response {
                push_field(field, |name| first(headers, name), text);
            }
        }
        ValuePart::DownstreamRemoteAddress { without_port } => {
            push_address(context.downstream_remote, *without_port, text);
        }
        ValuePart::DownstreamLocalAddress { without_port } => {
            push_address(context.downstream_local, *without_port, text);
        }
        ValuePart::Protocol => {
            text.extend_from_slice(context.request.version.as_str().as_bytes());
        }
        ValuePart::UpstreamHost => text.extend_from_slice(context.upstream_host.as_bytes()),
        ValuePart::RouteName => text.extend_from_slice(context.route_name.as_bytes()),
        ValuePart::ResponseCode => {
            if let Some((status, _)) = response {
                text.extend_from_slice(status.as_str().as_bytes());
            }
        }
    }
}

/// The other field is asked only when the first is absent; an empty one is there.
fn push_field<'a>(field: &FieldText, find: impl Fn(&str) -> Option<&'a [u8]>, text: &mut Text) {
    let other = || find(field.otherwise.as_deref()?);
    let value = find(&field.name).or_else(other).unwrap_or_default();
    let length = field.length.unwrap_or(value.len()).min(value.len());
    text.extend_from_slice(&value[..length]);
}

fn request_field<'a>(name: &str, context: &FormatContext<'a>) -> Option<&'a [u8]> {
    let request = context.request;
    match name {
        ":method" => Some(request.method.as_str().as_bytes()),
        ":path" => Some(&request.path),
        ":authority" | "host" => Some(&request.authority),
        ":scheme" => Some(context.scheme.as_bytes()),
        name => first(&request.headers, name),
    }
}

/// Envoy's `%REQ%` and `%RESP%` speak of the first field of a name.
fn first<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut fields = headers.iter();
    let found = fields.find(|field| field.name == name.as_bytes());
    found.map(|field| field.value)
}

fn push_address(address: Option<SocketAddr>, without_port: bool, text: &mut Text) {
    let Some(address) = address else { return };
    if without_port {
        push_display(&address.ip(), text);
    } else {
        push_display(&address, text);
    }
}

fn push_display(value: &dyn fmt::Display, text: &mut Text) {
    // Writing into memory cannot fail.
    let _ = write!(text, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::FieldName;

    fn value(overwrite: bool, parts: &[ValuePart]) -> HeaderValue {
        HeaderValue {
            overwrite,
            parts: parts.into(),
        }
    }

    fn field(name: &str, otherwise: Option<&str>, length: Option<usize>) -> FieldText {
        FieldText {
            name: name.into(),
            otherwise: otherwise.map(Into::into),
            length,
        }
    }

    fn name(text: &str) -> FieldName {
        FieldName::new(text).unwrap()
    }

    fn text(headers: &Headers) -> String {
        let fields = headers.iter().map(|f| {
            let (name, value) = (
                String::from_utf8_lossy(f.name),
                String::from_utf8_lossy(f.value),
            );
            format!("{name}={value}")
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    fn context(request: &RequestHead) -> FormatContext<'_> {
        FormatContext {
            request,
            scheme: "http",
            downstream_remote: Some(([192, 0, 2, 1], 999).into()),
            downstream_local: Some(([127, 0, 0, 1], 15001).into()),
            upstream_host: "10.0.0.1:80",
            route_name: "r",
        }
    }

    fn request() -> RequestHead {
        let mut head = RequestHead {
            authority: b"a.test:80".to_vec(),
            path: b"/p?q".to_vec(),
            ..RequestHead::default()
        };
        for (name, value) in [
            ("x-gone", "1"),
            ("x-set", "old"),
            ("x-add", "one"),
            ("x-set", "2"),
        ] {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            head.headers.append(name, value).unwrap();
        }
        head
    }

    #[test]
    fn operations_run_in_order() {
        let literal = |text: &str| ValuePart::Literal(text.into());
        let ops = HeaderOps {
            remove: [name("x-gone")].into(),
            write: [
                (name("x-set"), value(true, &[literal("new")])),
                (name("x-add"), value(false, &[literal("more")])),
                (name("x-set"), value(true, &[literal("last")])),
                (
                    name("x-none"),
                    value(true, &[ValuePart::Request("x-no".into())]),
                ),
            ]
            .into(),
            authority: Some(value(true, &[literal("h.test")])),
        };
        let received = request();
        let mut head = received.clone();
        apply_to_request(&ops, &mut head, &context(&received));
        assert_eq!(
            text(&head.headers),
            "x-set=last x-add=one x-add=more x-envoy-original-host=a.test:80"
        );
        assert_eq!(head.authority, b"h.test");
    }

    #[test]
    fn operators_speak_of_the_request_as_received() {
        use ValuePart::{
            DownstreamLocalAddress, DownstreamRemoteAddress, Protocol, Request, Response,
            ResponseCode, RouteName, UpstreamHost,
        };
        let received = request();
        let mut head = ResponseHead {
            status: StatusCode::NOT_FOUND,
            ..ResponseHead::default()
        };
        head.headers.append(b"x-r", b"resp").unwrap();
        for (part, want) in [
            (Request(":path".into()), "/p?q"),
            (Request(":authority".into()), "a.test:80"),
            (Request(":method".into()), "GET"),
            (Request(":scheme".into()), "http"),
            (Request("x-set".into()), "old"),
            (Request(field("x-no", Some("x-set"), Some(2))), "ol"),
            (Request(field("x-set", Some("x-add"), Some(9))), "old"),
            (Request(field("x-no", Some(":path"), None)), "/p?q"),
            (Response(field("x-no", Some("x-r"), Some(3))), "res"),
            (Response("x-r".into()), "resp"),
            (
                DownstreamRemoteAddress {
                    without_port: false,
                },
                "192.0.2.1:999",
            ),
            (DownstreamRemoteAddress { without_port: true }, "192.0.2.1"),
            (DownstreamLocalAddress { without_port: true }, "127.0.0.1"),
            (Protocol, "HTTP/1.1"),
            (UpstreamHost, "10.0.0.1:80"),
            (RouteName, "r"),
            (ResponseCode, "404"),
        ] {
            let ops = HeaderOps {
                write: [(name("x"), value(true, core::slice::from_ref(&part)))].into(),
                ..HeaderOps::default()
            };
            apply_to_response(&ops, &mut head, &context(&received));
            assert_eq!(
                text(&head.headers),
                format!("x-r=resp x={want}"),
                "{part:?}"
            );
        }
    }
}
