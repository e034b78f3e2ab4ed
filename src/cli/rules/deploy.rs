//! `nowcast rules deploy`: edited rules through the gate and into force, or the ones of before back.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;

use super::super::operate::CommonOptions;
use super::super::{print, times};
use super::replay;
use crate::causes::with_causes;
use crate::config::Config;
use crate::rules::RuleSet;
use crate::store::{History, journal};
use crate::trial::deploy::{Candidate, DeployOutcome, GateResult, JournalBefore, RulesExchange, gate, wait};

/// How long the manager gets to take new rules up: it looks every second.
const PATIENCE: Duration = Duration::from_secs(10);

const EXIT_STATUS: &str = "Exit status: 0 if the rules are in force or will be when a manager starts, 1 if not, 2 if the configuration is invalid.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Args {
    /// Edited copy of the rules file, in any folder
    #[arg(value_name = "EDITED", required_unless_present = "undo", conflicts_with = "undo")]
    edited: Option<PathBuf>,
    #[command(flatten)]
    common: CommonOptions,
    /// Replay messages since: 2d, 06:00, 2026-03-14 [default: 7d]
    #[arg(long, value_parser = times::since)]
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

/// What was done, for programs.
#[derive(Debug, Default, Serialize)]
struct Done {
    gate: Vec<GateResult>,
    /// What changes in the files, as `diff -u` shows it.
    diff: String,
    deployed: bool,
    /// The generation in force; `None` if no manager runs.
    generation: Option<u64>,
    /// What came of it, in words.
    outcome: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.common.load() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let mut done = Done::default();
    let is_well = deploy(args, &config, &mut done).unwrap_or_else(|error| {
        done.outcome = with_causes(error.as_ref());
        false
    });
    let printed = if args.common.json {
        print::json(&done)
    } else if is_well {
        print::text(&format!("{}\n", done.outcome))
    } else {
        print::complain(&done.outcome);
        ExitCode::FAILURE
    };
    if is_well { printed } else { ExitCode::FAILURE }
}

/// Answers whether the rules are in force, or will be; says what it finds on the way.
fn deploy(args: &Args, config: &Config, done: &mut Done) -> anyhow::Result<bool> {
    let say = |text: &str| {
        if !args.common.json && !text.is_empty() {
            let _ = print::text(&format!("{text}\n"));
        }
    };
    let rule_set = RuleSet::of(config);
    let exchange = if let Some(edited) = &args.edited {
        let since = args.since.map_or_else(replay::default_since, Ok)?;
        let (loaded, results) = gate(&Candidate { config, edited, since, progress: &replay::progress() });
        done.gate = results;
        for GateResult { name, passed, text } in &done.gate {
            say(&format!("{name}: {}\n{}\n", if *passed { "passed" } else { "not passed" }, indented(text)));
        }
        RulesExchange::of_edited(&rule_set, edited, &loaded?)?
    } else {
        // Files that cannot be loaded were never in force.
        let now = rule_set.load(None).map(|engine| engine.hash().to_owned()).unwrap_or_default();
        let Some((generation, files)) = History::open(&config.journal.folder)?.rules_before(&now)? else {
            anyhow::bail!("the journal has no rules from before those in force");
        };
        say(&format!("the rules of generation {generation}:\n"));
        RulesExchange::of_kept(&rule_set, &files)?
    };
    if exchange.is_empty() {
        "the files hold these rules already; nothing was changed".clone_into(&mut done.outcome);
        return Ok(true);
    }
    done.diff = exchange.diff();
    say(&done.diff);
    let failed: Vec<&str> =
        done.gate.iter().filter(|result| !result.passed).map(|result| result.name).collect();
    if !failed.is_empty() && !args.force {
        done.outcome =
            format!("not passed: {}; nothing was changed. --force does it all the same", failed.join(", "));
        return Ok(false);
    }
    if args.common.json && !args.yes {
        anyhow::bail!("nothing was changed: JSON is for programs, which are not asked, so say --yes");
    }
    if !args.yes && !is_wanted()? {
        "nothing was changed".clone_into(&mut done.outcome);
        return Ok(false);
    }
    put_in_force(config, &exchange, done)
}

fn put_in_force(config: &Config, exchange: &RulesExchange, done: &mut Done) -> anyhow::Result<bool> {
    let folder = &config.journal.folder;
    let is_served = journal::holder(folder).is_some();
    let before = JournalBefore::look(folder)?;
    exchange.swap()?;
    done.deployed = true;
    if !is_served {
        "no manager runs; the rules are in force as soon as one is started".clone_into(&mut done.outcome);
        return Ok(true);
    }
    let taken = wait(folder, exchange.hash(), before, PATIENCE).context(
        "the files are exchanged, but what the manager made of them cannot be read; nowcast status says what is in force, and \
         nowcast rules deploy --undo brings the rules of before back",
    )?;
    match taken {
        DeployOutcome::InForce(generation) => {
            done.generation = Some(generation);
            done.outcome = format!("the rules are in force as generation {generation}");
            Ok(true)
        }
        DeployOutcome::Refused(reason) => {
            exchange.put_back().with_context(|| {
                format!("the manager refused the rules:\n{reason}\nThe files of before are not back")
            })?;
            done.deployed = false;
            done.outcome =
                format!("the manager refused the rules, and the files of before were put back:\n{reason}");
            Ok(false)
        }
        DeployOutcome::NotYet => {
            done.outcome = format!(
                "the files are exchanged, but the manager has not taken them up within {} s; nowcast status says what it \
                 waits for, and nowcast rules deploy --undo brings those of before back",
                PATIENCE.as_secs()
            );
            Ok(false)
        }
    }
}

/// Asks whoever sits at the terminal.
fn is_wanted() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        anyhow::bail!("nothing was changed: there is no terminal to ask at, so say --yes");
    }
    eprint!("Put these rules in force? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("    {line}") };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
