//! Filters that change header fields: those that backends have, too.

use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::virtual_service::{HeaderOperations, Headers};

/// Reads a filter if it is one of these; whether it is.
pub(super) fn read(headers: &mut Headers, name: &str, filter: &mut Object<'_, '_>) -> bool {
    match name {
        "RequestHeaderModifier" => {
            headers.request = filter.message("requestHeaderModifier", operations);
        }
        "ResponseHeaderModifier" => {
            headers.response = filter.message("responseHeaderModifier", operations);
        }
        _ => return false,
    }
    true
}

/// Reads `filters` of a backend; `None` where one does something else.
pub(super) fn of_backend(backend: &mut Object<'_, '_>) -> Option<Headers> {
    let mut headers = Headers::default();
    let mut is_known = true;
    backend.messages("filters", |filter| {
        let name = filter.string("type");
        if !read(&mut headers, &name, filter) {
            is_known = false;
            let message = format!("`{name}` of a backend is not in effect: its share answers 500");
            let report = filter.report();
            report.raise_in("type", Code::NotInEffect, message, "filter in the rule");
            take_settings(filter);
        }
    });
    is_known.then_some(headers)
}

/// The settings of filters that are told by their type are no unknown fields.
pub(super) fn take_settings(filter: &mut Object<'_, '_>) {
    for name in [
        "requestMirror",
        "requestRedirect",
        "urlRewrite",
        "cors",
        "extensionRef",
        "externalAuth",
    ] {
        filter.take(name);
    }
}

fn operations(modifier: &mut Object<'_, '_>) -> HeaderOperations {
    let mut pairs = |field| {
        let pairs = modifier.messages(field, |one| (one.string("name"), one.string("value")));
        pairs.into_iter().collect()
    };
    HeaderOperations {
        set: pairs("set"),
        add: pairs("add"),
        remove: modifier.strings("remove"),
    }
}
