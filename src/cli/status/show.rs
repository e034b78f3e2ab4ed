//! Lays out the system as text: attention first, then running, waiting and scheduled work. It never reads the journal,
//! and never decides what needs attention.

use std::fmt::Write as _;

use jiff::{SignedDuration, ZonedDateTime};
use unicode_width::UnicodeWidthStr;

use crate::cli::cycles::to_come;
use crate::cli::states::{cycle_glyph_and_tone, state_cell};
use crate::cli::table::{Cell, Table, rest};
use crate::cli::terminal::{Terminal, Tone};
use crate::cli::times;
use crate::view::attention::{Attention, AttentionKind, waiting_for};
use crate::view::cycle::CycleView;
use crate::view::daemons::DaemonState;
use crate::view::expected::ExpectedView;
use crate::view::failures::acknowledged_by;
use crate::view::hint::Hint;
use crate::view::run::{RunStatus, RunView, arguments};
use crate::view::system::{ClockSetView, Health, HoldView, JoinView, PendingView, RunningView, SystemView};
use nowcast_core::clock::describe_step;

/// The time ahead for which the schedule is shown.
const SOON: SignedDuration = SignedDuration::from_hours(12);

/// The maximum number of entries of the schedule; `--json` has all.
const MOST_SCHEDULED: usize = 10;

/// The maximum number of rows of one kind; `--json` has all.
const MOST_ROWS: usize = 20;

/// The indent of lines below a row.
const INDENT: usize = 11;

/// The maximum number of lines of a reason below its row.
const REASON_LINES: usize = 2;

/// A page for a terminal, with times in the time zone of `now`.
pub(super) struct StatusPage<'a> {
    pub now: &'a ZonedDateTime,
    pub terminal: &'a Terminal,
}

/// A row, the text after or below it, and the commands that help.
#[derive(Default)]
struct StatusRow {
    cells: Vec<Cell>,
    text: String,
    /// The last line of the output.
    output: Option<String>,
    hints: Vec<Hint>,
}

impl StatusPage<'_> {
    /// Return the lines of the page.
    pub(super) fn lines(&self, view: &SystemView) -> Vec<String> {
        let mut lines = vec![self.header(view)];
        let replaced = view.daemons.all.iter().filter(|daemon| daemon.state == DaemonState::Replaced);
        if !view.attention.iter().any(|item| item.kind == AttentionKind::Daemon) {
            let notes =
                replaced.filter_map(|daemon| Some(format!("{}: {}", daemon.name, daemon.reason.as_ref()?)));
            lines.extend(notes.flat_map(|note| self.terminal.wrap(&note, 2)));
        }
        if let Some(ClockSetView { from, to, .. }) = &view.clock_set {
            let note = format!("clock: {}", describe_step(*from, *to, self.now.time_zone()));
            lines.extend(self.terminal.wrap(&note, 2));
        }
        let attention: Vec<StatusRow> =
            view.attention.iter().take(MOST_ROWS).map(|item| self.attention(item)).collect();
        lines.extend(self.entries(attention));
        lines.extend(self.rest(view.attention.len(), "nowcast status --json"));
        lines.extend(self.entries(view.cycles.iter().map(cycle_row).collect()));
        if view.more_cycles > 0 {
            lines.push(self.terminal.letters(&format!("  … and {} more: nowcast cycles", view.more_cycles)));
        }
        lines.extend(self.running(&view.running));
        let mut waiting: Vec<StatusRow> =
            view.joins.iter().take(MOST_ROWS).map(|join| self.join(join)).collect();
        waiting.extend(view.holds.iter().map(|hold| self.hold(hold)));
        waiting.extend(view.pending.iter().take(MOST_ROWS).map(|pending| self.pending(pending)));
        lines.extend(self.entries(waiting));
        lines.extend(self.rest(view.joins.len(), "nowcast status --json"));
        lines.extend(self.rest(view.pending.len(), "nowcast runs --open -n 100"));
        lines.extend(self.expected(view));
        lines.extend(self.next(view));
        lines
    }

    fn header(&self, view: &SystemView) -> String {
        let tone = match view.state {
            Health::Healthy => Tone::Good,
            Health::Degraded => Tone::Warning,
            Health::Down => Tone::Bad,
        };
        let time = self.now.strftime("%H:%M").to_string();
        let mut rest = vec![
            format!("{}/{} daemons", view.daemons.up(), view.daemons.all.len()),
            format!("rules {}", view.rules_generation),
        ];
        match view.unacknowledged() {
            0 => {}
            count => rest.push(format!("{count} attention")),
        }
        let name = self.terminal.letters(&view.name);
        let state = view.state.word();
        let length = |rest: &[String]| {
            name.width()
                + 3
                + state.len()
                + rest.iter().map(|part| part.len() + 3).sum::<usize>()
                + 3
                + time.len()
        };
        let width = self.terminal.width.unwrap_or_else(|| length(&rest));
        while !rest.is_empty() && length(&rest) > width {
            rest.pop();
        }
        let name = self.terminal.cut(&name, width.saturating_sub(state.len() + time.len() + 6));
        let blanks = " ".repeat(width.saturating_sub(length(&rest)) + 3);
        let rest: String = rest.iter().flat_map(|part| ["   ", part]).collect();
        let (name, state) = (self.terminal.paint(&name, Tone::Strong), self.terminal.paint(state, tone));
        format!("{name}   {state}{rest}{blanks}{time}")
    }

    fn attention(&self, item: &Attention) -> StatusRow {
        let (glyph, tone) = match item.kind {
            AttentionKind::Daemon
            | AttentionKind::Journal
            | AttentionKind::Restored
            | AttentionKind::Rules
            | AttentionKind::Failed => ("✖", Tone::Bad),
            AttentionKind::Message | AttentionKind::Launches | AttentionKind::Conflict => {
                ("⚑", Tone::Warning)
            }
            AttentionKind::Contact => ("⌁", Tone::Warning),
            AttentionKind::Late => ("⏰", Tone::Bad),
            AttentionKind::AtRisk => ("⏰", Tone::Warning),
            AttentionKind::Slow => ("⧗", Tone::Warning),
            AttentionKind::Join => ("⋈", Tone::Waiting),
        };
        let tone = if item.acknowledged.is_some() { Tone::Dim } else { tone };
        let count = match item.numbers.len() {
            0 | 1 => String::new(),
            count => format!(" ×{count}"),
        };
        let mut text = item.reason.clone();
        if let Some(run) = item.retried_by {
            let _ = write!(text, "; retried as #{run}");
        }
        if let Some(due) = item.due.filter(|_| item.kind == AttentionKind::Join) {
            let _ = write!(text, "; overdue at {}", times::minute(due, self.now));
        }
        if let Some(acknowledged) = &item.acknowledged {
            let _ = write!(text, "; {}", acknowledged_by(acknowledged, self.now));
        }
        if let Some(last) = item.last_received {
            let _ = write!(text, "; the last one came {}", times::minute(last, self.now));
        }
        StatusRow {
            cells: vec![
                Cell::new(format!("{glyph} {}", item.kind.word()), tone),
                item.number.map(|number| format!("#{number}")).unwrap_or_default().into(),
                Cell::new(format!("{}{count}", item.subject), Tone::Strong),
                item.since.map(|since| times::minute(since, self.now)).unwrap_or_default().into(),
            ],
            text,
            output: item.output.last().filter(|_| item.acknowledged.is_none()).cloned(),
            hints: item.hints.clone(),
        }
    }

    fn running(&self, running: &[RunningView]) -> Vec<String> {
        let mut table = Table::indented(0);
        let more = table.rows(running, "nowcast runs --open -n 100", |running| {
            let run = &running.run;
            let usual = running.usual_seconds.map(SignedDuration::from_secs_f64);
            let usual_text = usual.map(|usual| format!(" of ~{}", times::span(usual))).unwrap_or_default();
            let elapsed = run.elapsed().map(times::span).unwrap_or_default();
            [
                state_cell(run.state),
                format!("#{}", run.number).into(),
                Cell::new(worker(run), Tone::Strong),
                run.cycle.clone().unwrap_or_default().into(),
                run.host.clone().into(),
                format!("{elapsed}{usual_text}").into(),
                match (run.state, &run.stop_requested) {
                    (RunStatus::Stopping, Some(why)) => why.to_string(),
                    (RunStatus::Exited, _) => format!("{}; its report is awaited", run.description(self.now)),
                    _ => usual.map(|usual| bar(run.seconds, usual)).unwrap_or_default(),
                }
                .into(),
            ]
        });
        let mut lines = table.lines(self.terminal);
        lines.extend(more.map(|more| self.terminal.letters(&more)));
        lines
    }

    /// Return the line that replaces the rows over [`MOST_ROWS`].
    fn rest(&self, all: usize, help: &str) -> Option<String> {
        rest(all, help).map(|line| self.terminal.letters(&line))
    }

    fn join(&self, join: &JoinView) -> StatusRow {
        let requires: Vec<String> = join.requires.iter().map(ToString::to_string).collect();
        let mut text = waiting_for(&requires.join(", "), join.launches);
        if let Some(deadline) = join.deadline {
            let _ = write!(text, "; overdue at {}", times::minute(deadline, self.now));
        }
        let mut cells = row("⋈ JOIN", Tone::Waiting, join.number, &join.name);
        cells.push(join.cycle.clone().unwrap_or_default().into());
        StatusRow { cells, text, ..StatusRow::default() }
    }

    fn hold(&self, hold: &HoldView) -> StatusRow {
        let until = hold.until.map(|until| format!("until {}, ", times::minute(until, self.now)));
        let reason = hold.reason.as_ref().map(|reason| format!(" ({reason})"));
        StatusRow {
            cells: row("⏸ HOLD", Tone::Warning, hold.number, &hold.target),
            text: format!("{}by {}{}", until.unwrap_or_default(), hold.user, reason.unwrap_or_default()),
            hints: vec![Hint::new(format!("nowcast release {}", hold.number))],
            ..StatusRow::default()
        }
    }

    fn pending(&self, pending: &PendingView) -> StatusRow {
        let due = pending.run.due.filter(|due| *due > self.now.timestamp());
        let due = due.map(|due| format!("due {}", times::second(due, self.now)));
        let blocked = pending.blocked_by.as_ref().map(|by| format!("blocked by {by}"));
        let text: Vec<String> = due.into_iter().chain(blocked).collect();
        let text =
            if text.is_empty() { "the manager has not started it yet".to_owned() } else { text.join(", ") };
        let mut cells = row("◔ PENDING", Tone::Dim, pending.run.number, &pending.run.label());
        cells.push(pending.run.cycle.clone().unwrap_or_default().into());
        StatusRow { cells, text, ..StatusRow::default() }
    }

    /// Return the lines of the expected messages that need no attention.
    fn expected(&self, view: &SystemView) -> Vec<String> {
        let is_at_risk = |one: &ExpectedView| {
            let concerns = |item: &Attention| (&item.subject, item.due) == (&one.subject(), Some(one.due));
            view.attention.iter().any(|item| item.kind == AttentionKind::AtRisk && concerns(item))
        };
        let row = |one: &ExpectedView| StatusRow {
            cells: vec![Cell::new("⏰ EXPECTED", Tone::Dim), Cell::new(one.subject(), Tone::Strong)],
            text: one.describe(self.now),
            ..StatusRow::default()
        };
        let rows: Vec<StatusRow> = view.expected.iter().filter(|one| !is_at_risk(one)).map(row).collect();
        let count = rows.len();
        let mut lines = self.entries(rows.into_iter().take(MOST_ROWS).collect());
        lines.extend(self.rest(count, "nowcast status --json"));
        lines
    }

    /// Return the next entries of the schedule on one line, as many as fit.
    fn next(&self, view: &SystemView) -> Option<String> {
        let soon =
            view.schedule.iter().filter(|entry| entry.next.duration_since(self.now.timestamp()) <= SOON);
        let mut line = String::new();
        for entry in soon.take(MOST_SCHEDULED) {
            let args =
                if entry.args.is_empty() { String::new() } else { format!(" {}", arguments(&entry.args)) };
            let next = format!("{} {}{args}", times::minute(entry.next, self.now), entry.worker);
            let lead = if line.is_empty() { "NEXT  " } else { " · " };
            let longer = self.terminal.letters(&format!("{line}{lead}{next}"));
            if !line.is_empty() && self.terminal.width.is_some_and(|width| longer.width() > width) {
                break;
            }
            line = longer;
        }
        let cut = self.terminal.width.map_or(line.clone(), |width| self.terminal.cut(&line, width));
        Some(cut).filter(|line| !line.is_empty())
    }

    /// Return entries with aligned columns. A text that does not fit after its row goes below it.
    fn entries(&self, entries: Vec<StatusRow>) -> Vec<String> {
        let mut table = Table::indented(0);
        for entry in &entries {
            table.add(entry.cells.clone());
        }
        let rows = table.lines(self.terminal);
        let longest = rows.iter().map(|row| Terminal::width_of(row)).max().unwrap_or_default();
        let mut lines = Vec::new();
        for (row, entry) in rows.into_iter().zip(entries) {
            let text = self.terminal.letters(&entry.text);
            if self.terminal.width.is_none_or(|width| longest + 2 + text.width() <= width) {
                let blanks = " ".repeat(longest + 2 - Terminal::width_of(&row));
                lines.push(format!("{row}{blanks}{text}").trim_end().to_owned());
            } else {
                lines.push(row);
                lines.extend(self.below(&text));
            }
            lines.extend(entry.output.iter().flat_map(|line| self.below(&self.terminal.letters(line))));
            lines.extend(self.hints(&entry.hints));
        }
        lines
    }

    /// Return a text below a row.
    fn below(&self, text: &str) -> Vec<String> {
        let blanks = " ".repeat(INDENT);
        let mut lines = self.terminal.wrap(&format!("{blanks}{text}"), INDENT);
        if lines.len() > REASON_LINES {
            lines.truncate(REASON_LINES);
            if let (Some(last), Some(width)) = (lines.last_mut(), self.terminal.width) {
                *last = self.terminal.cut(&format!("{last}{}", " …".repeat(width)), width);
            }
        }
        lines
    }

    /// Return commands below a row, as many on a line as fit.
    fn hints(&self, hints: &[Hint]) -> Vec<String> {
        let blanks = " ".repeat(INDENT);
        let mut lines: Vec<String> = Vec::new();
        for hint in hints {
            let effect = hint.effect.as_ref().map(|effect| format!(" ({effect})")).unwrap_or_default();
            let text = self.terminal.letters(&format!("{}{effect}", hint.command));
            let joined = lines.last().map(|line| self.terminal.letters(&format!("{line} · {text}")));
            match joined.filter(|joined| self.terminal.width.is_none_or(|width| joined.width() <= width)) {
                Some(joined) => {
                    lines.pop();
                    lines.push(joined);
                }
                None => lines.push(self.terminal.letters(&format!("{blanks}→ {text}"))),
            }
        }
        lines.iter().flat_map(|line| self.terminal.wrap(line, INDENT + 2)).collect()
    }
}

fn row(kind: &str, tone: Tone, number: u64, subject: &str) -> Vec<Cell> {
    vec![Cell::new(kind, tone), format!("#{number}").into(), Cell::new(subject, Tone::Strong)]
}

/// Return a run's worker and arguments.
fn worker(run: &RunView) -> String {
    format!("{} {}", run.worker, arguments(&run.args)).trim_end().to_owned()
}

/// Draw how much of the usual time has passed, to the nearest tenth.
fn bar(seconds: Option<f64>, usual: SignedDuration) -> String {
    const CELLS: u8 = 10;
    let part = seconds.unwrap_or_default() / usual.as_secs_f64().max(1.0);
    let is_full = |cell: &u8| f64::from(*cell) - 0.5 <= part * f64::from(CELLS);
    let full = (1..=CELLS).filter(is_full).count();
    format!("{}{}", "█".repeat(full), "░".repeat(usize::from(CELLS) - full))
}

fn cycle_row(view: &CycleView) -> StatusRow {
    let (glyph, tone) = cycle_glyph_and_tone(view.state);
    let missing = to_come(&view.to_come);
    let missing = if missing.is_empty() { missing } else { format!("to come: {missing}") };
    let parts = [view.runs.to_string(), missing];
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    let cells = vec![
        Cell::new(format!("{glyph} CYCLE"), tone),
        Cell::new(view.cycle.to_string(), Tone::Strong),
        view.state.word().into(),
    ];
    StatusRow { cells, text, ..StatusRow::default() }
}
