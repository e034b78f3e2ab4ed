//! `nowcast why NUMBER|WORKER`: why something happened or did not, and the commands that help.

mod causes;
mod gather;
mod page;
mod reason;
mod upstream;
mod why_not;

use std::fmt::Write as _;
use std::process::ExitCode;

use super::cycle::{headline, known, open_lines, to_come_lines};
use super::operate::{self, CommonOptions};
use super::read_only::ViewContext;
use super::{cycle_option, print};
use crate::view::cycle::CycleViews;
use crate::view::hint::Hint;
use nowcast_core::Cycle;
use page::Page;
use why_not::WhyNot;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Explain what keeps this cycle from being done
    #[arg(long, value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
    /// Number of a run, message or another event, or name of a worker
    #[arg(value_name = "NUMBER|WORKER", required_unless_present = "cycle", conflicts_with = "cycle")]
    what: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        if let Some(cycle) = &args.cycle {
            return why_cycle(cycle, args.common.json, context);
        }
        // Without a cycle, clap requires it.
        let what = args.what.as_deref().unwrap_or_default();
        if let Ok(number) = operate::number(what) {
            let page = Page::of(number, context)?;
            return Ok(if args.common.json {
                print::json(&page)
            } else {
                print::page(&page.to_text(context))
            });
        }
        let answer = WhyNot::of(what, context)?;
        Ok(if args.common.json { print::json(&answer) } else { print::page(&answer.to_text(context)) })
    })
}

/// Show what keeps a cycle from being done.
fn why_cycle(cycle: &Cycle, json: bool, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let open = context.history.open_now()?;
    let view = known(&CycleViews::new(context, &open, context.history.cycles_now()?), cycle)?;
    if json {
        return Ok(print::json(&view));
    }
    let mut text = format!("{}\n", headline(&view, context));
    section(&mut text, "BLOCKED BY", &shortened(&open_lines(&view)));
    section(&mut text, "TO COME", &shortened(&to_come_lines(&view, context)));
    section(&mut text, "TRY", &hint_lines(&view.hints));
    Ok(print::page(&text))
}

/// The numbers of lines of a long list that people see: from its beginning, and from its end.
const FIRST: usize = 20;
const LAST: usize = 5;

/// Return a list without its middle if it is long; JSON has the whole list.
fn shortened(lines: &[String]) -> Vec<String> {
    match lines.len().checked_sub(FIRST + LAST).filter(|more| *more > 1) {
        None => lines.to_vec(),
        Some(more) => {
            let more = format!("… and {more} more; --json shows all");
            [&lines[..FIRST], &[more], &lines[lines.len() - LAST..]].concat()
        }
    }
}

/// Return commands with their effects, one a line.
fn hint_lines(hints: &[Hint]) -> Vec<String> {
    let line = |hint: &Hint| match &hint.effect {
        Some(effect) => format!("{}  {effect}", hint.command),
        None => hint.command.clone(),
    };
    hints.iter().map(line).collect()
}

/// Append a heading and the lines below it, indented.
fn section(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(heading);
    text.push('\n');
    for line in lines.iter().flat_map(|line| line.lines()) {
        let _ = writeln!(text, "  {line}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_middle_of_a_long_list_is_left_out() {
        let lines = |count: usize| (1..=count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(super::shortened(&lines(26)), lines(26));
        let shortened = super::shortened(&lines(5_000));
        assert_eq!(shortened.len(), 26);
        assert_eq!(shortened[19..22], ["20", "… and 4975 more; --json shows all", "4996"]);
    }
}
