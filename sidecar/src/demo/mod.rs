//! The command `demo`.

use std::process::ExitCode;

use crate::cli::DemoArgs;

/// Runs the command and says how it went.
pub(crate) fn demo(args: &DemoArgs) -> ExitCode {
    eprintln!("demo is not part of this build: {args:?}");
    ExitCode::from(2)
}
