//! How a program of its own is told to read its configuration again, and tells that it is in use.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use outrigger_core::compile::NameAnswers;

use super::envoy::admin;
use super::grounds::Grounds;
use super::process;

/// What moves on `/stats` of `{admin}` when a file was replaced, `config_revision_in_use,config_refused`; and the signal
/// that a program needs which does not watch the file, `HUP=config_revision_in_use`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    signal: Option<String>,
    counters: Vec<String>,
}

impl FromStr for Reload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (signal, counters) = match text.split_once('=') {
            Some((signal, counters)) => (Some(signal.to_owned()), counters),
            None => (None, text),
        };
        let counters: Vec<String> = counters.split(',').map(str::to_owned).collect();
        let is_missing = |word: &String| word.is_empty();
        if counters.iter().chain(&signal).any(is_missing) {
            return Err("write `COUNTER`, `COUNTER,COUNTER` or `SIGNAL=COUNTER`".to_owned());
        }
        Ok(Self { signal, counters })
    }
}

/// A program that reads its configuration again.
pub(crate) struct Rereads<'a> {
    /// What it is told, and tells.
    pub(crate) by: &'a Reload,
    /// Where it tells.
    pub(crate) admin: SocketAddr,
    /// Where its configuration is, and who tells it of names.
    pub(crate) grounds: &'a Grounds,
    /// What is left to replace.
    pub(crate) reloads: Replacements,
}

/// What a reload replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Replacement {
    /// Files, and what stands in them then.
    Files(Vec<(&'static str, String)>),
    /// What names resolve to.
    Answers(NameAnswers),
    /// Nothing.
    Nothing,
}

/// What each reload that is left replaces.
pub(crate) type Replacements = VecDeque<Replacement>;

impl Rereads<'_> {
    /// Replaces the configuration, and waits until the program says that it has seen it.
    ///
    /// # Errors
    /// There is no more to reload, the process is gone, or nothing is told.
    pub(crate) async fn reload(&mut self, process: u32) -> io::Result<()> {
        let next = self.reloads.pop_front();
        let next = next.ok_or_else(|| io::Error::other("there is nothing left to reload"))?;
        let before = self.told().await?;
        match next {
            Replacement::Files(files) => {
                for (name, content) in files {
                    self.grounds.folder.replace(name, &content)?;
                }
                if let Some(signal) = &self.by.signal {
                    process::signal(signal, process).await?;
                }
            }
            Replacement::Answers(answers) => {
                if let Some(server) = &self.grounds.names {
                    server.say(answers);
                }
            }
            Replacement::Nothing => return Ok(()),
        }
        while self.told().await? == before {
            ::tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn told(&self) -> io::Result<Vec<u64>> {
        let mut values = Vec::new();
        for name in &self.by.counters {
            values.push(admin::counter(self.admin, name).await?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_perhaps_a_signal() {
        for (text, signal) in [("HUP=a.b,c", Some("HUP")), ("a.b,c", None)] {
            let want = Reload {
                signal: signal.map(str::to_owned),
                counters: vec!["a.b".to_owned(), "c".to_owned()],
            };
            assert_eq!(text.parse(), Ok(want));
        }
        for text in ["", "HUP=", "=a", "HUP=a,", ",a"] {
            assert!(text.parse::<Reload>().is_err(), "{text}");
        }
    }
}
