//! `nowcast rules deploy`: puts edited rules in force after all checks, or restores the previous rules. It never
//! changes a file before the checks have passed, unless `--force` is given.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;

use super::super::operate::CommonOptions;
use super::super::{confirm, print, times};
use super::replay;
use crate::config::Config;
use crate::rules::RuleSet;
use crate::store::{History, journal};
use crate::trial::deploy::{Candidate, DeployOutcome, GateResult, JournalBefore, RulesExchange, gate, wait};
use error_text::with_causes;

/// The time limit for the manager to load new rules; it checks the files every second.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

const EXIT_STATUS: &str = "Exit status: 0 if the rules are in force or will be when a manager starts, 1 if not, 2 if the configuration is invalid.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Args {
    /// Edited copy of the rules file, in any folder
    #[arg(value_name = "EDITED", required_unless_present = "undo", conflicts_with = "undo")]
    edited: Option<PathBuf>,
    #[command(flatten)]
    common: CommonOptions,
    /// Replay messages since this time, such as 2d, 06:00 or 2026-03-14 [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = times::since)]
    since: Option<Timestamp>,
    /// Deploy without asking
    #[arg(long)]
    yes: bool,
    /// Deploy even if the rules do not pass
    #[arg(long, conflicts_with = "undo")]
    force: bool,
    /// Restore the previous rules
    #[arg(long)]
    undo: bool,
}

/// The result of a deployment. Its keys are those of the JSON.
#[derive(Debug, Default, Serialize)]
struct DeployReport {
    gate: Vec<GateResult>,
    /// The changes of the files, as `diff -u` shows them.
    diff: String,
    deployed: bool,
    /// The generation in force; `None` if no manager runs.
    generation: Option<u64>,
    /// The outcome, in words.
    outcome: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let mut report = DeployReport::default();
    let is_in_force = deploy(args, &config, &mut report).unwrap_or_else(|error| {
        report.outcome = with_causes(error.as_ref());
        false
    });
    let printed = if args.common.json {
        print::json(&report)
    } else if is_in_force {
        print::text(&format!("{}\n", report.outcome))
    } else {
        print::complain(&report.outcome);
        ExitCode::FAILURE
    };
    if is_in_force { printed } else { ExitCode::FAILURE }
}

/// Print the checks and the diff. Return whether the rules are in force, or will be.
fn deploy(args: &Args, config: &Config, report: &mut DeployReport) -> anyhow::Result<bool> {
    let say = |text: &str| {
        if !args.common.json && !text.is_empty() {
            let _ = print::text(&format!("{text}\n"));
        }
    };
    let rule_set = RuleSet::of(config);
    let exchange = if let Some(edited) = &args.edited {
        let since = args.since.map_or_else(replay::default_since, Ok)?;
        let (loaded, results) = gate(&Candidate { config, edited, since, progress: &replay::progress() });
        report.gate = results;
        for GateResult { name, passed, text } in &report.gate {
            say(&format!("{name}: {}\n{}\n", if *passed { "passed" } else { "not passed" }, indented(text)));
        }
        RulesExchange::of_edited(&rule_set, edited, &loaded?)?
    } else {
        // Files that cannot be loaded have no generation.
        let now = rule_set.load(None).map(|engine| engine.hash().to_owned()).unwrap_or_default();
        let Some((generation, files)) = History::open(&config.journal.folder)?.rules_before(&now)? else {
            anyhow::bail!("the journal has no rules before those in force");
        };
        say(&format!("rules generation {generation}:\n"));
        RulesExchange::of_journal(&rule_set, &files)?
    };
    if exchange.is_empty() {
        "the files already have these rules; nothing was changed".clone_into(&mut report.outcome);
        return Ok(true);
    }
    report.diff = exchange.diff();
    say(&report.diff);
    let failed: Vec<&str> =
        report.gate.iter().filter(|result| !result.passed).map(|result| result.name).collect();
    if !failed.is_empty() && !args.force {
        report.outcome =
            format!("not passed: {}; nothing was changed. --force deploys in any case", failed.join(", "));
        return Ok(false);
    }
    if args.common.json && !args.yes {
        anyhow::bail!("nothing was changed: with --json, add --yes to deploy without a question");
    }
    if !args.yes && !confirm::ask("Put these rules in force?", false)? {
        "nothing was changed".clone_into(&mut report.outcome);
        return Ok(false);
    }
    put_in_force(config, &exchange, report)
}

fn put_in_force(
    config: &Config,
    exchange: &RulesExchange,
    report: &mut DeployReport,
) -> anyhow::Result<bool> {
    let folder = &config.journal.folder;
    let has_manager = journal::holder(folder).is_some();
    let before = JournalBefore::read(folder)?;
    exchange.swap()?;
    report.deployed = true;
    if !has_manager {
        "no manager runs; the rules will be in force when one starts".clone_into(&mut report.outcome);
        return Ok(true);
    }
    let outcome = wait(folder, exchange.hash(), before, RELOAD_TIMEOUT).context(
        "the files were replaced, but the journal cannot be read to see whether the manager loaded them; \"nowcast status\" \
         shows the rules in force, \"nowcast rules deploy --undo\" restores the previous ones",
    )?;
    match outcome {
        DeployOutcome::InForce(generation) => {
            report.generation = Some(generation);
            report.outcome = format!("the rules are in force as generation {generation}");
            Ok(true)
        }
        DeployOutcome::Refused(reason) => {
            exchange.put_back().with_context(|| {
                format!("the manager refused the rules:\n{reason}\nThe previous files were not restored")
            })?;
            report.deployed = false;
            report.outcome =
                format!("the manager refused the rules; the previous files were restored:\n{reason}");
            Ok(false)
        }
        DeployOutcome::NotYet => {
            report.outcome = format!(
                "the files were replaced, but the manager has not loaded them within {} s; \"nowcast status\" shows the \
                 reason, \"nowcast rules deploy --undo\" restores the previous files",
                RELOAD_TIMEOUT.as_secs()
            );
            Ok(false)
        }
    }
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("    {line}") };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
