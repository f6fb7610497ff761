//! A mesh to measure a control plane with: its objects, the clients that want them, and what a process costs.

pub mod clients;
pub mod objects;
pub mod process;
