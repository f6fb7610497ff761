//! Tokens that somebody has signed (RFC 7519), judged by the keys of whoever that was: those that kubelet gives pods, or those of
//! any issuer that names workloads in the same way.
//!
//! What stands between such a token and its end is its time: unlike Kubernetes, nobody here knows that a pod is gone.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use outrigger_core::jose::{Claim, KeySet, Token};
use outrigger_jwt::check_signature;

use super::{read, time_of};
use crate::caller::{Caller, Proof, Refused, Reviewer, Reviewing};

/// How Kubernetes names a service account: `system:serviceaccount:NAMESPACE:ACCOUNT`.
const SUBJECT: &str = "system:serviceaccount:";

/// How much clocks may differ, seconds.
const CLOCKS_DIFFER: u64 = 60;

/// Tokens that were signed by a key of a file (a JWK Set, RFC 7517, such as `kubectl get --raw /openid/v1/jwks` prints).
#[derive(Clone, Debug)]
pub struct SignedTokens {
    keys: PathBuf,
    audience: String,
    issuer: Option<String>,
}

impl SignedTokens {
    /// Whom tokens for an authority are for, by Istio's default.
    pub const AUDIENCE: &'static str = "istio-ca";

    /// Those for an audience, by the keys of this file; of one issuer alone, if it is given.
    #[must_use]
    pub const fn new(keys: PathBuf, audience: String, issuer: Option<String>) -> Self {
        Self {
            keys,
            audience,
            issuer,
        }
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// They are none, or such that everybody who can read them could sign.
    pub fn check(&self) -> Result<(), String> {
        self.read_keys().map(drop).map_err(|why| why.to_string())
    }

    fn read_keys(&self) -> Result<KeySet, Refused> {
        let path = self.keys.display();
        let json = read(&self.keys)?;
        if KeySet::has_private_part(&json) {
            let why = format!(
                "`{path}` holds secrets: who reads it could sign; leave only public keys there"
            );
            return Err(Refused::Unknown(why));
        }
        KeySet::read(&json)
            .map_err(|fault| Refused::Unknown(format!("`{path}`: {}", fault.as_str())))
    }

    fn find(&self, keys: &KeySet, text: &str, now: SystemTime) -> Result<Caller, Refused> {
        let no = |why: String| Refused::NotProved(why);
        let token = Token::read(text.as_bytes()).map_err(|fault| no(fault.as_str().to_owned()))?;
        keys.check(&token, text.as_bytes(), check_signature)
            .map_err(|fault| no(fault.as_str().to_owned()))?;
        if token.expires == 0 {
            return Err(no("the token has no end (`exp`)".into()));
        }
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        token
            .check_time(seconds, CLOCKS_DIFFER)
            .map_err(|fault| no(fault.as_str().to_owned()))?;
        if !token.audiences.iter().any(|one| **one == *self.audience) {
            return Err(no(format!(
                "the token is not for `{}` (`aud`)",
                self.audience
            )));
        }
        if self
            .issuer
            .as_ref()
            .is_some_and(|issuer| **issuer != *token.issuer)
        {
            return Err(no("the token is of another issuer (`iss`)".into()));
        }
        let whose = token.subject.strip_prefix(SUBJECT);
        let whose = whose.and_then(|whose| whose.split_once(':'));
        let (namespace, account) = whose.ok_or_else(|| {
            no(format!(
                "the token is of no service account (`sub` is {SUBJECT}NAMESPACE:ACCOUNT)"
            ))
        })?;
        let mut caller = Caller::new(namespace, account, Proof::Token)?;
        let pod = Claim::at(&token.claims, &["kubernetes.io", "pod", "name"]);
        caller.pod = pod.and_then(Claim::text).map(str::to_owned);
        // As long as it would be let in.
        caller.until = time_of(token.expires.saturating_add(CLOCKS_DIFFER));
        Ok(caller)
    }
}

impl Reviewer for SignedTokens {
    fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a> {
        Box::pin(async move { self.find(&self.read_keys()?, token, SystemTime::now()) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn key() -> EcdsaKeyPair {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
    }

    fn set(key: &EcdsaKeyPair) -> String {
        let point = key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","use":"sig","x":"{x}","y":"{y}"}}]}}"#)
    }

    fn token(key: &EcdsaKeyPair, claims: &str) -> String {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn a_token_is_whose_subject_it_has_if_it_is_for_us_and_in_time() {
        let ours = key();
        let keys = KeySet::read(set(&ours).as_bytes()).unwrap();
        let judge = |issuer: Option<&str>| {
            SignedTokens::new(PathBuf::new(), "istio-ca".into(), issuer.map(str::to_owned))
        };
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let sub = r#""sub":"system:serviceaccount:shop:cart""#;
        for (issuer, claims, whose) in [
            (
                None,
                format!(
                    r#"{{{sub},"aud":["istio-ca"],"exp":10001,"kubernetes.io":{{"pod":{{"name":"cart-1"}}}}}}"#
                ),
                Ok(Some("cart-1")),
            ),
            (
                None,
                format!(r#"{{{sub},"aud":"istio-ca","exp":9950}}"#),
                Ok(None),
            ),
            (
                Some("k"),
                format!(r#"{{{sub},"aud":"istio-ca","exp":10001,"iss":"k"}}"#),
                Ok(None),
            ),
            (
                Some("k"),
                format!(r#"{{{sub},"aud":"istio-ca","exp":10001,"iss":"l"}}"#),
                Err("issuer"),
            ),
            (
                None,
                format!(r#"{{{sub},"aud":"istio-ca","exp":9000}}"#),
                Err("expired"),
            ),
            (
                None,
                format!(r#"{{{sub},"aud":"istio-ca","exp":20000,"nbf":15000}}"#),
                Err("not yet"),
            ),
            (
                None,
                format!(r#"{{{sub},"aud":"istio-ca"}}"#),
                Err("no end"),
            ),
            (
                None,
                format!(r#"{{{sub},"aud":"vault","exp":10001}}"#),
                Err("not for"),
            ),
            (None, format!(r#"{{{sub},"exp":10001}}"#), Err("not for")),
            (
                None,
                r#"{"sub":"somebody","aud":"istio-ca","exp":10001}"#.into(),
                Err("service account"),
            ),
            (
                None,
                r#"{"sub":"system:serviceaccount:shop:a/b","aud":"istio-ca","exp":10001}"#.into(),
                Err("no name"),
            ),
            (
                None,
                r#"{"sub":"system:serviceaccount:shop:a:b","aud":"istio-ca","exp":10001}"#.into(),
                Err("no name"),
            ),
        ] {
            let found = judge(issuer).find(&keys, &token(&ours, &claims), now);
            match (found, whose) {
                (Ok(caller), Ok(pod)) => {
                    assert_eq!(caller.id("td"), "spiffe://td/ns/shop/sa/cart", "{claims}");
                    assert_eq!(caller.pod.as_deref(), pod, "{claims}");
                    assert!(caller.until > Some(now), "{claims}");
                }
                (Err(Refused::NotProved(why)), Err(words)) => {
                    assert!(why.contains(words), "{claims}: {why}");
                }
                (found, _) => panic!("{claims}: {found:?}"),
            }
        }
        let claims = format!(r#"{{{sub},"aud":"istio-ca","exp":10001}}"#);
        let ends = |claims: &str| crate::end_of(&token(&ours, claims));
        assert_eq!(ends(&claims), Some(now + Duration::from_secs(1)));
        for endless in [r#"{"sub":"a"}"#, r#"{"exp":18446744073709551615}"#] {
            assert_eq!(ends(endless), None, "{endless}");
        }
        assert_eq!(crate::end_of("no token"), None);
        let forged = token(&key(), &claims);
        assert!(judge(None).find(&keys, &forged, now).is_err());
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let unsigned = format!("{head}.{}.AA", URL_SAFE_NO_PAD.encode(&claims));
        assert!(judge(None).find(&keys, &unsigned, now).is_err());
    }

    #[tokio::test]
    async fn keys_that_sign_are_not_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("outrigger-jwks-{}", std::process::id()));
        let tokens = SignedTokens::new(path.clone(), SignedTokens::AUDIENCE.into(), None);
        assert!(matches!(
            tokens.review("a.b.c").await,
            Err(Refused::Unknown(_))
        ));
        std::fs::write(&path, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
        assert!(tokens.check().unwrap_err().contains("holds secrets"));
        std::fs::write(&path, set(&key())).unwrap();
        tokens.check().unwrap();
        assert!(matches!(
            tokens.review("a.b.c").await,
            Err(Refused::NotProved(_))
        ));
        std::fs::remove_file(&path).unwrap();
    }
}
