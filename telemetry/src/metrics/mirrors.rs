//! What became of the copies that mirrors were to get.

use outrigger_core::decision::MirrorFate;
use outrigger_runtime::Counter;

/// What became of the copies that mirrors were to get: of one worker as counters, of all of them as sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorFates<N = u64> {
    /// Copies that were sent.
    pub sent: N,
    /// Not made: the request ended before it was received whole.
    pub incomplete: N,
    /// Not made: there is no such service, port or subset.
    pub no_cluster: N,
    /// Not made: the mirror has no endpoint.
    pub no_endpoint: N,
    /// Not made: the body is longer than what is kept.
    pub body_too_long: N,
    /// Dropped: too many are under way.
    pub dropped: N,
}

impl MirrorFates<Counter> {
    /// A mirror was to get a copy.
    pub(crate) fn count(&self, fate: MirrorFate) {
        let counter = match fate {
            MirrorFate::Sent => &self.sent,
            MirrorFate::Incomplete => &self.incomplete,
            MirrorFate::NoCluster => &self.no_cluster,
            MirrorFate::NoEndpoint => &self.no_endpoint,
            MirrorFate::BodyTooLong => &self.body_too_long,
            MirrorFate::Dropped => &self.dropped,
        };
        counter.add(1);
    }

    pub(crate) fn add_to(&self, sum: &mut MirrorFates) {
        sum.sent += self.sent.value();
        sum.incomplete += self.incomplete.value();
        sum.no_cluster += self.no_cluster.value();
        sum.no_endpoint += self.no_endpoint.value();
        sum.body_too_long += self.body_too_long.value();
        sum.dropped += self.dropped.value();
    }
}
