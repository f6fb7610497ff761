//! Seeds: how many are wanted, and which one it was when something fails.

use std::fmt::Debug;
use std::thread;

/// One world in so many is played twice.
const TWICE: u64 = 32;

/// Names the seed when something panics under it.
struct Playing(u64);

impl Drop for Playing {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays the world of a seed, some twice.
pub(crate) fn one<T: Debug + PartialEq>(seed: u64, play: impl Fn(u64) -> Result<T, String>) -> T {
    let _playing = Playing(seed);
    let played = play(seed).unwrap_or_else(|what| panic!("{what}"));
    if seed.is_multiple_of(TWICE) {
        assert_eq!(Ok(&played), play(seed).as_ref(), "the run does not repeat");
    }
    played
}
