//! `nowcast cycle`: shows a cycle, and cancels, resumes or skips one.

use std::process::ExitCode;

use serde::Serialize;

use super::operate::CommonOptions;
use super::read_only::ViewContext;
use super::states::glyph_and_tone;
use super::table::{Cell, Table};
use super::terminal::{Terminal, Tone};
use super::{cycle_option, print, times};
use crate::view::cycle::{CycleState, CycleView, CycleViews, OpenItemView, ToCome};
use crate::view::cycle_tree::{CycleJoin, CycleNode, CycleTree};
use crate::view::hint::Hint;
use crate::view::run::{RunStatus, RunView};
use nowcast_core::join_identity::JoinEnd;
use nowcast_core::{Command, Cycle};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    common: CommonOptions,
    /// Cycle to show
    #[arg(value_name = "ID", value_parser = cycle_option::label, required = true)]
    cycle: Option<Cycle>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Show a cycle, also one whose name is that of another command
    Show(CycleArgs),
    /// Stop the runs of a cycle, discard its pending launches and joins, and park its later launches
    Cancel(ReasonArgs),
    /// Continue a cancelled or skipped cycle: launch what was parked
    Resume(CycleArgs),
    /// Free the slots of a cycle that will never be done; its runs continue
    Skip(ReasonArgs),
}

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct CycleArgs {
    #[command(flatten)]
    common: CommonOptions,
    /// Cycle
    #[arg(value_name = "ID", value_parser = cycle_option::label)]
    cycle: Cycle,
}

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
struct ReasonArgs {
    #[command(flatten)]
    about: CycleArgs,
    /// Reason, kept in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match (args.action.clone(), &args.cycle) {
        (Some(Action::Show(CycleArgs { common, cycle })), _) => show(&common, &cycle),
        (Some(Action::Cancel(ReasonArgs { about: CycleArgs { common, cycle }, reason })), _) => {
            common.ask(Command::CancelCycle { cycle, reason })
        }
        (Some(Action::Resume(CycleArgs { common, cycle })), _) => common.ask(Command::ResumeCycle { cycle }),
        (Some(Action::Skip(ReasonArgs { about: CycleArgs { common, cycle }, reason })), _) => {
            common.ask(Command::SkipCycle { cycle, reason })
        }
        (None, Some(cycle)) => show(&args.common, cycle),
        // clap requires one of them.
        (None, None) => ExitCode::from(super::USAGE),
    }
}

/// Everything about a cycle. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct CyclePage {
    #[serde(flatten)]
    view: CycleView,
    tree: CycleTree,
}

fn show(common: &CommonOptions, cycle: &Cycle) -> ExitCode {
    common.view(|context| {
        let open = context.history.open_now()?;
        let views = CycleViews::new(context, &open, context.history.cycles_now()?);
        let view = known(&views, cycle)?;
        let Some(kept) = views.state().cycles.get(cycle) else { return Ok(ExitCode::FAILURE) };
        let page = CyclePage { tree: CycleTree::of(cycle, kept, &views, context)?, view };
        if common.json {
            return Ok(print::json(&page));
        }
        Ok(print::lines(&page.lines(context, &Terminal::of_stdout())))
    })
}

/// Return the view of a cycle, or the reason why there is none.
pub(super) fn known(views: &CycleViews<'_>, cycle: &Cycle) -> anyhow::Result<CycleView> {
    match views.view(cycle)? {
        Some(view) => Ok(view),
        None if views.state().cycles.is_forgotten(cycle) => anyhow::bail!(
            "cycle {cycle} was forgotten (`cycles: keep:`, or too many cycles or messages); \"nowcast runs --cycle {cycle}\" lists its runs"
        ),
        None => anyhow::bail!("there is no cycle {cycle}; \"nowcast cycles\" lists cycles"),
    }
}

/// Return the line that describes a cycle.
pub(super) fn headline(view: &CycleView, context: &ViewContext) -> String {
    let state = match &view.note {
        Some(note) if view.state == CycleState::Cancelled => note.clone(),
        Some(note) => format!("{}, {note}", view.state.word()),
        None => view.state.word().to_owned(),
    };
    let runs = view.runs.to_string();
    let runs = if runs.is_empty() { String::new() } else { format!("; {runs}") };
    format!(
        "cycle {}: {state}; begun {}, last event {}{runs}",
        view.cycle,
        times::second(view.begun, &context.now),
        times::second(view.last, &context.now)
    )
}

/// Return what is open, one item a line.
pub(super) fn open_lines(view: &CycleView) -> Vec<String> {
    let line = |item: &OpenItemView| format!("#{} {}", item.number, item.text);
    view.open.iter().map(line).collect()
}

/// Return what is still to come, one message a line.
pub(super) fn to_come_lines(view: &CycleView, context: &ViewContext) -> Vec<String> {
    let line = |message: &ToCome| message.describe(|due| times::minute(due, &context.now));
    view.to_come.iter().map(line).collect()
}

impl CyclePage {
    fn lines(&self, context: &ViewContext, terminal: &Terminal) -> Vec<String> {
        let text = headline(&self.view, context);
        let mut lines = terminal.wrap(&text, 2);
        let mut tree = Table::indented(2);
        add_nodes(&self.tree.nodes, 0, context, &mut tree);
        section(&mut lines, "RUNS", tree.lines(terminal));
        if self.tree.left_out > 0 {
            let more = self.tree.left_out;
            lines.push(
                terminal.letters(&format!("  … and {more} more: nowcast runs --cycle {}", self.view.cycle)),
            );
        }
        section(&mut lines, "OPEN", indented(open_lines(&self.view), terminal));
        section(&mut lines, "TO COME", indented(to_come_lines(&self.view, context), terminal));
        let hint = |hint: &Hint| match &hint.effect {
            Some(effect) => format!("{}  {effect}", hint.command),
            None => hint.command.clone(),
        };
        section(&mut lines, "TRY", indented(self.view.hints.iter().map(hint).collect(), terminal));
        lines
    }
}

/// The lines of a list that people see; JSON has all.
const MOST_LINES: usize = 50;

/// Return the lines below a heading, at most some of them.
pub(super) fn indented(lines: Vec<String>, terminal: &Terminal) -> Vec<String> {
    shortened(lines).iter().flat_map(|line| terminal.wrap(&format!("  {line}"), 4)).collect()
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        lines.truncate(MOST_LINES);
        lines.push(format!("… and {more} more; --json shows all"));
    }
    lines
}

pub(super) fn section(lines: &mut Vec<String>, heading: &str, below: Vec<String>) {
    if !below.is_empty() {
        lines.push(heading.to_owned());
        lines.extend(below);
    }
}

fn add_nodes(nodes: &[CycleNode], level: usize, context: &ViewContext, table: &mut Table) {
    let indent = "  ".repeat(level);
    for node in nodes {
        if let Some(run) = &node.run {
            table.row(run_row(run, &indent, context));
        }
        if let Some(join) = &node.join {
            table.row(join_row(join, &indent, context));
        }
        add_nodes(&node.children, level + 1, context, table);
        if node.left_out > 0 {
            table.row([format!("{indent}  … and {} more below it", node.left_out)]);
        }
    }
}

fn run_row(run: &RunView, indent: &str, context: &ViewContext) -> [Cell; 5] {
    let (glyph, tone) = glyph_and_tone(run.state);
    let ending = run.ending.clone().filter(|_| run.state != RunStatus::Succeeded);
    [
        Cell::new(format!("{indent}{glyph} #{} {}", run.number, run.label()), tone),
        run.state.word().into(),
        run.started.map(|at| times::second(at, &context.now)).unwrap_or_default().into(),
        run.elapsed().map(times::span).unwrap_or_default().into(),
        ending.unwrap_or_default().into(),
    ]
}

fn join_row(join: &CycleJoin, indent: &str, context: &ViewContext) -> [Cell; 5] {
    let (word, note) = match join.end {
        None => ("waiting", format!("needs {}", join.requires)),
        Some(JoinEnd::Completed) => ("complete", String::new()),
        Some(JoinEnd::Released) => ("released", String::new()),
        Some(JoinEnd::TimedOut) => ("overdue", format!("needed {}", join.requires)),
        Some(JoinEnd::Discarded) => ("discarded", format!("needed {}", join.requires)),
        Some(JoinEnd::Cancelled) => ("cancelled", format!("needed {}", join.requires)),
    };
    let span = join.opened.zip(join.ended).map(|(opened, ended)| times::span(ended.duration_since(opened)));
    [
        Cell::new(format!("{indent}⋈ #{} join {}", join.number, join.name), Tone::Waiting),
        word.into(),
        join.opened.map(|at| times::second(at, &context.now)).unwrap_or_default().into(),
        span.unwrap_or_default().into(),
        note.into(),
    ]
}
