//! The HTTP/2 codec from outside: properties over arbitrary bytes, beside slow models.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod allocations;
#[path = "../../../fuzz/src/hpack.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod checked;
mod heads;
mod hpack;
mod peers;
