//! `nowcast why WHAT`: why something ran, or why it did not, and what helps.

mod causes;
mod page;
mod why_not;

use std::fmt::Write as _;
use std::process::ExitCode;

use super::operate::{self, Common};
use super::print;
use page::Page;
use why_not::WhyNot;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// A number that nowcast shows (8812), or the name of a worker
    what: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.look(|look| {
        if let Ok(number) = operate::number(&args.what) {
            let page = Page::of(number, look)?;
            return Ok(if args.common.json { print::json(&page) } else { print::text(&page.to_text(look)) });
        }
        let answer = WhyNot::of(&args.what, look)?;
        Ok(if args.common.json { print::json(&answer) } else { print::text(&answer.to_text(look)) })
    })
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
