//! What stories say of requests that came to nothing: rules that did not hold, times that were up, bytes that were none.

use super::*;

fn routed(http: &str) -> Arc<Snapshot> {
    snapshot(&format!(
        "{SERVICE}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: h}}\nspec:\n  hosts: [h.test]\n  http:\n{http}"
    ))
}

/// Holds lines of the story of a request that was just sent against those that are wanted.
#[track_caller]
fn tells(d: &Driver, wanted: &[&str]) {
    let story = d.story();
    for line in wanted {
        assert!(story.contains(line), "{line} is not in\n{story}");
    }
}

#[test]
fn each_rule_that_did_not_hold_says_what_it_needs() {
    let route = "route: [{destination: {host: h.test}}]";
    let mut http = format!(
        "  - match: [{{uri: {{prefix: /cart}}}}, {{headers: {{x-who: {{exact: me}}}}}}]\n    {route}\n"
    );
    let mut d = Driver::with(routed(&http));
    d.sends(Side::Downstream, GET);
    tells(
        &d,
        &[
            "none of the 2 of h.test:80 matches\n",
            "1. VirtualService default/h spec.http[0].match[0] (",
            ") needs path prefix `/cart`: it is `/a`\n",
            ") needs header `x-who` exactly `me`: it is absent\n",
        ],
    );
    http.extend((0..20).map(|n| format!("  - match: [{{uri: {{exact: /{n}}}}}]\n    {route}\n")));
    let mut d = Driver::with(routed(&http));
    d.sends(Side::Downstream, GET);
    tells(&d, &["16. VirtualService", "… and 6 more\n"]);
    assert!(!d.story().contains("17. "), "{}", d.story());
}

#[test]
fn a_timeout_says_which_it_was_and_where_it_stands() {
    let mut d = Driver::with(routed(
        "  - timeout: 3s\n    route: [{destination: {host: h.test}}]\n",
    ));
    d.sends(Side::Downstream, GET);
    d.connects();
    d.wait_for(Timer::Route);
    tells(
        &d,
        &[
            "given up: the timeout of 3.00 s was up; nothing to retry\n",
            "  timeout      3.00 s for the whole request, VirtualService default/h spec.http[0].timeout (",
            "client       saw 504 after ",
        ],
    );
    assert!(!d.story().contains("local reset"), "{}", d.story());
}

#[test]
fn a_timeout_of_the_call_is_told_as_such() {
    let mut d = Driver::with(routed(
        "  - timeout: 3s\n    route: [{destination: {host: h.test}}]\n",
    ));
    let call = b"POST /a HTTP/1.1\r\nHost: h.test\r\ncontent-type: application/grpc\r\n\
                 grpc-timeout: 1S\r\ncontent-length: 0\r\n\r\n";
    d.sends(Side::Downstream, call);
    d.connects();
    d.wait_for(Timer::Route);
    tells(
        &d,
        &["  timeout      1.00 s for the whole request, as its grpc-timeout asks\n"],
    );
}

#[test]
fn what_could_not_be_read_has_no_request_line() {
    for (bytes, line, why) in [
        (
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            "- -\n",
            "it begins as a TLS handshake does (ClientHello), and plain HTTP is spoken here",
        ),
        (b"\x15\x03", "- -\n", "malformed start line"),
        (b"GET\r\n\r\n", "- -\n", "malformed start line"),
        (
            b"PUT /a HTTP/1.1\r\nHost: a b\r\n\r\n",
            "PUT /a\n",
            "malformed host",
        ),
    ] {
        let mut d = Driver::new();
        d.sends(Side::Downstream, bytes);
        let story = d.story();
        assert!(story.starts_with(line), "{story}");
        tells(&d, &["client       saw 400", why]);
    }
}
