//! The programs by which the kernel is told.

use std::fmt;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// Runs programs. The one that does is [`System`]; tests have others.
pub trait Run {
    /// Runs a program with this input, and returns what it said.
    ///
    /// # Errors
    /// It is not there, or says that it failed.
    fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String, Failed>;
}

/// A program that could not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which, with its arguments.
    pub command: String,
    /// What it said, or why it is not there.
    pub said: String,
    /// There is no such program.
    pub is_absent: bool,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.command, self.said)
    }
}

impl std::error::Error for Failed {}

/// Programs of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Run for System {
    fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String, Failed> {
        let command = [&[program], args].concat().join(" ");
        let failed = |said: String, is_absent| Failed {
            command: command.clone(),
            said,
            is_absent,
        };
        let absent =
            |error: io::Error| failed(error.to_string(), error.kind() == io::ErrorKind::NotFound);
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(absent)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read all says why.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(absent)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed(
            match said.is_empty() {
                true => output.status.to_string(),
                false => said,
            },
            false,
        ))
    }
}
