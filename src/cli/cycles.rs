//! The option `--cycle` of operators' commands, and the question for it.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use super::operate::CommonOptions;
use super::{USAGE, print};
use crate::config::Config;
use crate::store::History;
use nowcast_core::{Cycle, CycleOption};

/// The most open cycles that a question names.
const NAMED: usize = 10;

/// Read a label.
pub(super) fn label(text: &str) -> Result<Cycle, String> {
    Cycle::parse(text).map_err(|error| error.to_string())
}

/// Read a label or `none`.
pub(super) fn option(text: &str) -> Result<CycleOption, String> {
    if text == "none" { Ok(CycleOption::None) } else { label(text).map(CycleOption::Label) }
}

/// Return the cycle that was given. If none was and a cycle is open, ask for it, or refuse where there is no terminal; a launch
/// in the wrong cycle is hard to take back.
pub(super) fn chosen(
    given: Option<&CycleOption>,
    common: &CommonOptions,
) -> Result<Option<CycleOption>, ExitCode> {
    if given.is_some() {
        return Ok(given.cloned());
    }
    let open = open_cycles(&common.load()?);
    if open.is_empty() {
        return Ok(None);
    }
    let named: Vec<String> = open.iter().rev().take(NAMED).map(Cycle::to_string).collect();
    let named = named.join(", ");
    if common.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        print::complain(&format!("name the cycle with --cycle ID, or --cycle none; open cycles: {named}"));
        return Err(ExitCode::from(USAGE));
    }
    ask(&named).map(Some)
}

fn ask(named: &str) -> Result<CycleOption, ExitCode> {
    loop {
        // Without the question, the answer is as good.
        let _ = write!(std::io::stderr(), "Cycle, or none (open: {named}): ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
            return Err(ExitCode::from(USAGE));
        }
        match option(line.trim()) {
            Ok(cycle) => return Ok(cycle),
            Err(error) => print::complain(&error),
        }
    }
}

/// Return the cycles of the open runs and joins. A system without a journal has none.
fn open_cycles(config: &Config) -> BTreeSet<Cycle> {
    let open = History::open(&config.journal.folder).and_then(|history| history.open_now());
    let Ok(open) = open else { return BTreeSet::new() };
    let of_runs = open.runs.into_iter().filter_map(|run| run.cycle);
    of_runs.chain(open.joins.into_iter().filter_map(|join| join.cycle)).collect()
}
