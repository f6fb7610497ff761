//! An open loop over kept connections, as a gateway or another program has it: requests come at a rate that may change,
//! whatever becomes of those before.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};

use super::ask::Ask;
use super::ledger::Ledger;
use super::pool::{Cause, Pool, Topic};
use crate::dice::Dice;
use crate::errands::Errands;
use crate::peer::Arrivals;
use crate::simulation::Simulation;

/// A rate for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateWindow {
    /// From this moment on.
    pub from: Instant,
    /// Until just before this one.
    pub until: Instant,
    /// Requests a second, at least 0.
    pub rate: f64,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Independently of each other: a Poisson process.
    Poisson,
    /// Evenly.
    Steady,
}

/// Requests at a rate.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The rate in effect at a moment is that of the last window that is open; without one nobody comes.
    pub rates: Vec<RateWindow>,
    /// How requests come.
    pub spacing: Spacing,
    /// How long a client waits for an answer; `None` is for ever.
    pub patience: Option<Duration>,
    /// What is asked for.
    pub ask: Ask,
    /// Decides what is drawn.
    pub seed: u64,
}

impl Traffic {
    /// From now on requests come. How they end is told to the ledger.
    pub fn enter(self, world: &mut Simulation, address: &str, ledger: Rc<RefCell<dyn Ledger>>) {
        let mut edges: Vec<Instant> = Vec::new();
        for window in &self.rates {
            edges.extend([window.from, window.until]);
        }
        edges.sort();
        edges.dedup();
        let pool = Pool::new(address, world.errands());
        world.let_arrive(Box::new(Flow {
            topic: Topic {
                method: self.ask.method.as_str().into(),
                request: self.ask.prepare(),
                patience: self.patience,
                ledger,
            },
            rates: self.rates,
            spacing: self.spacing,
            dice: Dice::new(self.seed),
            edges,
            pool,
        }));
    }
}

struct Flow {
    topic: Topic,
    rates: Vec<RateWindow>,
    spacing: Spacing,
    dice: Dice,
    /// When rates change.
    edges: Vec<Instant>,
    pool: Pool,
}

impl Flow {
    fn rate(&self, at: Instant) -> f64 {
        let mut open = self.rates.iter().rev();
        open.find(|w| w.from <= at && at < w.until)
            .map_or(0.0, |w| w.rate)
    }

    fn next_edge(&self, after: Instant) -> Option<Instant> {
        self.edges.iter().copied().find(|edge| *edge > after)
    }
}

impl Arrivals for Flow {
    /// The time until the next arrival is spent at the rates of the way there: a draw of so many mean gaps is used up
    /// faster while the rate is higher.
    fn next_arrival(&mut self, now: Instant) -> Option<Duration> {
        let mut gaps = match self.spacing {
            Spacing::Poisson => -self.dice.unit().ln(),
            Spacing::Steady => 1.0,
        };
        let mut at = now;
        loop {
            let rate = self.rate(at);
            let edge = self.next_edge(at);
            let takes = if rate > 0.0 {
                gaps / rate
            } else {
                f64::INFINITY
            };
            let room = edge.map(|edge| edge.since(at).as_secs_f64());
            match room {
                // Without an edge ahead no window is open, so the rate is 0.
                None => return None,
                Some(room) if takes >= room => {
                    gaps -= rate * room;
                    at = edge?;
                }
                Some(_) => {
                    let takes = Duration::from_secs_f64(takes);
                    return Some((at + takes).since(now));
                }
            }
        }
    }

    fn arrive(&mut self, now: Instant, _errands: &Errands) {
        self.pool.call(&self.topic, Cause::NONE, now, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::ClientLog;
    use super::*;

    fn flow(spacing: Spacing, rates: &[(u64, u64, f64)]) -> Flow {
        let windows = rates.iter().map(|(from, until, rate)| RateWindow {
            from: Instant::from_millis(*from),
            until: Instant::from_millis(*until),
            rate: *rate,
        });
        let rates: Vec<_> = windows.collect();
        let mut edges: Vec<_> = rates.iter().flat_map(|w| [w.from, w.until]).collect();
        edges.sort();
        let ask = Ask::get("s");
        Flow {
            topic: Topic {
                method: "GET".into(),
                request: ask.prepare(),
                patience: None,
                ledger: Rc::<RefCell<ClientLog>>::default(),
            },
            rates,
            spacing,
            dice: Dice::new(1),
            edges,
            pool: Pool::new("x", &Errands::default()),
        }
    }

    fn arrivals(flow: &mut Flow) -> Vec<u64> {
        let mut now = Instant::ZERO;
        let mut all = Vec::new();
        while let Some(wait) = flow.next_arrival(now) {
            now = now + wait;
            all.push(now.as_nanos() / 1_000_000);
        }
        all
    }

    #[test]
    fn a_steady_flow_keeps_its_pace_over_a_burst() {
        let mut steady = flow(Spacing::Steady, &[(0, 1000, 4.0), (500, 750, 16.0)]);
        let all = arrivals(&mut steady);
        assert_eq!(all, [250, 500, 562, 625, 687, 750]);
    }

    #[test]
    fn a_poisson_flow_has_its_rates() {
        let mut poisson = flow(
            Spacing::Poisson,
            &[(0, 10_000, 100.0), (2000, 3000, 1000.0)],
        );
        let all = arrivals(&mut poisson);
        let burst = all.iter().filter(|at| (2000..3000).contains(*at)).count() as f64;
        let rest = all.len() as f64 - burst;
        // Five standard deviations.
        assert!((burst - 1000.0).abs() < 5.0 * 1000_f64.sqrt(), "{burst}");
        assert!((rest - 900.0).abs() < 5.0 * 900_f64.sqrt(), "{rest}");
    }
}
