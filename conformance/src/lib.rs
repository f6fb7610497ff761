//! Conformance: cases as Markdown pages, run against every runtime.
//!
//! A case says what is configured, what services do, what a client sends and must see, and what was decided. The same
//! page runs on the simulation, on real sockets, and against any program. `cases/README.md` explains how to write one.

pub mod actor;
pub mod alike;
pub mod ask;
pub mod beneath;
pub mod board;
pub mod case;
pub mod compare;
pub mod decision;
pub mod escape;
mod expected_finding;
pub mod frames;
pub mod markdown;
pub mod named;
pub mod pages;
pub mod pairing;
pub mod program;
pub mod remark;
pub mod script;
pub mod settings;
pub mod subject;
pub mod table;
pub mod tally;
pub mod trust;

mod problem;

pub use problem::Problem;
