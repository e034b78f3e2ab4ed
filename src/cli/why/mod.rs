//! `nowcast why WHAT`: why something ran, or why it did not, and what helps.

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

/// Of a long list the lines from its beginning and from its end that people are shown.
const FIRST: usize = 20;
const LAST: usize = 5;

/// A list as people are shown it; JSON has all of it.
fn few(lines: &[String]) -> Vec<String> {
    match lines.len().checked_sub(FIRST + LAST).filter(|more| *more > 1) {
        None => lines.to_vec(),
        Some(more) => {
            let more = format!("… and {more} more, which --json shows");
            [&lines[..FIRST], &[more], &lines[lines.len() - LAST..]].concat()
        }
    }
}

/// Commands and what they do, one a line.
fn hint_lines(hints: &[Hint]) -> Vec<String> {
    let line = |hint: &Hint| match &hint.effect {
        Some(effect) => format!("{}  {effect}", hint.command),
        None => hint.command.clone(),
    };
    hints.iter().map(line).collect()
}

/// A headline and lines below it, set in.
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
    fn of_a_long_list_the_middle_is_left_out() {
        let lines = |count: usize| (1..=count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(super::few(&lines(26)), lines(26));
        let few = super::few(&lines(5_000));
        assert_eq!(few.len(), 26);
        assert_eq!(few[19..22], ["20", "… and 4975 more, which --json shows", "4996"]);
    }
}
