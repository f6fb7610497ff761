//! WorkloadGroup: a template of WorkloadEntries, and how their health is asked for.

use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::workload_entry;

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>) {
    // Addresses are filled in for each workload, so the rules of a WorkloadEntry do not hold for the template.
    if o.message("template", workload_entry::decode).is_none() {
        o.report().raise_in(
            "template",
            Code::RequiredField,
            "a WorkloadGroup needs a template",
            "",
        );
    }
    o.message("metadata", |metadata| {
        let labels = metadata.string_map("labels");
        metadata.string_map("annotations");
        metadata
            .report()
            .field("labels", |report| checks::labels(&labels, report));
    });
    o.message("probe", probe);
}

fn probe(o: &mut Object<'_, '_>) {
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        let value = o.integer::<i32>(field);
        checks::not_negative(field, value, Code::InvalidNumber, o.report());
    }
    let methods = [
        o.message("httpGet", http_get).is_some(),
        o.message("tcpSocket", |o| {
            o.string("host");
            port(o);
        })
        .is_some(),
        o.message("exec", |o| {
            if o.strings("command").is_empty() {
                o.report()
                    .raise(Code::RequiredField, "a probe needs a command to run", "");
            }
        })
        .is_some(),
        o.message("grpc", |o| {
            o.string("service");
            port(o);
        })
        .is_some(),
    ];
    o.one_of(&["httpGet", "tcpSocket", "exec", "grpc"]);
    if !methods.contains(&true) {
        o.report().raise(
            Code::RequiredField,
            "a probe needs a way to ask",
            "set `httpGet`, `tcpSocket`, `exec` or `grpc`",
        );
    }
}

fn port(o: &mut Object<'_, '_>) {
    let number = o.integer::<u32>("port");
    o.report()
        .field("port", |report| checks::port(number, report));
}

fn http_get(o: &mut Object<'_, '_>) {
    o.string("path");
    o.string("host");
    port(o);
    let scheme = o.string("scheme");
    if !matches!(scheme.as_str(), "" | "HTTP" | "HTTPS") {
        let message = format!("`{scheme}` is neither `HTTP` nor `HTTPS`");
        o.report()
            .raise_in("scheme", Code::InvalidEnum, message, "");
    }
    o.messages("httpHeaders", |header| {
        header.string("value");
        let name = header.string("name");
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_name {
            let message = format!("`{name}` is not a header name");
            header.report().raise_in(
                "name",
                Code::InvalidHeaderName,
                message,
                "use letters, digits and `-`",
            );
        }
    });
}
