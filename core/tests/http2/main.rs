//! The HTTP/2 codec from outside: properties over arbitrary bytes, beside slow models.

#[path = "../../../fuzz/src/hpack.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod checked;
mod hpack;
