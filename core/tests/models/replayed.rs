//! Replays the corpora of the fuzz targets that play against models, and random programs.

use std::cell::Cell;

use proptest::prelude::*;

use crate::{corpus, ejection_model, limits_model, reload, resources, routing};

/// Replays, and sums what was counted.
fn replay(target: &str, run: impl Fn(&[u8]) -> usize) -> usize {
    let sum = Cell::new(0);
    corpus::replay(env!("CARGO_MANIFEST_DIR"), target, |bytes| {
        sum.set(sum.get() + run(bytes));
    });
    sum.get()
}

#[test]
fn ejection() {
    replay("ejection", |bytes| {
        ejection_model::as_the_model(bytes);
        0
    });
}

#[test]
fn limits() {
    replay("limits", |bytes| {
        limits_model::as_the_model(bytes);
        0
    });
}

#[test]
fn routing() {
    let matched = replay("routing", routing::as_the_model);
    assert!(matched > 50, "few requests find a rule: {matched}");
}

#[test]
fn resources() {
    let made = replay("resources", resources::compiled_twice);
    assert!(made > 30, "most are refused: {made}");
}

#[test]
fn reloads() {
    let adopted = replay("reload", reload::in_the_middle);
    assert!(adopted > 20, "little is adopted: {adopted}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rules_are_found_as_the_model_finds_them(program in prop::collection::vec(any::<u8>(), 0..400)) {
        routing::as_the_model(&program);
    }

    #[test]
    fn resources_that_nobody_chose(program in prop::collection::vec(any::<u8>(), 0..400)) {
        resources::compiled_twice(&program);
    }

    #[test]
    fn reloads_that_nobody_chose(program in prop::collection::vec(any::<u8>(), 0..1200)) {
        reload::in_the_middle(&program);
    }
}
