//! From RequestAuthentications to Envoy's `jwt_authn` filter, as Istio's control plane makes it
//! (`pilot/pkg/security/authn`): tokens may be missing, and what there is must be accepted by somebody.
//!
//! Keys are written again from what the snapshot has of them, so a key that we do not use is not there for Envoy either.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outrigger_core::jose::{Algorithm, Curve, Key, Material};
use outrigger_core::snapshot::{JwtKeys, JwtRule, RequestAuthentication, TokenPlace};
use serde_json::{Value, json};

use super::words::extension;

/// The filter's name, and that of its metadata.
pub(super) const FILTER: &str = "envoy.filters.http.jwt_authn";
/// Under which the payload of the accepted token stands in the metadata (Istio).
pub(super) const PAYLOAD: &str = "payload";

/// The filter for these rules.
pub(super) fn filter(auth: &RequestAuthentication) -> Value {
    let name = |at: usize| format!("origins-{at}");
    let providers = auth.rules.iter().enumerate();
    let providers: serde_json::Map<String, Value> = providers
        .map(|(at, rule)| (name(at), provider(auth, at, rule)))
        .collect();
    let named = |at: usize| json!({ "provider_name": name(at) });
    let optional = |(at, rule): (usize, &JwtRule)| match rule.is_required {
        true => named(at),
        false => {
            json!({ "requires_any": { "requirements": [named(at), { "allow_missing": {} }] } })
        }
    };
    let mut each: Vec<Value> = auth.rules.iter().enumerate().map(optional).collect();
    let requirement = if each.len() > 1 {
        // A token at a place that several share is good for one of them and for no other.
        let any = (0..auth.rules.len()).map(named);
        let any = any.chain([json!({ "requires_all": { "requirements": each } })]);
        json!({ "requires_any": { "requirements": any.collect::<Vec<_>>() } })
    } else {
        each.pop().unwrap_or_else(|| json!({}))
    };
    extension(
        FILTER,
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": providers,
            "rules": [{ "match": { "prefix": "/" }, "requires": requirement }],
            "bypass_cors_preflight": true,
        }),
    )
}

fn provider(auth: &RequestAuthentication, at: usize, rule: &JwtRule) -> Value {
    let places = auth.locations.iter().filter(|location| {
        let rules = location.rules.iter();
        rules.map(|rule| *rule as usize).any(|rule| rule == at)
    });
    let (mut headers, mut params, mut cookies) = (Vec::new(), Vec::new(), Vec::new());
    for location in places {
        match &location.place {
            TokenPlace::Header(name, prefix) => {
                headers.push(json!({ "name": name.as_str(), "value_prefix": prefix }));
            }
            TokenPlace::Param(name) => params.push(name),
            TokenPlace::Cookie(name) => cookies.push(name),
        }
    }
    let claims = rule.claim_fields.iter();
    let claims: Vec<Value> = claims
        .map(|claim| json!({ "header_name": claim.field.as_str(), "claim_name": claim.path.join(".") }))
        .collect();
    json!({
        "issuer": rule.issuer,
        "audiences": rule.audiences,
        "local_jwks": { "inline_string": keys(&rule.keys).to_string() },
        "forward": rule.forwards,
        "forward_payload_header": rule.payload_field.as_ref().map_or("", |field| field.as_str()),
        "from_headers": headers,
        "from_params": params,
        "from_cookies": cookies,
        "payload_in_metadata": PAYLOAD,
        "normalize_payload_in_metadata": { "space_delimited_claims": rule.space_delimited },
        "claim_to_headers": claims,
    })
}

/// What the control plane gives Envoy of keys: those that it fetched, and one that nobody signs with where it has none.
fn keys(keys: &JwtKeys) -> Value {
    let set = match keys {
        JwtKeys::Inline(set) => Some(set),
        JwtKeys::Remote { fetched, .. } => fetched.as_ref(),
    };
    let keys: Vec<Value> = set.map_or_else(Vec::new, |set| set.keys.iter().map(jwk).collect());
    json!({ "keys": keys })
}

/// A key as RFC 7517, 7518 and 8037 write it.
fn jwk(key: &Key) -> Value {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut jwk = match &key.material {
        Material::Rsa { n, e } => json!({ "kty": "RSA", "n": text(n), "e": text(e) }),
        Material::Ec { curve, point } => {
            let (x, y) = point[1..].split_at(point.len() / 2);
            let curve = match curve {
                Curve::P256 => "P-256",
                Curve::P384 => "P-384",
                Curve::P521 => "P-521",
            };
            json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
        }
        Material::Ed25519(x) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(x) }),
        Material::Secret(k) => json!({ "kty": "oct", "k": text(k) }),
    };
    if let Some(kid) = &key.kid {
        jwk["kid"] = (&**kid).into();
    }
    let named = |one: Algorithm| Algorithm::ALL.iter().find(|(_, known)| *known == one);
    if let Some((name, _)) = key.algorithm.and_then(named) {
        jwk["alg"] = (*name).into();
    }
    jwk
}
