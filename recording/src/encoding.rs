//! How values become bytes of a file: postcard, appended to a block. What the values are is left to others.

use serde::{Serialize, Serializer};

/// Appends a value in postcard.
pub(crate) fn put(value: &impl Serialize, block: &mut Vec<u8>) {
    struct Append<'a>(&'a mut Vec<u8>);

    impl postcard::ser_flavors::Flavor for Append<'_> {
        type Output = ();

        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }

        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }

    let written = postcard::serialize_with_flavor(value, Append(block));
    debug_assert!(
        written.is_ok(),
        "memory takes everything, and no type of ours refuses to be written"
    );
}

/// Writes bytes as bytes and not as a list of numbers.
pub(crate) fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}
