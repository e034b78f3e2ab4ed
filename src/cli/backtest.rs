//! `nowcast forecast --backtest`: shows how good forecasts of the past would have been.

use jiff::SignedDuration;

use super::read_only::ViewContext;
use super::table::Table;
use super::terminal::{Terminal, Tone};
use super::times;
use crate::forecast::backtest::{EndRow, LaunchScore};
use crate::forecast::{Backtest, Draws, backtest};

/// Make the forecasts of a span of the past.
pub(super) fn make(context: &ViewContext, span: SignedDuration, draws: Draws) -> anyhow::Result<Backtest> {
    Ok(backtest(&context.config, &context.history, &context.time, span, draws)?)
}

/// The whole result.
pub(super) fn lines(
    result: &Backtest,
    draws: Draws,
    context: &ViewContext,
    terminal: &Terminal,
) -> Vec<String> {
    let mut lines = terminal.wrap(&headline(result, draws, context), 2);
    if result.forecasts == 0 {
        return lines;
    }
    let mut table = Table::new(&["LAUNCHES", "HAPPENED", "PREDICTED", "BOTH", "RECALL", "PRECISION"]);
    for (name, score) in [("with the real ends", &result.with_real_ends), ("of the cycle", &result.free)] {
        table.row(launches(name, score));
    }
    section(&mut lines, None, table.lines(terminal), terminal);
    let differences: Vec<String> = result
        .differences
        .iter()
        .flat_map(|difference| terminal.wrap(&format!("  {difference}"), 4))
        .collect();
    section(&mut lines, Some("DIFFERENT WITH THE REAL ENDS"), differences, terminal);
    let mut table = Table::new(&["ENDS", "LEAD TIME", "ENDS", "IN RANGE", "ERROR", "OF MEDIANS"]);
    for row in &result.ends {
        table.row(ends(row));
    }
    section(&mut lines, None, table.lines(terminal), terminal);
    let mut table = Table::new(&["RUNNING FOR", "ENDS", "IN RANGE"]);
    for row in &result.running {
        let group = row.group.unwrap_or("all").to_owned();
        table.row([group, row.score.ends.to_string(), percent(row.coverage)]);
    }
    section(&mut lines, None, table.lines(terminal), terminal);
    let lateness = result.lateness;
    if lateness.deadlines > 0 {
        lines.push(String::new());
        lines.push(format!(
            "{} of {} expected messages were late: Brier score {:.3}, that of the base rate {:.3}",
            lateness.late, lateness.deadlines, lateness.brier, lateness.brier_of_base_rate
        ));
    }
    lines
}

fn headline(result: &Backtest, draws: Draws, context: &ViewContext) -> String {
    let left_out = match result.left_out {
        0 => String::new(),
        count => format!("; {count} cycles are left out"),
    };
    let present = match result.with_present_configuration {
        0 => String::new(),
        count if count == result.forecasts => "; the configuration is the present one".to_owned(),
        count => format!("; the configuration of {count} is the present one"),
    };
    match result.from {
        None => format!("no cycle began in this time{left_out}"),
        Some(from) => format!(
            "backtest since {}: {} forecasts of 24 h, each from the beginning of a cycle, with {} simulated \
             futures{present}{left_out}",
            times::minute(from, &context.now),
            result.forecasts,
            draws.count
        ),
    }
}

fn launches(name: &str, score: &LaunchScore) -> [String; 6] {
    [
        name.to_owned(),
        score.happened.to_string(),
        score.predicted.to_string(),
        score.both.to_string(),
        percent(score.recall),
        percent(score.precision),
    ]
}

fn ends(row: &EndRow) -> [String; 6] {
    let span = |seconds: Option<f64>| {
        seconds.map_or_else(String::new, |seconds| times::span(SignedDuration::from_secs_f64(seconds)))
    };
    [
        row.worker.clone().unwrap_or_else(|| "all".to_owned()),
        row.group.unwrap_or_default().to_owned(),
        row.score.ends.to_string(),
        percent(row.coverage),
        span(row.crps_seconds),
        span(row.medians_seconds),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn section(lines: &mut Vec<String>, heading: Option<&str>, body: Vec<String>, terminal: &Terminal) {
    if !body.is_empty() {
        lines.push(String::new());
        lines.extend(heading.map(|heading| terminal.paint(heading, Tone::Strong)));
        lines.extend(body);
    }
}
