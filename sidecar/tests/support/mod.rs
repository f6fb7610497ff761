//! What a running program says on standard error, line by line, for tests that wait for its words.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
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
        let mut told = self.until(words);
        told.pop().unwrap_or_default()
    }

    /// The lines that are here already.
    #[allow(dead_code, reason = "each test program uses its share")]
    pub(crate) fn now(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }

    /// All lines up to the next one that contains these words.
    pub(crate) fn until(&self, words: &str) -> Vec<String> {
        let mut told = Vec::new();
        while !told
            .last()
            .is_some_and(|line: &String| line.contains(words))
        {
            let line = self.next_line().unwrap_or_else(|error| {
                panic!("`{words}` was not told ({error}), but {told:#?}");
            });
            told.push(line);
        }
        told
    }

    /// Patience is counted in small steps: when the test and the program are stopped together for longer than that (a
    /// suspended machine, a debugger), one step is lost, and both go on.
    fn next_line(&self) -> Result<String, RecvTimeoutError> {
        const STEPS: u32 = 300;
        (1..STEPS)
            .find_map(|_| match self.0.recv_timeout(PATIENCE / STEPS) {
                Err(RecvTimeoutError::Timeout) => None,
                told => Some(told),
            })
            .unwrap_or(Err(RecvTimeoutError::Timeout))
    }
}
