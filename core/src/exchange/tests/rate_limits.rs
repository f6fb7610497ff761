//! Rate limits and limits that follow response times: what is counted, and how it is told.

use super::*;
use crate::cluster::{Counted, Limited};

fn annotated(kind: &str, annotation: &str, spec: &str) -> Arc<Snapshot> {
    snapshot(&format!(
        "{SERVICE}---\napiVersion: networking.istio.io/v1\nkind: {kind}\n\
         metadata: {{name: h, annotations: {{outrigger.dev/{annotation}}}}}\nspec: {spec}\n"
    ))
}

#[test]
fn the_story_tells_of_tokens() {
    let rule = "{hosts: [h.test], http: [{route: [{destination: {host: h.test}}]}]}";
    let limit = "local-rate-limit: '1/m'";
    let mut d = Driver::with(annotated("VirtualService", limit, rule));
    let told = |d: &Driver, what: &str| {
        let story = d.story();
        let line = format!("  rate limit   {what}; VirtualService default/h metadata.annotations");
        assert!(story.contains(&line), "{story}");
    };
    d.now = Instant::from_millis(1_000);
    d.round(GET, OK);
    told(
        &d,
        "passed: none of 1 tokens left, one comes every 60.00 s, the next in 60.00 s for its HTTP rules",
    );
    d.now = Instant::from_millis(31_000);
    d.sends(Side::Downstream, GET);
    let client = d.receives(Side::Downstream);
    assert!(client.starts_with("HTTP/1.1 429 "), "{client}");
    told(
        &d,
        "refused: none of 1 tokens left, one comes every 60.00 s, the next in 30.00 s for its HTTP rules",
    );
    let record = d.record();
    assert_eq!(record.flags().to_string(), "RL");
    let seen = record.rate_limit.map(|seen| (seen.limited, seen.tokens));
    assert_eq!(seen, Some((Limited::Enforced, 0)));
    let counts = &d.worker.view().snapshot.rate_limits[0].counts;
    assert_eq!(counts.named().map(|(_, count)| count), [2, 1, 1, 1]);
}

#[test]
fn an_attempt_counts_until_it_is_over_and_tells_how_long_it_took() {
    let limit = "adaptive-concurrency: 'min=1, max=1, window=1'";
    let snapshot = annotated("DestinationRule", limit, "{host: h.test}");
    let mut d = Driver::with(Arc::clone(&snapshot));
    let cluster = snapshot.clusters.iter().find(|c| c.adaptive.is_some());
    let state = &cluster.unwrap().state;
    let under_way = || state.gauges().current(Counted::Concurrency);
    d.sends(Side::Downstream, GET);
    assert_eq!(under_way(), 1);
    let held = state.admit(Counted::Concurrency, 1);
    assert!(held.is_none(), "one at a time");
    d.now = Instant::from_millis(100);
    d.connects();
    d.sends(Side::Upstream, OK);
    assert_eq!(under_way(), 0);
    d.receives(Side::Downstream);
    // One window of one response, and three times the limit.
    for _ in 0..3 {
        assert_eq!(state.adaptive().unbusy(), None);
        d.sends(Side::Downstream, GET);
        d.now = d.now + Duration::from_millis(100);
        d.connects();
        d.sends(Side::Upstream, OK);
        d.receives(Side::Downstream);
    }
    let unbusy = state.adaptive().unbusy();
    assert_eq!(unbusy, Some(Duration::from_millis(100)));
    let held = state.admit(Counted::Concurrency, 1);
    assert!(held.is_some());
    d.sends(Side::Downstream, GET);
    let client = d.receives(Side::Downstream);
    assert!(
        client.ends_with("\r\n\r\nreached concurrency limit"),
        "{client}"
    );
    assert_eq!(state.adaptive().blocked(), 1);
    let record = d.record();
    assert_eq!(record.flags().to_string(), "UO");
    let story = d.story();
    let line = "refused by the limit that follows response times: 1 requests under way at a time";
    assert!(story.contains(line), "{story}");
    drop(held);
    assert_eq!(under_way(), 0);
}

/// A service that fails is quick about it: its failures would pass for response times of a service that is not busy.
#[test]
fn what_a_failure_took_says_nothing_about_response_times() {
    for (status, counts) in [
        ("200 OK", true),
        ("404 Not Found", true),
        ("499 x", true),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let limit = "adaptive-concurrency: 'min=1, max=1, window=1'";
        let snapshot = annotated("DestinationRule", limit, "{host: h.test}");
        let mut d = Driver::with(Arc::clone(&snapshot));
        let mut clusters = snapshot.clusters.iter();
        let state = &clusters.find(|c| c.adaptive.is_some()).unwrap().state;
        // One response for a first measurement, three to see the next window through.
        for _ in 0..4 {
            d.sends(Side::Downstream, GET);
            d.now = d.now + Duration::from_millis(100);
            d.connects();
            d.receives(Side::Upstream);
            let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            d.sends(Side::Upstream, response.as_bytes());
            d.receives(Side::Downstream);
        }
        assert_eq!(state.adaptive().unbusy().is_some(), counts, "{status}");
        assert_eq!(state.gauges().current(Counted::Concurrency), 0, "{status}");
    }
}
