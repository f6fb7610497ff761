//! How often peers of one worker met a limit of HTTP/1, where other threads can read it.

use outrigger_core::decision::Http1Limit;
use outrigger_core::worker::{Http1Counted, Http1Met};

use crate::counter::Counter;

/// Of one side, in the order of the limits' names.
type Side = [Counter; Http1Limit::NAMES.len()];

/// Of clients and of endpoints.
#[derive(Debug, Default)]
pub(crate) struct Http1Counters {
    clients: Side,
    endpoints: Side,
}

impl Http1Counters {
    pub(crate) fn set(&self, now: &Http1Counted) {
        set(&self.clients, &now.clients);
        set(&self.endpoints, &now.endpoints);
    }

    pub(crate) fn add_to(&self, sum: &mut Http1Counted) {
        add(&self.clients, &mut sum.clients);
        add(&self.endpoints, &mut sum.endpoints);
    }
}

fn set(side: &Side, now: &Http1Met) {
    for (counter, count) in side.iter().zip(now) {
        counter.set(*count);
    }
}

fn add(side: &Side, sum: &mut Http1Met) {
    for (counter, sum) in side.iter().zip(sum) {
        *sum += counter.value();
    }
}
