//! Attempts and the limit that follows response times: none begins above it, and what each took is told to it.

use crate::cluster::{Counted, Permit, Sample};
use crate::decision::Overflow;
use crate::snapshot::Cluster;
use crate::time::Instant;

/// An attempt that counts against the limit.
#[derive(Debug)]
pub(super) struct UnderWay {
    permit: Permit,
    began: Instant,
    /// How many there were when it began, itself included.
    in_flight: u32,
}

impl UnderWay {
    /// Counts an attempt against its cluster's adaptive limit, if it has one.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(super) fn begin(cluster: Option<&Cluster>, now: Instant) -> Result<Option<Self>, Overflow> {
        let Some((cluster, settings)) = cluster.and_then(|c| Some((c, c.adaptive?))) else {
            return Ok(None);
        };
        let (state, counted) = (&cluster.state, Counted::Concurrency);
        let limit = state.adaptive().limit(&settings);
        let Some(permit) = state.admit(counted, limit) else {
            state.adaptive().count_blocked();
            return Err(Overflow { counted, limit });
        };
        Ok(Some(Self {
            permit,
            began: now,
            in_flight: state.gauges().current(counted),
        }))
    }

    /// The attempt took this long: until the end of its response, or until nobody waited any longer.
    pub(super) fn report(&self, cluster: Option<&Cluster>, now: Instant) {
        let Some(settings) = cluster.and_then(|cluster| cluster.adaptive) else {
            return;
        };
        let sample = Sample {
            took: now.since(self.began),
            in_flight: self.in_flight,
            at: now,
        };
        let limit = self.permit.cluster().adaptive();
        limit.report(&settings, sample);
    }
}
