//! Which events are written: a level for all of them, and others for some, by what they are about.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// What events are about: the loggers, as Envoy calls them, in the order of their names.
const LOGGERS: &[&str] = &[
    "access_log",
    "admin",
    "authority",
    "cluster",
    "config",
    "discovery",
    "dns",
    "drain",
    "identity",
    "jwks",
    "kubernetes",
    "main",
    "overload",
    "runtime",
    "takeover",
    "tracing",
];

/// Envoy's names of levels, and `warn` and `critical`, which are other words for `warning` and `error` here.
const NAMES: &[(&str, LevelFilter)] = &[
    ("trace", LevelFilter::TRACE),
    ("debug", LevelFilter::DEBUG),
    ("info", LevelFilter::INFO),
    ("warning", LevelFilter::WARN),
    ("warn", LevelFilter::WARN),
    ("error", LevelFilter::ERROR),
    ("critical", LevelFilter::ERROR),
    ("off", LevelFilter::OFF),
];

/// The level of each logger: `info`, or `warning,config:debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    all: LevelFilter,
    some: BTreeMap<&'static str, LevelFilter>,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            all: LevelFilter::INFO,
            some: BTreeMap::new(),
        }
    }
}

impl Levels {
    /// All loggers have this level, whatever was said of some.
    ///
    /// # Errors
    /// There is no such level.
    pub(crate) fn set_all(&mut self, level: &str) -> Result<(), String> {
        self.all = parse_level(level)?;
        self.some.clear();
        Ok(())
    }

    /// A logger has this level.
    ///
    /// # Errors
    /// There is no such logger, or no such level.
    pub(crate) fn set(&mut self, logger: &str, level: &str) -> Result<(), String> {
        let known = LOGGERS.iter().find(|known| **known == logger);
        let known = known
            .ok_or_else(|| format!("`{logger}` is no logger; there are {}", LOGGERS.join(", ")))?;
        self.some.insert(known, parse_level(level)?);
        Ok(())
    }

    /// As the filter understands them. What libraries tell is written where everything is.
    pub(crate) fn targets(&self) -> Targets {
        let others = match self.all {
            LevelFilter::TRACE => LevelFilter::TRACE,
            all => all.min(LevelFilter::WARN),
        };
        let quiet = if others == LevelFilter::TRACE {
            others
        } else {
            LevelFilter::OFF
        };
        let of = |logger: &&'static str| (*logger, self.of(logger));
        Targets::new()
            .with_default(others)
            // Says that a call failed, and of nothing which; who called says that, and why.
            .with_target("kube_client", quiet)
            .with_targets(LOGGERS.iter().map(of))
    }

    fn of(&self, logger: &str) -> LevelFilter {
        self.some.get(logger).copied().unwrap_or(self.all)
    }
}

fn parse_level(name: &str) -> Result<LevelFilter, String> {
    let found = NAMES
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known));
    found.map(|(_, level)| *level).ok_or_else(|| {
        let names: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
        format!("`{name}` is no level; there are {}", names.join(", "))
    })
}

/// Envoy's list of loggers, a line each.
impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for logger in LOGGERS {
            let level = self.of(logger);
            let name = NAMES.iter().find(|(_, known)| *known == level);
            writeln!(f, "  {logger}: {}", name.map_or("off", |(name, _)| name))?;
        }
        Ok(())
    }
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut levels = Self::default();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word.split_once([':', '=']) {
                Some((logger, level)) => levels.set(logger, level)?,
                None => levels.all = parse_level(word)?,
            }
        }
        Ok(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_said_for_all_and_for_some() {
        let levels: Levels = "warning,config:debug,dns=off".parse().unwrap();
        for (logger, level) in [
            ("admin", LevelFilter::WARN),
            ("config", LevelFilter::DEBUG),
            ("dns", LevelFilter::OFF),
        ] {
            assert_eq!(levels.of(logger), level, "{logger}");
        }
        let shown = levels.to_string();
        assert!(shown.contains("  config: debug\n") && shown.contains("  main: warning\n"));
        assert_eq!("".parse(), Ok(Levels::default()));
        for (text, words) in [
            ("loud", "`loud` is no level"),
            ("config:loud", "`loud` is no level"),
            ("cook:debug", "`cook` is no logger; there are access_log"),
        ] {
            let why = text.parse::<Levels>().expect_err(text);
            assert!(why.contains(words), "{why}");
        }
    }

    /// What is told by a logger that is not listed would be written at no level but that of libraries.
    #[test]
    fn every_logger_is_listed() {
        let mut folders = vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src"
        ))];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for rest in text.split("(target: \"").skip(1) {
                    let logger = rest.split('"').next().unwrap();
                    assert!(LOGGERS.contains(&logger), "{}: `{logger}`", path.display());
                    count += 1;
                }
            }
        }
        assert!(count > 20, "{count} were found");
    }

    #[test]
    fn a_level_for_all_forgets_those_for_some() {
        let mut levels: Levels = "info,config:debug".parse().unwrap();
        levels.set_all("error").unwrap();
        assert_eq!(levels.of("config"), LevelFilter::ERROR);
    }
}
