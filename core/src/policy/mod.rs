//! Decisions as pure functions over a snapshot, a request and live state handed in. No function here waits, asks the
//! time, draws a number of its own or changes anything outside its arguments.

pub mod authority;
pub mod authorization;
pub mod backoff;
pub mod balance;
pub mod cors;
pub mod descriptors;
pub mod destination;
pub mod dns;
mod edf;
pub mod fault;
pub mod filter_chain;
pub mod grpc_frames;
pub mod grpc_status;
pub mod grpc_timeout;
pub mod grpc_web;
pub mod hash;
pub mod header_ops;
pub mod jwt;
pub mod locality;
pub mod members;
pub mod mirror;
pub mod ourselves;
pub mod panic;
pub mod path;
pub mod peak_ewma;
pub mod priority;
pub mod rate_limit;
pub mod redirect;
pub mod retry;
pub mod retry_priority;
pub mod rewrite;
pub mod route;
pub mod sampling;
pub mod slow_start;
pub mod timeouts;
pub mod trace_headers;

pub use balance::Balancer;
