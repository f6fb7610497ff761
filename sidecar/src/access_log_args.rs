//! Options of `run` that say which requests are logged, where and how, before and instead of the configuration.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use outrigger_core::config::log_format;
use outrigger_core::snapshot::telemetry::{AccessLog, AccessLogs, LogFormat, OnlySome};
use outrigger_core::snapshot::{PerMillion, Snapshot};

use crate::options::{parse_size, parse_time};

/// Where lines go unless somebody says.
const STDOUT: &str = "/dev/stdout";

/// Which requests are logged.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Access log")]
pub(crate) struct AccessLogArgs {
    /// A line for each request in Istio's default form, or none, whatever the configuration says (default: as it says, and
    /// none where it says nothing)
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) access_log: Option<Form>,

    /// Where such lines go: a file, /dev/stdout (the default) or /dev/stderr. SIGUSR1 opens files again that were moved away
    #[arg(long, value_name = "PATH")]
    pub(crate) access_log_file: Option<String>,

    /// How such lines look: Envoy's format string, or a JSON object of these (docs/logging.md)
    #[arg(long, value_name = "FORMAT", conflicts_with = "access_log")]
    pub(crate) access_log_format: Option<String>,

    /// Log only some requests, those for which any of these holds, by commas: errors, slow=DURATION, sample=PERCENT
    #[arg(long, value_name = "WHICH", value_parser = parse_only)]
    pub(crate) access_log_only: Option<OnlySome>,

    /// Bytes of lines that may wait for each file while it is not written, because its disk or its reader is slow or stuck;
    /// lines beyond it are dropped and counted
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_size)]
    pub(crate) access_log_queue: u64,
}

/// The access log's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// None
    Off,
    /// Istio's default line
    Text,
    /// Istio's default JSON object
    Json,
}

/// What the command line says of access logs.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessLogChoice {
    /// Instead of those of the configuration.
    instead: Option<Arc<AccessLogs>>,
    /// Only these requests.
    only: Option<OnlySome>,
}

impl AccessLogArgs {
    /// What was chosen, and what somebody should know of it.
    ///
    /// # Errors
    /// The format is malformed.
    pub(crate) fn choice(&self) -> Result<(AccessLogChoice, Vec<String>), String> {
        let mut said = Vec::new();
        let format = match (self.access_log, &self.access_log_format) {
            (Some(Form::Off), _) => None,
            (Some(Form::Json), _) => Some(log_format::istio_json()),
            (None, Some(format)) => Some(parse_format(format, &mut said)?),
            (Some(Form::Text), _) => Some(log_format::istio_text()),
            (None, None) if self.access_log_file.is_some() => Some(log_format::istio_text()),
            (None, None) => {
                let choice = AccessLogChoice {
                    instead: None,
                    only: self.access_log_only,
                };
                return Ok((choice, said));
            }
        };
        let path = self.access_log_file.as_deref().unwrap_or(STDOUT);
        let logs: Box<[AccessLog]> = format
            .into_iter()
            .map(|format| AccessLog {
                path: path.into(),
                format: Arc::new(format),
                filter: None,
                only: None,
            })
            .collect();
        let choice = AccessLogChoice {
            instead: Some(Arc::new(AccessLogs {
                outbound: logs.clone(),
                inbound: logs,
            })),
            only: self.access_log_only,
        };
        Ok((choice, said))
    }
}

fn parse_format(format: &str, said: &mut Vec<String>) -> Result<LogFormat, String> {
    let (format, faults) = log_format::written(format);
    for fault in faults {
        if fault.is_error {
            return Err(format!("--access-log-format: {}", fault.message));
        }
        said.push(format!("--access-log-format: {}", fault.message));
    }
    Ok(format)
}

impl AccessLogChoice {
    /// Puts what was chosen in the place of what is configured.
    pub(crate) fn apply(&self, snapshot: &mut Snapshot) {
        if let Some(instead) = &self.instead {
            snapshot.access_logs = Arc::clone(instead);
        }
        if self.only.is_none() {
            return;
        }
        let with_only = |logs: &[AccessLog]| -> Box<[AccessLog]> {
            let logs = logs.iter().cloned();
            logs.map(|log| AccessLog {
                only: self.only,
                ..log
            })
            .collect()
        };
        let logs = &snapshot.access_logs;
        snapshot.access_logs = Arc::new(AccessLogs {
            outbound: with_only(&logs.outbound),
            inbound: with_only(&logs.inbound),
        });
    }
}

/// `errors,slow=500ms,sample=1`.
fn parse_only(text: &str) -> Result<OnlySome, String> {
    let mut only = OnlySome::default();
    for word in text.split(',') {
        match word.split_once('=').unwrap_or((word, "")) {
            ("errors", "") => only.errors = true,
            ("slow", time) => only.slow = Some(parse_slow(time)?),
            ("sample", share) => only.sample = Some(parse_share(share)?),
            _ => {
                return Err(format!(
                    "`{word}` is none of errors, slow=DURATION and sample=PERCENT"
                ));
            }
        }
    }
    Ok(only)
}

fn parse_slow(time: &str) -> Result<Duration, String> {
    parse_time(time).map_err(|error| format!("slow={time}: {error}"))
}

fn parse_share(share: &str) -> Result<PerMillion, String> {
    let percent = share.strip_suffix('%').unwrap_or(share).parse::<f64>();
    percent
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(PerMillion::from_percent)
        .ok_or_else(|| format!("`{share}` is no percentage between 0 and 100"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AccessLogArgs,
    }

    /// What is logged where a configuration logs to `/mesh`.
    fn logs(args: &[&str]) -> Result<String, String> {
        let line = Line::try_parse_from([&["run"], args].concat());
        let args = line.map_err(|error| error.to_string())?.args;
        let (choice, _) = args.choice()?;
        let of_mesh: Box<[AccessLog]> = [AccessLog {
            path: "/mesh".into(),
            format: Arc::new(log_format::istio_text()),
            filter: None,
            only: None,
        }]
        .into();
        let mut snapshot = Snapshot {
            access_logs: Arc::new(AccessLogs {
                outbound: of_mesh.clone(),
                inbound: of_mesh,
            }),
            ..Snapshot::default()
        };
        choice.apply(&mut snapshot);
        let shown = snapshot.access_logs.all().map(|log| {
            let form = match &*log.format {
                LogFormat::Text(_) => "text",
                LogFormat::Json { .. } => "json",
            };
            let only = log.only.map(|only| {
                let sample = only.sample.map(PerMillion::get);
                format!(" {} {:?} {sample:?}", only.errors, only.slow)
            });
            format!("{} {form}{}", log.path, only.unwrap_or_default())
        });
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn the_command_line_goes_before_the_configuration() {
        for (args, want) in [
            (&[][..], "/mesh text, /mesh text"),
            (&["--access-log", "off"], ""),
            (
                &["--access-log", "text"],
                "/dev/stdout text, /dev/stdout text",
            ),
            (
                &["--access-log", "json", "--access-log-file", "/a"],
                "/a json, /a json",
            ),
            (&["--access-log-file", "/a"], "/a text, /a text"),
            (
                &["--access-log-format", "{\"a\": \"%PROTOCOL%\"}"],
                "/dev/stdout json, /dev/stdout json",
            ),
            (
                &["--access-log-only", "errors,slow=1s,sample=0.5%"],
                "/mesh text true Some(1s) Some(5000), /mesh text true Some(1s) Some(5000)",
            ),
        ] {
            assert_eq!(logs(args).as_deref(), Ok(want), "{args:?}");
        }
        for (args, words) in [
            (
                &["--access-log-format", "%NO%"][..],
                "`%NO%` is not a known",
            ),
            (
                &["--access-log", "text", "--access-log-format", "a"],
                "cannot be used with",
            ),
            (&["--access-log-only", "fast"], "`fast` is none of"),
            (&["--access-log-only", "sample=101"], "no percentage"),
            (&["--access-log-only", "slow=soon"], "slow=soon"),
        ] {
            let error = logs(args).expect_err("it is refused");
            assert!(error.contains(words), "{args:?}: {error}");
        }
    }
}
