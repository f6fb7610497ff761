//! What was decided, kept so that a run goes on where another ended.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::find::Mutant;
use crate::play::Fate;
use crate::programs::Program;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Told {
    pub key: String,
    pub fate: Fate,
    /// The program whose test failed.
    pub by: String,
    pub millis: u64,
    /// Of the repository, when it was tried.
    pub tree: u64,
}

pub struct Store {
    file: File,
    tree: u64,
    told: HashMap<String, Told>,
}

impl Store {
    pub fn open(path: &Path, tree: u64) -> io::Result<Self> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Told>(line).ok());
        let told = lines.map(|told| (told.key.clone(), told)).collect();
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, tree, told })
    }

    /// What need not be tried again. Who was caught stays so while it is the same code in the same function; who was not is tried
    /// again when anything has changed. `all`: what was decided of them before, too.
    pub fn known(&self, chosen: &[Mutant], all: bool) -> HashMap<String, Told> {
        let stays = |told: &&Told| match told.fate {
            Fate::Caught | Fate::TimedOut | Fate::Refused => true,
            Fate::Survived | Fate::Unreached => all || told.tree == self.tree,
        };
        let known = chosen
            .iter()
            .filter_map(|mutant| self.told.get(&mutant.key).filter(stays));
        known.map(|told| (told.key.clone(), told.clone())).collect()
    }

    pub fn add(&mut self, mutant: &Mutant, fate: Fate, by: &str, millis: u64) -> io::Result<Told> {
        let told = Told {
            key: mutant.key.clone(),
            fate,
            by: by.to_owned(),
            millis,
            tree: self.tree,
        };
        writeln!(self.file, "{}", serde_json::to_string(&told)?)?;
        Ok(told)
    }
}

/// By which a sample is drawn: the same on every machine.
pub fn hash(seed: u64, key: &str) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in key.bytes() {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    sum ^= sum >> 33;
    sum = sum.wrapping_mul(0xff51_afd7_ed55_8ccd);
    sum ^ sum >> 33
}

/// Which build these programs are, by when and what they were built.
pub fn of_build(programs: &[Program]) -> io::Result<u64> {
    let mut sum = 0;
    for program in programs {
        let told = fs::metadata(&program.path)?;
        let text = format!(
            "{} {:?} {} {:?}",
            program.path.display(),
            program.env,
            told.len(),
            told.modified()?
        );
        sum = hash(sum, &text);
    }
    Ok(sum)
}
