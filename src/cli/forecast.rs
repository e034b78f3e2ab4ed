//! `nowcast forecast`: predicts runs and expected messages. It never asks the manager, launches or writes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::operate::{CommonOptions, FutureTime, future_time};
use super::read_only::{ViewContext, check_worker};
use super::table::{Cell, Table};
use super::terminal::{Terminal, Tone};
use super::{backtest, cycle_option, print, times};
use crate::config::duration;
use crate::forecast::compare::{ExpectationChange, RunChange, RunTimes};
use crate::forecast::summary::{OpenState, UnknownEnd};
use crate::forecast::{
    Comparison, Draws, ExpectationForecast, Forecast, ForecastOptions, ForecastRules, RunForecast, Slower,
    Slowness, Span, Supposed, SupposedFailure, TimeRange, WhatIf, compare, forecast, start,
};
use crate::shell_words;
use error_text::did_you_mean;
use nowcast_core::Cycle;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::run::is_failure;

/// The most futures that are simulated.
const MOST_DRAWS: i64 = 100_000;

/// How long the simulation may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The greatest factor by which a worker is slower.
const GREATEST_FACTOR: f64 = 1_000.0;

const EXIT_STATUS: &str = "Exit status: 0 if there is a forecast, whatever it says; 1 if the journal or the rules cannot be used; 2 if the command line or the \
    configuration is invalid.";

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Show only this cycle
    #[arg(long, value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
    /// End of the forecast, such as 18:00, 2026-03-14 06:00 or 12h [default: 24h after its beginning]
    #[arg(long, value_name = "TIME", value_parser = future_time)]
    until: Option<FutureTime>,
    /// Begin at the first moment of this date, with nothing open, and follow the schedule
    #[arg(long, value_name = "DATE", value_parser = date)]
    at: Option<Date>,
    /// Number of simulated futures
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=MOST_DRAWS))]
    runs: u32,
    /// Seed of the random numbers; the same seed gives the same forecast
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Show how good forecasts of the past would have been: those from the beginnings of the cycles within this time, such as 14d
    #[arg(long, value_name = "SPAN", value_parser = duration::parse, conflicts_with_all = ["cycle", "until", "at", "SupposedOptions"])]
    backtest: Option<SignedDuration>,
    #[command(flatten)]
    supposed: SupposedOptions,
}

/// What is supposed. The forecast is compared with the one of the present.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "What if")]
struct SupposedOptions {
    /// Let each run of a worker fail, with this message type [default: its first failure, else crash]
    #[arg(long, value_name = "WORKER[:TYPE]", value_parser = failure)]
    fail: Vec<SupposedFailure>,
    /// Let the runs of a worker take longer: WORKER=2h, or WORKER=150%
    #[arg(long, value_name = "WORKER=TIME", value_parser = slower)]
    slower: Vec<Slower>,
    /// Launch nothing on this host
    #[arg(long, value_name = "HOST")]
    hold: Vec<String>,
    /// Use an edited copy of the rules
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "use a date, such as 2026-01-01".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "clap's parsers return a result")]
fn failure(text: &str) -> Result<SupposedFailure, String> {
    let (worker, r#type) =
        text.split_once(':').map_or((text, None), |(worker, r#type)| (worker, Some(r#type)));
    Ok(SupposedFailure { worker: worker.to_owned(), r#type: r#type.map(str::to_owned) })
}

fn slower(text: &str) -> Result<Slower, String> {
    let refuse = || "use WORKER=2h, or WORKER=150% for half as long again".to_owned();
    let (worker, by) = text.split_once('=').ok_or_else(refuse)?;
    let by = match by.strip_suffix('%') {
        Some(percent) => {
            let factor = percent.trim().parse::<f64>().map_err(|_| refuse())? / 100.0;
            if !(0.0..=GREATEST_FACTOR).contains(&factor) {
                return Err(refuse());
            }
            Slowness::Factor(factor)
        }
        None => Slowness::Added(duration::parse(by)?),
    };
    Ok(Slower { worker: worker.to_owned(), by })
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        if let Some(span) = args.backtest {
            let draws = Draws { count: args.runs, seed: args.seed, limit: None, threads: None };
            let result = backtest::make(context, span, draws)?;
            if args.common.json {
                return Ok(print::json(&result));
            }
            return Ok(print::lines(&backtest::lines(&result, draws, context, &Terminal::of_stdout())));
        }
        let options = ForecastOptions {
            span: span(args, &context.now)?,
            draws: Draws { count: args.runs, seed: args.seed, limit: Some(LIMIT), threads: None },
        };
        let rules = ForecastRules::in_force(&context.config, &context.history)?;
        let supposed = args.supposed.checked(context)?;
        if supposed.rules.is_none() && supposed.what_if.is_empty() {
            let mut forecast = forecast(&context.config, &context.history, &context.time, &rules, &options)?;
            args.retain_cycle(&mut forecast);
            if args.common.json {
                return Ok(print::json(&forecast));
            }
            return Ok(print::lines(&lines(args, &forecast, context, &Terminal::of_stdout())));
        }
        let mut comparison =
            compare(&context.config, &context.history, &context.time, &rules, &supposed, &options)?;
        args.retain_cycle(&mut comparison.forecast);
        if let Some(cycle) = &args.cycle {
            comparison.changed_runs.retain(|run| run.cycle.as_deref() == Some(cycle.as_str()));
            comparison.changed_expected.retain(|message| message.cycle.as_deref() == Some(cycle.as_str()));
        }
        if args.common.json {
            return Ok(print::json(&comparison));
        }
        Ok(print::lines(&compared_lines(args, &comparison, context, &Terminal::of_stdout())))
    })
}

fn span(args: &Args, now: &ZonedDateTime) -> anyhow::Result<Span> {
    let begin = args.at.map_or_else(|| Ok(now.clone()), |date| start::begin_of(date, now))?;
    let until = match args.until {
        None => None,
        Some(FutureTime::At(time)) => Some(time),
        Some(FutureTime::In(span)) => Some(begin.timestamp().checked_add(span)?),
    };
    Ok(Span { at: args.at, until })
}

impl Args {
    fn retain_cycle(&self, forecast: &mut Forecast) {
        if let Some(cycle) = &self.cycle {
            forecast.runs.retain(|run| run.cycle.as_deref() == Some(cycle.as_str()));
            forecast.expected.retain(|message| message.cycle.as_deref() == Some(cycle.as_str()));
        }
    }
}

impl SupposedOptions {
    /// Return what is supposed. Workers, message types and hosts that do not exist are refused.
    fn checked(&self, context: &ViewContext) -> anyhow::Result<Supposed> {
        let config = &context.config;
        for failure in &self.fail {
            check_worker(&failure.worker, context)?;
            let registered = config.registry.workers.get(&failure.worker);
            if let Some((r#type, worker)) = failure.r#type.as_ref().zip(registered) {
                let failures = || worker.messages.keys().filter(|r#type| is_failure(r#type));
                ensure!(
                    failures().any(|known| known == r#type),
                    "{:?} is not a failure of {} in the message registry{}",
                    r#type,
                    failure.worker,
                    did_you_mean(r#type, failures())
                );
            }
        }
        for slower in &self.slower {
            check_worker(&slower.worker, context)?;
        }
        let policy = config.policy();
        for host in &self.hold {
            ensure!(
                policy.knows_host(host),
                "the host {host:?} is not in `run: enabled hosts:` or `hosts:`{}",
                did_you_mean(host, policy.hosts.iter())
            );
        }
        let rules = self.rules.as_ref().map(|path| ForecastRules::edited(config, path)).transpose()?;
        let what_if =
            WhatIf { fail: self.fail.clone(), slower: self.slower.clone(), hold: self.hold.clone() };
        Ok(Supposed { what_if, rules })
    }
}

/// The whole forecast.
fn lines(args: &Args, forecast: &Forecast, context: &ViewContext, terminal: &Terminal) -> Vec<String> {
    let mut lines = terminal.wrap(&args.headline(forecast, context), 2);
    section(&mut lines, "RUNS", run_table(&forecast.runs, context).lines(terminal), terminal);
    if forecast.runs.is_empty() {
        lines.push("no runs are predicted".to_owned());
    }
    let expected = expected_table(&forecast.expected, context);
    section(&mut lines, "EXPECTED", expected.lines(terminal), terminal);
    add_notes(&mut lines, forecast, terminal);
    lines
}

/// What is supposed changes.
fn compared_lines(
    args: &Args,
    comparison: &Comparison,
    context: &ViewContext,
    terminal: &Terminal,
) -> Vec<String> {
    let mut lines = terminal.wrap(&args.headline(&comparison.forecast, context), 2);
    let mut table = Table::new(&["RUN", "CYCLE", "PROBABILITY", "BEGIN", "END", "FAILS"]);
    for change in &comparison.changed_runs {
        table.row(changed_run(change, context));
    }
    table.remove_if_empty("CYCLE");
    table.remove_if_empty("PROBABILITY");
    table.remove_if_empty("FAILS");
    if comparison.changed_runs.is_empty() {
        lines.push("no runs change".to_owned());
    } else {
        section(&mut lines, "CHANGED RUNS", table.lines(terminal), terminal);
    }
    let mut table = Table::new(&["MESSAGE", "CYCLE", "DUE", "EXPECTED", "LATE"]);
    for change in &comparison.changed_expected {
        table.row(changed_message(change, context));
    }
    table.remove_if_empty("CYCLE");
    if !comparison.changed_expected.is_empty() {
        section(&mut lines, "CHANGED EXPECTATIONS", table.lines(terminal), terminal);
    }
    add_notes(&mut lines, &comparison.forecast, terminal);
    lines
}

impl Args {
    /// Return the line that says of what this is a forecast.
    fn headline(&self, forecast: &Forecast, context: &ViewContext) -> String {
        let Forecast { draws, past_runs, past_cycles, .. } = forecast;
        let from = self.at.map(|date| format!(" from {date}")).unwrap_or_default();
        let until = match self.until {
            Some(_) => format!("until {}", times::minute(forecast.until, &context.now)),
            None => format!("for {} hours", start::USUAL_HOURS),
        };
        format!(
            "forecast{from} {until}: {draws} simulated futures, drawn from {past_runs} runs of {past_cycles} cycles or days"
        )
    }
}

fn section(lines: &mut Vec<String>, heading: &str, table: Vec<String>, terminal: &Terminal) {
    // Headings alone are no table.
    if table.len() > 1 {
        lines.push(String::new());
        lines.push(terminal.paint(heading, Tone::Strong));
        lines.extend(table);
    }
}

fn run_table(runs: &[RunForecast], context: &ViewContext) -> Table {
    let mut table =
        Table::new(&["RUN", "CYCLE", "STATE", "BEGIN", "END", "PROBABILITY", "FAILS", "DECIDED BY"]);
    for run in runs {
        let (state, tone) = match run.state {
            OpenState::Running => ("running", Tone::Active),
            OpenState::Pending => ("pending", Tone::Plain),
            OpenState::ToCome => ("", Tone::Plain),
        };
        // Its own name stands at the beginning of the row.
        let before = run.path.split_last().map(|(_, before)| before.join(" → ")).unwrap_or_default();
        table.row([
            run_name(&run.worker, &run.args, &run.host, run.attempt, run.number).into(),
            run.cycle.clone().unwrap_or_default().into(),
            Cell::new(state, tone),
            begin_text(run, context).into(),
            end_text(run, context).into(),
            percent_unless(run.probability, 1.0).into(),
            percent_unless(run.fails, 0.0).into(),
            Cell::new(before, Tone::Dim),
        ]);
    }
    for heading in ["CYCLE", "STATE", "PROBABILITY", "FAILS"] {
        table.remove_if_empty(heading);
    }
    table
}

/// A run as `make_plots forecast on arbutus (attempt 2) #8812`.
fn run_name(worker: &str, args: &[String], host: &str, attempt: u32, number: Option<u64>) -> String {
    let mut name = worker.to_owned();
    if !args.is_empty() {
        name = format!("{name} {}", shell_words::joined(args));
    }
    if host != LOCALHOST {
        name = format!("{name} on {host}");
    }
    if attempt > 1 {
        name = format!("{name} (attempt {attempt})");
    }
    number.map_or(name.clone(), |number| format!("#{number} {name}"))
}

fn begin_text(run: &RunForecast, context: &ViewContext) -> String {
    match (&run.begin, &run.blocked_by) {
        (Some(begin), _) => range_text(begin, context),
        (None, Some(blocked_by)) => format!("blocked by {blocked_by}"),
        (None, None) => "later".to_owned(),
    }
}

fn end_text(run: &RunForecast, context: &ViewContext) -> String {
    match (run.unknown, &run.end) {
        (Some(unknown), _) => unknown_text(unknown).to_owned(),
        (None, Some(end)) => range_text(end, context),
        (None, None) if run.begin.is_none() => String::new(),
        (None, None) => "later".to_owned(),
    }
}

fn unknown_text(unknown: UnknownEnd) -> &'static str {
    match unknown {
        UnknownEnd::NoHistory => "no history",
        UnknownEnd::LongerThanEver => "longer than ever seen",
    }
}

/// A time as `06:42 (06:35 to 06:58)`, or `06:42` if it is certain to the minute.
fn range_text(range: &TimeRange, context: &ViewContext) -> String {
    let minute = |time: Timestamp| times::minute(time, &context.now);
    let (p10, median, p90) = (minute(range.p10), minute(range.median), minute(range.p90));
    if p10 == p90 { median } else { format!("{median} ({p10} to {p90})") }
}

fn expected_table(expected: &[ExpectationForecast], context: &ViewContext) -> Table {
    let mut table = Table::new(&["MESSAGE", "CYCLE", "DUE", "EXPECTED", "LATE", "DECIDED BY"]);
    for message in expected {
        let tone = message.late.map_or(Tone::Plain, |late| if late >= 0.5 { Tone::Bad } else { Tone::Plain });
        table.row([
            format!("{} ({})", message.worker, message.r#type).into(),
            message.cycle.clone().unwrap_or_default().into(),
            times::minute(message.deadline, &context.now).into(),
            message_text(message.time.as_ref(), message.late, context).into(),
            Cell::new(message.late.map_or_else(|| "unknown".to_owned(), percent), tone),
            Cell::new(message.path.join(" → "), Tone::Dim),
        ]);
    }
    table.remove_if_empty("CYCLE");
    table
}

fn message_text(time: Option<&TimeRange>, late: Option<f64>, context: &ViewContext) -> String {
    let absent = if late.is_none() { "unknown" } else { "does not come" };
    time.map_or_else(|| absent.to_owned(), |time| range_text(time, context))
}

fn changed_run(change: &RunChange, context: &ViewContext) -> [Cell; 6] {
    let RunChange { before, after, .. } = change;
    let of = |text: &dyn Fn(&RunTimes) -> String| {
        let text = |times: &Option<RunTimes>| times.as_ref().map_or_else(String::new, text);
        changed_text(&text(before), &text(after))
    };
    let range =
        |range: Option<TimeRange>| range.map_or_else(String::new, |range| range_text(&range, context));
    let probability = |times: &Option<RunTimes>| times.map_or(0.0, |times| times.probability);
    let is_certain = probability(before) >= 1.0 && probability(after) >= 1.0;
    let probabilities = if is_certain {
        String::new()
    } else {
        changed_text(&percent(probability(before)), &percent(probability(after)))
    };
    [
        run_name(&change.worker, &change.args, &change.host, change.attempt, None).into(),
        change.cycle.clone().unwrap_or_default().into(),
        probabilities.into(),
        of(&|times| range(times.begin)).into(),
        of(&|times| {
            times.unknown.map_or_else(|| range(times.end), |unknown| unknown_text(unknown).to_owned())
        })
        .into(),
        {
            let fails = of(&|times| percent(times.fails));
            if fails == percent(0.0) { String::new() } else { fails }.into()
        },
    ]
}

fn changed_message(change: &ExpectationChange, context: &ViewContext) -> [Cell; 5] {
    let (before, after) = (&change.before, &change.after);
    let late = |late: Option<f64>| late.map_or_else(|| "unknown".to_owned(), percent);
    [
        format!("{} ({})", change.worker, change.r#type).into(),
        change.cycle.clone().unwrap_or_default().into(),
        times::minute(change.deadline, &context.now).into(),
        changed_text(
            &message_text(before.time.as_ref(), before.late, context),
            &message_text(after.time.as_ref(), after.late, context),
        )
        .into(),
        changed_text(&late(before.late), &late(after.late)).into(),
    ]
}

/// Both texts if they differ.
fn changed_text(before: &str, after: &str) -> String {
    match (before, after) {
        _ if before == after => after.to_owned(),
        ("", after) => after.to_owned(),
        (before, "") => before.to_owned(),
        (before, after) => format!("{before} → {after}"),
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 1.0 => "under 1 %".to_owned(),
        percent if percent > 99.0 && percent < 100.0 => "over 99 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

fn percent_unless(share: f64, usual: f64) -> String {
    // Both are counts divided by the same number, so equal ones are the same.
    if (share - usual).abs() < f64::EPSILON { String::new() } else { percent(share) }
}

fn add_notes(lines: &mut Vec<String>, forecast: &Forecast, terminal: &Terminal) {
    let mut notes = Vec::new();
    if forecast.is_cut_short {
        notes.push(format!(
            "there was time for {} simulated futures only; --until with an earlier time makes each one shorter",
            forecast.draws
        ));
    }
    if forecast.endless > 0.0 {
        notes.push(format!(
            "{} of the futures end early since they have too many events: do rules launch one another without end?",
            percent(forecast.endless)
        ));
    }
    for rule in &forecast.failed_rules {
        let reason = rule.reason.lines().next().unwrap_or_default();
        notes.push(format!(
            "the rule of {} fails in {} of the futures, and what follows is unknown: {reason}",
            rule.message,
            percent(rule.probability)
        ));
    }
    if !notes.is_empty() {
        lines.push(String::new());
        lines.push(terminal.paint("NOTES", Tone::Strong));
        lines.extend(notes.iter().flat_map(|note| terminal.wrap(note, 2)));
    }
}
