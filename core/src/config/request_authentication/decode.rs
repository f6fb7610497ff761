//! The fields of a RequestAuthentication, by Istio's rules.

use super::{FromHeader, JwtRule, KeySource, RequestAuthentication};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::header_name;
use crate::config::judged::selection;
use crate::config::meta::Meta;
use crate::config::report::Report;
use crate::jose::{KeySet, KeySetFault};

const PRESENCES: &[(&str, i32, bool)] = &[("OPTIONAL", 0, false), ("REQUIRED", 1, true)];

pub(super) fn decode(meta: Meta, o: &mut Object<'_, '_>) -> RequestAuthentication {
    let selector = selection::judge(o);
    let is_present = |name| o.node().field(name).is_some_and(|e| !e.value.is_null());
    let is_targeted = is_present("targetRef") || is_present("targetRefs");
    if is_targeted {
        o.report().raise(
            Code::NotInEffect,
            "what is attached to a gateway, a waypoint or a service is not for sidecars",
            "select workloads by `selector.matchLabels`",
        );
    }
    RequestAuthentication {
        meta,
        selector,
        is_targeted,
        jwt_rules: o.messages("jwtRules", jwt_rule),
    }
}

fn jwt_rule(o: &mut Object<'_, '_>) -> JwtRule {
    let issuer = o.string("issuer");
    let keys = key_source(o, &issuer);
    JwtRule {
        issuer,
        keys,
        audiences: texts(o, "audiences"),
        from_headers: o.messages("fromHeaders", from_header),
        from_params: texts(o, "fromParams"),
        from_cookies: texts(o, "fromCookies"),
        output_payload_to_header: output_field(o),
        forward_original_token: o.boolean("forwardOriginalToken"),
        output_claim_to_headers: o.messages("outputClaimToHeaders", claim_to_header),
        timeout: timeout(o),
        space_delimited_claims: texts(o, "spaceDelimitedClaims"),
        is_required: o.symbol("presence", PRESENCES).unwrap_or_default(),
    }
}

fn key_source(o: &mut Object<'_, '_>, issuer: &str) -> KeySource {
    let (uri, keys) = (o.string("jwksUri"), o.string("jwks"));
    o.one_of(&["jwks", "jwksUri"]);
    let mut tell = |field: &str, message: String, help: &str| {
        o.report()
            .raise_in(field, Code::InvalidPolicy, message, help);
    };
    if !uri.is_empty() {
        if !is_http(&uri) {
            let message = format!("`{uri}` is not an address of http or https");
            tell("jwksUri", message, "");
        }
        return KeySource::Uri(uri);
    }
    if !keys.is_empty() {
        o.report().field("jwks", |report| check_keys(&keys, report));
        return KeySource::Inline(keys);
    }
    if issuer.is_empty() {
        o.report().raise(
            Code::RequiredField,
            "a rule needs `issuer` or `jwksUri`",
            "",
        );
    } else if !is_http(issuer) {
        let message = format!(
            "nobody can ask `{issuer}` for its keys: it is not an address of http or https, so its tokens are refused"
        );
        let help = "write `jwksUri` or `jwks`";
        o.report()
            .raise_in("issuer", Code::UnusableKey, message, help);
    }
    KeySource::Discovered
}

fn is_http(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// A list of texts that mean nothing when they are empty.
fn texts(o: &mut Object<'_, '_>, field: &'static str) -> Vec<String> {
    let list = o.strings(field);
    o.report().each(field, &list, |report, value| {
        if value.is_empty() {
            let message = "an empty value means nothing";
            report.raise(Code::RequiredField, message, "remove it");
        }
    });
    list
}

fn from_header(o: &mut Object<'_, '_>) -> FromHeader {
    let (name, prefix) = (o.string("name"), o.string("prefix"));
    if name.is_empty() {
        let message = "a header needs a name";
        o.report().raise(Code::RequiredField, message, "");
    } else {
        o.report()
            .field("name", |report| header_name::plain(&name, report));
    }
    FromHeader { name, prefix }
}

fn output_field(o: &mut Object<'_, '_>) -> Option<String> {
    let name = o.string("outputPayloadToHeader");
    if name.is_empty() {
        return None;
    }
    o.report().field("outputPayloadToHeader", |report| {
        header_name::plain(&name, report);
    });
    Some(name)
}

fn claim_to_header(o: &mut Object<'_, '_>) -> (String, String) {
    let (header, claim) = (o.string("header"), o.string("claim"));
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if header.is_empty() || claim.is_empty() {
        let message = "a claim is copied from `claim` to `header`; both are needed";
        o.report().raise(Code::RequiredField, message, "");
    } else if !header.bytes().all(is_allowed) {
        let message = format!("`{header}` is not a header name");
        let help = "use letters, digits, `-` and `_`";
        o.report()
            .raise_in("header", Code::InvalidHeaderName, message, help);
    }
    (header, claim)
}

fn timeout(o: &mut Object<'_, '_>) -> Option<crate::time::Duration> {
    let timeout = o.duration("timeout");
    checks::duration_in("timeout", timeout, o.report());
    timeout
}

/// Keys that stand in the configuration (RFC 7517).
fn check_keys(text: &str, report: &mut Report) {
    let set = match KeySet::read(text.as_bytes()) {
        Ok(set) => set,
        Err(KeySetFault::NoValidKey) => {
            let message = "no key of the set can be used, so every token of the issuer is refused";
            return report.raise(Code::UnusableKey, message, "");
        }
        Err(fault) => {
            let message = format!("the value is not a JSON Web Key Set: {}", fault.as_str());
            let help = "write `{\"keys\": [{\"kty\": …}]}`";
            return report.raise(Code::InvalidPolicy, message, help);
        }
    };
    for (at, fault) in &set.unusable {
        let message = format!("key {at} of the set is not used: {}", fault.as_str());
        report.raise(Code::UnusableKey, message, "");
    }
    if KeySet::has_private_part(text.as_bytes()) {
        let message = "a private key stands in the configuration; only public keys are used";
        let help = "remove it, and replace the key pair";
        report.raise(Code::PrivateKey, message, help);
    }
}
