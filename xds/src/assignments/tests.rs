//! What is asked for and what is taken, as tables.

use super::*;
use crate::envoy::any;
use crate::envoy::endpoint::LocalityLbEndpoints;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Endpoints that are told apart by a number.
fn resource(name: &str, version: u32) -> Resource {
    let assignment = ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: vec![LocalityLbEndpoints {
            priority: version,
            ..LocalityLbEndpoints::default()
        }],
    };
    Resource {
        version: version.to_string(),
        resource: Some(any(ENDPOINTS, &assignment)),
        name: name.into(),
    }
}

fn response(
    nonce: &str,
    resources: Vec<Resource>,
    removed_resources: &[&str],
) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: ENDPOINTS.type_url(),
        nonce: nonce.into(),
        resources,
        removed_resources: removed_resources.iter().map(|&name| name.into()).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

/// What is asked for anew, and what is given up.
fn asked(request: Option<DeltaDiscoveryRequest>) -> Option<(Vec<String>, Vec<String>)> {
    let request = request?;
    assert_eq!(request.type_url, ENDPOINTS.type_url());
    Some((
        request.resource_names_subscribe,
        request.resource_names_unsubscribe,
    ))
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

#[test]
fn what_is_wanted_is_asked_for_and_waited_for() {
    let mut all = Assignments::default();
    assert!(all.is_complete(), "nothing is wanted");
    assert_eq!(all.open(), None, "no names would be all of them");
    assert_eq!(all.want(names(&[])), None);
    let first = asked(all.want(names(&["a", "b"])));
    assert_eq!(first, Some((texts(&["a", "b"]), vec![])));
    assert_eq!(all.want(names(&["a", "b"])), None);
    assert_eq!((all.is_complete(), all.missing()), (false, 2));
    let (answer, is_news) = all
        .take(response("1", vec![resource("a", 1), resource("x", 1)], &[]))
        .unwrap();
    assert!(is_news && answer.error_detail.is_none());
    assert_eq!(answer.response_nonce, "1");
    assert!(
        all.of("a").is_some() && all.of("x").is_none(),
        "x is not wanted"
    );
    // There is no b: that is an answer, too.
    let (_, is_news) = all.take(response("2", vec![], &["b", "y"])).unwrap();
    assert!(is_news && all.is_complete());
    let (_, is_news) = all
        .take(response("3", vec![resource("a", 1)], &["b"]))
        .unwrap();
    assert!(!is_news, "the same again");
    let next = asked(all.want(names(&["b", "c"])));
    assert_eq!(next, Some((texts(&["c"]), texts(&["a"]))));
    assert!(all.of("a").is_none() && !all.is_complete());
    let none = asked(all.want(names(&[])));
    assert_eq!(none, Some((vec![], texts(&["b", "c"]))));
    assert!(all.is_complete());
}

#[test]
fn a_new_stream_says_what_there_is() {
    let mut all = Assignments::default();
    all.want(names(&["a", "b"]));
    all.take(response("1", vec![resource("a", 7)], &[]))
        .unwrap();
    let opened = all.open().unwrap();
    assert_eq!(opened.resource_names_subscribe, ["a", "b"]);
    let has: Vec<_> = opened.initial_resource_versions.into_iter().collect();
    assert_eq!(has, [("a".to_owned(), "7".to_owned())]);
    // What is gone meanwhile is told to be.
    all.take(response("1", vec![], &["a"])).unwrap();
    assert!(all.of("a").is_none());
}

#[test]
fn what_is_none_is_refused_and_leaves_what_there_was() {
    let mut all = Assignments::default();
    all.want(names(&["a", "b"]));
    all.take(response("1", vec![resource("a", 1)], &[]))
        .unwrap();
    let strange = |change: &dyn Fn(&mut Resource)| {
        let mut resource = resource("a", 2);
        change(&mut resource);
        resource
    };
    for strange in [
        strange(&|r| r.resource = None),
        strange(&|r| r.resource.as_mut().unwrap().type_url = "x".into()),
        strange(&|r| r.resource.as_mut().unwrap().value = vec![0xff].into()),
    ] {
        let (answer, _) = all
            .take(response("2", vec![strange, resource("b", 2)], &[]))
            .unwrap();
        assert_eq!(
            answer.error_detail.unwrap().message,
            "no endpoints are in a"
        );
        let priority = |name: &str| all.of(name).unwrap().endpoints[0].priority;
        assert_eq!((priority("a"), priority("b")), (1, 2));
    }
    let other = DeltaDiscoveryResponse {
        type_url: "other".into(),
        ..response("3", vec![], &[])
    };
    assert_eq!(all.take(other.clone()), Err(other));
}
