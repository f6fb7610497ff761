//! RequestAuthentication: which tokens are accepted.

use super::selection;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::node::Node;
use crate::config::report::Report;
use crate::config::yaml;

const PRESENCES: &[(&str, i32, ())] = &[("OPTIONAL", 0, ()), ("REQUIRED", 1, ())];

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>) {
    selection::judge(o);
    o.messages("jwtRules", jwt_rule);
}

fn jwt_rule(o: &mut Object<'_, '_>) {
    let (issuer, uri, keys) = (o.string("issuer"), o.string("jwksUri"), o.string("jwks"));
    o.one_of(&["jwks", "jwksUri"]);
    if issuer.is_empty() && uri.is_empty() {
        o.report().raise(
            Code::RequiredField,
            "a rule needs `issuer` or `jwksUri`",
            "",
        );
    }
    if !uri.is_empty() && !uri.starts_with("http://") && !uri.starts_with("https://") {
        let message = format!("`{uri}` is not an address of http or https");
        o.report()
            .raise_in("jwksUri", Code::InvalidPolicy, message, "");
    }
    if !keys.is_empty() {
        o.report().field("jwks", |report| check_keys(&keys, report));
    }
    for field in [
        "audiences",
        "fromParams",
        "fromCookies",
        "spaceDelimitedClaims",
    ] {
        let list = o.strings(field);
        o.report().each(field, &list, |report, value| {
            if value.is_empty() {
                report.raise(
                    Code::RequiredField,
                    "an empty value means nothing",
                    "remove it",
                );
            }
        });
    }
    o.messages("fromHeaders", |header| {
        header.string("prefix");
        if header.string("name").is_empty() {
            header
                .report()
                .raise(Code::RequiredField, "a header needs a name", "");
        }
    });
    o.messages("outputClaimToHeaders", claim_to_header);
    o.string("outputPayloadToHeader");
    o.boolean("forwardOriginalToken");
    let timeout = o.duration("timeout");
    checks::duration_in("timeout", timeout, o.report());
    o.symbol("presence", PRESENCES);
}

fn claim_to_header(o: &mut Object<'_, '_>) {
    let (header, claim) = (o.string("header"), o.string("claim"));
    if header.is_empty() || claim.is_empty() {
        let message = "a claim is copied from `claim` to `header`; both are needed";
        return o.report().raise(Code::RequiredField, message, "");
    }
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !header.bytes().all(is_allowed) {
        let message = format!("`{header}` is not a header name");
        o.report().raise_in(
            "header",
            Code::InvalidHeaderName,
            message,
            "use letters, digits, `-` and `_`",
        );
    }
}

/// A JSON Web Key Set (RFC 7517 §5), or a single key. JSON is YAML too.
fn check_keys(text: &str, report: &mut Report) {
    let mut aside = Report::new();
    let document = yaml::read(text.as_bytes(), &mut aside)
        .into_iter()
        .next()
        .unwrap_or_default();
    let keys: Vec<&Node> = match document.entry("keys") {
        Some(keys) => keys.value.items().iter().collect(),
        None => vec![&document],
    };
    let is_key = |key: &&Node| key.entry("kty").is_some();
    if aside.has_errors() || !keys.iter().all(is_key) {
        let message = "the value is not a JSON Web Key Set";
        return report.raise(
            Code::InvalidPolicy,
            message,
            "write `{\"keys\": [{\"kty\": …}]}`",
        );
    }
    let is_private = |key: &&Node| {
        let is_symmetric = key.entry("kty").and_then(|kty| kty.value.text()) == Some("oct");
        is_symmetric || key.entry("d").is_some()
    };
    if keys.iter().any(is_private) {
        let message = "a private key stands in the configuration; only public keys are used";
        report.raise(
            Code::PrivateKey,
            message,
            "remove it, and replace the key pair",
        );
    }
}
