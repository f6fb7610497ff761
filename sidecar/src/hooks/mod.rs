//! The commands `drain` and `wait`: what a container's hooks run beside a sidecar, in an image that has no shell.
//!
//! Owns what is waited for, and for how long. What a drain is, the sidecar knows.

mod ask;

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;

use crate::admin_args::AdminAddr;
use crate::options::parse_some_time;
use ask::{Answer, ask};

/// How often a sidecar is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Which sidecar is meant.
#[derive(Clone, Debug, Args)]
struct OfSidecar {
    /// Where the sidecar has its admin endpoints: an address, or `unix:PATH`
    #[arg(
        long,
        value_name = "ADDR",
        env = "OUTRIGGER_ADMIN",
        default_value = "127.0.0.1:15000"
    )]
    admin: AdminAddr,
}

const DRAIN_EXAMPLES: &str = "\
Exit code 0: drained; 1: the time was up before; 2: no sidecar answered.

Examples:
  outrigger drain                                     as a `preStop` hook: 20 s at most, of the 30 that Kubernetes grants
  outrigger drain --timeout 5m                        where requests take longer, and so does terminationGracePeriodSeconds
  outrigger drain --admin unix:/run/outrigger.sock    of the sidecar that listens there

Inbound and gateway listeners tell their clients to go elsewhere, accept for the minimum drain time of the sidecar, and then
nobody; this ends when the last of those connections has ended. The application goes on reaching others until SIGTERM.";

/// What `outrigger drain` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = DRAIN_EXAMPLES)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    of: OfSidecar,

    /// For how long it is waited for
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_some_time)]
    timeout: Duration,
}

const WAIT_EXAMPLES: &str = "\
Exit code 0: it is ready; 1: the time was up before.

Examples:
  outrigger wait                     as a `postStart` hook: containers that come later start when the sidecar is ready
  outrigger wait --timeout 5m        where the first configuration may take longer";

/// What `outrigger wait` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = WAIT_EXAMPLES)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    of: OfSidecar,

    /// For how long it is waited for
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_some_time)]
    timeout: Duration,
}

/// Has a sidecar drain, and waits until it has.
pub(crate) fn drain(args: &DrainArgs) -> ExitCode {
    let DrainArgs { of, timeout } = args;
    let admin = &of.admin;
    let until = Instant::now() + *timeout;
    match ask(admin, "POST /drain_listeners?inboundonly&graceful") {
        Ok(Answer { status: 200, .. }) => {}
        Ok(Answer { status, text }) => {
            eprintln!("error: the sidecar at {admin} does not drain: {status}, {text}");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("error: no sidecar answers at {admin} (--admin): {error}");
            return ExitCode::from(2);
        }
    }
    let last = poll(until, || match ask(admin, "GET /drained") {
        Ok(Answer { status: 200, .. }) => Ok(()),
        Ok(Answer { text, .. }) => Err(text),
        // It ended meanwhile, and drained before.
        Err(_) if ask(admin, "GET /ready").is_err() => Ok(()),
        Err(error) => Err(error.to_string()),
    });
    match last {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!(
                "error: not drained within {} s: {text}",
                timeout.as_secs_f64()
            );
            ExitCode::FAILURE
        }
    }
}

/// Waits until a sidecar is ready.
pub(crate) fn wait(args: &WaitArgs) -> ExitCode {
    let WaitArgs { of, timeout } = args;
    let admin = &of.admin;
    let last = poll(Instant::now() + *timeout, || {
        match ask(admin, "GET /healthz/ready") {
            Ok(Answer { status: 200, .. }) => Ok(()),
            Ok(Answer { status, text }) => Err(format!("{status}, {text}")),
            Err(error) => Err(error.to_string()),
        }
    });
    match last {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            let seconds = timeout.as_secs_f64();
            eprintln!(
                "error: the sidecar at {admin} (--admin) was not ready within {seconds} s: {text}"
            );
            ExitCode::FAILURE
        }
    }
}

/// Asks until the answer is good, or the time is up: then the last answer.
fn poll(until: Instant, question: impl Fn() -> Result<(), String>) -> Result<(), String> {
    loop {
        let answer = question();
        let left = until.saturating_duration_since(Instant::now());
        if answer.is_ok() || left.is_zero() {
            return answer;
        }
        sleep(ASK_EVERY.min(left));
    }
}
