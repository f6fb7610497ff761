//! Whose bytes: what a body, a field and trailers are follows from the number of their message, so that whoever hears some of it
//! knows what it has to be.

use crate::hpack::Field;

/// A number that stands for a text and a place in it.
const fn mixed(tag: u64, at: u64) -> u64 {
    let mut z = (tag ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^= z >> 29;
    z.wrapping_mul(0x94d0_49bb_1331_11eb) ^ z >> 32
}

/// Whose bytes these are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    Request(usize),
    Arrival(usize),
}

impl Whose {
    const fn tag(self) -> u64 {
        match self {
            Self::Request(number) => 2 * number as u64,
            Self::Arrival(number) => 2 * number as u64 + 1,
        }
    }

    /// Some of the bytes.
    pub(crate) fn bytes(self, from: usize, count: usize) -> Vec<u8> {
        let byte = |at: usize| mixed(self.tag(), at as u64 / 8).to_le_bytes()[at % 8];
        (from..from + count).map(byte).collect()
    }

    /// Whether these are the bytes.
    pub(crate) fn check(self, from: usize, came: &[u8]) -> Result<(), String> {
        let want = self.bytes(from, came.len());
        match want.iter().zip(came).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(at) => Err(format!("byte {} of {self:?} is another", from + at)),
        }
    }

    /// A field that nothing else has.
    pub(crate) fn noise(self) -> String {
        let number = mixed(self.tag(), u64::MAX);
        // Now and then long, now and then the same.
        match number % 4 {
            0 => "same".to_owned(),
            1 => format!("{number:x}").repeat(10),
            _ => format!("{number:x}"),
        }
    }

    pub(crate) fn trailers(self) -> Vec<Field> {
        let field = |name: &str, value: String| (name.to_owned(), value);
        vec![
            field("x-sum", format!("{:x}", mixed(self.tag(), 1 << 60))),
            field("x-noise-behind", self.noise()),
        ]
    }
}
