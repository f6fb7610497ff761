//! The command `demo`: the tutorial's services and their sidecars on loopback, real traffic, expected beside observed.
//!
//! Owns the order of events. The steps are data (`steps`), the services and visitors are real programs of their own
//! (`services`, `visitors`), the sidecars are the very runtime that `run` starts (`mesh`), and reloads between the steps
//! go the way of every reload.

mod bounds;
mod calls;
mod certificates;
mod chance;
mod client;
mod counted;
mod descriptors;
mod grpc;
#[cfg(target_os = "linux")]
mod intercepted;
mod judge;
mod load;
mod meanwhile;
mod measured;
mod mesh;
mod report;
mod seen;
mod services;
mod short;
mod steps;
mod stories;
mod visitors;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::counted::Counted;
use self::judge::{judge, judge_load};
use self::meanwhile::Meanwhile;
use self::mesh::Mesh;
use self::report::Report;
use self::seen::Tally;
use self::steps::{Also, Effort, Speaks, Visit, steps};
use self::stories::Stories;
use self::visitors::Visitors;
use crate::cli::DemoArgs;
use crate::runtime::{self, Picked, Start};

/// Visitors that are there at the same time, each with a connection that it keeps.
const VISITORS: u32 = 8;

/// The same where an answer takes long. Each request has up to nine connections, two descriptors each, and more than
/// `descriptors` sees to there must not be.
const CROWD: u32 = 32;

/// Calls that are under way at the same time, on one connection: as many as a sidecar takes.
const AT_ONCE: u32 = 100;

/// What is asked for makes no sense.
const USAGE: u8 = 2;

/// Copies, for which nobody waits, have arrived by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command and says how it went.
pub(crate) fn demo(args: &DemoArgs) -> ExitCode {
    if args.intercept {
        return intercept(args);
    }
    if let Err(told) = chance::says_something(args.requests) {
        anstream::eprintln!("error: {told}");
        return ExitCode::from(USAGE);
    }
    if let Err(told) = descriptors::allow() {
        anstream::eprintln!("error: {told}");
        return ExitCode::FAILURE;
    }
    let picked = match pick(args) {
        Ok(picked) => picked,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let played = runtime
        .map_err(|error| format!("cannot start: {error}"))
        .and_then(|runtime| runtime.block_on(play(args, picked.start)));
    outcome(played)
}

/// Plays what the kernel brings to sidecars, and says how it went.
#[cfg(target_os = "linux")]
fn intercept(args: &DemoArgs) -> ExitCode {
    match pick(args) {
        Ok(picked) => outcome(intercepted::play(args, picked.start)),
        Err(code) => code,
    }
}

#[cfg(not(target_os = "linux"))]
fn intercept(_: &DemoArgs) -> ExitCode {
    outcome(Err(
        "connections are captured by Linux only; `outrigger demo` captures nothing".into(),
    ))
}

fn pick(args: &DemoArgs) -> Result<Picked, ExitCode> {
    runtime::pick(args.runtime, |told| anstream::eprintln!("warning: {told}")).map_err(|missing| {
        anstream::eprintln!("error: {missing}");
        ExitCode::from(missing.exit_code())
    })
}

fn outcome(played: Result<bool, String>) -> ExitCode {
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays all steps; whether everything was as expected.
async fn play(args: &DemoArgs, start: Start) -> Result<bool, String> {
    let began = Instant::now();
    let stories = args.stories.then(Stories::default);
    let mut mesh = Mesh::start(start, stories.as_ref()).await?;
    let visitors = Arc::new(Visitors::new(|through| mesh.entrance(through)));
    let mut report = Report::begin(args.format, total_requests(args.requests));
    for step in steps() {
        mesh.trouble(step.trouble);
        mesh.certify(step.certificates)?;
        let rules_began = Instant::now();
        mesh.apply(step.name, step.rules).await?;
        if let Some(stories) = &stories {
            stories.listen(mesh.revision(), step.teller, step.tells);
        }
        report.step(step);
        for visit in step.visits {
            let before = mesh.counted();
            let requests = visit.effort.requests(args.requests);
            let observed = send(&visitors, visit, requests, &report).await;
            let meanwhile = Meanwhile {
                requests,
                counted: counted(&mesh, &before, visit, requests).await,
                took: rules_began.elapsed(),
                connections: visitors.calls().connections(),
                at_once: visitors.calls().most_at_once(),
            };
            report.visit(step, visit, judge(visit, observed, &meanwhile));
        }
        if let Some(load) = &step.load {
            let measured = load::play(&mesh, &visitors, load, &report).await;
            report.load(step, load, judge_load(load, &measured), measured);
        }
        if let Some(stories) = &stories {
            report.story(step, stories.told().await);
        }
    }
    Ok(report.end(began.elapsed()))
}

/// How many requests all steps come to, when `--requests` says `full`.
fn total_requests(full: u32) -> u64 {
    let visits = steps().flat_map(|step| step.visits);
    let visits = visits.map(|visit| u64::from(visit.effort.requests(full)));
    let loads = steps().filter_map(|step| step.load);
    let loads = loads.map(|load| u64::from(load.visitors * load.requests));
    visits.chain(loads).sum()
}

/// What was counted while a visit lasted. Copies may come later than answers and are waited for.
async fn counted(mesh: &Mesh, before: &Counted, visit: &Visit, requests: u32) -> Counted {
    let began = Instant::now();
    loop {
        let counted = mesh.counted().since(before);
        let is_complete = visit.also != Also::CopiesToV2 || counted.asked[1] >= u64::from(requests);
        if is_complete || began.elapsed() > PATIENCE {
            return counted;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Sends a visit's request so many times over a few connections, and counts what comes back.
async fn send(
    visitors: &Arc<Visitors>,
    visit: &'static Visit,
    times: u32,
    report: &Report,
) -> Tally {
    let left = Arc::new(AtomicU32::new(times));
    let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let at_a_time = match (visit.speaks, visit.effort) {
        (Speaks::Grpc, _) => AT_ONCE,
        (Speaks::Http1, Effort::Full | Effort::Tenth) => VISITORS,
        (Speaks::Http1, Effort::Times(_)) => CROWD,
    };
    for _ in 0..at_a_time.min(times) {
        let (visitors, left, sender) = (Arc::clone(visitors), Arc::clone(&left), sender.clone());
        tasks.spawn(async move {
            let take = |left: u32| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                let _ = sender.send(visitors.ask(visit).await);
            }
        });
    }
    drop(sender);
    let mut tally = Tally::new();
    while let Some(what) = answers.recv().await {
        *tally.entry(what).or_insert(0) += 1;
        report.tick();
    }
    tally
}
