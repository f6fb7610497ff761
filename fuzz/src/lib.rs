//! What must hold for any input, one module per thing that reads bytes from outside.

pub mod config;
pub mod hpack;
pub mod http1;
pub mod http2;
pub mod jose;
pub mod recording;
pub mod worker;
