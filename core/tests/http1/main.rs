//! The HTTP/1 codec from outside: tables of messages, a slow reference model, and properties over arbitrary bytes.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod allocations;
#[path = "../../../fuzz/src/http1.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod codec;
mod properties;
mod requests;
mod responses;
mod writing;
