//! Which rules hold for a workload, and what they come to.

use crate::cluster::Registry;
use crate::compile::{Answers, Workload, compile};
use crate::config::mesh::MeshConfig;
use crate::config::{Source, load};
use crate::jose::KeySet;
use crate::snapshot::{JwksPlace, JwtKeys, Snapshot, TokenPlace};

const KEYS: &str =
    r#"{"keys": [{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;

fn resource(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

fn compiled(text: &str, namespace: &str, answers: &Answers) -> Snapshot {
    let source = Source {
        name: "a.yaml",
        bytes: text.as_bytes(),
    };
    let resources = load(&[source], "default").resources;
    let workload = Workload {
        namespace: namespace.into(),
        labels: [("app".to_owned(), "a".to_owned())].into(),
        ..Workload::default()
    };
    let (mesh, registry) = (MeshConfig::default(), &mut Registry::default());
    compile(&resources, &workload, &mesh, &[], answers, registry, 0).snapshot
}

fn rule(fields: &str) -> String {
    format!("{{jwtRules: [{{jwks: '{KEYS}', {fields}}}]}}")
}

#[test]
fn rules_of_all_scopes_add_up() {
    let of = |issuer: &str| rule(&format!("issuer: {issuer}"));
    let selecting = |label: &str, issuer: &str| {
        of(issuer).replacen(
            '{',
            &format!("{{selector: {{matchLabels: {{app: {label}}}}}, "),
            1,
        )
    };
    let target = "targetRef: {group: '', kind: Service, name: a}, ";
    let all = [
        resource("namespace", "shop", &of("d")),
        resource("mine", "shop", &selecting("a", "c")),
        resource("others", "shop", &selecting("b", "x")),
        resource(
            "targeted",
            "shop",
            &of("x").replacen('{', &format!("{{{target}"), 1),
        ),
        resource("mesh", "istio-system", &of("b")),
        resource("mesh-mine", "istio-system", &selecting("a", "a")),
        resource("elsewhere", "other", &of("e")),
        resource("bad", "shop", "{jwtRules: [{issuer: z, jwks: nonsense}]}"),
        resource("none", "shop", "{}"),
    ]
    .concat();
    for (namespace, want) in [
        ("shop", &["a", "b", "c", "d", "z"][..]),
        ("other", &["a", "b", "e"]),
        ("istio-system", &["a", "b"]),
    ] {
        let snapshot = compiled(&all, namespace, &Answers::new());
        let auth = snapshot.request_authentication.expect("rules");
        let issuers: Vec<&str> = auth.rules.iter().map(|rule| &*rule.issuer).collect();
        assert_eq!(issuers, want, "{namespace}");
    }
    let snapshot = compiled(&all, "shop", &Answers::new());
    let auth = snapshot.request_authentication.expect("rules");
    let of_errors = &auth.rules[4].keys;
    assert_eq!(
        *of_errors,
        JwtKeys::Inline(Default::default()),
        "it refuses"
    );
    let nobody = compiled(&resource("none", "shop", "{}"), "shop", &Answers::new());
    assert!(nobody.request_authentication.is_none());
}

#[test]
fn places_are_looked_at_once_and_in_order() {
    let all = [
        resource("a", "default", &rule("issuer: a")),
        resource("b", "default", &rule("issuer: b, fromCookies: [c], fromParams: [p], fromHeaders: [{name: X-Jwt}, {name: Authorization, prefix: 'Bearer '}]")),
        resource("c", "default", &rule("issuer: c, fromHeaders: [{name: authorization, prefix: 'JWT '}, {name: authorization, prefix: 'JWT '}]")),
    ]
    .concat();
    let snapshot = compiled(&all, "default", &Answers::new());
    let auth = snapshot.request_authentication.expect("rules");
    let told: Vec<String> = auth
        .locations
        .iter()
        .map(|location| {
            let place = match &location.place {
                TokenPlace::Header(name, prefix) => format!("{}: {prefix}", name.as_str()),
                TokenPlace::Param(name) => format!("?{name}"),
                TokenPlace::Cookie(name) => format!("cookie {name}"),
            };
            format!("{place} {:?}", location.rules)
        })
        .collect();
    let want = [
        "authorization: Bearer  [0, 1]",
        "authorization: JWT  [2]",
        "x-jwt:  [1]",
        "?access_token [0]",
        "?p [1]",
        "cookie c [1]",
    ];
    assert_eq!(told, want);
}

#[test]
fn what_a_rule_comes_to() {
    let fields = "issuer: a, audiences: ['https://x/', z], outputPayloadToHeader: X-Payload, \
                  outputClaimToHeaders: [{header: x-group, claim: a.b}, {header: x-payload, claim: c}], \
                  spaceDelimitedClaims: [roles, scope]";
    let text = resource("a", "default", &rule(fields));
    let snapshot = compiled(&text, "default", &Answers::new());
    let auth = snapshot.request_authentication.expect("a rule");
    let rule = &auth.rules[0];
    assert_eq!(*rule.audiences, ["x".into(), "z".into()]);
    assert_eq!(
        *rule.space_delimited,
        ["permission".into(), "roles".into(), "scope".into()]
    );
    assert_eq!(*rule.claim_fields[0].path, ["a".into(), "b".into()]);
    let own: Vec<&str> = auth.own_fields.iter().map(|field| field.as_str()).collect();
    assert_eq!(own, ["x-payload", "x-group"]);
    assert_eq!(&*rule.origin.path, "spec.jwtRules[0]");
}

#[test]
fn keys_are_where_the_rule_says() {
    let spec = "{jwtRules: [{issuer: 'https://a'}, {issuer: 'https://b', jwksUri: 'https://c/keys', timeout: 1s}, {issuer: 'https://d', jwks: '{\"keys\": [{}]}'}]}";
    let text = resource("a", "default", spec);
    let uri = JwksPlace::Uri("https://c/keys".into());
    let keys_of = |answers: &Answers| -> Vec<JwtKeys> {
        let snapshot = compiled(&text, "default", answers);
        let auth = snapshot.request_authentication.expect("rules");
        auth.rules.iter().map(|rule| rule.keys.clone()).collect()
    };
    let fetched = |keys: &JwtKeys| match keys {
        JwtKeys::Inline(set) => Some(set.keys.len()),
        JwtKeys::Remote { fetched, .. } => fetched.as_ref().map(|set| set.keys.len()),
    };
    let mut answers = Answers::new();
    let before = keys_of(&answers);
    assert_eq!(
        before.iter().map(fetched).collect::<Vec<_>>(),
        [None, None, Some(0)]
    );
    let JwtKeys::Remote { at, .. } = &before[0] else {
        panic!("it is asked for")
    };
    assert_eq!(at.place, JwksPlace::Issuer("https://a".into()));
    assert_eq!(at.timeout.as_secs(), 5);
    let JwtKeys::Remote { at, .. } = &before[1] else {
        panic!("it is asked for")
    };
    assert_eq!((&at.place, at.timeout.as_secs()), (&uri, 1));
    answers.keys.insert(uri.clone(), KEYS.into());
    let after = keys_of(&answers);
    assert_eq!(
        after.iter().map(fetched).collect::<Vec<_>>(),
        [None, Some(1), Some(0)]
    );
    answers.keys.insert(uri, "nonsense".into());
    assert_eq!(
        fetched(&keys_of(&answers)[1]),
        None,
        "what can not be read is no key"
    );
    assert!(KeySet::read(KEYS.as_bytes()).is_ok());
}
