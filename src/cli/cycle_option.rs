//! The option `--cycle` of operators' commands, and the question for it.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use super::operate::CommonOptions;
use super::{USAGE, print};
use crate::config::Config;
use crate::store::{History, JournalError};
use nowcast_core::parked::ParkedItem;
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

/// Return the given cycle. Without one, ask for it while a cycle is open, or refuse if this is not a terminal: a launch in the wrong cycle
/// is hard to take back.
pub(super) fn chosen(
    given: Option<&CycleOption>,
    common: &CommonOptions,
) -> Result<Option<CycleOption>, ExitCode> {
    if given.is_some() {
        return Ok(given.cloned());
    }
    let open = open_cycles(&common.load()?).map_err(|error| {
        print::error(&error);
        ExitCode::FAILURE
    })?;
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

/// Return the cycles of the open runs and joins, and of what is parked. A system without a journal has none.
fn open_cycles(config: &Config) -> Result<BTreeSet<Cycle>, JournalError> {
    let open = match History::open(&config.journal.folder).and_then(|history| history.open_now()) {
        Err(JournalError::None { .. }) => return Ok(BTreeSet::new()),
        open => open?,
    };
    let of_parked = open.parked.into_iter().flat_map(|parked| match parked.item {
        ParkedItem::Message { cycle, .. } => vec![cycle],
        ParkedItem::Launches { launches, .. } => launches.into_iter().map(|launch| launch.cycle).collect(),
    });
    let of_runs = open.runs.into_iter().map(|run| run.cycle);
    let of_joins = open.joins.into_iter().map(|join| join.cycle);
    Ok(of_runs.chain(of_joins).chain(of_parked).flatten().collect())
}
