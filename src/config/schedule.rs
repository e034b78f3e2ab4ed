//! `scheduled workers`: the workers that are launched at scheduled times, with NEMO_Nowcast's keys and ours.

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::check::ConfigCheck;
use super::checked::{Host, Registry};
use super::problem::Severity;
use super::repeated_hour;
use super::scheduled::{CatchUp, ScheduledWorker};
use super::times::Times;
use error_text::did_you_mean;
use pyyaml::Value;

/// The section's name.
const NAME: &str = "scheduled workers";

/// The keys of an entry.
const KEYS: [&str; 9] =
    ["every", "at", "cron", "cmd line opts", "host", "timezone", "catch up", "cycle", "shift"];

/// The days of the week as cron counts them, Sunday first.
const WEEK: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// A worker, and when it is launched.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RawScheduled {
    /// `minute`, `hour`, `day`, or a day of the week such as `monday`; `at` belongs to it.
    every: Option<String>,
    /// The time: `'05:15'` of a day, `':15'` of an hour, `':30'` of a minute; in quotes.
    at: Option<String>,
    /// A pattern of cron, in place of `every` and `at`: `'15 5 * * *'`.
    cron: Option<String>,
    /// The worker's arguments.
    #[serde(rename = "cmd line opts")]
    options: Option<String>,
    /// The host on which it is launched. Without it: this machine.
    host: Option<String>,
    /// The time zone of the times, such as `America/Vancouver`. Without it: that of the machine.
    timezone: Option<String>,
    /// The times at which the scheduler did not run: skip them, launch the latest one, or all.
    #[serde(rename = "catch up", default)]
    catch_up: CatchUp,
    /// The cycle of the launch, as a format of its time: `'%Y-%m-%d'`.
    cycle: Option<String>,
    /// What is added to the time of `cycle`: `1d`, `6h` or `-1d`.
    shift: Option<String>,
}

impl ConfigCheck<'_> {
    /// Check `scheduled workers:`.
    pub(super) fn scheduled_workers(
        &mut self,
        value: &Value,
        registry: Option<&Registry>,
    ) -> Option<Vec<ScheduledWorker>> {
        let section = match value.get(NAME) {
            None | Some(Value::Null) => return Some(Vec::new()),
            Some(section) => section,
        };
        let Some(entries) = section.as_list() else {
            let text = format!(
                "must be a list of workers (`- nowcast.workers.download_weather: {{every: day, at: '05:15'}}`), not {}",
                section.kind()
            );
            self.report(Severity::Error, &[NAME], text);
            return None;
        };
        let scheduled: Vec<Option<ScheduledWorker>> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| self.scheduled(&index.to_string(), entry))
            .collect();
        for (index, scheduled) in scheduled.iter().enumerate() {
            let Some(entry) = scheduled else { continue };
            self.expect_registered(registry, entry.name(), &[NAME, &index.to_string(), &entry.module]);
        }
        let items: Vec<Option<String>> =
            scheduled.iter().map(|entry| entry.as_ref().map(ScheduledWorker::item)).collect();
        for (index, entry) in scheduled.iter().enumerate() {
            let Some(entry) = entry.as_ref().filter(|_| items[..index].contains(&items[index])) else {
                continue;
            };
            let text = "stands twice with the same times; it is launched once for each of them".to_owned();
            self.report(Severity::Warning, &[NAME, &index.to_string(), &entry.module], text);
        }
        scheduled.into_iter().collect()
    }

    /// Warn of unknown hosts: a launch on one would be refused when it is due.
    pub(super) fn check_scheduled_hosts(
        &mut self,
        scheduled: &[ScheduledWorker],
        hosts: &IndexMap<String, Host>,
    ) {
        for (index, entry) in scheduled.iter().enumerate() {
            let unknown = |host: &&String| *host != "localhost" && !hosts.contains_key(*host);
            let Some(host) = entry.host.as_ref().filter(unknown) else { continue };
            let known: Vec<&str> = hosts.keys().map(String::as_str).chain(["localhost"]).collect();
            let close = did_you_mean(host, &known);
            let text = format!("there is no host `{host}`{close}; known: {}", known.join(", "));
            self.report(Severity::Warning, &[NAME, &index.to_string(), &entry.module, "host"], text);
        }
    }

    fn scheduled(&mut self, index: &str, entry: &Value) -> Option<ScheduledWorker> {
        let pairs: Vec<_> = entry.as_map().into_iter().flatten().collect();
        let [(Value::Str(module), settings)] = pairs.as_slice() else {
            let text = "each entry must be one worker with its settings below it, indented: \
                        `- nowcast.workers.download_weather: {every: day, at: '05:15'}`";
            self.report(Severity::Error, &[NAME, index], text.to_owned());
            return None;
        };
        let path = [NAME, index, module];
        self.check_text(&path, settings)?;
        let raw: RawScheduled = self.decode(settings, &path)?;
        let refuse = |check: &mut Self, key: &str, text: String| {
            check.report(Severity::Error, &[NAME, index, module, key], text);
            None
        };
        let (key, when, pattern) = match (&raw.cron, &raw.every, &raw.at) {
            (Some(cron), None, None) => ("cron", format!("cron {cron}"), Ok(cron.clone())),
            (Some(_), _, _) => {
                let text = "takes the place of `every` and `at`; write either of them".to_owned();
                return refuse(self, "cron", text);
            }
            (None, Some(every), Some(at)) => ("every", format!("every {every} at {at}"), pattern(every, at)),
            (None, _, _) => {
                let text = "needs `every:` and `at:` (`every: day`, `at: '05:15'`), or `cron:` (`cron: '15 5 * * *'`)";
                self.report(Severity::Error, &path, text.to_owned());
                return None;
            }
        };
        let times = match pattern.and_then(|pattern| Times::parse(&pattern)) {
            Ok(times) => times,
            Err(text) => return refuse(self, key, text),
        };
        let zone = match &raw.timezone {
            None => TimeZone::system(),
            Some(name) => self.zone(&path, name)?,
        };
        let cycle = self.cycle_format(&path, raw.cycle.as_deref(), raw.shift.as_deref(), &zone).ok()?;
        if module.contains(|sign: char| sign.is_whitespace() || sign.is_control()) || module.is_empty() {
            self.report(Severity::Error, &path, "a worker's name has no spaces".to_owned());
            return None;
        }
        let args = raw.options.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let module = module.to_string();
        let zone_said = raw.timezone.map(|zone| format!(" {zone}")).unwrap_or_default();
        let when = when + &zone_said;
        let (host, catch_up) = (raw.host, raw.catch_up);
        let scheduled = ScheduledWorker { module, args, host, times, when, zone, catch_up, cycle };
        if let Some(text) = repeated_hour::warning(&scheduled, Timestamp::now()) {
            self.report(Severity::Warning, &[path[0], path[1], path[2], "cycle"], text);
        }
        Some(scheduled)
    }

    /// Check that the settings are texts, since YAML reads unquoted times as numbers. Warn of unknown keys.
    fn check_text(&mut self, path: &[&str; 3], settings: &Value) -> Option<()> {
        let mut valid = Some(());
        for (key, value) in settings.as_map().into_iter().flatten() {
            let Some(key) = key.as_str() else { continue };
            let here = [path[0], path[1], path[2], key];
            if !KEYS.contains(&key) {
                let close = did_you_mean(key, KEYS);
                self.report(Severity::Warning, &here, format!("means nothing here{close}"));
            } else if value.as_str().is_none() {
                let text = format!("must be text, not {}; put it in quotes, as in at: '05:15'", value.kind());
                self.report(Severity::Error, &here, text);
                valid = None;
            }
        }
        valid
    }
}

/// Convert NEMO_Nowcast's `every` and `at` into a cron pattern with seconds.
fn pattern(every: &str, at: &str) -> Result<String, String> {
    let unit = every.trim_end_matches('s');
    let day = WEEK.iter().position(|day| *day == every);
    let parts: Vec<Option<u8>> = at.split(':').map(two_digits).collect();
    match (unit, day, parts.as_slice()) {
        ("minute", _, [None, Some(second)]) if at.starts_with(':') => Ok(format!("{second} * * * * *")),
        ("minute", ..) => Err(format!("a time in each minute is written as at: ':30', not {at:?}")),
        ("hour", _, [None, Some(minute)]) if at.starts_with(':') => Ok(format!("0 {minute} * * * *")),
        ("hour", _, [Some(minute), Some(second)]) => Ok(format!("{second} {minute} * * * *")),
        ("hour", ..) => Err(format!("a time in each hour is written as at: ':15', not {at:?}")),
        ("day", ..) | (_, Some(_), _) => {
            let (hour, minute, second) = match parts.as_slice() {
                [Some(hour), Some(minute)] => (hour, minute, &0),
                [Some(hour), Some(minute), Some(second)] => (hour, minute, second),
                _ => return Err(format!("a time of day is written as at: '05:15', not {at:?}")),
            };
            let day = day.map_or("*".to_owned(), |day| day.to_string());
            if *hour > 23 || *minute > 59 || *second > 59 {
                return Err(format!(
                    "{at:?} is not a time of day; write it as '05:15', from '00:00' to '23:59'"
                ));
            }
            Ok(format!("{second} {minute} {hour} * * {day}"))
        }
        _ => Err(format!("must be minute, hour, day or a day of the week (monday), not {every:?}")),
    }
}

/// Parse one or two digits. Return `None` for anything else.
fn two_digits(text: &str) -> Option<u8> {
    (text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ZonedDateTime;

    /// Return the next times as a local clock shows them.
    fn next(times: &Times, after: &str, count: usize) -> Vec<String> {
        let mut moment: ZonedDateTime = after.parse().unwrap();
        let mut step = || {
            moment = times.after(&moment).unwrap();
            moment.strftime("%a %d %H:%M:%S%:z").to_string()
        };
        (0..count).map(|_| step()).collect()
    }

    #[test]
    fn the_times_of_nemo_nowcast_are_understood() {
        let all = |every, at| {
            next(
                &Times::parse(&pattern(every, at).unwrap()).unwrap(),
                "2026-03-14T05:15:00-07:00[America/Vancouver]",
                2,
            )
        };
        assert_eq!(all("day", "05:15"), ["Sun 15 05:15:00-07:00", "Mon 16 05:15:00-07:00"]);
        assert_eq!(all("days", "5:15:30"), ["Sat 14 05:15:30-07:00", "Sun 15 05:15:30-07:00"]);
        assert_eq!(all("monday", "16:00"), ["Mon 16 16:00:00-07:00", "Mon 23 16:00:00-07:00"]);
        assert_eq!(all("sunday", "00:00"), ["Sun 15 00:00:00-07:00", "Sun 22 00:00:00-07:00"]);
        assert_eq!(all("hour", ":20"), ["Sat 14 05:20:00-07:00", "Sat 14 06:20:00-07:00"]);
        assert_eq!(all("hour", "20:05"), ["Sat 14 05:20:05-07:00", "Sat 14 06:20:05-07:00"]);
        assert_eq!(all("minute", ":30"), ["Sat 14 05:15:30-07:00", "Sat 14 05:16:30-07:00"]);
    }

    #[test]
    fn invalid_times_are_refused() {
        for (every, at) in [
            ("day", "5"),
            ("day", ":15"),
            ("day", "25:00"),
            ("hour", "05:75"),
            ("minute", "30"),
            ("week", "05:15"),
        ] {
            assert!(pattern(every, at).and_then(|pattern| Times::parse(&pattern)).is_err(), "{every} {at}");
        }
        for cron in ["", "* *", "61 * * * *", "0 0 30 2 *", "0 0 * * funday", "0 0 1 1 * * 2020"] {
            assert!(Times::parse(cron).is_err(), "{cron}");
        }
        let never = Times::parse("0 0 30 2 *").unwrap_err();
        assert!(never.contains("never comes"), "{never}");
    }

    #[test]
    fn where_clocks_are_set_a_time_of_day_comes_once_each_day() {
        let daily = Times::parse("30 2 * * *").unwrap();
        // There is no 02:30 on the 8th.
        assert_eq!(
            next(&daily, "2026-03-07T12:00:00-08:00[America/Vancouver]", 2),
            ["Sun 08 03:00:00-07:00", "Mon 09 02:30:00-07:00"]
        );
        // There are two 01:30 on 1 November.
        let daily = Times::parse("30 1 * * *").unwrap();
        assert_eq!(
            next(&daily, "2026-11-01T00:00:00-07:00[America/Vancouver]", 2),
            ["Sun 01 01:30:00-07:00", "Mon 02 01:30:00-08:00"]
        );
        let hourly = Times::parse("30 * * * *").unwrap();
        assert_eq!(
            next(&hourly, "2026-11-01T01:00:00-07:00[America/Vancouver]", 3),
            ["Sun 01 01:30:00-07:00", "Sun 01 01:30:00-08:00", "Sun 01 02:30:00-08:00"]
        );
        assert_eq!(
            next(&hourly, "2026-03-08T01:00:00-08:00[America/Vancouver]", 2),
            ["Sun 08 01:30:00-08:00", "Sun 08 03:30:00-07:00"]
        );
    }
}
