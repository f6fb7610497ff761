//! One whole exchange in memory: bytes of a client in, bytes of its endpoint back, and the record at its end.

use super::Operation;
use crate::client::{Client, Manner};
use crate::frames::Spoken;
use crate::scenario::{
    guarded, many_rules, many_services, one_service, one_service_speaking, snapshot,
};

const TIMES: u32 = 100;

pub(super) fn all() -> Vec<Operation> {
    let mut all = Vec::new();
    let versions = [("http1", Spoken::Http1), ("http2", Spoken::Http2)];
    for (client_name, client) in versions {
        for (endpoint_name, endpoint) in versions {
            let manner = Manner {
                client,
                endpoint,
                ..Manner::default()
            };
            all.push(of(
                format!("exchange/{client_name}-{endpoint_name}"),
                manner,
            ));
        }
    }
    let counted = Manner {
        is_counted: true,
        ..Manner::default()
    };
    all.push(of("exchange/counted", counted));
    let recorded = Manner {
        is_recorded: true,
        ..Manner::default()
    };
    all.push(of("exchange/recorded", recorded));
    all.push(Operation::new(
        "exchange/among-1000-services",
        TIMES,
        || asks(Client::warm(snapshot(&many_services(1000)))),
    ));
    all.push(Operation::new("exchange/past-5000-rules", TIMES, || {
        asks(Client::warm(snapshot(&many_rules(5000))))
    }));
    for policies in [0, 10, 1000] {
        let name = format!("authorized/policies/{policies}");
        all.push(Operation::new(name, TIMES, move || {
            asks(Client::warm(guarded(policies)))
        }));
    }
    all
}

fn of(name: impl Into<String>, manner: Manner) -> Operation {
    Operation::new(name, TIMES, move || {
        let text = match manner.endpoint {
            Spoken::Http1 => one_service(),
            Spoken::Http2 => one_service_speaking("HTTP2"),
        };
        asks(Client::of(snapshot(&text), manner))
    })
}

fn asks(mut client: Client) -> super::Run {
    Box::new(move || assert_eq!(client.request(), 200, "it is answered"))
}
