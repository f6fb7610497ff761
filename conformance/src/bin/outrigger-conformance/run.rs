//! All cases, a few at a time, until they are done or somebody presses Ctrl-C.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outrigger_conformance::case::Case;
use outrigger_conformance::program::Program;
use outrigger_conformance::subject::Outcome;
use tokio::sync::{mpsc, watch};

/// The outcome of each case in the order of the cases; `None` for one that was not reached.
pub(crate) type Played = Vec<Option<Outcome>>;

type Told = (usize, io::Result<Outcome>);

/// Plays all cases.
///
/// # Errors
/// The program can not be started.
pub(crate) fn run(program: &Program, cases: &[Case], jobs: NonZeroUsize) -> io::Result<Played> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = watch::channel(false);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, results) = mpsc::unbounded_channel();
        for _ in 0..jobs.get() {
            let (sender, stopped, next) = (sender.clone(), stopped.clone(), &next);
            scope.spawn(move || work(program, cases, next, &stopped, &sender));
        }
        drop(sender);
        runtime.block_on(collect(cases, results, &stop))
    })
}

/// Takes one case after another.
fn work(
    program: &Program,
    cases: &[Case],
    next: &AtomicUsize,
    stopped: &watch::Receiver<bool>,
    sender: &mpsc::UnboundedSender<Told>,
) {
    while !*stopped.borrow() {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = cases.get(index) else {
            return;
        };
        // The receiver is gone only when nobody wants to know any more.
        if sender
            .send((index, program.run(case, stopped.clone())))
            .is_err()
        {
            return;
        }
    }
}

async fn collect(
    cases: &[Case],
    mut results: mpsc::UnboundedReceiver<Told>,
    stop: &watch::Sender<bool>,
) -> io::Result<Played> {
    let bar = progress(cases.len());
    let mut played: Played = vec![None; cases.len()];
    let mut first_error = None;
    loop {
        let told = tokio::select! {
            told = results.recv() => told,
            // Workers end what they run, clean up, and hang up.
            _ = tokio::signal::ctrl_c(), if !*stop.borrow() => {
                stop.send_replace(true);
                continue;
            }
        };
        let Some((index, outcome)) = told else {
            break;
        };
        bar.inc(1);
        bar.set_message(cases[index].file.clone());
        match outcome {
            Ok(outcome) => played[index] = Some(outcome),
            Err(error) => {
                stop.send_replace(true);
                first_error.get_or_insert(error);
            }
        }
    }
    bar.finish_and_clear();
    first_error.map_or(Ok(played), Err)
}

/// A bar on standard error, where that is a terminal.
fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{pos:>4}/{len} {bar:30} {elapsed} {msg}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
