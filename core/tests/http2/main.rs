//! The HTTP/2 codec from outside: two of its connections with one another, frames made by hand, and properties over
//! arbitrary bytes, beside slow models.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod allocations;
mod attacks;
mod by_hand;
#[path = "../../../fuzz/src/hpack.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod checked;
#[path = "../../../fuzz/src/http2.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod codec;
mod cuts;
mod h2_peer;
mod heads;
mod hpack;
mod life;
mod pair;
mod peers;
mod rest;
mod rules;
mod sending;
mod windows;

use outrigger_core::outbox::Outbox;

/// The bytes of all outgoing pieces, as they would be written.
fn written(out: &mut Outbox) -> Vec<u8> {
    let bytes = out.pieces().flatten().copied().collect();
    out.clear();
    bytes
}
