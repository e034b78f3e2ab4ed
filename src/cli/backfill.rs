//! `nowcast backfill WORKER`: begins one cycle for each date. It never launches for some of the dates only.

use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ZonedDateTime};
use serde::Serialize;

use super::operate::{CommonOptions, requested_launch};
use super::table::Table;
use super::{USAGE, confirm, print};
use crate::config::Config;
use crate::view::run::label;
use nowcast_core::commands::cycles::MOST_BACKFILLED;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{Command, Cycle, CycleFormat, CycleOption, NextWorker};

/// The format of labels if neither the command line nor the schedule has one.
const DEFAULT_FORMAT: &str = "%Y-%m-%d";

/// Launches that the question shows.
const SHOWN: usize = 5;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
// Each is a switch of the command line.
#[allow(clippy::struct_excessive_bools)]
#[command(override_usage = "nowcast backfill [OPTIONS] --from <DATE> --to <DATE> <WORKER> [-- <ARGS>...]")]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// First date, such as 2026-01-01
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Date,
    /// Last date
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Date,
    /// strftime format of the cycles' labels [default: that of the worker's entry in the schedule, else %Y-%m-%d]
    #[arg(long, value_name = "FORMAT")]
    cycle: Option<String>,
    /// Launch on this host, listed under "run: enabled hosts" or "hosts"
    #[arg(long, default_value = LOCALHOST)]
    host: String,
    /// Also launch in cycles that exist
    #[arg(long)]
    again: bool,
    /// Only show the launches
    #[arg(long)]
    dry_run: bool,
    /// Launch without asking
    #[arg(long)]
    yes: bool,
    /// Allow a worker that is not in the message registry; its messages are refused
    #[arg(long)]
    unregistered: bool,
    /// Name of the worker or dotted name of its module
    worker: String,
    /// Arguments for the worker; {date} and {cycle} are replaced by the date and the label
    #[arg(value_name = "ARGS", last = true)]
    args: Vec<String>,
}

/// A launch of a backfill. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct BackfilledLaunch {
    cycle: Cycle,
    date: Date,
    worker: String,
    args: Vec<String>,
    host: String,
}

fn date(text: &str) -> Result<Date, String> {
    const EXPECTED: &str = "use a date as YYYY-MM-DD, such as 2026-01-31";
    let is_date = text.len() == 10 && text.chars().all(|char| char.is_ascii_digit() || char == '-');
    let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] else {
        return Err(format!("it is not a date; {EXPECTED}"));
    };
    let number = |digits: &str| digits.parse::<i8>().ok();
    let (Some(month), Some(day), true) = (number(month), number(day), is_date) else {
        return Err(format!("it is not a date; {EXPECTED}"));
    };
    let first = year.parse().ok().and_then(|year| Date::new(year, month, 1).ok());
    let first = first.ok_or_else(|| format!("invalid month {month}; {EXPECTED}"))?;
    let days = first.days_in_month();
    Date::new(first.year(), month, day)
        .map_err(|_| format!("invalid day {day}: {} has {days} days; {EXPECTED}", first.strftime("%B %Y")))
}

pub(super) fn run(args: &Args) -> ExitCode {
    backfill(args).unwrap_or_else(|status| status)
}

fn backfill(args: &Args) -> Result<ExitCode, ExitCode> {
    let config = args.common.load()?;
    let worker = requested_launch(&args.worker, &args.args, &config, args.unregistered)?;
    let worker = NextWorker { host: args.host.clone(), ..worker };
    let dated = launches(&worker, args, &config).map_err(|error| {
        print::error(error.as_ref());
        ExitCode::from(USAGE)
    })?;
    if args.dry_run {
        return Ok(show(&dated, args.common.json));
    }
    if !args.yes {
        let question = question(&dated);
        let is_confirmed = confirm::ask(&question, args.common.json).map_err(|error| {
            print::error(error.as_ref());
            ExitCode::from(USAGE)
        })?;
        if !is_confirmed {
            print::complain("nothing was launched");
            return Ok(ExitCode::FAILURE);
        }
    }
    let launches = dated.into_iter().map(|(_, _, launch)| launch).collect();
    Ok(args.common.ask(Command::Backfill { launches, again: args.again }))
}

/// A date, its cycle and the launch in it.
type DatedLaunch = (Date, Cycle, NextWorker);

/// Return the launch of each date.
fn launches(worker: &NextWorker, args: &Args, config: &Config) -> anyhow::Result<Vec<DatedLaunch>> {
    ensure!(args.from <= args.to, "--from {} is later than --to {}; exchange them", args.from, args.to);
    let labels = Labels::of(worker.name(), args, config)?;
    let mut launches: Vec<DatedLaunch> = Vec::new();
    let mut date = args.from;
    loop {
        ensure!(
            launches.len() < MOST_BACKFILLED,
            "{} to {} are more than {MOST_BACKFILLED} dates; use several backfills",
            args.from,
            args.to
        );
        let cycle = labels.label(date)?;
        if let Some((before, ..)) = launches.iter().find(|(_, other, _)| *other == cycle) {
            bail!(
                "{before} and {date} have the same cycle {cycle}; use a format with the date, such as %Y-%m-%d"
            );
        }
        let fill = |arg: &String| filled(arg, date, &cycle);
        let mut launch = NextWorker { args: worker.args.iter().map(fill).collect(), ..worker.clone() };
        launch.options.cycle = Some(CycleOption::Label(cycle.clone()));
        launches.push((date, cycle, launch));
        if date == args.to {
            return Ok(launches);
        }
        date = date.tomorrow().context("the calendar ends at --to")?;
    }
}

/// Replace the placeholders of an argument. Neither dates nor labels have braces, so nothing is replaced twice.
fn filled(arg: &str, date: Date, cycle: &Cycle) -> String {
    arg.replace("{date}", &date.to_string()).replace("{cycle}", cycle.as_str())
}

/// What makes the label of a date.
struct Labels<'a> {
    format: CycleFormat,
    /// The entry of the schedule that the format is from: a label is that of the first launch on its day.
    scheduled: Option<&'a crate::config::ScheduledWorker>,
}

impl<'a> Labels<'a> {
    fn of(worker: &str, args: &Args, config: &'a Config) -> anyhow::Result<Self> {
        let parse = |format: &str| {
            CycleFormat::parse(format, Span::new(), &TimeZone::UTC).map_err(anyhow::Error::msg)
        };
        if let Some(format) = &args.cycle {
            return Ok(Self { format: parse(format).context("--cycle")?, scheduled: None });
        }
        let mut entries =
            config.scheduled.iter().filter(|entry| entry.name() == worker && entry.cycle.is_some());
        let Some(entry) = entries.next() else {
            return Ok(Self { format: parse(DEFAULT_FORMAT)?, scheduled: None });
        };
        if entries.any(|other| other.cycle != entry.cycle) {
            bail!(
                "entries of {worker} in the schedule have different cycles; choose a format with --cycle FORMAT"
            );
        }
        // The filter above leaves entries with a cycle.
        let format = entry.cycle.clone().map_or_else(|| parse(DEFAULT_FORMAT), Ok)?;
        Ok(Self { format, scheduled: Some(entry) })
    }

    fn label(&self, date: Date) -> anyhow::Result<Cycle> {
        let moment = match self.scheduled {
            None => date.to_zoned_datetime(TimeZone::UTC)?,
            Some(entry) => {
                let begin = date.to_zoned_datetime(entry.zone.clone())?;
                let first = |before: ZonedDateTime| entry.times.after(&before);
                let before = begin.checked_sub(Span::new().nanoseconds(1)).ok();
                before.and_then(first).filter(|time| time.date() == date).unwrap_or(begin)
            }
        };
        self.format.label(&moment).map_err(anyhow::Error::msg).with_context(|| format!("the cycle of {date}"))
    }
}

fn show(launches: &[DatedLaunch], json: bool) -> ExitCode {
    let views = launches.iter().map(|(date, cycle, launch)| BackfilledLaunch {
        cycle: cycle.clone(),
        date: *date,
        worker: launch.name().to_owned(),
        args: launch.args.clone(),
        host: launch.host.clone(),
    });
    if json {
        return print::json(&views.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["CYCLE", "DATE", "LAUNCH"]);
    for (date, cycle, launch) in launches {
        table.row([cycle.to_string(), date.to_string(), label(launch)]);
    }
    print::table(&table)
}

fn question(launches: &[DatedLaunch]) -> String {
    let line = |(_, cycle, launch): &DatedLaunch| format!("{cycle}: {}", label(launch));
    let mut lines: Vec<String> = launches.iter().take(SHOWN).map(line).collect();
    if launches.len() > SHOWN {
        lines.push(format!("… and {} more; --dry-run shows all", launches.len() - SHOWN));
    }
    let count = launches.len();
    lines.push(format!("Begin {count} {}?", if count == 1 { "cycle" } else { "cycles" }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_date_says_what_is_wrong_and_what_is_expected() {
        let expected = "use a date as YYYY-MM-DD, such as 2026-01-31";
        for (text, wrong) in [
            ("2026-02-30", "invalid day 30: February 2026 has 28 days"),
            ("2026-01-00", "invalid day 0: January 2026 has 31 days"),
            ("2026-13-01", "invalid month 13"),
            ("2026-1-1", "it is not a date"),
            ("01.02.2026", "it is not a date"),
            ("2026-01-01T06:00", "it is not a date"),
            ("", "it is not a date"),
        ] {
            assert_eq!(date(text), Err(format!("{wrong}; {expected}")), "{text}");
        }
        assert_eq!(date("2028-02-29"), Ok(jiff::civil::date(2028, 2, 29)));
    }

    #[test]
    fn placeholders_are_replaced_wherever_they_stand() {
        let date = "2026-01-31".parse().unwrap();
        let cycle = Cycle::parse("hindcast-31").unwrap();
        let filled = |arg| filled(arg, date, &cycle);
        assert_eq!(filled("--run-date={date}"), "--run-date=2026-01-31");
        assert_eq!(filled("{cycle}/{date}/{cycle}"), "hindcast-31/2026-01-31/hindcast-31");
        assert_eq!(filled("{other}"), "{other}");
    }
}
