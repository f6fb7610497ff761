//! Attempts and the limit that follows response times: none begins above it, and what each took is told to it.

use super::{Exchange, Turn};
use crate::cluster::{AdaptiveConcurrency, Counted, Permit, Sample};
use crate::decision::Overflow;
use crate::request::{self, Target};
use crate::time::Instant;

/// An attempt that counts against the limit.
#[derive(Debug)]
pub(super) struct UnderWay {
    settings: AdaptiveConcurrency,
    permit: Permit,
    began: Instant,
    /// How many there were when it began, itself included.
    in_flight: u32,
}

impl Exchange {
    /// Counts an attempt against its cluster's adaptive limit, if it has one. A tunnel has no response time, and would
    /// keep others out for as long as it lasts.
    pub(super) fn enter_adaptive(
        &mut self,
        target: &Target,
        turn: &mut Turn<'_>,
    ) -> Result<(), Overflow> {
        let cluster = request::cluster_of(target, &self.view.snapshot);
        let Some((cluster, settings)) = cluster
            .and_then(|cluster| Some((cluster, cluster.adaptive?)))
            .filter(|_| !target.tunnel)
        else {
            return Ok(());
        };
        let (state, counted) = (&cluster.state, Counted::Concurrency);
        let limit = state.adaptive().limit(&settings);
        let Some(permit) = state.admit(counted, limit) else {
            state.adaptive().count_blocked();
            return Err(Overflow { counted, limit });
        };
        self.up.adaptive = Some(UnderWay {
            settings,
            permit,
            began: turn.now,
            in_flight: state.gauges().current(counted),
        });
        Ok(())
    }

    /// The attempt took this long: until the end of its response, or until nobody waited any longer.
    pub(super) fn report_adaptive(&self, turn: &mut Turn<'_>) {
        let Some(attempt) = &self.up.adaptive else {
            return;
        };
        let sample = Sample {
            took: turn.now.since(attempt.began),
            in_flight: attempt.in_flight,
            at: turn.now,
        };
        let limit = attempt.permit.cluster().adaptive();
        limit.report(&attempt.settings, sample);
    }
}
