//! The configuration front end: bytes to typed resources, with every finding of a run at once.
//!
//! Owns reading YAML with positions ([`yaml`]), Istio's value grammar ([`value`]), the envelope of a resource, and the
//! resource types field for field as Istio writes them, each with its own rules. What resources mean together (name
//! resolution, precedence, merging) is left to the compiler, which sees no YAML; nothing behind it sees these types.

pub mod address;
pub mod aliases;
pub mod annotations;
pub mod authorization_policy;
mod bystanders;
pub(crate) mod cel;
mod checks;
pub mod code;
pub mod decode;
pub mod destination_rule;
mod envelope;
pub mod envoy_filter;
pub mod finding;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod gateway;
pub mod gateway_api;
pub mod header_name;
mod homes;
mod judged;
pub mod kinds;
pub mod kubernetes;
mod kustomize;
pub mod lint;
pub mod load;
pub mod log_format;
mod mark;
pub mod mesh;
pub mod meta;
pub mod names;
pub mod node;
pub mod peer_authentication;
mod pending;
pub mod protocol;
pub mod report;
pub mod request_authentication;
mod resource_name;
pub mod resources;
pub mod scalar;
pub mod server_tls;
pub mod service_entry;
pub mod sidecar;
mod source;
mod span;
pub mod spelling;
pub mod telemetry;
mod traffic_distribution;
mod unserved;
pub mod value;
pub mod virtual_service;
pub mod workload_entry;
pub mod yaml;

pub use code::{Code, Severity};
pub use finding::{Finding, snippet};
pub use lint::lint;
pub use load::{Loaded, load, load_mesh};
pub use mark::Mark;
pub use mesh::MeshConfig;
pub use meta::Meta;
pub use report::Report;
pub use resource_name::ResourceName;
pub use resources::Resources;
pub use source::Source;
pub use unserved::unserved;
