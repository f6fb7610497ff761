//! What a worker keeps of accepted tokens, and for how long.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::compile::from_yaml;
use crate::jose::{Algorithm, Material, TokenFault};

const fn check(_: &Material, _: Algorithm, _: &[u8], signature: &[u8]) -> bool {
    signature[0] == 1
}

fn auth() -> std::sync::Arc<RequestAuthentication> {
    let rule = |fields: &str| {
        format!(
            "{{jwks: '{{\"keys\": [{{\"kty\": \"oct\", \"k\": \"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}]}}', {fields}}}"
        )
    };
    let yaml = format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: a}}\nspec: {{jwtRules: [{}, {}]}}\n",
        rule("issuer: a, fromHeaders: [{name: x-a}]"),
        rule("issuer: b, fromHeaders: [{name: x-b}]"),
    );
    from_yaml(&yaml)
        .snapshot
        .request_authentication
        .expect("rules")
}

fn token(payload: &str) -> String {
    let parts = [r#"{"alg":"HS256"}"#.as_bytes(), payload.as_bytes(), &[1]];
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn numbered(number: usize) -> String {
    token(&format!(r#"{{"iss":"a","n":{number}}}"#))
}

struct Desk {
    tokens: Tokens,
    auth: std::sync::Arc<RequestAuthentication>,
}

impl Desk {
    fn new(most: usize) -> Self {
        Self {
            tokens: Tokens::new(Some(check), most, TokenLimits::default()),
            auth: auth(),
        }
    }

    fn ask(&self, text: &str) -> Result<u32, TokenFault> {
        self.ask_at(0, text)
    }

    fn ask_at(&self, place: usize, text: &str) -> Result<u32, TokenFault> {
        let location = &self.auth.locations[place];
        let got = self.tokens.verify(&self.auth, location, text.as_bytes());
        got.map(|accepted| accepted.rule).map_err(|one| one.fault)
    }

    fn counted(&self) -> [u64; 3] {
        [
            JwtEvent::CacheHit,
            JwtEvent::CacheMiss,
            JwtEvent::CacheEvicted,
        ]
        .map(|event| self.auth.counts.of(event))
    }
}

#[test]
fn a_token_is_checked_once_and_its_time_each_time() {
    let desk = Desk::new(10);
    let text = token(r#"{"iss":"a","exp":1000}"#);
    desk.tokens.set_time(1060);
    assert_eq!([desk.ask(&text), desk.ask(&text)], [Ok(0), Ok(0)]);
    assert_eq!(desk.counted(), [1, 1, 0]);
    desk.tokens.set_time(1061);
    assert_eq!(desk.ask(&text), Err(TokenFault::Expired));
    desk.tokens.set_time(0);
    assert_eq!(desk.ask(&text), Ok(0));
    assert_eq!(desk.counted(), [3, 1, 0]);
    desk.tokens.forget();
    assert_eq!(desk.ask(&text), Ok(0));
    assert_eq!(desk.counted(), [3, 2, 0]);
}

#[test]
fn a_token_that_is_known_counts_nowhere_else() {
    let desk = Desk::new(10);
    let text = numbered(1);
    assert_eq!(desk.ask(&text), Ok(0));
    assert_eq!(desk.ask_at(1, &text), Err(TokenFault::UnknownIssuer));
    assert_eq!(desk.ask(&text), Ok(0));
    assert_eq!(desk.counted(), [1, 2, 0]);
}

#[test]
fn what_is_refused_or_long_is_not_kept() {
    let desk = Desk::new(10);
    let bad = numbered(1).replace(".AQ", ".Ag");
    assert_eq!(
        [desk.ask(&bad), desk.ask(&bad)],
        [Err(TokenFault::SignatureWrong); 2]
    );
    let long = token(&format!(r#"{{"iss":"a","x":"{}"}}"#, "x".repeat(MAX_KEPT)));
    assert_eq!([desk.ask(&long), desk.ask(&long)], [Ok(0); 2]);
    assert_eq!(desk.counted(), [0, 4, 0]);
    let nothing = Desk::new(0);
    assert_eq!(
        [nothing.ask(&numbered(1)), nothing.ask(&numbered(1))],
        [Ok(0); 2]
    );
    assert_eq!(nothing.counted(), [0, 2, 0]);
}

#[test]
fn at_most_so_many_are_kept_and_those_in_use_stay() {
    let desk = Desk::new(3);
    for number in 0..3 {
        assert_eq!(desk.ask(&numbered(number)), Ok(0));
    }
    assert_eq!(desk.ask(&numbered(0)), Ok(0), "it is in use");
    assert_eq!(desk.ask(&numbered(3)), Ok(0), "in the place of 1");
    assert_eq!(desk.counted(), [1, 4, 1]);
    for (number, hits) in [(0, 2), (2, 3), (3, 4), (1, 4)] {
        assert_eq!(desk.ask(&numbered(number)), Ok(0));
        assert_eq!(desk.counted()[0], hits, "{number}");
    }
    for number in 0..1000 {
        assert_eq!(desk.ask(&numbered(number)), Ok(0));
    }
    let cache = desk.tokens.cache.borrow();
    assert_eq!((cache.kept.len(), cache.places.len()), (3, 3));
}
