//! The program `outrigger`: an Istio-compatible sidecar proxy.
//!
//! Owns the way from the command line to the command, and nothing else.

mod access_log_args;
mod admin_args;
mod authority_args;
mod ca;
mod check;
mod cli;
mod compiled;
mod control;
mod control_args;
mod cpu;
mod demo;
mod diff;
mod dns_args;
mod environment;
mod event_levels;
mod explain;
mod gateway_args;
mod hooks;
mod http2_args;
mod identity_args;
mod inject;
mod intercept;
mod limit_args;
mod manual;
mod metrics_args;
mod options;
mod overload_args;
mod proxy_config;
mod recent_args;
mod replay;
mod run;
mod run_args;
mod runtime;
mod signing_args;
mod simulate;
mod sources;
mod trace_args;
mod width;
mod xds_args;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

fn main() -> ExitCode {
    if let Err(why) = cpu::check() {
        eprintln!("error: {why}");
        return ExitCode::from(2);
    }
    // What is wrong with it is told where it counts.
    let of_config = proxy_config::said().cloned().unwrap_or_default();
    let command = environment::command(
        cli::Cli::command(),
        |name| std::env::var_os(name),
        &of_config,
    );
    let asked = cli::Cli::from_arg_matches(&command.clone().get_matches());
    match asked.unwrap_or_else(|error| error.exit()).command {
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Control(args) => control::control(&args),
        cli::Command::Ca(args) => ca::ca(&args),
        cli::Command::Check(args) => check::check(&args),
        cli::Command::Diff(args) => diff::diff(&args),
        cli::Command::Explain(args) => explain::explain(&args),
        cli::Command::Inject(args) => inject::inject(&args),
        cli::Command::Intercept(args) => intercept::intercept(&args),
        cli::Command::Replay(args) => replay::replay(&args),
        cli::Command::Demo(args) => demo::demo(&args),
        cli::Command::Drain(args) => hooks::drain(&args),
        cli::Command::Wait(args) => hooks::wait(&args),
        cli::Command::Completion(args) => manual::completion(args, command),
        cli::Command::Man(args) => manual::man(&args, command),
        cli::Command::Version(args) => manual::version(args),
        cli::Command::Simulate(args) => simulate::simulate(&args),
    }
}
