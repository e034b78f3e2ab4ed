//! `nowcast why NUMBER|WORKER`: why something happened or did not, and the commands that help.

mod causes;
mod gather;
mod page;
mod why_not;

use std::fmt::Write as _;
use std::process::ExitCode;

use super::operate::{self, CommonOptions};
use super::print;
use crate::view::hint::Hint;
use page::Page;
use why_not::WhyNot;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Number of a run, message or another event, or name of a worker
    #[arg(value_name = "NUMBER|WORKER")]
    what: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        if let Ok(number) = operate::number(&args.what) {
            let page = Page::of(number, context)?;
            return Ok(if args.common.json {
                print::json(&page)
            } else {
                print::page(&page.to_text(context))
            });
        }
        let answer = WhyNot::of(&args.what, context)?;
        Ok(if args.common.json { print::json(&answer) } else { print::page(&answer.to_text(context)) })
    })
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
