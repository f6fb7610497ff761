//! Settings that Istio has no field for, read from annotations `outrigger.dev/NAME` of a resource.
//!
//! An annotation keeps the resource valid for a cluster, where Istio passes it over. Its value is a list of settings
//! that commas separate: `key=value`, or a word that stands by itself. A value of `true` or `false` turns a setting that
//! needs nothing more on or off. What a kind takes is its own table (`destination_rule`, `virtual_service`); a name or key that is
//! not asked for is an error, because a policy that is not there is worse than one that is refused. `docs/extensions.md`
//! lists them all.

use super::code::Code;
use super::meta::Meta;
use super::report::Report;
use super::spelling::suggestion;
use super::value::{parse_duration, quoted};
use crate::time::Duration;

/// What stands before the name.
pub const PREFIX: &str = "outrigger.dev/";

/// What a rate may be for, with its seconds.
const RATE_UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// The annotations of one resource that are ours, being read.
#[derive(Debug)]
pub struct Annotations<'r, 'm> {
    report: &'r mut Report,
    meta: &'m Meta,
    asked: Vec<&'static str>,
}

/// Reads the annotations of a resource with `read`, and tells those that it did not ask for. The report stands at the document.
pub fn annotations<T>(
    report: &mut Report,
    meta: &Meta,
    read: impl FnOnce(&mut Annotations<'_, '_>) -> T,
) -> T {
    report.field("metadata", |report| {
        report.field("annotations", |report| {
            let mut all = Annotations {
                report,
                meta,
                asked: Vec::new(),
            };
            let value = read(&mut all);
            all.finish();
            value
        })
    })
}

impl Annotations<'_, '_> {
    /// Reads one annotation; `None` when it is absent or says `false`. Keys that `read` did not ask for are told.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Setting<'_, '_>) -> T,
    ) -> Option<T> {
        self.asked.push(name);
        let full = format!("{PREFIX}{name}");
        let text = self.meta.annotations.get(&full)?;
        if text.trim() == "false" {
            return None;
        }
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty() && *part != "true");
        self.report.key(&full, |report| {
            let mut setting = Setting {
                report,
                parts: parts
                    .map(|part| match part.split_once('=') {
                        Some((key, value)) => (key.trim(), Some(value.trim())),
                        None => (part, None),
                    })
                    .collect(),
                asked: Vec::new(),
            };
            let value = read(&mut setting);
            setting.finish();
            Some(value)
        })
    }

    /// An annotation that is `true` or `false` and nothing else; absent is `false`.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.read(name, |_| ()).is_some()
    }

    fn finish(self) {
        let ours = self.meta.annotations.keys();
        for full in ours {
            let Some(name) = full.strip_prefix(PREFIX) else {
                continue;
            };
            if !self.asked.contains(&name) {
                let help = suggestion(name, &self.asked);
                self.report.key(full, |report| {
                    let message = format!("no annotation of this kind is named {}", quoted(full));
                    report.raise(Code::InvalidAnnotation, message, help);
                });
            }
        }
    }
}

/// The value of one annotation, being read.
#[derive(Debug)]
pub struct Setting<'r, 't> {
    report: &'r mut Report,
    parts: Vec<(&'t str, Option<&'t str>)>,
    asked: Vec<&'static str>,
}

impl<'t> Setting<'_, 't> {
    /// The report, standing at the annotation.
    pub fn report(&mut self) -> &mut Report {
        self.report
    }

    /// Whether nothing is written but perhaps `true`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The one word among several that stands by itself; `None` when none does.
    pub fn word<T: Copy>(&mut self, words: &[(&'static str, T)]) -> Option<T> {
        self.asked.extend(words.iter().map(|(word, _)| *word));
        let mut alone = self.parts.iter().filter(|(_, value)| value.is_none());
        alone.find_map(|(part, _)| words.iter().find(|(word, _)| word == part).map(|w| w.1))
    }

    /// The text of a key.
    pub fn text(&mut self, key: &'static str) -> Option<&'t str> {
        self.asked.push(key);
        let mut found = self.parts.iter().filter(|(name, _)| *name == key);
        let value = found.next().and_then(|(_, value)| *value);
        if found.next().is_some() {
            self.refuse(format!("{} stands twice", quoted(key)), "");
        }
        value
    }

    /// A share from zero to a bound: a number, or a percentage such as `20%` for 0.2.
    pub fn ratio(&mut self, key: &'static str, most: f64) -> Option<f64> {
        let text = self.text(key)?;
        let read = match text.strip_suffix('%') {
            Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
            None => text.parse(),
        };
        let fits = read.ok().filter(|ratio| (0.0..=most).contains(ratio));
        if fits.is_none() {
            self.refuse(
                format!("{key} is {}", quoted(text)),
                format!("{key} is a number from 0 to {most} or a percentage"),
            );
        }
        fits
    }

    /// A whole number within bounds, both included.
    pub fn count(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let text = self.text(key)?;
        let fits = text.parse().ok().filter(|n| (least..=most).contains(n));
        if fits.is_none() {
            self.refuse(
                format!("{key} is {}", quoted(text)),
                format!("{key} is a whole number from {least} to {most}"),
            );
        }
        fits
    }

    /// A duration of at least a millisecond.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let text = self.text(key)?;
        let read = parse_duration(text).ok();
        let fits = read.filter(|duration| *duration >= Duration::from_millis(1));
        if fits.is_none() {
            self.refuse(
                format!("{key} is {}", quoted(text)),
                format!("{key} is a duration such as `250ms` or `10s`"),
            );
        }
        fits
    }

    /// A duration of at least a millisecond that stands by itself.
    pub fn lone_duration(&mut self) -> Option<Duration> {
        self.lone_time(|duration| duration >= Duration::from_millis(1))
    }

    /// The same, or zero.
    pub fn lone_duration_or_zero(&mut self) -> Option<Duration> {
        self.lone_time(|duration| duration.is_zero() || duration >= Duration::from_millis(1))
    }

    fn lone_time(&mut self, is_fit: impl Fn(Duration) -> bool) -> Option<Duration> {
        let [(text, None)] = self.parts[..] else {
            self.refuse("the value is not one duration", "write it as `10s`");
            return None;
        };
        self.parts.clear();
        let read = parse_duration(text).ok();
        let fits = read.filter(|duration| is_fit(*duration));
        if fits.is_none() {
            let message = format!("{} is not a duration", quoted(text));
            self.refuse(message, "write it as `250ms` or `10s`");
        }
        fits
    }

    /// A whole number within bounds, both included, that stands by itself.
    pub fn lone_count(&mut self, least: u32, most: u32) -> Option<u32> {
        let fits = match self.parts[..] {
            [(text, None)] => text.parse().ok().filter(|n| (least..=most).contains(n)),
            _ => None,
        };
        self.parts.clear();
        if fits.is_none() {
            let help = format!("write one whole number from {least} to {most}");
            self.refuse("the value is not one number that fits", help);
        }
        fits
    }

    /// So many in so much time, such as `100/s`, which stands by itself among settings.
    pub fn lone_rate(&mut self) -> Option<(u32, Duration)> {
        let alone = self.parts.iter().position(|(_, value)| value.is_none());
        let read = alone.and_then(|at| {
            let (count, unit) = self.parts.remove(at).0.split_once('/')?;
            let per = RATE_UNITS.iter().find(|(name, _)| *name == unit.trim())?.1;
            let count = count.trim().parse().ok().filter(|count| *count > 0)?;
            Some((count, Duration::from_secs(per)))
        });
        if read.is_none() {
            self.refuse(
                "there is no rate",
                "write it as `100/s`, `10/m` or `5000/h`",
            );
        }
        read
    }

    fn refuse(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.report.raise(Code::InvalidAnnotation, message, help);
    }

    fn finish(mut self) {
        for (part, value) in core::mem::take(&mut self.parts) {
            if !self.asked.contains(&part) {
                let help = suggestion(part, &self.asked);
                let what = if value.is_some() { "setting" } else { "value" };
                self.refuse(format!("{} is no {what} of it", quoted(part)), help);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reading one annotation gives, and what is told.
    fn read<T>(value: &str, read: impl FnOnce(&mut Setting<'_, '_>) -> T) -> (Option<T>, String) {
        let mut meta = Meta::default();
        let name = format!("{PREFIX}balance");
        meta.annotations.insert(name, value.into());
        let mut report = Report::new();
        let got = annotations(&mut report, &meta, |all| all.read("balance", read));
        let findings = report.into_findings();
        let told = findings.iter().map(|f| f.message.as_str());
        (got, told.collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn settings_are_read_by_key() {
        let all = |s: &mut Setting<'_, '_>| {
            (
                s.word(&[("FAST", 1), ("SLOW", 2)]),
                s.ratio("ratio", 100.0),
                s.count("min", 1, 9),
                s.duration("ttl"),
            )
        };
        let ten = Duration::from_secs(10);
        for (text, want, told) in [
            ("", (None, None, None, None), ""),
            ("true", (None, None, None, None), ""),
            (
                "SLOW, ratio=20, min=9, ttl=10s",
                (Some(2), Some(20.0), Some(9), Some(ten)),
                "",
            ),
            ("ratio=101", (None, None, None, None), "ratio is `101`"),
            ("min=0", (None, None, None, None), "min is `0`"),
            ("ttl=0s", (None, None, None, None), "ttl is `0s`"),
            (
                "QUICK,size=1",
                (None, None, None, None),
                "`QUICK` is no value of it; `size` is no setting of it",
            ),
            (
                "min=1,min=2",
                (None, None, Some(1), None),
                "`min` stands twice",
            ),
        ] {
            assert_eq!(read(text, all), (Some(want), told.to_owned()), "{text}");
        }
        assert_eq!(read("false", all), (None, String::new()));
    }

    #[test]
    fn ratios_are_numbers_or_percentages() {
        let ratio = |s: &mut Setting<'_, '_>| s.ratio("ratio", 2.0);
        for (text, want) in [("0", 0.0), ("0.2", 0.2), ("20%", 0.2), ("200%", 2.0)] {
            let text = format!("ratio={text}");
            assert_eq!(
                read(&text, ratio),
                (Some(Some(want)), String::new()),
                "{text}"
            );
        }
        for bad in ["-1", "2.1", "201%", "x", "NaN", ""] {
            let (got, told) = read(&format!("ratio={bad}"), ratio);
            assert!(got == Some(None) && !told.is_empty(), "{bad}");
        }
    }

    #[test]
    fn values_that_stand_alone() {
        let duration = |s: &mut Setting<'_, '_>| s.lone_duration();
        let second = Duration::from_secs(1);
        assert_eq!(read("1s", duration), (Some(Some(second)), String::new()));
        for bad in ["1", "1s,2s", "x=1s", "0s", ""] {
            let (got, told) = read(bad, duration);
            assert!(got == Some(None) && !told.is_empty(), "{bad}");
        }
        let or_zero = |s: &mut Setting<'_, '_>| s.lone_duration_or_zero();
        assert_eq!(
            read("0s", or_zero),
            (Some(Some(Duration::ZERO)), String::new())
        );
        assert_eq!(read("0.1ms", or_zero).0, Some(None));
        let count = |s: &mut Setting<'_, '_>| s.lone_count(100, 200);
        assert_eq!(read("125", count), (Some(Some(125)), String::new()));
        for bad in ["99", "201", "true", "a=1", "125,126"] {
            let (got, told) = read(bad, count);
            assert!(got == Some(None) && !told.is_empty(), "{bad}");
        }
    }

    #[test]
    fn rates() {
        let rate = |s: &mut Setting<'_, '_>| (s.lone_rate(), s.count("burst", 1, 9));
        for (text, want, burst) in [
            ("100/s", Some((100, 1)), None),
            ("burst=9, 3 / m", Some((3, 60)), Some(9)),
            ("1/h", Some((1, 3600)), None),
        ] {
            let want = want.map(|(count, per)| (count, Duration::from_secs(per)));
            assert_eq!(read(text, rate), (Some((want, burst)), String::new()));
        }
        for bad in ["true", "100", "0/s", "1/d", "x/s", "burst=2", "1/s,2/s"] {
            assert!(!read(bad, rate).1.is_empty(), "{bad}");
        }
    }

    #[test]
    fn names_that_nobody_asks_for_are_told() {
        let mut meta = Meta::default();
        for name in ["outrigger.dev/headge", "example.com/hedge", "plain"] {
            meta.annotations.insert(name.into(), "true".into());
        }
        let mut report = Report::new();
        assert!(!annotations(&mut report, &meta, |all| all.flag("hedge")));
        let findings = report.into_findings();
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (findings[0].path.as_str(), findings[0].help.as_str()),
            (
                "metadata.annotations[\"outrigger.dev/headge\"]",
                "did you mean `hedge`?"
            )
        );
    }
}
