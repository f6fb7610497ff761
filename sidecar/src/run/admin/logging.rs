//! `/logging`: the levels of events, as Envoy has it.

use crate::event_levels::Levels;
use crate::run::events;

/// What is asked, and by what. All of it is done or nothing.
///
/// # Errors
/// There is no such parameter, logger or level.
pub(super) fn answer(query: &str) -> Result<String, String> {
    let levels = events::change_levels(|levels| apply_all(query, levels));
    Ok(format!("active loggers:\n{}", levels?))
}

fn apply_all(query: &str, levels: &mut Levels) -> Result<(), String> {
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.try_for_each(|parameter| apply(parameter, levels))
}

fn apply(parameter: &str, levels: &mut Levels) -> Result<(), String> {
    match parameter.split_once('=') {
        Some(("level", level)) => levels.set_all(level),
        Some(("paths", paths)) => paths.split(',').try_for_each(|path| {
            let (logger, level) = path
                .split_once(':')
                .ok_or_else(|| format!("`{path}` is not LOGGER:LEVEL"))?;
            levels.set(logger, level)
        }),
        Some((logger, level)) => levels.set(logger, level),
        None => Err(format!(
            "no parameter `{parameter}`; use level=LEVEL, paths=LOGGER:LEVEL,… or LOGGER=LEVEL"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_changed_by_parameters() {
        let mut levels = Levels::default();
        apply_all("", &mut levels).unwrap();
        assert_eq!(levels, Levels::default());
        apply_all("paths=config:debug,dns:off&main=error", &mut levels).unwrap();
        let shown = levels.to_string();
        for line in ["config: debug", "dns: off", "main: error", "admin: info"] {
            assert!(shown.contains(line), "{shown}");
        }
        for query in [
            "admin=debug&cook=debug",
            "level=loud",
            "paths=config",
            "verbose",
        ] {
            assert!(apply_all(query, &mut levels).is_err(), "{query}");
        }
        apply_all("level=warning", &mut levels).unwrap();
        assert!(levels.to_string().contains("config: warning"));
    }
}
