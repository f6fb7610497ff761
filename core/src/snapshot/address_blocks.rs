//! Blocks of addresses, and which of them is the smallest that has an address: by one search for each length of prefix that
//! occurs, however many blocks there are.

use core::cmp::Reverse;
use core::net::IpAddr;

use super::hash_index::{HashIndex, hash_of};
use crate::peer::AddressRange;

/// Blocks, and what each stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressBlocks(Box<[OneLength]>);

/// Those of one length, the longest first.
#[derive(Clone, Debug)]
struct OneLength {
    prefix: u8,
    is_ipv4: bool,
    /// By what their addresses have in common, sorted.
    blocks: Box<[(u128, u32)]>,
    /// Where each of them is.
    index: HashIndex,
}

impl AddressBlocks {
    /// Of two equal blocks the first one counts.
    pub(super) fn new(mut all: Vec<(AddressRange, u32)>) -> Self {
        let key = |block: &AddressRange| {
            let (is_ipv4, common) = begins(block.base(), block.prefix());
            (Reverse(block.prefix()), is_ipv4, common)
        };
        all.sort_by_key(|(block, _)| key(block)); // stable: of equal ones the first one stays first
        all.dedup_by_key(|(block, _)| key(block));
        let length = |block: &AddressRange| {
            let (prefix, is_ipv4, _) = key(block);
            (prefix, is_ipv4)
        };
        let lengths = all.chunk_by(|a, b| length(&a.0) == length(&b.0));
        let lengths = lengths.map(|blocks| {
            let hashes = blocks.iter().map(|(block, _)| hash_of(key(block).2));
            OneLength {
                prefix: blocks[0].0.prefix(),
                is_ipv4: length(&blocks[0].0).1,
                index: HashIndex::new(hashes),
                blocks: blocks
                    .iter()
                    .map(|(block, of)| (key(block).2, *of))
                    .collect(),
            }
        });
        Self(lengths.collect())
    }

    /// What the smallest block that has this address stands for.
    pub(super) fn find(&self, address: IpAddr) -> Option<u32> {
        self.0.iter().find_map(|length| {
            let (is_ipv4, common) = begins(address, length.prefix);
            if is_ipv4 != length.is_ipv4 {
                return None;
            }
            let blocks = &length.blocks;
            let is_it = |at: usize| blocks[at].0 == common;
            let at = length.index.find(hash_of(common), is_it)?;
            Some(blocks[at].1)
        })
    }
}

/// The family of an address, and its first bits. One of IPv4 that is mapped into IPv6 is taken for what it is.
fn begins(address: IpAddr, prefix: u8) -> (bool, u128) {
    let (is_ipv4, bits) = match address.to_canonical() {
        IpAddr::V4(v4) => (true, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (false, v6.to_bits()),
    };
    let common = bits.checked_shr(128 - u32::from(prefix));
    // Nothing is in common when there is no prefix.
    (is_ipv4, common.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Addresses that are near one another, of both families and of one in the other.
    fn address() -> impl Strategy<Value = IpAddr> {
        (0_u32..64, 0_u32..32, 0..3).prop_map(|(low, shift, kind)| {
            let bits = low.rotate_right(shift);
            match kind {
                0 => IpAddr::from(bits.to_be_bytes()),
                1 => IpAddr::from((u128::from(bits) << 96).to_be_bytes()),
                _ => IpAddr::from((0xffff_0000_0000 | u128::from(bits)).to_be_bytes()),
            }
        })
    }

    proptest! {
        #[test]
        fn the_smallest_is_found_that_a_look_at_all_finds(
            blocks in prop::collection::vec((address(), 0_u8..=128), 0..40),
            asked in prop::collection::vec(address(), 1..20),
        ) {
            let blocks: Vec<_> = (blocks.into_iter().zip(0..))
                .filter_map(|((base, prefix), of)| Some((AddressRange::new(base, prefix)?, of)))
                .collect();
            let index = AddressBlocks::new(blocks.clone());
            for address in asked {
                let has = blocks.iter().filter(|(block, _)| block.has(address));
                let want = has.min_by_key(|(block, of)| (Reverse(block.prefix()), *of));
                prop_assert_eq!(index.find(address), want.map(|(_, of)| *of), "{}", address);
            }
        }
    }
}
