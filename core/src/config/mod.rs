//! Istio and Kubernetes YAML: text to typed resources, with findings that point at the user's files.
//!
//! Nothing behind the compiler sees these types; the compiler sees no YAML.

pub mod address;
pub mod gateway;
pub mod kubernetes;
pub mod mesh;
pub mod meta;
pub mod names;
pub mod protocol;
pub mod service_entry;
pub mod sidecar;
pub mod workload_entry;
