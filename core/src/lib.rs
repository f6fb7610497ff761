//! The sans-IO policy core of the Outrigger sidecar.
//!
//! Everything that decides lives here: Istio YAML to a snapshot, routing, balancing, HTTP framing, the exchange of one
//! request. Nothing here waits: no clock, socket, file, thread or ambient randomness. Time and random numbers are
//! arguments, so the same inputs give the same outputs, always.
//!
//! # From YAML to a decision
//!
//! ```
#![doc = include_str!("../examples/decision.rs")]
//! ```
//!
//! It prints the decision, and its story:
//!
//! ```text
//! Rule { virtual_host: VirtualHostId(0), rule: 0, destination: None }
//! GET shop.test/cart/7
//!   rule         VirtualService default/shop spec.http[0] (config.yaml:5), route closed
//!   client       saw 503 after 0.0 ms: direct_response
//! ```
//!
//! # Who owns what
//!
//! ```text
//! Snapshot             the compiled configuration: immutable, shared by all threads; the counters in it are atomics
//! │
//! Worker               one for each thread: all of its connections and requests, by name
//! ├─ what they share   the snapshot in use, positions of balancers, who waits for a connection, spare memory
//! ├─ clients           a socket's inbox, codec and outbox, and the request that is served on it, or the streams that are
//! ├─ upstreams         the same towards an endpoint, and the request that uses it, or those that share it
//! └─ exchanges         one for each request: its attempts, and the names of the connections that they use
//!    └─ Record         what was decided for it and why: what is logged, counted and replayed
//! ```
//!
//! Connections and requests do not point to each other. They know each other by name ([`peer::ConnId`],
//! [`peer::ExchangeId`]), and the name of one that is gone finds nobody. A request keeps the view of
//! the snapshot that it began with.
//!
//! # The loop of a runtime
//!
//! A runtime owns sockets and a clock, and nothing that decides. In words (the whole contract is at [`worker`]):
//!
//! ```text
//! for ever:
//!     say what happened, one thing at a time          accept, handle_input, on_time, on_announced
//!     while the worker says what is to be done:       poll_output
//!         connect, close, or note what to wait for    what may be written is written now, and said: Input::Wrote
//!     wait for the first of                           a socket to read or to write, a connection made, next_deadline
//! ```
//!
//! `cargo run -p outrigger-core --example story` plays it by hand, with a clock that is made up:
//!
//! ```
#![doc = include_str!("../examples/story.rs")]
//! ```

#![forbid(unsafe_code)]

pub mod cluster;
pub mod compile;
pub mod config;
mod connection;
pub mod decision;
pub mod entropy;
mod exchange;
pub mod http1;
pub mod http2;
mod io;
pub mod jose;
mod local;
pub mod message;
pub mod outbox;
pub mod overload;
pub mod peer;
pub mod policy;
pub mod proxy_protocol;
pub mod request;
pub mod snapshot;
pub mod sniff;
pub mod stream;
pub mod time;
pub mod worker;
mod xxhash;
