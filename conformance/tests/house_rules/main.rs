//! The house rules that a machine can check, as an ordinary test: one file for each thing that is ruled. What needs
//! judgement stands in `CONTRIBUTING.md`; what clippy knows is in `core/clippy.toml`.

mod circles;
mod files;
mod layers;
mod packages;
mod pages;
mod reach;
mod security;
mod sizes;
mod source;
mod times;
