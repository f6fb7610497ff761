//! The live state that workers share, under loom: the files of `core/src/cluster` and the waiting line, as they stand,
//! compiled once more with modelled atomics.
//!
//! Owns the scenarios: what two or three workers do at once, and what must hold whatever the order of their steps and
//! whatever value the memory model lets each load see. `tests/explore.rs` runs them. What single workers do is tested in
//! core; what many do on real threads, there too.

#[path = "../../core/src/cluster/mod.rs"]
pub mod cluster;
#[path = "../../core/src/entropy.rs"]
pub mod entropy;
#[path = "../../core/src/peer/mod.rs"]
pub mod peer;
#[path = "../../core/src/time.rs"]
pub mod time;
#[path = "../../core/src/local"]
mod local {
    #[expect(dead_code, reason = "the worker, which is not here, asks for more")]
    pub(crate) mod line;
}

pub mod ejection;
pub mod leaving;
pub mod limits;
pub mod rate_limits;
pub mod response_time;
pub mod waiting;

/// Explores the interleavings of a scenario in which a worker is interrupted at most so often where it could go on.
/// `LOOM_MAX_PREEMPTIONS` asks for more: each costs about ten times the time.
pub fn explore(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(preemptions));
    model.check(scenario);
}
