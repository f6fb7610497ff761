//! Rules for tokens in `/config_dump`: whose are accepted, and whether their keys are there.

use outrigger_core::snapshot::{JwksPlace, JwtKeys, JwtRule, RequestAuthentication, TokenPlace};
use serde_json::{Value, json};

use super::{Dump, list};

impl Dump<'_> {
    pub(super) fn request_authentication(&self, auth: &RequestAuthentication) -> Value {
        json!({
            "rules": list(&auth.rules, |rule| self.jwt_rule(rule)),
            "locations": list(&auth.locations, |location| {
                let place = match &location.place {
                    TokenPlace::Header(name, prefix) => json!({ "header": name.as_str(), "prefix": prefix }),
                    TokenPlace::Param(name) => json!({ "param": name }),
                    TokenPlace::Cookie(name) => json!({ "cookie": name }),
                };
                json!({ "place": place, "rules": location.rules })
            }),
        })
    }

    fn jwt_rule(&self, rule: &JwtRule) -> Value {
        // How many keys there are says what matters, and a secret is no public key.
        let keys = match &rule.keys {
            JwtKeys::Inline(set) => json!({ "inline": set.keys.len() }),
            JwtKeys::Remote { at, fetched } => {
                let (kind, place) = match &at.place {
                    JwksPlace::Uri(uri) => ("uri", uri),
                    JwksPlace::Issuer(issuer) => ("discovered_at", issuer),
                };
                let fetched = fetched.as_ref().map(|set| set.keys.len());
                json!({ kind: place, "fetched": fetched })
            }
        };
        json!({
            "origin": self.origin(&rule.origin),
            "issuer": rule.issuer,
            "audiences": rule.audiences,
            "keys": keys,
            "forward_original_token": rule.forwards,
            "required": rule.is_required,
        })
    }
}

#[cfg(test)]
mod tests {
    use outrigger_core::compile::from_yaml;
    use outrigger_core::time::Instant;

    #[test]
    fn keys_are_counted_and_not_shown() {
        let yaml = "apiVersion: security.istio.io/v1\n\
                    kind: RequestAuthentication\n\
                    metadata: {name: a}\n\
                    spec: {jwtRules: [{issuer: a, jwks: '{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\"}]}'}, {issuer: b, jwksUri: 'https://k'}]}\n";
        let text = super::super::json(&from_yaml(yaml).snapshot, Instant::ZERO);
        assert!(!text.contains("c2VjcmV0"), "{text}");
        let dump: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rules = &dump["request_authentication"]["rules"];
        assert_eq!(rules[0]["keys"]["inline"], 1);
        assert_eq!(rules[1]["keys"]["uri"], "https://k");
        assert!(rules[1]["keys"]["fetched"].is_null());
    }
}
