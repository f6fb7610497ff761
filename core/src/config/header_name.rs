//! Names and values of header fields in configuration: which may be matched, and which may be written.

use super::code::Code;
use super::format::{self, FormatError};
use super::report::Report;
use super::value::quoted;
use crate::message::FieldName;

/// A name of a match that stands for a claim of a token; only gateways know claims.
const CLAIM_PREFIX: &str = "@request.auth.claims";

/// Whether a header match asks for a claim of a token rather than a header.
#[must_use]
pub fn is_claim(name: &str) -> bool {
    name.strip_prefix(CLAIM_PREFIX)
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The names that lead to the claim: of `.a.b` and of `[a][b]` both `a` and `b`. `None` where it is malformed.
#[must_use]
pub fn claim_path(name: &str) -> Option<Vec<&str>> {
    let rest = name.get(CLAIM_PREFIX.len()..)?;
    let names: Vec<&str> = match rest.strip_prefix('.') {
        Some(dotted) => dotted.split('.').collect(),
        None => {
            let inner = rest.strip_prefix('[')?.strip_suffix(']')?;
            inner.split("][").collect()
        }
    };
    let is_plain = |name: &&str| !name.is_empty() && !name.contains(['[', ']']);
    names.iter().all(is_plain).then_some(names)
}

/// What is wrong with a header name, in words that continue "`x` …".
///
/// # Errors
/// It is empty or not a token (RFC 9110 §5.1).
pub fn check_field_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty, a header name is required")
    } else if FieldName::new(name).is_none() {
        Err("is not a header name: letters, digits, `-` and `_`")
    } else {
        Ok(())
    }
}

/// Whether it is one of the pseudo header fields that a match may name.
fn is_pseudo(name: &str) -> bool {
    matches!(
        name,
        ":method" | ":scheme" | ":authority" | ":path" | ":status"
    )
}

/// A name in `headers` or `withoutHeaders` of a match.
pub(in crate::config) fn matched(name: &str, report: &mut Report) {
    if is_claim(name) || is_pseudo(name) {
        return;
    }
    tell_name(name, check_field_name(name), report);
}

/// A plain field name, as CORS lists them.
pub(in crate::config) fn plain(name: &str, report: &mut Report) {
    tell_name(name, check_field_name(name), report);
}

/// Whether it names the authority of a request, which HTTP/1 carries in `Host`.
pub(in crate::config) fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// A name in `set`, `add` or `remove`. The host may only be changed in a request, and never removed.
pub(in crate::config) fn written(name: &str, takes_authority: bool, report: &mut Report) {
    let complaint = if is_authority(name) {
        if takes_authority {
            Ok(())
        } else {
            Err("may only be set or added in a request")
        }
    } else if name.starts_with(':') {
        Err("is a pseudo header, which can not be changed")
    } else {
        check_field_name(name)
    };
    tell_name(name, complaint, report);
}

fn tell_name(name: &str, complaint: Result<(), &'static str>, report: &mut Report) {
    if let Err(why) = complaint {
        report.raise(
            Code::InvalidHeaderName,
            format!("header name {} {why}", quoted(name)),
            "",
        );
    }
}

/// A value in `set` or `add`: no line breaks, and format operators that are known.
pub(in crate::config) fn value(text: &str, report: &mut Report) {
    if text.chars().any(|c| matches!(c, '\0' | '\r' | '\n')) {
        let message = format!("header value {} has a line break or NUL", quoted(text));
        report.raise(Code::InvalidHeaderValue, message, "");
        return;
    }
    // A percent sign too many is told before an operator that is not known.
    if format::has_lone_percent(text) {
        tell_lone_percent(text, report);
        return;
    }
    match format::parse(text) {
        Ok(_) => {}
        Err(FormatError::LonePercent) => tell_lone_percent(text, report),
        Err(FormatError::UnknownOperator(operator)) if is_envoy_operator(&operator) => report
            .raise(
                Code::OperatorNotInEffect,
                format!(
                    "{} is not filled in by this proxy yet; it is sent as it stands",
                    quoted(&format!("%{operator}%"))
                ),
                "",
            ),
        Err(FormatError::UnknownOperator(operator)) => report.raise(
            Code::InvalidHeaderValue,
            format!(
                "{} is not a format operator",
                quoted(&format!("%{operator}%"))
            ),
            "write `%%` for a percent sign",
        ),
    }
}

fn tell_lone_percent(text: &str, report: &mut Report) {
    report.raise(
        Code::InvalidHeaderValue,
        format!("header value {} has a lone `%`", quoted(text)),
        "write `%%` for a percent sign",
    );
}

/// Operators of Envoy's access log format, which header values may use. Arguments are not looked at.
fn is_envoy_operator(operator: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "BYTES_",
        "CEL",
        "CONNECTION_",
        "COALESCE",
        "DOWNSTREAM_",
        "DURATION",
        "DYNAMIC_METADATA",
        "CLUSTER_METADATA",
        "EMIT_TIME",
        "ENVIRONMENT",
        "FILE_CONTENT",
        "FILTER_CHAIN_NAME",
        "FILTER_STATE",
        "GRPC_STATUS",
        "HOSTNAME",
        "ACCESS_LOG_TYPE",
        "METADATA",
        "PATH",
        "PER_REQUEST_STATE",
        "PROTOCOL",
        "QUERY_PARAM",
        "REQ",
        "REQUEST_",
        "REQUESTED_SERVER_NAME",
        "RESP",
        "RESPONSE_",
        "ROUNDTRIP_DURATION",
        "ROUTE_NAME",
        "START_TIME",
        "STREAM_ID",
        "TLS_JA3_FINGERPRINT",
        "TRACE_ID",
        "TRAILER",
        "UNIQUE_ID",
        "UPSTREAM_",
        "VIRTUAL_CLUSTER_NAME",
    ];
    let end = operator.find(['(', ':']).unwrap_or(operator.len());
    let name = &operator[..end];
    let is_word = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    is_word
        && FAMILIES
            .iter()
            .any(|family| name == *family || family.ends_with('_') && name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(check: impl FnOnce(&mut Report)) -> Vec<&'static str> {
        let mut report = Report::new();
        check(&mut report);
        report
            .into_findings()
            .iter()
            .map(|finding| finding.code.as_str())
            .collect()
    }

    #[test]
    fn names() {
        // Name, may be matched, written in a request, removed or written in a response.
        let cases = [
            ("x-a", true, true, true),
            ("X-Requested-With", true, true, true),
            ("", false, false, false),
            ("a b", false, false, false),
            ("é", false, false, false),
            ("host", true, true, false),
            (":authority", true, true, false),
            (":path", true, false, false),
            (":foo", false, false, false),
            ("@request.auth.claims.sub", true, false, false),
        ];
        for (name, matches, request, response) in cases {
            assert_eq!(codes(|r| matched(name, r)).is_empty(), matches, "{name:?}");
            assert_eq!(
                codes(|r| written(name, true, r)).is_empty(),
                request,
                "{name:?}"
            );
            assert_eq!(
                codes(|r| written(name, false, r)).is_empty(),
                response,
                "{name:?}"
            );
        }
    }

    #[test]
    fn values() {
        let cases: &[(&str, &[&str])] = &[
            ("plain", &[]),
            ("100%%", &[]),
            ("%REQ(:path)%", &[]),
            ("prefix %HOSTNAME% suffix", &["operator-not-in-effect"]),
            ("%START_TIME(%s)%", &["operator-not-in-effect"]),
            (
                "%DOWNSTREAM_PEER_CERT_V_START(%b %d %Y)%, %PROTOCOL%",
                &["operator-not-in-effect"],
            ),
            ("%HOSTNAME% 50%", &["invalid-header-value"]),
            ("50% of %REQ(a)%", &["invalid-header-value"]),
            ("%START_TIME%%", &["invalid-header-value"]),
            ("abc%123", &["invalid-header-value"]),
            ("%FOO%", &["invalid-header-value"]),
            ("a\nb", &["invalid-header-value"]),
        ];
        for (text, expected) in cases {
            assert_eq!(codes(|r| value(text, r)), *expected, "{text:?}");
        }
    }
}
