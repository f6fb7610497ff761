//! What is asked, answered and refused, and what comes before what belongs to it.

use super::*;

#[test]
fn workloads_of_no_service_wait_for_it_and_that_is_told() {
    let mut both = Both::new();
    both.take(vec![of_workload(pod(1))], Vec::new());
    assert_eq!(
        (both.documents().len(), both.troubles()),
        (0, vec![format!("NoService({CART:?})")])
    );
    both.take(vec![of_service(cart())], Vec::new());
    assert_eq!(
        both.documents()[0]["spec"]["endpoints"][0]["address"],
        "10.1.0.1"
    );
    assert_eq!(both.troubles(), [""; 0]);
    both.take(Vec::new(), vec![CART.into()]);
    assert_eq!((both.documents().len(), both.troubles().len()), (0, 1));
    both.take(Vec::new(), vec![pod(1).uid]);
    assert_eq!(both.troubles(), [""; 0]);
    assert_eq!(both.client.names().count(), 0);
}

#[test]
fn what_is_no_address_is_refused_alone_and_the_last_good_one_stays() {
    let mut both = Both::new();
    both.take(vec![of_service(cart()), of_workload(pod(1))], Vec::new());
    let before = both.documents();
    let torn = |change: &dyn Fn(&mut Resource)| {
        let mut resource = of_workload(pod(1));
        change(&mut resource);
        resource
    };
    for (bad, why) in [
        (torn(&|r| r.resource = None), "nothing in it"),
        (
            torn(&|r| r.resource.as_mut().unwrap().type_url = "x".into()),
            "is no `istio",
        ),
        (
            torn(&|r| r.resource.as_mut().unwrap().value = vec![0xff].into()),
            "no message",
        ),
        (
            torn(&|r| r.resource.as_mut().unwrap().value = Vec::new().into()),
            "neither",
        ),
        (
            torn(&|r| r.name = "other".into()),
            "not called as the workload",
        ),
        (
            {
                let mut resource = of_service(cart());
                resource.name = "shop/other".into();
                resource
            },
            "not called as the service",
        ),
        (
            of_service(Service {
                hostname: "a~2".into(),
                ..cart()
            }),
            "not called as the service",
        ),
        (
            of_service(Service {
                namespace: "a/b".into(),
                ..cart()
            }),
            "not called as the service",
        ),
        (
            of_service(Service {
                namespace: String::new(),
                ..cart()
            }),
            "not called as the service",
        ),
    ] {
        let answer = both.take(vec![bad, of_workload(pod(2))], Vec::new());
        let refusal = answer.error_detail.unwrap();
        assert!(refusal.message.contains(why), "{why}: {}", refusal.message);
        assert_eq!(
            both.documents()[0]["spec"]["endpoints"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        let answer = both.take(Vec::new(), vec![pod(2).uid]);
        assert_eq!(answer.error_detail, None);
        assert_eq!(both.documents(), before);
    }
    let other = DeltaDiscoveryResponse {
        type_url: "other".into(),
        ..DeltaDiscoveryResponse::default()
    };
    assert!(both.client.take(other).is_none());
}

#[test]
fn what_is_asked_for_is_all_or_what_is_named_and_what_is_there_already() {
    let mut both = Both::new();
    let first = both.client.open(Node::default());
    assert_eq!(first.resource_names_subscribe, ["*"]);
    assert!(first.initial_resource_versions.is_empty());
    both.take(vec![of_service(cart()), of_workload(pod(1))], Vec::new());
    let again = both.client.open(Node::default());
    let known: Vec<&String> = again.initial_resource_versions.keys().collect();
    assert_eq!(known, [&pod(1).uid, CART]);
    let named = Client::new(Asked {
        services: vec![CART.into()],
        ..Asked::default()
    });
    assert_eq!(named.open(Node::default()).resource_names_subscribe, [CART]);
}
