//! The command `demo`: the tutorial's services and their sidecars on loopback, real traffic, expected beside observed.
//!
//! Owns the order of events. The steps are data (`steps`), the services and visitors are real programs of their own
//! (`services`, `client`), the sidecars are the very runtime that `run` starts (`mesh`), and reloads between the steps
//! go the way of every reload.

mod bounds;
mod client;
mod judge;
mod load;
mod mesh;
mod report;
mod services;
mod steps;
mod stories;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use http::header::HOST;
use http::{Method, Request};
use http_body_util::Full;
use tokio::task::JoinSet;

use self::client::Client;
use self::judge::{Tally, judge, judge_load, seen};
use self::mesh::Mesh;
use self::report::Report;
use self::steps::{STEPS, Visit};
use self::stories::Stories;
use crate::cli::DemoArgs;

/// Visitors that are there at the same time, each with a connection that it keeps.
const VISITORS: u32 = 8;

/// Runs the command and says how it went.
pub(crate) fn demo(args: &DemoArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let played = runtime
        .map_err(|error| format!("cannot start: {error}"))
        .and_then(|runtime| runtime.block_on(play(args)));
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
async fn play(args: &DemoArgs) -> Result<bool, String> {
    let began = Instant::now();
    let stories = args.stories.then(Stories::default);
    let mut mesh = Mesh::start(stories.as_ref()).await?;
    let visitors = Arc::new(Client::new(mesh.visitor()));
    let mut report = Report::begin(args.format, total_requests(args.requests));
    for step in STEPS {
        mesh.trouble(step.trouble);
        mesh.apply(step.name, step.rules).await?;
        report.step(step);
        for visit in step.visits {
            let times = visit.effort.requests(args.requests);
            let observed = send(&visitors, visit, times, &report).await;
            report.visit(step, visit, judge(visit, observed));
        }
        if let Some(load) = &step.load {
            let measured = load::play(&mesh, &visitors, load, &report).await;
            report.load(step, load, judge_load(load, &measured), measured);
        }
        if let Some(stories) = &stories {
            report.story(step, stories.best().await);
        }
    }
    Ok(report.end(began.elapsed()))
}

/// How many requests all steps come to, when `--requests` says `full`.
fn total_requests(full: u32) -> u64 {
    let visits = STEPS.iter().flat_map(|step| step.visits);
    let visits = visits.map(|visit| u64::from(visit.effort.requests(full)));
    let loads = STEPS.iter().filter_map(|step| step.load);
    let loads = loads.map(|load| u64::from(load.visitors * load.requests));
    visits.chain(loads).sum()
}

/// Sends a visit's request so many times over a few connections, and counts what comes back.
async fn send(client: &Arc<Client>, visit: &'static Visit, times: u32, report: &Report) -> Tally {
    let left = Arc::new(AtomicU32::new(times));
    let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut visitors = JoinSet::new();
    for _ in 0..VISITORS.min(times) {
        let (client, left, sender) = (Arc::clone(client), Arc::clone(&left), sender.clone());
        visitors.spawn(async move {
            let take = |left: u32| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                let what = match client.send(request(visit)).await {
                    Ok(answer) => seen(visit.look, &answer),
                    Err(error) => format!("no answer: {error}"),
                };
                let _ = sender.send(what);
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

/// The request of a visit.
fn request(visit: &Visit) -> Request<Full<hyper::body::Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = Method::from_bytes(visit.method.as_bytes()).unwrap_or_default();
    *request.uri_mut() = visit.path.parse().unwrap_or_default();
    let host = (HOST.as_str(), visit.host);
    for (name, value) in visit.headers.iter().copied().chain([host]) {
        let name = http::HeaderName::from_static(name);
        request
            .headers_mut()
            .insert(name, http::HeaderValue::from_static(value));
    }
    request
}
