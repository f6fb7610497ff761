//! What tells requests apart that are counted in different series: numbers, so that one is found quickly.

use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Everything that labels hang on: requests of one place in one configuration have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it was to go, or one of `NO_CLUSTER` and following.
    pub(crate) cluster: u32,
    pub(crate) endpoint: u32,
    /// Who sent it, 0 for nobody that is known.
    pub(crate) peer: u32,
    /// Who it is by his certificate: 0 for clear text, 1 where nothing is proved.
    pub(crate) principal: u32,
    pub(crate) flags: u64,
    pub(crate) status: u16,
    /// 0 for what is no call, 1 for one without a status, and 2 more than that of any other.
    pub(crate) call: u16,
    /// What labels say that somebody configured, 0 where nobody did.
    pub(crate) values: u32,
    /// The port of a listener does not matter, its direction does.
    pub(crate) is_inbound: bool,
}

/// It went to no cluster: passed through, refused, nowhere.
pub(crate) const NO_CLUSTER: u32 = u32::MAX - 2;

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        state.write_u64(pair(self.cluster, self.endpoint));
        state.write_u64(self.flags);
        let end = u32::from(self.status) << 16 | u32::from(self.call);
        state.write_u64(pair(self.peer, end << 1 | u32::from(self.is_inbound)));
        if self.principal > 0 {
            state.write_u64(self.principal.into());
        }
        if self.values > 0 {
            state.write_u64(self.values.into());
        }
    }
}

/// Numbers of ours, which nobody outside can choose freely, need no more care than this (Fibonacci hashing).
#[derive(Default)]
pub(crate) struct Mix(u64);

pub(crate) type Quick = BuildHasherDefault<Mix>;

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn finish(&self) -> u64 {
        // Tables look at the upper bits and at the lower ones.
        self.0 ^ self.0 << 32
    }
}
