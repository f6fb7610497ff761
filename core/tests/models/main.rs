//! Each policy against a model of it: plain, slow, and written from the reference rather than from the code. Random settings
//! and random events, and the same answer always. What was found this way stands as a case of its own beside its model.

mod api_routes;
mod authorization;
mod chains;
mod descriptors;
mod ejection;
mod house;
mod istio_facts;
mod limits;
mod request;
mod retries;
