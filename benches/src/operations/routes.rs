//! From a request to its rule, and from a connection that is not HTTP to its chain.

use std::hint::black_box;

use outrigger_core::message::RequestHead;
use outrigger_core::policy::authority::{self, Selected};
use outrigger_core::policy::route;
use outrigger_core::snapshot::VirtualHostId;

use super::{Operation, Run};
use crate::scenario::{choose_chains, many_chains, many_rules, many_services, snapshot};

pub(super) fn all() -> Vec<Operation> {
    let mut all = Vec::new();
    for count in [10, 1000, 10_000] {
        all.push(Operation::new(
            format!("route/hosts/{count}"),
            1000,
            move || hosts(count),
        ));
    }
    for count in [10, 1000, 10_000] {
        all.push(Operation::new(
            format!("route/rules/{count}"),
            1000,
            move || rules(count),
        ));
    }
    for count in [10, 5000] {
        all.push(Operation::new(
            format!("chain/services/{count}"),
            300,
            move || chains(count),
        ));
    }
    all
}

/// A virtual host by what a request says in `host`.
fn hosts(count: usize) -> Run {
    let snapshot = snapshot(&many_services(count));
    let authority = format!("s{}.example", count / 2);
    Box::new(move || {
        let selected = authority::select(&snapshot.hosts, black_box(authority.as_bytes()), None);
        assert!(matches!(selected, Selected::VirtualHost(..)), "it is there");
    })
}

/// The last of many rules.
fn rules(count: usize) -> Run {
    let snapshot = snapshot(&many_rules(count));
    let virtual_host = authority::select(&snapshot.hosts, b"s0.example", None);
    let Selected::VirtualHost(id, _) = virtual_host else {
        unreachable!("the scenario has this host");
    };
    let request = RequestHead {
        authority: b"s0.example".to_vec(),
        path: b"/cart?id=7".to_vec(),
        ..RequestHead::default()
    };
    Box::new(move || {
        let id: VirtualHostId = black_box(id);
        let found = route::find(snapshot.virtual_host(id), &request, "http", None);
        assert_eq!(found, Some(count - 1), "the others do not match");
    })
}

/// Three connections that are not HTTP: to an address, into a block of addresses, and by the name that TLS asks for.
fn chains(count: usize) -> Run {
    let snapshot = snapshot(&many_chains(count));
    Box::new(move || assert_eq!(choose_chains(black_box(&snapshot)), 3, "each has a rule"))
}
