//! Response times that several workers report of one endpoint: no moment counts twice, and no peak is lost.

use std::sync::Arc;

use loom::thread;

use crate::cluster::{HostKey, HostState, Registry};
use crate::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// An endpoint that somebody looked at after a second.
fn looked_at() -> Arc<HostState> {
    let mut registry = Registry::default();
    let host = registry.host(HostKey {
        cluster: "c".into(),
        address: "a".into(),
    });
    assert!(host.response_time().average(at(1)) > 0.0);
    host
}

/// Two workers report nothing but that time passes: together it fades as if one had seen all of it.
pub fn time_passes_once() {
    let host = looked_at();
    let begun = host.response_time().average(at(1));
    let other = {
        let host = Arc::clone(&host);
        thread::spawn(move || host.response_time().observe(Duration::ZERO, at(3)))
    };
    host.response_time().observe(Duration::ZERO, at(6));
    assert!(other.join().is_ok());
    let (got, want) = (
        host.response_time().average(at(6)),
        begun * (-0.5_f64).exp(),
    );
    assert!((got - want).abs() < 1e-12, "{got} {want}");
}

/// One reports a peak while another reports a short time: it stays, or fades for the two seconds that passed at most.
pub fn a_peak_stays() {
    let host = looked_at();
    let other = {
        let host = Arc::clone(&host);
        thread::spawn(move || host.response_time().observe(SECOND, at(2)))
    };
    host.response_time().observe(SECOND / 100, at(3));
    assert!(other.join().is_ok());
    let got = host.response_time().average(at(3));
    assert!((0.82..=1.0).contains(&got), "{got}");
}

/// Two look at a new endpoint at once, at different moments: the clock starts at one of them.
pub fn the_clock_starts_once() {
    let mut registry = Registry::default();
    let host = registry.host(HostKey {
        cluster: "c".into(),
        address: "a".into(),
    });
    let other = {
        let host = Arc::clone(&host);
        thread::spawn(move || host.response_time().average(at(1)))
    };
    let here = host.response_time().average(at(2));
    let there = other.join().unwrap_or_default();
    // Whoever starts it sees the whole default; the later moment may see it a second older.
    assert!((there - 0.030).abs() < 1e-12, "{there}");
    let older = 0.030 * (-0.1_f64).exp();
    let sees = |want: f64| (here - want).abs() < 1e-12;
    assert!(sees(0.030) || sees(older), "{here}");
}
