//! What a mesh has in common: all of its configuration, and what of it each sidecar is to know.
//!
//! Owns the [`world`] of objects, what a client may see of it ([`scope`]), and telling each client what has changed
//! ([`hub`], [`discovery`]), and what is to be said of each object to whoever looks at it ([`verdicts`], [`refused`]). What objects mean is the business of core, and of the sidecars that run by them; where they come
//! from, that of Kubernetes or of files ([`documents`]).

pub mod discovery;
pub mod documents;
mod envoy;
mod facts;
mod followers;
pub mod hub;
mod imports;
mod places;
mod proof;
pub mod refused;
pub mod scope;
pub mod verdicts;
pub mod viewer;
pub mod world;
