//! The resolver against a name server on loopback.

use super::*;

#[expect(dead_code, reason = "the tests of asking use all of it")]
#[path = "../../../../dns/tests/server/mod.rs"]
mod dns;

use dns::Dns;
use std::net::IpAddr;
use tokio::runtime::Builder;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn names_are_asked_for_again_and_the_last_good_answer_stays() {
    run(async {
        let dns = Dns::start();
        dns.addresses("api.b.test", 1, &["127.0.0.1", "127.0.0.2"]);
        let mut resolver = Resolver::new(&[dns.addr]);
        let names = BTreeMap::from([("api.b.test".into(), Uses::Every)]);
        resolver.watch(&names);
        assert!(resolver.is_waiting() && resolver.answers().is_empty());
        resolver.first_answers().await;
        assert_eq!(
            resolver.answers()["api.b.test"],
            ips(&["127.0.0.1", "127.0.0.2"])
        );
        // In another order: the same endpoints.
        dns.addresses("api.b.test", 1, &["127.0.0.2", "127.0.0.1"]);
        assert!(!resolver.hear().await);
        dns.addresses("api.b.test", 1, &["127.0.0.3"]);
        while !resolver.hear().await {}
        assert_eq!(resolver.answers()["api.b.test"], ips(&["127.0.0.3"]));
        dns.forget("api.b.test");
        let fails = |resolver: &Resolver| resolver.names["api.b.test"].watched.is_unresolved();
        while !fails(&resolver) {
            assert!(!resolver.hear().await);
        }
        assert_eq!(resolver.answers()["api.b.test"], ips(&["127.0.0.3"]));
        resolver.watch(&names);
        assert_eq!(resolver.answers().len(), 1, "what is known stays");
        resolver.watch(&BTreeMap::new());
        assert!(resolver.answers().is_empty() && !resolver.is_waiting());
    });
}
