//! Copies for mirrors: parties of their own beside the request that they are copies of.

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

/// A copy, by its position among the parties of the driver.
#[derive(Clone, Copy)]
struct Copy(usize);

impl Driver {
    fn mirrored() -> Self {
        Self::with(rule("mirror: {host: m.test}"))
    }

    /// The last copy that was begun.
    fn take_copy(&mut self) -> Copy {
        let copy = Copy(self.parties.len() - 1);
        self.hold(copy, |d| {
            assert!(d.record().is_mirror() && d.name(Side::Downstream).is_none());
        });
        copy
    }

    /// All copies that were made.
    fn copies(&self) -> usize {
        self.parties.len() - 1
    }

    /// Does something to a copy.
    fn hold<T>(&mut self, copy: Copy, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.at, copy.0);
        let got = act(self);
        self.at = before;
        got
    }

    fn fates(&self) -> Vec<MirrorFate> {
        let mirrors = self.record().mirrors.iter();
        mirrors.map(|mirrored| mirrored.fate).collect()
    }

    /// The endpoint and the client take part in the request under way.
    fn ends_well(&mut self) {
        self.connects();
        self.receives(Side::Upstream);
        self.sends(Side::Upstream, OK);
        let client = self.receives(Side::Downstream);
        assert!(
            client.starts_with("HTTP/1.1 200 OK\r\n") && client.ends_with("\r\n\r\nok"),
            "{client}"
        );
        assert_eq!(self.record().flags().to_string(), "-");
    }

    /// Lets the time of the exchange run out.
    fn run_out(&mut self) {
        self.now = self.deadline().expect("a timer is set").0;
        self.time();
    }
}

impl Copy {
    /// What the endpoint is sent, once it is connected.
    fn arrives(self, d: &mut Driver) -> String {
        d.hold(self, |d| {
            d.connects();
            d.receives(Side::Upstream)
        })
    }

    /// What its record says.
    fn record<T>(self, d: &mut Driver, what: impl FnOnce(&Record) -> T) -> T {
        d.hold(self, |d| what(d.record()))
    }

    /// The copy has ended, once, and holds nothing.
    fn assert_over(self, d: &mut Driver, details: &str) {
        let cluster = &d.worker.view().snapshot.clusters;
        for endpoint in cluster.iter().flat_map(|c| &c.endpoints) {
            let is_mirror = endpoint.text.starts_with("10.0.0.2");
            assert!(!is_mirror || endpoint.state.active() == 0, "{details}");
        }
        self.assert_over_beside(d, details, 0);
    }

    /// The same while other copies are under way.
    fn assert_over_beside(self, d: &mut Driver, details: &str, others: usize) {
        d.hold(self, |d| {
            let ends = d.seen().iter().filter(|said| **said == Said::Ended);
            assert_eq!(ends.count(), 1, "{details}");
            assert!(d.under_way().is_none(), "{details}");
            assert_eq!(d.record().details.to_string(), details);
            assert!(d.record().is_mirror());
        });
        assert_eq!(d.worker.counts().mirrors, others, "{details}");
        let all = d.worker.exchanges();
        let copies = all.filter(|(_, exchange)| exchange.is_mirror()).count();
        assert_eq!(copies, others, "{details}");
    }
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
