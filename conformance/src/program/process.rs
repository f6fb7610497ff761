//! A program from its start to its end. What it prints goes to a file, for the day when it does not start.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ::tokio::net::TcpStream;
use ::tokio::process::{Child, Command};
use ::tokio::time::sleep;

/// Between two attempts to connect to a program that does not listen yet.
const POLL: Duration = Duration::from_millis(2);

/// Of what a program printed, so much is told.
const TOLD_LINES: usize = 12;

/// Why a case could not be played.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The program is not there, or may not be run: no case can be played.
    Program(io::Error),
    /// Something that this case needs could not be had.
    Case(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Case(error)
    }
}

impl Trouble {
    fn of_start(program: &str, error: &io::Error) -> Self {
        let told = io::Error::new(error.kind(), format!("{program}: {error}"));
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Self::Program(told),
            _ => Self::Case(told),
        }
    }
}

/// A running program; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// It is not there or may not be run, or the machine has no room for it now.
    pub(crate) fn start(words: &[String], log: PathBuf) -> Result<Self, Trouble> {
        let nothing = || io::Error::from(io::ErrorKind::InvalidInput);
        let (program, arguments) = words.split_first().ok_or_else(nothing)?;
        let output = File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for us; we end it ourselves.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| Trouble::of_start(program, &e))?;
        Ok(Self { child, log })
    }

    /// Waits until it accepts connections at all of these addresses.
    ///
    /// # Errors
    /// It ended, or took longer than `patience`.
    pub(crate) async fn listens(
        &mut self,
        addresses: &[SocketAddr],
        patience: Duration,
    ) -> Result<(), String> {
        let all = async {
            for address in addresses {
                while TcpStream::connect(address).await.is_err() {
                    sleep(POLL).await;
                }
            }
        };
        let listens = ::tokio::select! {
            done = ::tokio::time::timeout(patience, all) => done.is_ok(),
            status = self.child.wait() => return Err(ended(status, &self.log)),
        };
        match listens {
            true => Ok(()),
            false => {
                let log = tail(&self.log);
                let time = patience.as_secs();
                Err(format!(
                    "it did not listen within {time} s; it said:\n{log}"
                ))
            }
        }
    }

    /// Resolves when it ends although it may not, and says how.
    pub(crate) async fn end(&mut self, unasked: bool) -> String {
        let status = self.child.wait().await;
        match unasked {
            true => ended(status, &self.log),
            false => std::future::pending().await,
        }
    }

    /// Its process id; `None` when it has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it and waits for that.
    pub(crate) async fn kill(&mut self) {
        // Fails only when it has ended by itself.
        let _ = self.child.kill().await;
    }
}

/// Sends a signal by name to a process.
///
/// # Errors
/// There is no such signal or no such process.
pub(crate) async fn signal(name: &str, process: u32) -> io::Result<()> {
    let arguments = ["-s".to_owned(), name.to_owned(), process.to_string()];
    let status = Command::new("kill").args(arguments).status().await?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("no signal {name} could be sent"))),
    }
}

fn ended(status: io::Result<ExitStatus>, log: &Path) -> String {
    let status = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    format!(
        "the program ended by itself: {status}; it said:\n{}",
        tail(log)
    )
}

/// The last lines of what it printed.
fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TOLD_LINES);
    match lines[from..].join("\n") {
        text if text.is_empty() => "(nothing)".to_owned(),
        text => text,
    }
}
