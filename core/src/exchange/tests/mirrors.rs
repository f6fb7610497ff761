//! Copies for mirrors: a driver that holds them beside the request that they are copies of.

mod fates;
mod made;

use super::*;
use crate::decision::MirrorFate::{self, Sent};

/// The mirrored service.
const MIRROR: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: m}
spec:
  hosts: [m.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: empty}
spec:
  hosts: [empty.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
";

fn rule(fields: &str) -> Arc<Snapshot> {
    limited(fields, "")
}

/// With the mirrored service's connection pool.
fn limited(fields: &str, pool: &str) -> Arc<Snapshot> {
    snapshot(&format!(
        "{SERVICE}---{MIRROR}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec: {{hosts: [h.test], http: [{{{fields}, route: [{{destination: {{host: h.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: m}}
spec: {{host: m.test, trafficPolicy: {{connectionPool: {{{pool}}}}}}}
"
    ))
}

/// A copy, between the times when the driver holds it.
struct Copy {
    exchange: Exchange,
    interest: Interest,
    seen: Vec<Output>,
}

impl Driver {
    fn mirrored() -> Self {
        Self::with(rule("mirror: {host: m.test}"))
    }

    fn take_copy(&mut self) -> Copy {
        assert!(self.seen.contains(&Output::Mirror));
        let exchange = self.exchange.take_mirror().expect("a copy was spoken of");
        let mut copy = Copy {
            exchange,
            interest: Interest::default(),
            seen: Vec::new(),
        };
        self.hold(&mut copy, Self::drain);
        assert!(!copy.interest.read_downstream && !copy.interest.write_downstream);
        copy
    }

    /// Does something to a copy.
    fn hold<T>(&mut self, copy: &mut Copy, act: impl FnOnce(&mut Self) -> T) -> T {
        fn swap(d: &mut Driver, copy: &mut Copy) {
            std::mem::swap(&mut d.exchange, &mut copy.exchange);
            std::mem::swap(&mut d.interest, &mut copy.interest);
            std::mem::swap(&mut d.seen, &mut copy.seen);
        }
        swap(self, copy);
        let got = act(self);
        swap(self, copy);
        got
    }

    fn fates(&self) -> Vec<MirrorFate> {
        let mirrors = self.exchange.record().mirrors.iter();
        mirrors.map(|mirrored| mirrored.fate).collect()
    }

    /// The endpoint and the client take part in the request under way.
    fn ends_well(&mut self) {
        self.input(Input::Connected);
        self.receives(Side::Upstream);
        self.sends(Side::Upstream, OK);
        let client = self.receives(Side::Downstream);
        assert!(
            client.starts_with("HTTP/1.1 200 OK\r\n") && client.ends_with("\r\n\r\nok"),
            "{client}"
        );
        assert_eq!(self.exchange.record().flags().to_string(), "-");
    }

    /// Lets the time of the exchange run out.
    fn run_out(&mut self) {
        let (at, _) = self.interest.deadline.expect("a timer is set");
        self.now = at;
        self.input(Input::Deadline);
    }
}

impl Copy {
    /// What the endpoint is sent, once it is connected.
    fn arrives(&mut self, d: &mut Driver) -> String {
        d.hold(self, |d| {
            d.input(Input::Connected);
            d.receives(Side::Upstream)
        })
    }

    /// The copy has ended, once, and holds nothing.
    fn assert_over(self, d: &Driver, details: &str) {
        let cluster = &d.worker.view().snapshot.clusters;
        for endpoint in cluster.iter().flat_map(|c| &c.endpoints) {
            let is_mirror = endpoint.text.starts_with("10.0.0.2");
            assert!(!is_mirror || endpoint.state.active() == 0, "{details}");
        }
        self.assert_over_beside(d, details, 0);
    }

    /// The same while other copies are under way.
    fn assert_over_beside(self, d: &Driver, details: &str, others: usize) {
        let count = |output| self.seen.iter().filter(|o| **o == output).count();
        assert_eq!(count(Output::Ended), 1, "{details}");
        assert_eq!(count(Output::Done), 1, "{details}");
        assert_eq!(self.exchange.record().details.to_string(), details);
        assert!(self.exchange.record().is_mirror());
        drop(self);
        assert_eq!(d.worker.mirrors_under_way(), others, "{details}");
    }
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
