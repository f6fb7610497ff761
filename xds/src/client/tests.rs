//! What a client has after whatever comes, and what it answers.

use serde_json::json;

use super::*;
use crate::carried::{key_of, pack};
use crate::messages::Resource;

/// Whatever has come.
const NOW: Moment = Moment(u64::MAX);

fn rule() -> &'static Kind {
    Kind::named("networking.istio.io/v1", "VirtualService").unwrap()
}

fn object(name: &str, version: u32) -> Object {
    Object {
        key: key_of(rule(), name).unwrap(),
        version: version.to_string().into(),
        json: json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": key_of(rule(), name).unwrap().name, "namespace": "shop"}, "spec": {"v": version},
        }),
    }
}

fn response(nonce: &str, resources: Vec<Resource>, removed: &[&str]) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: rule().type_url(),
        nonce: nonce.into(),
        resources,
        removed_resources: removed.iter().map(|&name| name.into()).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

fn client() -> Client {
    let mut client = Client::new(Node::default(), &[rule()]);
    client.open();
    client
}

fn in_use(client: &Client) -> Vec<(String, String)> {
    let objects = client.in_use();
    objects
        .map(|object| (name_of(&object.key), object.version.to_string()))
        .collect()
}

fn used(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, version)| (name.into(), version.into()))
        .collect()
}

#[test]
fn what_is_refused_leaves_the_last_good_one_and_all_others() {
    let mut client = client();
    assert!(!client.is_complete());
    let first = vec![pack(&object("shop/a", 1)), pack(&object("shop/b", 1))];
    assert_eq!(client.take(response("1", first, &[])), Taken::News);
    assert!(client.is_complete());
    assert_eq!(in_use(&client), [], "nobody has judged them");
    let answers = client.settle(&BTreeMap::new(), NOW);
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (&*answers[0].response_nonce, &answers[0].error_detail),
        ("1", &None)
    );
    let second = vec![
        pack(&object("shop/a", 2)),
        pack(&object("shop/b", 2)),
        pack(&object("shop/c", 2)),
    ];
    client.take(response("2", second, &[]));
    let fresh = client.candidates().filter(|candidate| candidate.is_fresh);
    assert_eq!(fresh.count(), 3);
    let refused = ["shop/a", "shop/c"].map(|name| (object(name, 2).key, format!("{name} is bad")));
    let answers = client.settle(&refused.into_iter().collect(), NOW);
    let status = answers[0].error_detail.as_ref().unwrap();
    assert_eq!(status.code, 3);
    assert_eq!(
        status.message,
        "shop/a: shop/a is bad; shop/c: shop/c is bad"
    );
    assert_eq!(in_use(&client), used(&[("shop/a", "1"), ("shop/b", "2")]));
    // What was refused is not asked for again.
    let versions = &client.open()[0].initial_resource_versions;
    assert_eq!(versions.get("shop/c").map(String::as_str), Some("2"));
    // It may be mended, and it may go.
    client.take(response("3", vec![pack(&object("shop/c", 3))], &["shop/a"]));
    client.settle(&BTreeMap::new(), NOW);
    assert_eq!(in_use(&client), used(&[("shop/b", "2"), ("shop/c", "3")]));
}

#[test]
fn what_is_no_object_is_refused_and_the_rest_is_taken() {
    let mut client = client();
    let nameless = Resource {
        name: "a/b/c".into(),
        ..pack(&object("shop/a", 1))
    };
    client.take(response(
        "1",
        vec![nameless, pack(&object("shop/b", 1))],
        &[],
    ));
    let strange: Vec<_> = client.strange().map(|(kind, _)| kind).collect();
    assert_eq!(strange, [rule()]);
    assert!(!client.is_judged());
    let answers = client.settle(&BTreeMap::new(), NOW);
    let message = &answers[0].error_detail.as_ref().unwrap().message;
    assert!(message.contains("a/b/c"), "{message}");
    assert_eq!(client.strange().count(), 0, "it was answered");
    assert_eq!(in_use(&client), used(&[("shop/b", "1")]));
}

#[test]
fn what_changes_nothing_is_not_waited_for() {
    let groups = Kind::named("networking.istio.io/v1", "WorkloadGroup").unwrap();
    let mut client = Client::new(Node::default(), &[rule(), groups]);
    assert_eq!(client.open().len(), 2, "asked for it is");
    assert!(!client.is_complete());
    client.take(response("1", Vec::new(), &[]));
    assert!(client.is_complete());
}

#[test]
fn the_same_again_is_no_news() {
    let mut client = client();
    let same = || vec![pack(&object("shop/a", 1))];
    client.take(response("1", same(), &[]));
    assert!(!client.is_judged());
    client.settle(&BTreeMap::new(), NOW);
    assert_eq!(client.take(response("2", same(), &["shop/z"])), Taken::Same);
    assert!(client.is_judged());
    assert_eq!(
        client.settle(&BTreeMap::new(), NOW).len(),
        1,
        "and still answered"
    );
    // Also of a version that nobody asked for: an answer to it would name another.
    for unasked in ["core/v1/Pod", "networking.istio.io/v1beta1/VirtualService"] {
        let unasked = DeltaDiscoveryResponse {
            type_url: unasked.into(),
            ..DeltaDiscoveryResponse::default()
        };
        assert_eq!(client.take(unasked), Taken::Unasked);
    }
}

#[test]
fn a_refusal_is_cut_to_what_somebody_reads() {
    let mut client = client();
    client.take(response("1", vec![pack(&object("shop/a", 1))], &[]));
    let long = [(object("shop/a", 1).key, "ä".repeat(5000))];
    let answers = client.settle(&long.into_iter().collect(), NOW);
    let message = &answers[0].error_detail.as_ref().unwrap().message;
    assert!((MAX_REFUSAL - 4..MAX_REFUSAL + 4).contains(&message.len()));
}

#[test]
fn what_comes_while_others_are_judged_is_judged_later() {
    let mut client = client();
    client.take(response("1", vec![pack(&object("shop/a", 1))], &[]));
    let judged = client.now();
    let later = vec![pack(&object("shop/a", 2)), pack(&object("shop/b", 2))];
    client.take(response("2", later, &[]));
    let nonces = |answers: Vec<DeltaDiscoveryRequest>| -> Vec<String> {
        let answers = answers.into_iter();
        answers.map(|answer| answer.response_nonce).collect()
    };
    assert_eq!(nonces(client.settle(&BTreeMap::new(), judged)), ["1"]);
    assert_eq!(in_use(&client), []);
    assert_eq!(nonces(client.settle(&BTreeMap::new(), NOW)), ["2"]);
    assert_eq!(in_use(&client), used(&[("shop/a", "2"), ("shop/b", "2")]));
}
