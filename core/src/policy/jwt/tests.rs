//! Where tokens are found, who accepts them, and what is handed on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::compile::from_yaml;
use crate::jose::{Algorithm, Material};

/// The time in these tests, in seconds since 1970.
const NOW: u64 = 1_000_000;

/// A signature is the first byte of the secret.
fn check(material: &Material, _: Algorithm, _: &[u8], signature: &[u8]) -> bool {
    matches!(material, Material::Secret(secret) if secret.first() == signature.first())
}

/// `rules` as YAML, each with a key whose signature is `key`.
fn auth(rules: &[(&str, u8)]) -> Arc<RequestAuthentication> {
    let rules = rules.iter().map(|(fields, key)| {
        let k = URL_SAFE_NO_PAD.encode([*key; 32]);
        format!("{{jwks: '{{\"keys\": [{{\"kty\": \"oct\", \"k\": \"{k}\"}}]}}', {fields}}}")
    });
    let rules: Vec<String> = rules.collect();
    let compiled = from_yaml(&format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: a}}\nspec: {{jwtRules: [{}]}}\n",
        rules.join(", ")
    ));
    compiled.snapshot.request_authentication.expect("rules")
}

fn token(payload: &str, key: u8) -> String {
    let parts = [r#"{"alg":"HS256"}"#.as_bytes(), payload.as_bytes(), &[key]];
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn request(path: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut request = RequestHead {
        path: path.into(),
        ..RequestHead::default()
    };
    for (name, value) in fields {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        request.headers.append(name, value).unwrap();
    }
    request
}

fn found(auth: &RequestAuthentication, request: &RequestHead) -> Vec<String> {
    let found = find(auth, request, 8).into_iter();
    found
        .map(|(text, at)| format!("{at} {}", String::from_utf8_lossy(&text)))
        .collect()
}

#[test]
fn tokens_are_found_at_the_usual_places() {
    let auth = auth(&[("issuer: a", 1)]);
    for (path, fields, want) in [
        ("/", &[][..], &[][..]),
        ("/", &[("authorization", "Bearer abc")], &["0 abc"]),
        ("/", &[("authorization", "bearer abc")], &[]),
        ("/", &[("authorization", "Basic abc")], &[]),
        ("/", &[("authorization", "x Bearer  \"abc")], &["0 abc"]),
        ("/", &[("authorization", "Bearer !")], &["0 Bearer !"]),
        (
            "/",
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            &["0 a", "0 b"],
        ),
        ("/?access_token=abc&access_token=def", &[], &["1 abc"]),
        ("/?x=1&access%5ftoken=a%2Eb%2", &[], &["1 a.b%2"]),
        ("/?access_token", &[], &["1 "]),
        ("/access_token=abc", &[], &[]),
        (
            "/?access_token=b",
            &[("authorization", "Bearer a")],
            &["0 a", "1 b"],
        ),
        ("/", &[("cookie", "access_token=a")], &[]),
    ] {
        assert_eq!(
            found(&auth, &request(path, fields)),
            want,
            "{path} {fields:?}"
        );
    }
    let many = vec![("authorization", "Bearer a"); 20];
    assert_eq!(
        found(&auth, &request("/", &many)).len(),
        9,
        "one more tells that there are too many"
    );
}

#[test]
fn tokens_are_found_where_rules_say() {
    let auth = auth(&[(
        "issuer: a, fromHeaders: [{name: x-jwt}], fromParams: [t], fromCookies: [s]",
        1,
    )]);
    for (path, fields, want) in [
        ("/", &[("authorization", "Bearer abc")][..], &[][..]),
        ("/", &[("x-jwt", "a b")], &["0 a b"]),
        ("/?access_token=a&t=b", &[], &["1 b"]),
        ("/", &[("cookie", "r=1; s=abc; s=def")], &["2 abc"]),
        (
            "/",
            &[("cookie", "r=1"), ("cookie", "s=\"abc\"")],
            &["2 abc"],
        ),
        ("/", &[("cookie", "xs=1; s")], &[]),
    ] {
        assert_eq!(
            found(&auth, &request(path, fields)),
            want,
            "{path} {fields:?}"
        );
    }
}

/// What becomes of a token at the first place.
fn verdict(auth: &RequestAuthentication, token: &str) -> String {
    match verify(auth, &auth.locations[0], token.as_bytes(), NOW, Some(check)) {
        Ok(accepted) => format!("accepted by {}", accepted.rule),
        Err(NotAccepted { fault, rule }) => format!("{fault:?} {rule:?}"),
    }
}

#[test]
fn the_issuer_says_which_rule_decides() {
    let auth = auth(&[
        ("issuer: a", 1),
        ("issuer: a", 2),
        ("issuer: b, audiences: ['https://x.test/']", 3),
    ]);
    for (payload, key, want) in [
        (r#"{"iss":"a"}"#, 1, "accepted by 0"),
        (r#"{"iss":"a"}"#, 2, "accepted by 1"),
        (r#"{"iss":"a"}"#, 3, "SignatureWrong Some(0)"),
        (r#"{"iss":"b","aud":"x.test"}"#, 3, "accepted by 2"),
        (
            r#"{"iss":"b","aud":["z","http://x.test"]}"#,
            3,
            "accepted by 2",
        ),
        (
            r#"{"iss":"b","aud":"x.test/y"}"#,
            3,
            "AudienceNotAllowed Some(2)",
        ),
        (r#"{"iss":"b"}"#, 3, "AudienceNotAllowed Some(2)"),
        (r#"{"iss":"c"}"#, 1, "UnknownIssuer None"),
        ("{}", 1, "UnknownIssuer None"),
        (r#"{"iss":"a","exp":1}"#, 1, "Expired Some(0)"),
        (r#"{"iss":"a","nbf":2000000}"#, 1, "NotYetValid Some(0)"),
        ("[]", 1, "PayloadJson None"),
    ] {
        assert_eq!(verdict(&auth, &token(payload, key)), want, "{payload}");
    }
    let nobody = verify(
        &auth,
        &auth.locations[0],
        token(r#"{"iss":"a"}"#, 1).as_bytes(),
        NOW,
        None,
    );
    assert_eq!(
        nobody.err().map(|one| one.fault),
        Some(TokenFault::SignatureWrong),
        "nobody checks"
    );
}

#[test]
fn a_rule_without_an_issuer_is_for_those_that_no_other_rule_is_for() {
    let yaml = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a}\nspec: {jwtRules: [{jwksUri: 'http://k'}, {issuer: 'https://b'}]}\n";
    let auth = from_yaml(yaml)
        .snapshot
        .request_authentication
        .expect("rules");
    for (payload, want) in [
        ("{}", "KeysNotFetched Some(0)"),
        (r#"{"iss":"https://c"}"#, "KeysNotFetched Some(0)"),
        (r#"{"iss":"https://b"}"#, "KeysNotFetched Some(1)"),
    ] {
        assert_eq!(verdict(&auth, &token(payload, 1)), want, "{payload}");
    }
}

#[test]
fn a_token_counts_only_where_its_rule_says() {
    let auth = auth(&[
        ("issuer: a, fromHeaders: [{name: x-a}]", 1),
        ("issuer: b, fromHeaders: [{name: x-b}]", 2),
    ]);
    let token = token(r#"{"iss":"a"}"#, 1);
    let at = |place: usize| {
        verify(
            &auth,
            &auth.locations[place],
            token.as_bytes(),
            NOW,
            Some(check),
        )
    };
    assert!(at(0).is_ok());
    assert_eq!(at(1).unwrap_err().fault, TokenFault::UnknownIssuer);
}

/// The request after a token at the first place was accepted.
fn handed_on(fields: &str, payload: &str, request: &mut RequestHead) -> Vec<String> {
    let auth = auth(&[(fields, 1)]);
    sanitize(&auth, request);
    let at = find(&auth, request, 8).first().map_or(0, |(_, at)| *at);
    let location = &auth.locations[at];
    let accepted = verify(
        &auth,
        location,
        token(payload, 1).as_bytes(),
        NOW,
        Some(check),
    )
    .unwrap();
    write_outputs(&auth, &accepted, request);
    take_out(&auth, &accepted, location, request);
    let fields = request.headers.iter();
    fields
        .map(|f| {
            format!(
                "{}: {}",
                String::from_utf8_lossy(f.name),
                String::from_utf8_lossy(f.value)
            )
        })
        .collect()
}

#[test]
fn claims_are_handed_on_and_forged_ones_are_not() {
    let payload = r#"{"iss":"a","sub":"jo","group":{"id":7},"scope":"r w","bad":"x\r\nhost: y","list":["a"]}"#;
    let fields = "issuer: a, outputPayloadToHeader: x-payload, outputClaimToHeaders: \
                  [{header: x-sub, claim: sub}, {header: x-group, claim: group.id}, {header: x-scope, claim: scope}, \
                  {header: x-bad, claim: bad}, {header: x-list, claim: list}, {header: x-none, claim: nope}]";
    let forged = [
        ("x-sub", "admin"),
        ("x-none", "admin"),
        ("x-bad", "admin"),
        ("x-payload", "e30"),
        ("x-mine", "1"),
        ("authorization", "Bearer abc"),
        ("authorization", "Basic def"),
    ];
    let got = handed_on(fields, payload, &mut request("/", &forged));
    let encoded = URL_SAFE_NO_PAD.encode(payload);
    let want = [
        "x-mine: 1",
        &format!("x-payload: {encoded}"),
        "x-sub: jo",
        "x-group: 7",
        "x-scope: r w",
        "x-list: WyJhIl0=",
    ];
    assert_eq!(got, want);
    let forwarding = format!("{fields}, forwardOriginalToken: true");
    let got = handed_on(&forwarding, payload, &mut request("/", &forged[5..]));
    assert_eq!(
        got[..2],
        ["authorization: Bearer abc", "authorization: Basic def"]
    );
}

#[test]
fn a_token_in_the_query_is_taken_out_of_it() {
    for (path, want) in [
        ("/a?access_token=x", "/a"),
        ("/a?b=1&access_token=x&c=%20", "/a?b=1&c=%20"),
        ("/a?access_token=x&&access%5Ftoken=y&b", "/a?&b"),
    ] {
        let mut request = request(path, &[]);
        handed_on("issuer: a", r#"{"iss":"a"}"#, &mut request);
        assert_eq!(String::from_utf8_lossy(&request.path), want, "{path}");
    }
    let mut request = request("/", &[("cookie", "s=x")]);
    let left = handed_on(
        "issuer: a, fromCookies: [s]",
        r#"{"iss":"a"}"#,
        &mut request,
    );
    assert_eq!(left, ["cookie: s=x"]);
}

#[test]
fn words_are_told_apart_for_matches_alone() {
    let auth = auth(&[("issuer: a, spaceDelimitedClaims: [roles]", 1)]);
    let text = token(r#"{"iss":"a","scope":"r w","roles":"x y","sub":"b c"}"#, 1);
    let accepted = verify(&auth, &auth.locations[0], text.as_bytes(), NOW, Some(check)).unwrap();
    let words = |name: &str| -> Vec<String> {
        let texts = accepted.token.claims[name].texts();
        texts.map(String::from).collect()
    };
    assert_eq!(
        (words("scope"), words("roles")),
        (vec!["r".into(), "w".into()], vec!["x".into(), "y".into()])
    );
    assert_eq!(words("sub"), ["b c"]);
}

#[test]
fn questions_of_cors_are_told_by_three_things() {
    let of = |method: &str, fields: &[(&str, &str)]| {
        let mut request = request("/", fields);
        request.method = method.parse().unwrap();
        is_preflight(&request)
    };
    let all = [
        ("origin", "http://a"),
        ("access-control-request-method", "PUT"),
    ];
    assert!(of("OPTIONS", &all));
    assert!(!of("GET", &all));
    assert!(!of("OPTIONS", &all[..1]));
    assert!(!of("OPTIONS", &all[1..]));
    assert!(!of("OPTIONS", &[("origin", ""), all[1]]));
}
