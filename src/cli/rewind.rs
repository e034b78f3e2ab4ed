//! `nowcast rerun --cycle ID --from WORKER`: shows what to rewind a cycle would do, asks, and lets the manager do it.

use std::process::ExitCode;

use serde::Serialize;

use super::cycle::{indented, known, section};
use super::operate::CommonOptions;
use super::read_only::{ViewContext, check_worker};
use super::terminal::Terminal;
use super::{USAGE, confirm, print};
use crate::clock::MachineClock;
use crate::store::History;
use crate::view::cycle::CycleViews;
use crate::view::rewind::{RewindLaunch, RewindPlan};
use nowcast_core::counted::counted;
use nowcast_core::{Answer, Command, Cycle};

/// The answer, and what was done. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct RewindAnswer<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    #[serde(flatten)]
    plan: &'a RewindPlan,
}

/// Rewind a cycle to a worker; without asking if `yes` is set.
pub(super) fn run(
    common: &CommonOptions,
    cycle: &Cycle,
    from: &str,
    yes: bool,
) -> Result<ExitCode, ExitCode> {
    let config = common.load()?;
    let folder = config.journal.folder.clone();
    let planned = History::open(&folder).map_err(anyhow::Error::from).and_then(|history| {
        let context = ViewContext::new(config.clone(), history, MachineClock::new().read())?;
        plan(cycle, from, &context)
    });
    let plan = planned.map_err(|error| {
        print::error(error.as_ref());
        ExitCode::FAILURE
    })?;
    let lines = lines(&plan);
    if yes {
        if !common.json {
            print::lines(&lines);
        }
    } else if !is_confirmed(cycle, from, &lines, common.json)? {
        print::complain("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let answer = CommonOptions::call(Command::Rewind(plan.rewind.clone()), &config)?;
    if common.json && answer.done {
        return Ok(print::json(&RewindAnswer { answer: &answer, plan: &plan }));
    }
    Ok(common.show(&answer))
}

fn plan(cycle: &Cycle, from: &str, context: &ViewContext) -> anyhow::Result<RewindPlan> {
    check_worker(from, context)?;
    // Before everything else: the manager refuses the plan if the cycle has had an event after these.
    let cycles = context.history.cycles_now()?;
    let kept = cycles.get(cycle).cloned();
    let open = context.history.open_now()?;
    let views = CycleViews::new(context, &open, cycles);
    let view = known(&views, cycle)?;
    // The view is that of the same cycles.
    let kept = kept.ok_or_else(|| anyhow::anyhow!("there is no cycle {}", view.cycle))?;
    RewindPlan::of(cycle, from, &kept, &views, context)
}

fn is_confirmed(cycle: &Cycle, from: &str, lines: &[String], json: bool) -> Result<bool, ExitCode> {
    let question = format!("{}\nRewind cycle {cycle} to {from}?", lines.join("\n"));
    confirm::ask(&question, json).map_err(|error| {
        print::error(error.as_ref());
        ExitCode::from(USAGE)
    })
}

fn launch_line(launch: &RewindLaunch) -> String {
    let RewindLaunch { label, rerun_of, join, parked, .. } = launch;
    let again = rerun_of.map(|run| format!(", again after #{run}")).unwrap_or_default();
    let join = join.map(|join| format!(", since join #{join} is complete")).unwrap_or_default();
    let parked = parked.as_ref().map(|reason| format!("; parked: {reason}")).unwrap_or_default();
    format!("{label}{again}{join}{parked}")
}

fn lines(plan: &RewindPlan) -> Vec<String> {
    let terminal = Terminal::of_stdout();
    let mut lines = Vec::new();
    section(&mut lines, "LAUNCH", indented(plan.launch.iter().map(launch_line).collect(), &terminal));
    let joins = plan.reopen.iter().map(|join| format!("#{} join {}", join.number, join.name));
    section(&mut lines, "OPEN AGAIN", indented(joins.collect(), &terminal));
    let messages = plan
        .forget
        .iter()
        .map(|message| format!("#{} {} ({})", message.number, message.worker, message.r#type));
    let heading = format!("FORGET {}", counted(plan.forget.len(), "message", "messages"));
    section(&mut lines, &heading, indented(messages.collect(), &terminal));
    section(&mut lines, "NOT REWOUND", indented(plan.not_rewound.clone(), &terminal));
    lines
}
