//! What instances and sidecars count by themselves, whoever looks.

/// What instances and sidecars counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// How often each instance of recommendation was asked: v1, v2, and v2's second.
    pub(super) asked: [u64; 3],
    /// How often preference's sidecar ejected an instance.
    pub(super) ejections: u64,
}

impl Counted {
    /// What came since then.
    pub(super) fn since(mut self, then: &Self) -> Self {
        for (now, then) in self.asked.iter_mut().zip(then.asked) {
            *now -= then;
        }
        self.ejections = self.ejections.saturating_sub(then.ejections);
        self
    }
}
