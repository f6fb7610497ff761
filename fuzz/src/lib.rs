//! What must hold for any input, one module per thing that reads bytes from outside.

pub mod authorization;
pub mod config;
pub mod corpus;
pub mod dns;
pub mod draws;
pub mod ejection;
pub mod h2_peer;
pub mod house;
pub mod hpack;
pub mod http1;
pub mod http2;
pub mod hyper_peer;
pub mod identity;
pub mod istio;
pub mod jose;
pub mod jwt;
pub mod limits;
pub mod proxy_protocol;
pub mod recording;
pub mod reload;
pub mod resources;
pub mod routing;
pub mod sniff;
pub mod tls;
pub mod worker;
pub mod workloads;
