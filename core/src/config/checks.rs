//! Checks that many kinds share: a value of the field at which the report stands, judged by `names`.

use std::collections::BTreeMap;

use super::code::Code;
use super::names;
use super::protocol::Protocol;
use super::report::Report;
use crate::time::Duration;

/// A port number, 1 to 65535; 0 where nobody wrote one.
pub(in crate::config) fn port(number: u32, report: &mut Report) {
    if number == 0 && !report.is_written() {
        let field = report.path().rsplit('.').next().unwrap_or_default();
        let (message, help) = (format!("`{field}` is missing"), format!("add `{field}: …`"));
        report.raise(Code::RequiredField, message, help);
    } else if let Err(why) = names::check_port(number.into()) {
        report.raise(Code::InvalidPort, format!("port `{number}` {why}"), "");
    }
}

/// The name of a port, a DNS label.
pub(in crate::config) fn port_name(name: &str, report: &mut Report) {
    if let Err(why) = names::check_dns_label(name) {
        report.raise(Code::InvalidName, format!("port name `{name}` {why}"), "");
    }
}

/// The protocol of a port; empty means to find out and is fine.
pub(in crate::config) fn protocol(name: &str, report: &mut Report) {
    if !name.is_empty() && Protocol::parse(name).is_none() {
        report.raise(
            Code::InvalidProtocol,
            format!("`{name}` is not a protocol"),
            "use HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, MYSQL or REDIS",
        );
    }
}

/// Labels that something carries.
pub(in crate::config) fn labels(labels: &BTreeMap<String, String>, report: &mut Report) {
    for (key, value) in labels {
        report.key(key, |report| {
            if let Err(why) = names::check_label_key(key) {
                report.raise(Code::InvalidLabel, format!("label key `{key}` {why}"), "");
            }
            if let Err(why) = names::check_label_value(value) {
                report.raise(
                    Code::InvalidLabel,
                    format!("label value `{value}` {why}"),
                    "",
                );
            }
        });
    }
}

/// A workload selector whose labels are in `field`; Istio forbids only empty keys and wildcards there.
pub(in crate::config) fn selector(
    field: &str,
    labels: &BTreeMap<String, String>,
    report: &mut Report,
) {
    if labels.is_empty() {
        report.raise(
            Code::EmptySelector,
            "a selector without labels selects the whole namespace",
            "name labels, or remove the selector",
        );
    }
    report.field(field, |report| {
        for (key, value) in labels {
            let why = if key.is_empty() {
                "a label needs a key"
            } else if key.contains('*') || value.contains('*') {
                "a selector has no wildcards"
            } else {
                continue;
            };
            report.key(key, |report| report.raise(Code::InvalidLabel, why, ""));
        }
    });
}

/// An `exportTo` list of a resource in `namespace`; `none` allows `~`.
pub(in crate::config) fn export_to(
    list: &[String],
    namespace: &str,
    none: bool,
    report: &mut Report,
) {
    for (at, why) in names::check_export_to(list, namespace, none) {
        report.index(at, |report| {
            report.raise(Code::InvalidExportTo, format!("`{}` {why}", list[at]), "");
        });
    }
}

/// The host part of an egress host or of a Gateway's host; IP addresses are the caller's concern.
pub(in crate::config) fn listener_host(host: &str, report: &mut Report) {
    let complaint = if host.is_empty() {
        "the host is empty".to_owned()
    } else if let Err(why) = names::check_host(host) {
        format!("`{host}` {why}")
    } else if names::is_partial_wildcard(host) {
        format!("`{host}` has a wildcard that is not a whole label")
    } else if host != "*" && !host.contains('.') {
        format!("`{host}` is a short name, which is not expanded here")
    } else {
        return;
    };
    report.raise(
        Code::InvalidHost,
        complaint,
        "write the full name, `*.suffix` or `*`",
    );
}

/// A duration that Istio wants to be at least a millisecond, and a whole number of them.
pub(in crate::config) fn duration(duration: Duration, report: &mut Report) {
    let complaint = if duration < Duration::from_millis(1) {
        "is shorter than 1ms"
    } else if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        "is not a whole number of milliseconds"
    } else {
        return;
    };
    report.raise(
        Code::InvalidDuration,
        format!("the duration {complaint}"),
        "",
    );
}

/// As [`duration`] for an optional field; zero is refused too, because there "none" is said by leaving it out.
pub(in crate::config) fn duration_in(field: &str, value: Option<Duration>, report: &mut Report) {
    if let Some(value) = value {
        report.field(field, |report| duration(value, report));
    }
}

/// As [`duration_in`], where zero has a meaning of its own.
pub(in crate::config) fn duration_or_zero_in(
    field: &str,
    value: Option<Duration>,
    report: &mut Report,
) {
    duration_in(field, value.filter(|value| !value.is_zero()), report);
}

/// A share of requests: 0, or 0.0001 to 100 percent.
pub(in crate::config) fn percentage(value: f64, report: &mut Report) {
    if value == 0.0 || (0.0001..=100.0).contains(&value) {
        return;
    }
    report.raise(
        Code::InvalidPercent,
        format!("`{value}` percent is neither 0 nor between 0.0001 and 100"),
        "",
    );
}

/// A whole percentage in a field that has a number for it.
pub(in crate::config) fn whole_percent(field: &str, value: i64, report: &mut Report) {
    if !(0..=100).contains(&value) {
        let message = format!("`{value}` percent is not between 0 and 100");
        report.raise_in(field, Code::InvalidPercent, message, "");
    }
}

/// A number of something, which may not be negative.
pub(in crate::config) fn not_negative(field: &str, value: i32, code: Code, report: &mut Report) {
    if value < 0 {
        report.raise_in(field, code, format!("`{value}` is negative"), "");
    }
}

/// A namespace, DNS label; empty is fine.
pub(in crate::config) fn namespace_in(field: &str, namespace: &str, report: &mut Report) {
    if !namespace.is_empty()
        && let Err(why) = names::check_dns_label(namespace)
    {
        let message = format!("namespace `{namespace}` {why}");
        report.raise_in(field, Code::InvalidName, message, "");
    }
}
