//! What a running program says on standard error, line by line, for tests that wait for its words.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long a test waits for what must happen; never reached when it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of a program.
pub(crate) struct Told(Receiver<String>);

impl Told {
    pub(crate) fn by(stderr: ChildStderr) -> Self {
        let (sender, told) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self(told)
    }

    /// The next line that contains these words.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        loop {
            let line = self.0.recv_timeout(PATIENCE).unwrap();
            if line.contains(words) {
                return line;
            }
        }
    }
}
