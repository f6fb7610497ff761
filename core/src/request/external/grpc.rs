//! Asking over gRPC: `envoy.service.auth.v3.Authorization/Check`.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;

use super::judged::{Changes, Judged};
use super::messages::{self, HeaderValueOption};
use super::{Heard, PARTIAL, call, is_of_message, is_partial_text, sound_field};
use crate::decision::Record;
use crate::message::{Headers, Known, RequestHead, Version};
use crate::request::{Context, scheme};
use crate::snapshot::Authorizer;

/// The method that is called.
const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

pub(super) fn head(authorizer: &Authorizer) -> RequestHead {
    call::head(PATH, &authorizer.authority, Some(authorizer.timeout))
}

/// What is asked, with its prefix. The body comes with whether it is only the beginning of one.
pub(super) fn message(
    authorizer: &Authorizer,
    body: (&Bytes, Option<bool>),
    context: &Context<'_>,
    original: &Record,
) -> Bytes {
    let tls = context.tls;
    let principal = tls.and_then(|tls| tls.peer.as_ref()?.uri_names.first());
    let source = messages::Peer {
        address: Some(address(context.peer.remote)),
        principal: principal.map(ToString::to_string).unwrap_or_default(),
    };
    let destination = messages::Peer {
        address: Some(address(context.peer.destination())),
        principal: String::new(),
    };
    let connection = original.connection.as_deref();
    let passed = connection.and_then(|connection| connection.server_name.as_deref());
    let sni = tls.and_then(|tls| tls.sni.as_deref()).or(passed);
    let request = messages::CheckRequest {
        attributes: Some(messages::AttributeContext {
            source: Some(source),
            destination: Some(destination),
            // About a connection that is not HTTP there is no more to say (Envoy's network filter).
            request: connection.is_none().then(|| messages::Request {
                http: Some(http_request(authorizer, body, original)),
            }),
            tls_session: sni.map(|sni| messages::TlsSession { sni: sni.into() }),
        }),
    };
    call::framed(&messages::encode(&request))
}

fn address(of: SocketAddr) -> messages::Address {
    messages::Address {
        socket_address: Some(messages::SocketAddress {
            address: of.ip().to_string(),
            port: Some(of.port().into()),
        }),
    }
}

fn http_request(
    authorizer: &Authorizer,
    (body, partial): (&Bytes, Option<bool>),
    original: &Record,
) -> messages::HttpRequest {
    let request = &original.request;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let scheme = scheme(request);
    let mut headers = BTreeMap::from([
        (":authority".to_owned(), text(&request.authority)),
        (":method".to_owned(), request.method.to_string()),
        (":path".to_owned(), text(&request.path)),
        (":scheme".to_owned(), scheme.to_owned()),
    ]);
    if let Some(partial) = partial {
        headers.insert(text(PARTIAL), is_partial_text(partial).to_owned());
    }
    // How much is shown is for nobody but us to say.
    let fields = request.headers.iter();
    for field in fields.filter(|field| field.name != PARTIAL) {
        let value = text(field.value);
        match headers.get_mut(&text(field.name)) {
            Some(known) => *known = format!("{known},{value}"),
            None => {
                headers.insert(text(field.name), value);
            }
        }
    }
    let checked = authorizer.body;
    let (as_text, as_bytes) = match checked {
        Some(checked) if checked.as_bytes => (String::new(), body.to_vec()),
        Some(_) => (text(body), Vec::new()),
        None => (String::new(), Vec::new()),
    };
    let protocol = match request.version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2",
    };
    let id = request.headers.get(Known::XRequestId);
    messages::HttpRequest {
        id: text(id.unwrap_or_default()),
        method: request.method.to_string(),
        headers,
        path: text(&request.path),
        host: text(&request.authority),
        scheme: scheme.to_owned(),
        // Unknown where it was not waited for (Envoy).
        size: checked.map_or(-1, |_| i64::try_from(body.len()).unwrap_or(-1)),
        protocol: protocol.to_owned(),
        body: as_text,
        raw_body: as_bytes,
    }
}

pub(super) fn judge(heard: &Heard) -> Judged {
    let answer = call::answer(heard).and_then(messages::decode::<messages::CheckResponse>);
    let Some(answer) = answer else {
        return Judged::Nonsense;
    };
    if answer.status.is_none_or(|status| status.code == 0) {
        return match answer.denied {
            // It says both.
            Some(_) => Judged::Nonsense,
            None => Judged::Allowed(allowed(&answer.ok.unwrap_or_default())),
        };
    }
    let denied = answer.denied.unwrap_or_default();
    let status = denied.status.map_or(0, |status| status.code);
    let status = u16::try_from(status).ok().filter(|code| *code >= 200);
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let mut fields = Headers::default();
    for (name, value, _) in denied.headers.iter().filter_map(sound) {
        let _ = fields.append(name.as_bytes(), value);
    }
    Judged::Denied {
        status: status.unwrap_or(StatusCode::FORBIDDEN),
        fields,
        body: denied.body.into(),
    }
}

fn allowed(ok: &messages::OkHttpResponse) -> Changes {
    let mut changes = Changes::default();
    for (name, value, appends) in ok.headers.iter().filter_map(sound) {
        let fields = if appends {
            &mut changes.append
        } else {
            &mut changes.set
        };
        let _ = fields.append(name.as_bytes(), value);
    }
    for (name, value, _) in ok.response_headers_to_add.iter().filter_map(sound) {
        let _ = changes.response.append(name.as_bytes(), value);
    }
    let names = ok.headers_to_remove.iter();
    let names = names.map(|name| name.to_ascii_lowercase());
    let names = names.filter(|name| !is_of_message(name.as_bytes()));
    changes.remove = names.map(Into::into).collect();
    changes
}

/// A field that may be set: its name in lower case, its value, and whether it stands beside others.
fn sound(of: &HeaderValueOption) -> Option<(String, &[u8], bool)> {
    let header = of.header.as_ref()?;
    let (name, value) = sound_field(header)?;
    Some((name, value, of.append.is_some_and(|append| append.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ResponseHead;
    use crate::snapshot::{AuthorizerProtocol, DestinationCluster, HttpCheck, TextPattern};
    use crate::time::Duration;

    fn framed(message: &messages::CheckResponse) -> Bytes {
        call::framed(&messages::encode(message))
    }

    fn heard(body: Bytes, code: Option<&[u8]>) -> Heard {
        let mut head = ResponseHead::default();
        if let Some(code) = code {
            head.headers.set(Known::GrpcStatus, code);
        }
        Heard {
            head,
            body,
            trailers: None,
        }
    }

    fn option(key: &str, value: &str, append: bool) -> HeaderValueOption {
        HeaderValueOption {
            header: Some(messages::HeaderValue {
                key: key.into(),
                value: value.into(),
                raw_value: Vec::new(),
            }),
            append: Some(messages::BoolValue { value: append }),
            append_action: 0,
        }
    }

    fn told(fields: &Headers) -> Vec<String> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let fields = fields.iter();
        fields
            .map(|field| format!("{}: {}", text(field.name), text(field.value)))
            .collect()
    }

    /// A client does not say how much of its body is seen.
    #[test]
    fn how_much_is_shown_is_for_us_to_say() {
        let mut original = Record::default();
        for value in [&b"false"[..], b"true"] {
            let headers = &mut original.request.headers;
            headers.append(PARTIAL, value).unwrap();
        }
        let authorizer = Authorizer {
            name: "authz".into(),
            cluster: DestinationCluster::Passthrough,
            authority: "authz.test".into(),
            timeout: Duration::from_secs(1),
            fails_open: false,
            status_on_error: StatusCode::FORBIDDEN,
            body: None,
            protocol: AuthorizerProtocol::Grpc,
        };
        for (partial, want) in [(None, None), (Some(true), Some("true"))] {
            let shown = (&Bytes::new(), partial);
            let asked = http_request(&authorizer, shown, &original);
            let told = asked.headers.get("x-envoy-auth-partial-body");
            assert_eq!(told.map(String::as_str), want);
        }
        let check = HttpCheck {
            sees: [TextPattern::Present].into(),
            ..HttpCheck::default()
        };
        for (partial, want) in [(None, &[][..]), (Some(true), &["true"])] {
            let asked = super::super::http::head(&check, &original, partial);
            let told = asked.headers.iter().filter(|field| field.name == PARTIAL);
            let told: Vec<_> = told.map(|field| field.value).collect();
            let want: Vec<_> = want.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(told, want);
        }
    }

    /// What frames a message, names a request or ends a line is nobody's to set.
    #[test]
    fn a_provider_sets_fields_and_no_frames() {
        let answer = messages::CheckResponse {
            status: Some(messages::Status { code: 0 }),
            denied: None,
            ok: Some(messages::OkHttpResponse {
                headers: vec![
                    option("X-User", "jo", false),
                    option("x-group", "a", true),
                    option("host", "other", false),
                    option(":path", "/admin", false),
                    option("Content-Length", "0", false),
                    option("transfer-encoding", "chunked", false),
                    option("x-a", "b\r\nx-c: d", false),
                    option("x a", "b", false),
                    HeaderValueOption::default(),
                ],
                headers_to_remove: vec!["X-Drop".into(), "host".into(), ":method".into()],
                response_headers_to_add: vec![option("x-told", "yes", false)],
            }),
        };
        let Judged::Allowed(changes) = judge(&heard(framed(&answer), Some(b"0"))) else {
            panic!("it is allowed");
        };
        assert_eq!(told(&changes.set), ["x-user: jo"]);
        assert_eq!(told(&changes.append), ["x-group: a"]);
        assert_eq!(told(&changes.response), ["x-told: yes"]);
        assert_eq!(changes.remove, [Box::from("x-drop")]);
    }

    #[test]
    fn what_makes_no_sense_allows_nothing() {
        let ok = framed(&messages::CheckResponse::default());
        let both = framed(&messages::CheckResponse {
            denied: Some(messages::DeniedHttpResponse::default()),
            ..messages::CheckResponse::default()
        });
        for (body, code, is_good) in [
            (ok.clone(), Some(&b"0"[..]), true),
            (ok, Some(b"7"), false),
            (both, Some(b"0"), false),
            (call::framed(&[0xff]), Some(b"0"), false),
        ] {
            let judged = judge(&heard(body.clone(), code));
            let is_allowed = matches!(judged, Judged::Allowed(_));
            assert_eq!(is_allowed, is_good, "{body:?} {code:?}");
        }
    }

    /// A status that is none, or an interim one, is 403.
    #[test]
    fn a_refusal_has_a_status_of_its_own() {
        for (code, want) in [(401, 401), (0, 403), (100, 403), (7000, 403), (-1, 403)] {
            let answer = messages::CheckResponse {
                status: Some(messages::Status { code: 7 }),
                denied: Some(messages::DeniedHttpResponse {
                    status: Some(messages::HttpStatus { code }),
                    ..messages::DeniedHttpResponse::default()
                }),
                ok: None,
            };
            let Judged::Denied { status, .. } = judge(&heard(framed(&answer), Some(b"0"))) else {
                panic!("it is denied");
            };
            assert_eq!(status.as_u16(), want, "{code}");
        }
    }
}
