//! What a few resources become in Envoy's words, and what has none. Each row is a place in the derived files.

use serde_json::{Value, json};

use super::Derived;
use super::bootstrap::{Site, bootstrap, files};
use crate::case::Case;
use crate::subject::Setup;

/// A service that all rows share; a row's own resources come after it.
const SHOP: &str = "
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: { name: shop }
spec:
  hosts: [shop.example]
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }, { number: 81, name: http-b, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: 10.0.0.1, locality: here/z1 }, { address: 10.0.0.2, locality: here/z2, weight: 3 }]
";

/// The files of a page with one case, and the bootstrap as one more.
fn derived(settings: &str, more: &str) -> Derived<Value> {
    let page = format!(
        "## A\n```yaml\n{SHOP}```\n```yaml\n{more}```\n```settings\n{settings}\n```\n```ask\nGET a/ => a\n```\n"
    );
    let case = Case::parse_file("page", &page).unwrap().remove(0);
    let setup = Setup::new(&case).unwrap();
    let site = Site {
        outbound: 1,
        inbound: 2,
        admin: 3,
        folder: "f".to_owned(),
    };
    let mut all = json!({ "start": bootstrap(&setup.snapshot, &setup.settings, &site)? });
    for (name, content) in files(&setup.snapshot, &site)? {
        all[name] = content;
    }
    Ok(all)
}

fn virtual_service(http: &str) -> String {
    format!(
        "kind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {{ name: shop }}\n\
         spec: {{ hosts: [shop.example], http: [{http}] }}\n"
    )
}

fn destination_rule(policy: &str) -> String {
    format!(
        "kind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {{ name: shop }}\n\
         spec: {{ host: shop.example, trafficPolicy: {policy} }}\n"
    )
}

const TO_SHOP: &str = "route: [{ destination: { host: shop.example } }]";
const HOST: &str = "/outbound.json/resources/0/virtual_hosts/0";
const ROUTE: &str = "/outbound.json/resources/0/virtual_hosts/0/routes/0";
const CLUSTER: &str = "/clusters.json/resources/0";
const MANAGER: &str = "/start/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

#[test]
fn what_is_configured_stands_where_envoy_looks_for_it() {
    let rows: [(&str, String, &str, &str, Value); 23] = [
        (
            "",
            String::new(),
            HOST,
            "/routes/0/match",
            json!({ "connect_matcher": {} }),
        ),
        (
            "",
            String::new(),
            HOST,
            "/routes/1/match",
            json!({ "prefix": "/" }),
        ),
        (
            "inbound: 10.0.0.9:80",
            String::new(),
            "/inbound.json/resources/0/virtual_hosts/0",
            "/routes/0/match",
            json!({ "prefix": "/" }),
        ),
        (
            "",
            virtual_service(&format!(
                "{{ mirror: {{ host: shop.example }}, mirrorPercentage: {{ value: 50 }}, {TO_SHOP} }}"
            )),
            ROUTE,
            "/route/request_mirror_policies/0",
            json!({
                "cluster": "outbound|80||shop.example",
                "runtime_fraction": { "default_value": { "numerator": 500_000, "denominator": "MILLION" } },
                "disable_shadow_host_suffix_append": true,
            }),
        ),
        (
            "",
            destination_rule(
                "{ loadBalancer: { consistentHash: { httpCookie: { name: sid, ttl: 60s, path: /a } } } }",
            ),
            ROUTE,
            "/route/hash_policy/0/cookie",
            json!({ "name": "sid", "ttl": "60s", "path": "/a" }),
        ),
        (
            "",
            String::new(),
            HOST,
            "/domains",
            json!(["shop.example:80", "shop.example:*", "shop.example"]),
        ),
        (
            "",
            String::new(),
            ROUTE,
            "/route/timeout",
            json!("0.000000000s"),
        ),
        (
            "",
            String::new(),
            ROUTE,
            "/route/retry_policy/num_retries",
            json!(2),
        ),
        (
            "",
            String::new(),
            CLUSTER,
            "/name",
            json!("outbound|80||shop.example"),
        ),
        (
            "",
            String::new(),
            CLUSTER,
            "/lb_policy",
            json!("LEAST_REQUEST"),
        ),
        (
            "",
            String::new(),
            CLUSTER,
            "/load_assignment/endpoints/1/lb_endpoints/0",
            json!({
                "endpoint": { "address": { "socket_address": { "address": "10.0.0.2", "port_value": 8080 } } },
                "load_balancing_weight": 3,
            }),
        ),
        ("", String::new(), MANAGER, "/normalize_path", json!(true)),
        (
            "path_normalization: NONE",
            String::new(),
            MANAGER,
            "/normalize_path",
            json!(false),
        ),
        (
            "idle_timeout: 1500ms",
            String::new(),
            MANAGER,
            "/common_http_protocol_options/idle_timeout",
            json!("1.500000000s"),
        ),
        (
            "outbound_traffic_policy: REGISTRY_ONLY",
            String::new(),
            "/outbound.json/resources/0/virtual_hosts/2",
            "/routes/0/direct_response/status",
            json!(502),
        ),
        (
            "inbound: 10.0.0.9:80",
            String::new(),
            "/inbound.json/resources/0/virtual_hosts/0",
            "/domains",
            json!(["*"]),
        ),
        (
            "",
            virtual_service(&format!(
                "{{ match: [{{ uri: {{ prefix: /A }}, ignoreUriCase: true, withoutHeaders: {{ x: {{ exact: b }} }} }}], {TO_SHOP} }}"
            )),
            ROUTE,
            "/match",
            json!({
                "prefix": "/a",
                "case_sensitive": false,
                "headers": [{
                    "name": "x",
                    "string_match": { "exact": "b" },
                    "invert_match": true,
                    "treat_missing_header_as_empty": true,
                }],
            }),
        ),
        (
            "",
            virtual_service(&format!(
                "{{ rewrite: {{ uriRegexRewrite: {{ match: '/(a)', rewrite: '/\\1$' }} }}, {TO_SHOP} }}"
            )),
            ROUTE,
            "/route/regex_rewrite",
            json!({ "pattern": { "regex": "/(a)" }, "substitution": "/\\1$" }),
        ),
        (
            "",
            virtual_service(&format!(
                "{{ headers: {{ request: {{ set: {{ x: '%REQ(a?b):3% 5%%' }} }} }}, {TO_SHOP} }}"
            )),
            ROUTE,
            "/request_headers_to_add/0",
            json!({
                "header": { "key": "x", "value": "%REQ(a?b):3% 5%%" },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }),
        ),
        (
            "",
            virtual_service(&format!(
                "{{ fault: {{ delay: {{ fixedDelay: 2s, percentage: {{ value: 12.5 }} }} }}, {TO_SHOP} }}"
            )),
            ROUTE,
            "/typed_per_filter_config/envoy.filters.http.fault/delay",
            json!({ "fixed_delay": "2.000000000s", "percentage": { "numerator": 125_000, "denominator": "MILLION" } }),
        ),
        (
            "",
            virtual_service("{ redirect: { uri: /b, redirectCode: 308 } }"),
            ROUTE,
            "/redirect",
            json!({ "response_code": "PERMANENT_REDIRECT", "path_redirect": "/b" }),
        ),
        (
            "",
            destination_rule(
                "{ connectionPool: { tcp: { maxConnections: 7 }, http: { maxRetries: 2 } } }",
            ),
            CLUSTER,
            "/circuit_breakers/thresholds/0",
            json!({ "max_connections": 7, "max_pending_requests": u32::MAX, "max_requests": u32::MAX, "max_retries": 2 }),
        ),
        (
            "",
            destination_rule(
                "{ outlierDetection: { consecutive5xxErrors: 3, minHealthPercent: 20 } }",
            ),
            CLUSTER,
            "/common_lb_config/healthy_panic_threshold",
            json!({ "value": 20 }),
        ),
    ];
    for (settings, more, base, place, want) in rows {
        let all = derived(settings, &more).unwrap();
        let got = all.pointer(base).and_then(|base| base.pointer(place));
        assert_eq!(
            got,
            Some(&want),
            "{base}{place} of {more}{settings}\n{all:#}"
        );
    }
}

#[test]
fn the_statuses_that_eject_are_told_with_the_protocol() {
    let rule = "{ outlierDetection: { outlierDetectionHttpErrorCodes: [503, 429] } }";
    let all = derived("", &destination_rule(rule)).unwrap();
    let options = &all.pointer(CLUSTER).unwrap()["typed_extension_protocol_options"];
    let http = &options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    let matcher = &http["outlier_detection"]["error_matcher"]["http_response_headers_match"];
    let status = &matcher["headers"][0];
    assert_eq!(status["name"], ":status", "{http:#}");
    let regex = &status["string_match"]["safe_regex"]["regex"];
    assert_eq!(regex, "429|503", "{http:#}");
}

#[test]
fn zones_bring_the_workloads_own_place_and_its_peers() {
    let labels =
        "labels: { app: us, topology.kubernetes.io/region: here, topology.kubernetes.io/zone: z1 }";
    let peers = "---
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: { name: us }
spec:
  hosts: [us.example]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  workloadSelector: { labels: { app: us } }
---
kind: WorkloadEntry
apiVersion: networking.istio.io/v1
metadata: { name: us-1 }
spec: { address: 10.0.1.1, locality: here/z1, labels: { app: us } }
---
kind: WorkloadEntry
apiVersion: networking.istio.io/v1
metadata: { name: us-2 }
spec: { address: 10.0.1.2, locality: here/z2, labels: { app: us } }
";
    let rule = destination_rule("{ loadBalancer: { zoneAwareLbSetting: { minClusterSize: 2 } } }");
    let all = derived(labels, &format!("{rule}{peers}")).unwrap();
    let start = &all["start"];
    let place = json!({ "region": "here", "zone": "z1" });
    assert_eq!(start["node"]["locality"], place, "{start:#}");
    let peers = &start["static_resources"]["clusters"][1];
    assert_eq!(
        start["cluster_manager"]["local_cluster_name"],
        peers["name"]
    );
    let group = &peers["load_assignment"]["endpoints"][1];
    assert_eq!(group["locality"]["zone"], "z2", "{peers:#}");
    let zones = all.pointer(CLUSTER).unwrap()["common_lb_config"]["zone_aware_lb_config"].clone();
    assert_eq!(zones, json!({ "min_cluster_size": 2 }));
}

#[test]
fn tokens_may_be_missing_and_claims_are_what_policies_match() {
    let more = r#"kind: RequestAuthentication
apiVersion: security.istio.io/v1
metadata: { name: tokens }
spec:
  jwtRules:
  - { issuer: https://a.test, jwks: '{"keys":[{"kty":"oct","kid":"s","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}' }
  - { issuer: https://b.test, fromCookies: [t], forwardOriginalToken: true, jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}' }
---
kind: AuthorizationPolicy
apiVersion: security.istio.io/v1
metadata: { name: ops }
spec: { rules: [{ when: [{ key: "request.auth.claims[group]", values: [ops] }] }] }
"#;
    let all = derived("inbound: 10.0.0.9:80", more).unwrap();
    let filters =
        "/start/static_resources/listeners/1/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = all.pointer(filters).unwrap();
    let tokens = &filters[0]["typed_config"];
    let [first, second] = ["origins-0", "origins-1"].map(|name| &tokens["providers"][name]);
    assert_eq!(
        first["from_headers"],
        json!([{ "name": "authorization", "value_prefix": "Bearer " }])
    );
    assert_eq!(first["from_params"], json!(["access_token"]));
    let keys = first["local_jwks"]["inline_string"].as_str().unwrap();
    assert!(keys.contains(r#""kid":"s""#), "{keys}");
    assert_eq!(second["from_cookies"], json!(["t"]));
    assert_eq!(second["forward"], json!(true));
    let any = &tokens["rules"][0]["requires"]["requires_any"]["requirements"];
    assert_eq!(any[1], json!({ "provider_name": "origins-1" }));
    let each = &any[2]["requires_all"]["requirements"][0]["requires_any"]["requirements"];
    assert_eq!(each[1], json!({ "allow_missing": {} }));
    let rules = &filters[1]["typed_config"]["rules"]["policies"];
    let path = [json!({ "key": "payload" }), json!({ "key": "group" })];
    assert!(
        rules.to_string().contains(&json!(path).to_string()),
        "{rules:#}"
    );
}

#[test]
fn a_provider_is_asked_where_a_rule_matched() {
    let settings = "inbound: 10.0.0.9:80\nmesh: { extensionProviders: [{ name: p, envoyExtAuthzHttp: { service: shop.example, port: 80, pathPrefix: /check } }] }";
    let more = "kind: AuthorizationPolicy
apiVersion: security.istio.io/v1
metadata: { name: ask }
spec: { action: CUSTOM, provider: { name: p }, rules: [{ to: [{ operation: { methods: [PUT] } }] }] }
";
    let all = derived(settings, more).unwrap();
    let filters =
        "/start/static_resources/listeners/1/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = all.pointer(filters).unwrap();
    let shadow = &filters[0]["typed_config"];
    assert_eq!(shadow["shadow_rules"]["action"], "DENY", "{shadow:#}");
    let asks = &filters[1]["typed_config"];
    assert_eq!(asks["http_service"]["path_prefix"], "/check", "{asks:#}");
    let by = asks["filter_enabled_metadata"]["path"][0]["key"]
        .as_str()
        .unwrap();
    let prefix = shadow["shadow_rules_stat_prefix"].as_str().unwrap();
    assert!(by.starts_with(prefix), "{by} {prefix}");
}

#[test]
fn what_envoy_has_no_words_for_is_told() {
    let annotated = |annotation: &str| {
        format!(
            "kind: DestinationRule\napiVersion: networking.istio.io/v1\n\
             metadata: {{ name: shop, annotations: {{ {annotation} }} }}\nspec: {{ host: shop.example }}\n"
        )
    };
    for (settings, more, want) in [
        ("max_request_body: 10", String::new(), "request bodies"),
        (
            "",
            annotated("outrigger.dev/load-balancer: PEAK_EWMA"),
            "peak EWMA",
        ),
    ] {
        let why = derived(settings, &more).unwrap_err();
        assert!(why.contains(want), "{why}");
    }
}
