//! Reviews in, answers out: pods, configuration, and what is no review.
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outrigger_inject::{INJECT, MAX_REVIEW_BYTES, Settings, VALIDATE, answer};
use proptest::prelude::*;
use serde_json::{Value, json};

fn review(operation: &str, object: &Value, old: &Value) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "operation": operation, "namespace": "shop", "dryRun": true,
            "object": object, "oldObject": old,
        },
    });
    review.to_string().into_bytes()
}

fn response(path: &str, body: &[u8]) -> Value {
    let (status, body) = answer(&Settings::default(), path, body);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let review: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(review["kind"], "AdmissionReview");
    assert_eq!(review["response"]["uid"], "705ab4f5");
    review["response"].clone()
}

fn pod(metadata: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
           "spec": {"containers": [{"name": "app", "image": "a"}]}})
}

#[test]
fn a_pod_gets_a_patch() {
    let plain = pod(&json!({"generateName": "cart-"}));
    let got = response("/inject", &review("CREATE", &plain, &Value::Null));
    assert_eq!(got["allowed"], true);
    assert_eq!(got["patchType"], "JSONPatch");
    let patch = STANDARD.decode(got["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut patched = plain;
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched["spec"]["initContainers"][1]["name"], "istio-proxy");
    assert!(got.get("warnings").is_none());
    // As the API server asks once more after other webhooks.
    let again = response(
        "/inject/cluster/one?timeout=10s",
        &review("CREATE", &patched, &Value::Null),
    );
    assert_eq!(again, json!({"uid": "705ab4f5", "allowed": true}));
}

#[test]
fn a_pod_may_get_none_or_be_refused() {
    let none = pod(&json!({"name": "a", "labels": {"sidecar.istio.io/inject": "false"}}));
    let bad = pod(&json!({"name": "a", "annotations": {"sidecar.istio.io/proxyCPU": "much"}}));
    let odd =
        pod(&json!({"name": "a", "annotations": {"sidecar.istio.io/bootstrapOverride": "x"}}));
    for (operation, object, allowed, says) in [
        ("CREATE", &none, true, ""),
        ("UPDATE", &bad, true, ""),
        ("DELETE", &Value::Null, true, ""),
        (
            "CREATE",
            &bad,
            false,
            "Pod shop/a: annotation `sidecar.istio.io/proxyCPU`: `much` is not a quantity",
        ),
        (
            "CREATE",
            &json!({"kind": "Service"}),
            false,
            "sidecars are put into pods",
        ),
        (
            "CREATE",
            &json!({"kind": "Pod", "spec": 1}),
            false,
            "`spec` is not what it has to be",
        ),
        (
            "CREATE",
            &odd,
            true,
            "Pod shop/a: annotation `sidecar.istio.io/bootstrapOverride` is not in effect",
        ),
    ] {
        let got = response(INJECT, &review(operation, object, &Value::Null));
        assert_eq!(got["allowed"], allowed, "{got}");
        let said = match allowed {
            true => got["warnings"][0].as_str().unwrap_or_default(),
            false => got["status"]["message"].as_str().unwrap(),
        };
        let code = if object["kind"] == "Pod" { 422 } else { 400 };
        assert!(allowed || got["status"]["code"] == code, "{got}");
        assert!(
            if says.is_empty() {
                said.is_empty()
            } else {
                said.contains(says)
            },
            "{got}"
        );
    }
}

fn route(spec: &Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
           "metadata": {"name": "cart", "namespace": "shop"}, "spec": spec})
}

#[test]
fn configuration_is_judged() {
    let good = json!({"hosts": ["cart"], "http": [{"route": [{"destination": {"host": "cart"}}]}]});
    let typo = json!({"hosts": ["cart"], "htp": [], "http": good["http"]});
    let weights = json!({"hosts": ["cart"], "http": [{"route": [
        {"destination": {"host": "cart"}, "weight": -1}]}]});
    let shadowed = json!({"hosts": ["cart"], "http": [
        {"route": [{"destination": {"host": "cart"}}]},
        {"match": [{"uri": {"prefix": "/a"}}], "route": [{"destination": {"host": "cart"}}]}]});
    for (operation, new, old, allowed, says) in [
        ("CREATE", &good, None, true, ""),
        ("UPDATE", &good, Some(&typo), true, ""),
        ("CREATE", &typo, None, false, "htp"),
        ("UPDATE", &typo, Some(&good), false, "htp"),
        // What was stored before anybody judged it can still lose a finalizer.
        ("UPDATE", &typo, Some(&typo), true, "htp"),
        (
            "CREATE",
            &weights,
            None,
            false,
            "spec.http[0].route[0].weight",
        ),
        ("CREATE", &shadowed, None, true, "spec.http[1]"),
    ] {
        let old = old.map_or(Value::Null, route);
        let got = response(VALIDATE, &review(operation, &route(new), &old));
        assert_eq!(got["allowed"], allowed, "{got}");
        let said = match allowed {
            true => got["warnings"].to_string(),
            false => got["status"]["message"].to_string(),
        };
        assert!(
            if says.is_empty() {
                said == "null"
            } else {
                said.contains(says)
            },
            "{got}"
        );
        if !allowed {
            assert_eq!(got["status"]["code"], 422);
        }
    }
    for nothing in [Value::Null, json!("text")] {
        let got = response(VALIDATE, &review("CREATE", &nothing, &Value::Null));
        assert_eq!(got, json!({"uid": "705ab4f5", "allowed": true}));
    }
    let gone = response(VALIDATE, &review("DELETE", &Value::Null, &route(&typo)));
    assert_eq!(gone["allowed"], true);
}

#[test]
fn what_is_wrong_is_said_as_check_says_it() {
    let misspelt =
        json!({"hosts": ["cart"], "http": [{"rout": [{"destination": {"host": "cart"}}]}]});
    let slow = json!({"hosts": ["cart"], "http": [{"timeout": "1s", "retries": {"attempts": 2, "perTryTimeout": "5s"},
        "route": [{"destination": {"host": "cart"}}]}]});
    let got = response(VALIDATE, &review("CREATE", &route(&misspelt), &Value::Null));
    assert_eq!(
        got["status"]["message"],
        "spec.http[0].rout: unknown field `rout`; did you mean `route`? [no-such-field]"
    );
    let got = response(VALIDATE, &review("CREATE", &route(&slow), &Value::Null));
    assert_eq!(
        (&got["allowed"], got["warnings"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    let said = got["warnings"][0].as_str().unwrap();
    assert!(
        said.starts_with("spec.http[0].retries.perTryTimeout: "),
        "{said}"
    );
}

/// What is named and not there may come later, in whatever order objects are stored.
#[test]
fn who_names_others_is_let_in() {
    let istio = "networking.istio.io/v1";
    let rule = json!({"destination": {"host": "cart", "subset": "v9", "port": {"number": 9}}});
    for (api_version, kind, spec) in [
        (
            istio,
            "VirtualService",
            json!({"hosts": ["cart.example"], "gateways": ["edge", "other/edge"],
            "http": [{"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "part", "namespace": "shop"}}, {"route": [rule]}]}),
        ),
        (
            istio,
            "VirtualService",
            json!({"http": [{"route": [rule]}]}),
        ),
        (
            istio,
            "DestinationRule",
            json!({"host": "nobody", "subsets": [{"name": "v1", "labels": {"a": "b"}}]}),
        ),
        (
            istio,
            "Gateway",
            json!({"selector": {"istio": "x"}, "servers": [{"hosts": ["*"], "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
            "tls": {"mode": "SIMPLE", "credentialName": "absent"}}]}),
        ),
        (
            istio,
            "Sidecar",
            json!({"egress": [{"hosts": ["./nobody.shop.svc.cluster.local"]}]}),
        ),
        (
            "security.istio.io/v1",
            "PeerAuthentication",
            json!({"selector": {"matchLabels": {"app": "x"}}, "portLevelMtls": {"80": {"mode": "STRICT"}}}),
        ),
        (
            "security.istio.io/v1",
            "AuthorizationPolicy",
            json!({"action": "CUSTOM", "provider": {"name": "absent"}, "rules": [{}]}),
        ),
        (
            "telemetry.istio.io/v1",
            "Telemetry",
            json!({"tracing": [{"providers": [{"name": "absent"}]}]}),
        ),
        (
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            json!({"parentRefs": [{"name": "absent"}], "rules": [{"backendRefs": [{"name": "cart", "port": 80}]}]}),
        ),
    ] {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "shop"}, "spec": spec});
        let got = response(VALIDATE, &review("CREATE", &object, &Value::Null));
        assert_eq!(got, json!({"uid": "705ab4f5", "allowed": true}), "{kind}");
    }
}

#[test]
fn what_is_no_review_is_told_so() {
    let pod = review("CREATE", &pod(&json!({})), &Value::Null);
    let long = vec![b' '; MAX_REVIEW_BYTES + 1];
    let old = br#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}"#;
    let anonymous =
        br#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}"#;
    for (path, body, status, says) in [
        ("/", &pod[..], 404, "answered at /inject and /validate"),
        ("/injector", &pod[..], 404, "answered at"),
        ("/validate/more", &pod[..], 404, "answered at"),
        (INJECT, &long[1..], 400, "this is no JSON"),
        (INJECT, &long[..], 413, "more than 8388608 bytes"),
        (INJECT, b"", 400, "this is no JSON"),
        (INJECT, &pod[..pod.len() - 1], 400, "this is no JSON"),
        (INJECT, b"[]", 400, "this is no AdmissionReview"),
        (
            VALIDATE,
            &old[..],
            400,
            "this is no AdmissionReview of admission.k8s.io/v1",
        ),
        (VALIDATE, &anonymous[..], 400, "no `request.uid`"),
    ] {
        let (got, said) = answer(&Settings::default(), path, body);
        let said = String::from_utf8(said).unwrap();
        assert_eq!(got, status, "{path}: {said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn many_and_long_warnings_are_cut() {
    let all: Vec<(String, Value)> = (0..40)
        .map(|at| {
            (
                format!("sidecar.istio.io/{}{at}", "x".repeat(300)),
                json!(""),
            )
        })
        .collect();
    let annotations: Value = Value::Object(all.into_iter().collect());
    let got = response(
        INJECT,
        &review(
            "CREATE",
            &pod(&json!({"annotations": annotations})),
            &Value::Null,
        ),
    );
    let few: Value = Value::Object(
        annotations
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .take(16)
            .collect(),
    );
    let got_few = response(
        INJECT,
        &review("CREATE", &pod(&json!({"annotations": few})), &Value::Null),
    );
    assert_eq!(got_few["warnings"].as_array().unwrap().len(), 16);
    let warnings = got["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 17);
    assert_eq!(warnings[16], "and 24 more");
    assert_eq!(warnings[0].as_str().unwrap().chars().count(), 256);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop::sample::select(vec![
            "metadata",
            "spec",
            "containers",
            "initContainers",
            "volumes",
            "labels",
            "annotations",
            "name",
            "ports",
            "livenessProbe",
            "httpGet",
            "port",
            "http",
            "hosts",
            "items",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| Value::Object(
                map.into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

proptest! {
    /// Whatever an object is, who asks gets an answer.
    #[test]
    fn whatever_is_asked_is_answered(mut object in any_json(), kind in prop::sample::select(vec!["Pod", "VirtualService", "List"])) {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("kind".into(), kind.into());
            fields.insert("apiVersion".into(), "networking.istio.io/v1".into());
        }
        for path in [INJECT, VALIDATE] {
            let got = response(path, &review("CREATE", &object, &Value::Null));
            prop_assert!(got["allowed"].is_boolean());
        }
    }

    #[test]
    fn whatever_bytes_come_are_answered(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let (status, _) = answer(&Settings::default(), INJECT, &body);
        prop_assert_eq!(status, 400);
    }
}
