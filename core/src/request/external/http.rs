//! Asking over HTTP: a request that is like the one it is about, and whose status is the answer.

use http::StatusCode;

use super::judged::{Changes, Judged};
use super::{Heard, PARTIAL, is_of_message, is_partial_text};
use crate::decision::Record;
use crate::message::{Headers, Known, RequestHead};
use crate::snapshot::{HttpCheck, TextPattern};

/// Names of fields that a request that may pass loses (Envoy).
const TO_REMOVE: &[u8] = b"x-envoy-auth-headers-to-remove";

pub(super) fn head(check: &HttpCheck, original: &Record, partial: Option<bool>) -> RequestHead {
    let request = &original.request;
    let path = [check.path_prefix.as_bytes(), &request.path].concat();
    let mut head = super::head(request.method.clone(), &request.authority, path);
    for field in request.headers.iter() {
        let is_seen = field.name == b"authorization" || is_named(&check.sees, field.name);
        // How much is shown is for nobody but us to say.
        if is_seen && !is_of_message(field.name) && field.name != PARTIAL {
            let _ = head.headers.append(field.name, field.value);
        }
    }
    for (name, value) in &check.adds {
        head.headers.set_named(name, value.as_bytes());
    }
    if let Some(partial) = partial {
        let value = is_partial_text(partial).as_bytes();
        let _ = head.headers.append(PARTIAL, value);
    }
    head
}

fn is_named(patterns: &[TextPattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

pub(super) fn judge(check: &HttpCheck, heard: &Heard) -> Judged {
    let status = heard.head.status;
    if status.is_server_error() {
        return Judged::Nonsense;
    }
    let of = |patterns: &[TextPattern]| {
        let mut fields = Headers::default();
        for field in heard.head.headers.iter() {
            if is_named(patterns, field.name) && !is_of_message(field.name) {
                let _ = fields.append(field.name, field.value);
            }
        }
        fields
    };
    if status == StatusCode::OK {
        return Judged::Allowed(Changes {
            set: of(&check.to_upstream),
            append: Headers::default(),
            remove: to_remove(&heard.head.headers),
            response: of(&check.to_allowed),
        });
    }
    Judged::Denied {
        status,
        fields: refused(check, &heard.head.headers),
        body: heard.body.clone(),
    }
}

/// Fields that a refused client sees. What it cannot do without comes along with those that are named (Envoy).
fn refused(check: &HttpCheck, headers: &Headers) -> Headers {
    let always: [&[u8]; 2] = [b"www-authenticate", b"location"];
    let mut fields = Headers::default();
    for field in headers.iter().filter(|field| !is_of_message(field.name)) {
        let is_seen = check.to_refused.is_empty()
            || is_named(&check.to_refused, field.name)
            || always.contains(&field.name)
            || field.known == Known::ContentType;
        if is_seen {
            let _ = fields.append(field.name, field.value);
        }
    }
    fields
}

fn to_remove(headers: &Headers) -> Vec<Box<str>> {
    let named = headers.iter().filter(|field| field.name == TO_REMOVE);
    let lists = named.filter_map(|field| core::str::from_utf8(field.value).ok());
    let names = lists.flat_map(|list| list.split(','));
    let names = names.map(|name| name.trim().to_ascii_lowercase());
    let names = names.filter(|name| !is_of_message(name.as_bytes()));
    names.map(Into::into).collect()
}
