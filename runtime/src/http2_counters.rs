//! What one worker counts of its connections that speak HTTP/2, where other threads can read it.

use outrigger_core::http2::Counts;
use outrigger_core::worker::{Http2Counted, Http2Side};

use crate::counter::Counter;

/// How many limits there are.
const LIMITS: usize = Counts::NAMES.len();

/// Of one side.
#[derive(Debug, Default)]
struct SideCounters {
    connections: Counter,
    active: Counter,
    streams: Counter,
    /// In the order of [`Counts::NAMES`].
    met: [Counter; LIMITS],
}

/// Of clients and of endpoints.
#[derive(Debug, Default)]
pub(crate) struct Http2Counters {
    clients: SideCounters,
    endpoints: SideCounters,
}

impl SideCounters {
    fn set(&self, now: &Http2Side) {
        self.connections.set(now.connections);
        self.active.set(now.active);
        self.streams.set(now.streams);
        for (counter, count) in self.met.iter().zip(now.met.values()) {
            counter.set(count);
        }
    }

    fn add_to(&self, sum: &mut Http2Side) {
        sum.connections += self.connections.value();
        sum.active += self.active.value();
        sum.streams += self.streams.value();
        let met = std::array::from_fn(|at| self.met[at].value());
        sum.met.add(&Counts::of(met));
    }
}

impl Http2Counters {
    pub(crate) fn set(&self, now: &Http2Counted) {
        self.clients.set(&now.clients);
        self.endpoints.set(&now.endpoints);
    }

    pub(crate) fn add_to(&self, sum: &mut Http2Counted) {
        self.clients.add_to(&mut sum.clients);
        self.endpoints.add_to(&mut sum.endpoints);
    }
}
