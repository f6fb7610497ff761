//! Markov chains in continuous time: how likely each state is at a moment, by Kolmogorov's forward equations.

/// A chain while its rates stay as they are: from which state to which, and how often a second.
pub(super) struct Rates(pub(super) Vec<(usize, usize, f64)>);

impl Rates {
    /// Lets time pass. What is likely changes as dp/dt = pQ says; solved by Runge and Kutta's method with steps so short
    /// that what it leaves out is far below what a simulation can show.
    pub(super) fn pass(&self, chances: &mut [f64], seconds: f64) {
        let mut leaving = vec![0.0; chances.len()];
        for (from, _, rate) in &self.0 {
            leaving[*from] += rate;
        }
        let fastest = leaving.into_iter().fold(0.0, f64::max);
        let steps = (4.0 * fastest * seconds).ceil().max(1.0);
        let step = seconds / steps;
        for _ in 0..steps as usize {
            let k1 = self.flow(chances);
            let k2 = self.flow(&after(chances, &k1, step / 2.0));
            let k3 = self.flow(&after(chances, &k2, step / 2.0));
            let k4 = self.flow(&after(chances, &k3, step));
            for (at, chance) in chances.iter_mut().enumerate() {
                *chance += step / 6.0 * (k1[at] + 2.0 * k2[at] + 2.0 * k3[at] + k4[at]);
            }
        }
    }

    fn flow(&self, chances: &[f64]) -> Vec<f64> {
        let mut flow = vec![0.0; chances.len()];
        for (from, to, rate) in &self.0 {
            let moved = rate * chances[*from];
            flow[*from] -= moved;
            flow[*to] += moved;
        }
        flow
    }
}

fn after(chances: &[f64], flow: &[f64], seconds: f64) -> Vec<f64> {
    let pairs = chances.iter().zip(flow);
    pairs
        .map(|(chance, flow)| chance + seconds * flow)
        .collect()
}

/// The mean of a number that each state has, and its standard deviation.
pub(super) fn moments(chances: &[f64], number: impl Fn(usize) -> f64) -> (f64, f64) {
    let sum = |of: &dyn Fn(f64) -> f64| -> f64 {
        let states = chances.iter().enumerate();
        states
            .map(|(state, chance)| chance * of(number(state)))
            .sum()
    };
    let mean = sum(&|n| n);
    (mean, (sum(&|n| n * n) - mean * mean).max(0.0).sqrt())
}

/// It is the simulation's judge, so it is held to what is known in closed form: a flow of births alone is Poisson's, and a
/// chain of two states nears its balance exponentially.
#[test]
fn the_equations_are_solved() {
    let births = Rates((0..59).map(|n| (n, n + 1, 5.0)).collect());
    let mut chances = vec![0.0; 60];
    chances[0] = 1.0;
    births.pass(&mut chances, 3.0);
    let mut poisson = (-15.0_f64).exp();
    for (n, chance) in chances.iter().enumerate().take(40) {
        assert!((chance - poisson).abs() < 1e-5, "{n}: {chance} {poisson}");
        poisson *= 15.0 / (n as f64 + 1.0);
    }
    let (mean, deviation) = moments(&chances, |n| n as f64);
    assert!((mean - 15.0).abs() < 1e-3 && (deviation - 15.0_f64.sqrt()).abs() < 1e-3);
    let mut two = vec![1.0, 0.0];
    Rates(vec![(0, 1, 2.0), (1, 0, 1.0)]).pass(&mut two, 0.7);
    let theory = 2.0 / 3.0 * (1.0 - (-2.1_f64).exp());
    assert!((two[1] - theory).abs() < 1e-3, "{two:?} {theory}");
}
