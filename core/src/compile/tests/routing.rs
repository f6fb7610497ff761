//! Which rule, destination, path, host and header fields a request gets.

use super::*;

#[test]
fn services_answer_under_all_their_names() {
    check(
        SERVICES,
        &[
            ("GET web/", "80||web"),
            ("GET WEB.default:80/", "80||web"),
            ("GET web.default.svc/", "80||web"),
            ("GET web.default.svc.cluster.local./", "80||web"),
            ("GET web:8080/", "80||web"),
            ("GET shop/", "80||shop"),
            ("GET shop:8080/", "8080||shop"),
            ("GET shop:9/", "9||shop"),
            ("GET shop:10/", "80||shop"),
            ("GET db/", "no port"),
            ("GET db:5432/", "5432||db"),
            ("GET web.other/", "unknown host"),
        ],
    );
}

#[test]
fn rules_in_order() {
    let prefix_first = format!("{{match: [{{uri: {{prefix: /a}}}}], {TO_V1}}}, {{{TO_V2}}}");
    check(
        &with_http(&prefix_first),
        &[("GET web/ab", "80|v1|web"), ("GET web/b", "80|v2|web")],
    );
    let only_exact = format!("{{match: [{{uri: {{exact: /x}}}}], {TO_V1}}}");
    check(
        &with_http(&only_exact),
        &[("GET web/x?y", "80|v1|web"), ("GET web/y", "404 NR")],
    );
    let either = format!(
        "{{match: [{{uri: {{prefix: /two}}, method: {{exact: POST}}}}, {{uri: {{prefix: /deux}}}}], {TO_V1}}}"
    );
    check(
        &with_http(&either),
        &[
            ("POST web/two", "80|v1|web"),
            ("GET web/two", "404 NR"),
            ("GET web/deuxieme", "80|v1|web"),
        ],
    );
}

#[test]
fn header_conditions() {
    check(
        &with_http(&format!("{{match: [{{headers: {{x-a: {{}}}}}}], {TO_V1}}}")),
        &[("GET web/", "404 NR"), ("GET web/ x-a=", "80|v1|web")],
    );
    check(
        &with_http(&format!(
            "{{match: [{{withoutHeaders: {{x-a: {{exact: b}}}}}}], {TO_V1}}}"
        )),
        &[
            ("GET web/", "80|v1|web"),
            ("GET web/ x-a=c", "80|v1|web"),
            ("GET web/ x-a=b", "404 NR"),
        ],
    );
    check(
        &with_http(&format!(
            "{{match: [{{headers: {{\":method\": {{exact: PUT}}}}}}], {TO_V1}}}"
        )),
        &[("PUT web/", "80|v1|web"), ("GET web/", "404 NR")],
    );
}

#[test]
fn weights() {
    let share = |weights: [i32; 2]| {
        let config = with_http(&format!(
            "{{route: [{{destination: {{host: web, subset: v1}}, weight: {}}}, {{destination: {{host: web, subset: v2}}, weight: {}}}]}}",
            weights[0], weights[1]
        ));
        let snapshot = compiled(&config);
        let runs = 0..4000;
        runs.filter(|e| outcome(&snapshot, "GET web/", *e) == "80|v1|web")
            .count()
    };
    assert!((900..1100).contains(&share([1, 3])));
    assert_eq!(share([0, 7]), 0);
    assert_eq!(share([7, 0]), 4000);
    check(
        &with_http("{route: [{destination: {host: web, subset: v1}, weight: 0}]}"),
        &[("GET web/", "80|v1|web")],
    );
}

#[test]
fn rewrites() {
    let rewrite = |uri: &str, rewrite: &str| {
        with_http(&format!(
            "{{match: [{{uri: {uri}}}], rewrite: {rewrite}, route: [{{destination: {{host: web}}}}]}}"
        ))
    };
    for (uri, how, request, want) in [
        ("{prefix: /foo}", "{uri: /}", "/foo/bar?q=1", "//bar?q=1"),
        ("{exact: /foo}", "{uri: /bar}", "/foo?q=1", "/bar?q=1"),
        ("{regex: '/v[0-9]+/.*'}", "{uri: /n}", "/v1/z", "/n"),
        ("{prefix: /old}", "{uri: /new}", "/oldest/x", "/newest/x"),
        ("{prefix: /strip}", "{uri: /}", "/stripped?x", "/ped?x"),
        (
            "{prefix: /re}",
            r"{uriRegexRewrite: {match: '^/re/([^/]+)(/.*)?$', rewrite: '/x\2/\1'}}",
            "/re/a/b/c?q",
            "/x/b/c/a?q",
        ),
    ] {
        let want = format!("80||web {want} x-envoy-original-path={request}");
        let request = format!("GET web{request}");
        check(&rewrite(uri, how), &[(&request, &want)]);
    }
    check(
        &with_http("{rewrite: {uri: /n/}, route: [{destination: {host: web}}]}"),
        &[("GET web/a", "80||web /n/a x-envoy-original-path=/a")],
    );
    check(
        &rewrite("{prefix: /}", "{authority: other.test}"),
        &[("GET web/a", "80||web @other.test x-envoy-original-host=web")],
    );
}

#[test]
fn redirects_and_direct_responses() {
    for (redirect, want) in [
        ("{uri: /n}", "301 http://web:80/n?q=1"),
        (
            "{prefixRewrite: /n, redirectCode: 308}",
            "308 http://web:80/n/b?q=1",
        ),
        (
            "{authority: x.test, redirectCode: 307}",
            "307 http://x.test/a/b?q=1",
        ),
        ("{scheme: https}", "301 https://web/a/b?q=1"),
        ("{scheme: https, port: 443}", "301 https://web/a/b?q=1"),
        ("{port: 8443}", "301 http://web:8443/a/b?q=1"),
        (
            "{uri: '/n?own', derivePort: FROM_PROTOCOL_DEFAULT}",
            "301 http://web/n?own",
        ),
        (
            "{scheme: https, derivePort: FROM_REQUEST_PORT}",
            "301 https://web:80/a/b?q=1",
        ),
    ] {
        let config = with_http(&format!(
            "{{match: [{{uri: {{prefix: /a}}}}], redirect: {redirect}}}"
        ));
        check(&config, &[("GET web:80/a/b?q=1", want)]);
    }
    check(
        &with_http("{directResponse: {status: 418, body: {string: tea}}}"),
        &[("GET web/", "418 tea")],
    );
}

#[test]
fn header_operations_of_one_and_of_several_destinations() {
    let dest = "destination: {host: web, subset: v1}, headers: {request: {set: {x: a}}}";
    let route = "headers: {request: {set: {x: b, x-p: '%REQ(:path)%'}}}";
    check(
        &with_http(&format!("{{{route}, route: [{{{dest}}}]}}")),
        &[("GET web/p", "80|v1|web x=a x-p=/p")],
    );
    check(
        &with_http(&format!(
            "{{{route}, route: [{{{dest}, weight: 1}}, {{destination: {{host: web}}, weight: 0}}]}}"
        )),
        &[("GET web/p", "80|v1|web x=b x-p=/p")],
    );
    check(
        &with_http(&format!(
            "{{headers: {{request: {{set: {{x: '100%%'}}, add: {{y: z}}, remove: [w]}}}}, {TO_V1}}}"
        )),
        &[("GET web/ w=1 y=0", "80|v1|web x=100% y=z")],
    );
    check(
        &with_http(&format!(
            "{{headers: {{request: {{set: {{Host: h.test}}}}}}, {TO_V1}}}"
        )),
        &[("GET web/", "80|v1|web @h.test x-envoy-original-host=web")],
    );
}

#[test]
fn fields_are_added_after_all_are_set() {
    let route = "headers: {request: {add: {x: a}, remove: [w]}}";
    let dest = "destination: {host: web, subset: v1}, headers: {request: {set: {x: b, w: c}}}";
    check(
        &with_http(&format!("{{{route}, route: [{{{dest}}}]}}")),
        &[("GET web/ w=0", "80|v1|web w=c x=b x=a")],
    );
    // With several destinations theirs run before the route's, whose removal takes what they set.
    check(
        &with_http(&format!(
            "{{{route}, route: [{{{dest}, weight: 1}}, {{destination: {{host: web}}, weight: 0}}]}}"
        )),
        &[("GET web/ w=0", "80|v1|web x=b x=a")],
    );
}

#[test]
fn the_route_names_the_host_before_its_destinations() {
    let dest = "destination: {host: web, subset: v1}, headers: {request: {set: {Host: dest.test}}}";
    for (route, want) in [
        ("", "dest.test"),
        (
            "headers: {request: {set: {':authority': route.test}}}, ",
            "route.test",
        ),
        ("rewrite: {authority: rewrite.test}, ", "rewrite.test"),
    ] {
        let want = format!("80|v1|web @{want} x-envoy-original-host=web");
        check(
            &with_http(&format!("{{{route}route: [{{{dest}}}]}}")),
            &[("GET web/", &want)],
        );
    }
}

#[test]
fn missing_destinations_have_the_name_they_would_have() {
    for (destination, want) in [
        ("{host: web, subset: v3}", "503 NC 80|v3|web"),
        ("{host: nowhere}", "503 NC 80||nowhere"),
        ("{host: web.default}", "503 NC 80||web.default"),
        ("{host: web, port: {number: 81}}", "503 NC 81||web"),
        ("{host: shop}", "80||shop"),
        ("{host: shop, port: {number: 8080}}", "8080||shop"),
        ("{host: db}", "5432||db"),
        ("{host: web, subset: none}", "80|none|web"),
    ] {
        let config = with_http(&format!("{{route: [{{destination: {destination}}}]}}"));
        check(&config, &[("GET web/", want)]);
    }
}

#[test]
fn mirrors_stand_in_the_order_written_with_their_shares() {
    for (fields, want) in [
        ("", &[][..]),
        ("mirror: {host: web, subset: v2}", &["100 80|v2|web"]),
        (
            "mirror: {host: shop}, mirrorPercentage: {value: 0.5}",
            &["0.5 80||shop"],
        ),
        ("mirror: {host: shop}, mirrorPercent: 7", &["7 80||shop"]),
        (
            "mirror: {host: shop}, mirrorPercent: 7, mirrorPercentage: {value: 8}",
            &["8 80||shop"],
        ),
        ("mirror: {host: shop}, mirrorPercent: 0", &[]),
        ("mirror: {host: shop}, mirrorPercentage: {value: 0}", &[]),
        // The shares of `mirror` say nothing of the list.
        (
            "mirrors: [{destination: {host: shop, port: {number: 8080}}}, {destination: {host: nowhere}, percentage: {value: 1}}], \
             mirrorPercentage: {value: 3}",
            &["100 8080||shop", "1 503 NC 80||nowhere"],
        ),
        // One that never gets a copy keeps its place, unless none ever does.
        (
            "mirrors: [{destination: {host: shop}, percentage: {value: 0}}, {destination: {host: db}}]",
            &["0 80||shop", "100 5432||db"],
        ),
        (
            "mirrors: [{destination: {host: shop}, percentage: {value: 0}}]",
            &[],
        ),
    ] {
        let snapshot = compiled(&with_http(&format!(
            "{{{fields}{}route: [{{destination: {{host: web}}}}]}}",
            if fields.is_empty() { "" } else { ", " }
        )));
        let mut hosts = snapshot.virtual_hosts.iter();
        let host = hosts.find(|host| host.name.starts_with("web.")).unwrap();
        let Action::Forward(forward) = &*host.rules[0].action else {
            panic!("it forwards");
        };
        let mirrors = forward.mirrors.iter().map(|mirror| {
            let percent = f64::from(mirror.share.get()) / 10_000.0;
            let name = cluster_name(&snapshot, &mirror.cluster);
            let name = name.replace(".default.svc.cluster.local", "");
            format!("{percent} {}", name.replace("outbound|", ""))
        });
        assert_eq!(mirrors.collect::<Vec<_>>(), want, "{fields}");
    }
}

#[test]
fn the_first_virtual_service_of_a_host_holds_alone() {
    let one = |name: &str, created: &str, path: &str, subset: &str| {
        format!(
            "\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, creationTimestamp: '{created}'}}\nspec: {{hosts: [web], http: [{{match: [{{uri: {{prefix: {path}}}}}], route: [{{destination: {{host: web, subset: {subset}}}}}]}}]}}\n"
        )
    };
    let newer = one("a", "2024-01-02T00:00:00Z", "/a", "v1");
    let older = one("b", "2024-01-01T00:00:00Z", "/b", "v2");
    check(
        &format!("{SERVICES}{newer}{older}"),
        &[("GET web/a", "404 NR"), ("GET web/b", "80|v2|web")],
    );
    // A more specific host beats an older wildcard.
    let wildcard = virtual_service(
        "w",
        "{hosts: ['*.svc.cluster.local'], http: [{directResponse: {status: 299}}]}",
    );
    check(
        &format!(
            "{SERVICES}{wildcard}{}",
            one("z", "2025-01-01T00:00:00Z", "/z", "v1")
        ),
        &[
            ("GET web/z", "80|v1|web"),
            ("GET web/a", "404 NR"),
            ("GET shop/", "299 "),
            ("GET x.svc.cluster.local/", "unknown host"),
        ],
    );
}

#[test]
fn rules_are_filtered_by_port_source_and_gateway() {
    let by_port = virtual_service(
        "shop",
        "{hosts: [shop], http: [{match: [{port: 8080}], directResponse: {status: 299}}]}",
    );
    check(
        &format!("{SERVICES}{by_port}"),
        &[("GET shop:8080/", "299 "), ("GET shop/", "80||shop")],
    );
    for (entry, applies) in [
        ("{sourceNamespace: default}", true),
        ("{sourceNamespace: other}", false),
        ("{sourceLabels: {app: x}}", false),
        ("{gateways: [mesh], sourceLabels: {app: x}}", true),
        ("{gateways: [edge]}", false),
    ] {
        let config = with_http(&format!(
            "{{match: [{entry}], directResponse: {{status: 299}}}}"
        ));
        let want = if applies { "299 " } else { "80||web" };
        check(&config, &[("GET web/", want)]);
    }
    let at_the_edge = "{hosts: [web], gateways: [edge], http: [{directResponse: {status: 299}}]}";
    check(
        &format!("{SERVICES}{}", virtual_service("edge", at_the_edge)),
        &[("GET web/", "80||web")],
    );
}

#[test]
fn a_host_that_is_no_service_answers_on_port_80() {
    let rule = virtual_service(
        "api",
        "{hosts: [api.test], http: [{directResponse: {status: 299}}]}",
    );
    check(
        &format!("{SERVICES}{rule}"),
        &[("GET api.test/", "299 "), ("GET api.test:80/", "299 ")],
    );
}

#[test]
fn delegates_stand_in_the_place_of_their_rule() {
    let root = virtual_service(
        "root",
        "{hosts: [web], http: [{name: r, match: [{uri: {prefix: /a}}], timeout: 3s, delegate: {name: d}}, {match: [{uri: {prefix: /m}}], delegate: {name: missing}}, {directResponse: {status: 299}}]}",
    );
    let delegate = virtual_service(
        "d",
        &format!(
            "{{http: [{{name: one, match: [{{uri: {{prefix: /a/b}}}}, {{uri: {{prefix: /c}}}}], {TO_V1}}}, {{name: two, {TO_V2}}}]}}"
        ),
    );
    let config = format!("{SERVICES}{root}{delegate}");
    check(
        &config,
        &[
            ("GET web/a/b", "80|v1|web"),
            ("GET web/a/c", "80|v2|web"),
            ("GET web/c", "299 "),
            ("GET web/m", "299 "),
        ],
    );
    let snapshot = compiled(&config);
    let web = snapshot.virtual_hosts.iter().find(|vh| vh.rules.len() == 3);
    let names: Vec<&str> = web.unwrap().rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["r-one", "r-two", "default"]);
    let Action::Forward(first) = &*web.unwrap().rules[0].action else {
        panic!("forwards");
    };
    assert_eq!(first.timeout, Some(crate::time::Duration::from_secs(3)));
}

#[test]
fn rules_know_where_they_stand() {
    let config = with_http(&format!(
        "{{match: [{{uri: {{exact: /x}}}}, {{uri: {{exact: /y}}, name: why}}], name: rule, {TO_V1}}}"
    ));
    let snapshot = compiled(&config);
    let rules = snapshot.virtual_hosts.iter().flat_map(|vh| vh.rules.iter());
    let rules: Vec<_> = rules.filter(|rule| rule.origin.is_some()).collect();
    let names: Vec<&str> = rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["rule", "rule.why"]);
    let origin = rules[1].origin.as_ref().unwrap();
    assert_eq!(&*origin.path, "spec.http[0].match[1]");
    assert_eq!(origin.line as usize, config.lines().count());
    let resource = &snapshot.resources[origin.resource.0 as usize];
    assert_eq!(resource.to_string(), "VirtualService default/web");
    assert!(Arc::ptr_eq(&rules[0].action, &rules[1].action));
}

#[test]
fn many_rules_get_an_index_that_agrees() {
    let rules: Vec<String> = (0..40)
        .map(|i| format!("{{match: [{{uri: {{prefix: /p{i}/}}}}], directResponse: {{status: 200, body: {{string: '{i}'}}}}}}"))
        .collect();
    let config = with_http(&rules.join(", "));
    let snapshot = compiled(&config);
    assert!(snapshot.virtual_hosts.iter().any(|vh| vh.index.is_some()));
    check(
        &config,
        &[
            ("GET web/p7/x", "200 7"),
            ("GET web/p39/", "200 39"),
            ("GET web/p40/", "404 NR"),
        ],
    );
}
