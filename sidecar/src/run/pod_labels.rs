//! Labels of the pod from a file, as the downward API writes them (`metadata.labels`): `key="value"` a line, the value quoted as Go does.
//!
//! Owns which labels the workload has now: a pod's may change, and what selects it with them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use crate::cli::RunArgs;
use crate::options::LabelArg;

/// All labels, by key.
pub(super) type Labels = BTreeMap<String, String>;

/// Those that the workload has now, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Current(Mutex<Arc<Labels>>);

impl Current {
    pub(super) fn get(&self) -> Arc<Labels> {
        // Each change is one step.
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, labels: Labels) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(labels);
    }
}

/// Reads them again and again.
#[derive(Debug)]
pub(super) struct Follower {
    file: Option<PathBuf>,
    /// Those of the command line, which go before the file.
    said: Vec<LabelArg>,
    current: Arc<Current>,
    /// What is wrong with the file, so that it is told once.
    told: String,
}

impl Follower {
    /// Of a run, whose labels have been read once.
    pub(super) fn new(args: &RunArgs) -> Self {
        let current = Current::default();
        current.set(by_key(&args.labels));
        Self {
            file: args.labels_file.clone(),
            said: args.labels_said.clone(),
            current: Arc::new(current),
            told: String::new(),
        }
    }

    pub(super) const fn current(&self) -> &Arc<Current> {
        &self.current
    }

    /// What is to be watched.
    pub(super) fn watched(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// The labels, if they are others than the last time. A file that is no good is told, and the labels stay.
    pub(super) fn look(&mut self) -> Option<Arc<Labels>> {
        let file = self.file.as_ref()?;
        match besides(&self.said, file) {
            Ok(more) => {
                self.told.clear();
                let mut labels = by_key(&more);
                labels.extend(by_key(&self.said));
                if labels == *self.current.get() {
                    return None;
                }
                info!(target: "config", "the labels of this workload are {labels:?} now");
                self.current.set(labels);
                Some(self.current.get())
            }
            Err(why) => {
                if self.told != why {
                    warn!(target: "config", "{why}; kept the labels that it had");
                    self.told = why;
                }
                None
            }
        }
    }
}

fn by_key(labels: &[LabelArg]) -> Labels {
    let labels = labels.iter();
    labels
        .map(|label| (label.key.clone(), label.value.clone()))
        .collect()
}

/// Those of the file whose keys nobody has said a value for.
///
/// # Errors
/// It cannot be read, or which line is no label.
pub(super) fn besides(said: &[LabelArg], file: &Path) -> Result<Vec<LabelArg>, String> {
    let told = |why: String| format!("{} (--labels-file): {why}", file.display());
    let text = whole(file).map_err(|error| told(error.to_string()))?;
    let mut labels = read(&text).map_err(told)?;
    labels.retain(|label| said.iter().all(|other| other.key != label.key));
    Ok(labels)
}

/// Longest file of labels, in bytes: a pod's are 256 KiB at most, with all of its annotations.
const MAX_BYTES: u64 = 1 << 20;

/// What stands in a file, which nobody is to wait for.
fn whole(file: &Path) -> io::Result<String> {
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    let read = File::open(file)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MAX_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn read(text: &str) -> Result<Vec<LabelArg>, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let labels = lines.map(|(at, line)| {
        let label = label(line.trim());
        label.ok_or_else(|| format!("line {} is no KEY=\"VALUE\"", at + 1))
    });
    labels.collect()
}

fn label(line: &str) -> Option<LabelArg> {
    let (key, value) = line.split_once('=')?;
    let quoted = value.strip_prefix('"')?.strip_suffix('"')?;
    // What a label may have needs no escape, so those that Go and JSON write alike are all that come.
    let value: String = serde_json::from_str(&format!("\"{quoted}\"")).ok()?;
    (!key.is_empty()).then(|| LabelArg {
        key: key.into(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_what_is_no_file_or_has_no_end() {
        for (file, why) in [("/dev/zero", "it is no file"), ("/proc", "it is no file")] {
            let told = besides(&[], Path::new(file)).unwrap_err();
            assert_eq!(told, format!("{file} (--labels-file): {why}"));
        }
        let long = std::env::temp_dir().join(format!("outrigger-labels-{}", std::process::id()));
        fs::write(&long, vec![b'\n'; 1 + (1 << 20)]).unwrap();
        let told = besides(&[], &long).unwrap_err();
        fs::remove_file(&long).unwrap();
        assert!(told.ends_with("it has more than 1048576 bytes"), "{told}");
    }

    #[test]
    fn labels_are_read_as_the_downward_api_writes_them() {
        for (text, want) in [
            (
                "app=\"cart\"\nversion=\"v2\"\n",
                Ok(&[("app", "cart"), ("version", "v2")][..]),
            ),
            ("a.b/c=\"\"", Ok(&[("a.b/c", "")])),
            ("a=\"b\\\"c\"\n\n", Ok(&[("a", "b\"c")])),
            ("", Ok(&[])),
            ("app=\"cart\"\nversion=v2", Err("line 2 is no")),
            ("=\"x\"", Err("line 1 is no")),
            ("a=\"", Err("line 1 is no")),
        ] {
            match (read(text), want) {
                (got, Ok(want)) => {
                    let got = got.unwrap();
                    let got: Vec<_> = got
                        .iter()
                        .map(|label| (&*label.key, &*label.value))
                        .collect();
                    assert_eq!(got, want);
                }
                (got, Err(want)) => assert!(got.unwrap_err().contains(want), "{text}"),
            }
        }
    }
}
