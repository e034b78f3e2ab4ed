//! [`RewindPlan`]: what to rewind a cycle to a worker would forget, open again and launch. It never changes anything: the manager refuses
//! the plan if the cycle has had an event since.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::context::ViewContext;
use super::cycle::CycleViews;
use super::run::label;
use crate::store::journal::{Kept, MessageOfCycle, RunFilter};
use nowcast_core::cycles::{KeptCycle, NoteScope};
use nowcast_core::join_identity::JoinEnd;
use nowcast_core::parked::ParkedItem;
use nowcast_core::rewind::{RepeatedRun, Rewind};
use nowcast_core::run::Stage;
use nowcast_core::{
    CallId, Command, Cycle, Effect, Ending, Event, Join, NextWorker, NoRules, Number, Run, RunId, State,
    decide,
};

/// What a rewind would do. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
pub struct RewindPlan {
    /// The messages that are forgotten, oldest first.
    pub forget: Vec<ForgottenMessage>,
    /// The joins that are open again.
    pub reopen: Vec<ReopenedJoin>,
    /// The launches.
    pub launch: Vec<RewindLaunch>,
    /// What followed too and stays as it is, in words.
    pub not_rewound: Vec<String>,
    #[serde(skip)]
    pub rewind: Rewind,
}

/// A message that is forgotten.
#[derive(Debug, Serialize)]
pub struct ForgottenMessage {
    pub number: u64,
    pub worker: String,
    pub r#type: String,
}

/// A join that is open again.
#[derive(Debug, Serialize)]
pub struct ReopenedJoin {
    pub number: u64,
    pub name: String,
}

/// A launch that repeats a run, or of a join that other messages complete at once.
#[derive(Debug, Serialize)]
pub struct RewindLaunch {
    pub worker: String,
    pub args: Vec<String>,
    pub host: String,
    pub rerun_of: Option<u64>,
    pub join: Option<u64>,
    /// Why it is parked, not launched.
    pub parked: Option<String>,
    #[serde(skip)]
    pub label: String,
}

impl RewindPlan {
    /// Return the plan for a cycle and a worker.
    ///
    /// # Errors
    /// If the worker has no run to repeat, something that would be forgotten is open, or the journal cannot tell what followed.
    pub fn of(
        cycle: &Cycle,
        from: &str,
        kept: &KeptCycle,
        views: &CycleViews<'_>,
        context: &ViewContext,
    ) -> anyhow::Result<Self> {
        let history = &context.history;
        anyhow::ensure!(
            history.event(kept.begun)?.is_some(),
            "the events from which cycle {cycle} began were removed (`journal: keep:`), so what followed is unknown; \
             \"nowcast rerun RUN\" repeats one run"
        );
        let within = (kept.begun, kept.last);
        let filter =
            RunFilter { cycle: Some(cycle.to_string()), within: Some(within), ..RunFilter::default() };
        let mut runs = history.runs(&filter)?;
        runs.reverse();
        let mut messages = history.messages_of_cycle(cycle, within)?;
        for message in messages.iter_mut().filter(|message| message.run.is_none()) {
            // A late report of a closed run counts in its chain.
            message.run = kept.notes.chain_of(&message.worker, message.number);
        }
        let is_of_cycle = |join: &&Join| join.cycle.as_ref() == Some(cycle);
        let joins: BTreeMap<Number, &Join> =
            views.joins().filter(is_of_cycle).map(|join| (join.id, join)).collect();
        let followed = Followed::from(from, &runs, &messages, &joins);
        let launches = followed.repeated(from, &runs, &joins, &history.rewinds(cycle, within)?);
        anyhow::ensure!(
            !launches.is_empty(),
            "{from} has no run in cycle {cycle} that can be repeated; \"nowcast runs --cycle {cycle}\" lists its runs"
        );
        let Followed { messages: forgotten, chains } = followed;
        let (cycle, from) = (cycle.clone(), from.to_owned());
        let rewind = Rewind { cycle, from, seen: kept.last, messages: forgotten, chains, launches };
        let after = state_after(&rewind, views, context)?;
        let noted = kept.notes.messages().filter(|(_, noted)| rewind.messages.contains(&noted.message));
        let mut forget: Vec<ForgottenMessage> = noted
            .map(|(worker, noted)| ForgottenMessage {
                number: noted.message.0,
                worker: worker.to_owned(),
                r#type: noted.r#type.clone(),
            })
            .collect();
        forget.sort_by_key(|message| message.number);
        let is_open = |join: &&&Join| after.joins.get(join.id).is_some();
        let reopened = joins.values().filter(|join| rewind.reopens(join)).filter(is_open);
        Ok(Self {
            forget,
            reopen: reopened
                .map(|join| ReopenedJoin { number: join.id.0, name: join.name.clone() })
                .collect(),
            launch: launches_between(views.state(), &after, &rewind),
            not_rewound: not_rewound(&rewind, views, context)?,
            rewind,
        })
    }
}

impl RewindLaunch {
    fn new(worker: &NextWorker, join: Option<Number>) -> Self {
        Self {
            worker: worker.name().to_owned(),
            args: worker.args.clone(),
            host: worker.host.clone(),
            rerun_of: None,
            join: join.map(|join| join.0),
            parked: None,
            label: label(worker),
        }
    }
}

/// Return the state after the rewind, as the manager decides it, or the reason why it refuses.
fn state_after(rewind: &Rewind, views: &CycleViews<'_>, context: &ViewContext) -> anyhow::Result<State> {
    let mut state = views.state().clone();
    let (call, command) = (Some(CallId(0)), Command::Rewind(rewind.clone()));
    let event = Event::Command { call, user: String::new(), command, historical_checklist: None };
    for effect in decide(&mut state, event, &NoRules, &context.time) {
        if let Effect::Answer { answer, .. } = effect {
            anyhow::ensure!(answer.done, answer.text);
        }
    }
    Ok(state)
}

/// Return the launches that a rewind has added, in their order.
fn launches_between(before: &State, after: &State, rewind: &Rewind) -> Vec<RewindLaunch> {
    let is_new = |id: Number| id.0 > before.last_number;
    let rerun_of = |run: &Run| rewind.launches.iter().find(|repeated| Some(repeated.origin) == run.origin);
    let runs = after.runs.values().filter(|run| is_new(run.id)).map(|run| {
        let rerun_of = rerun_of(run).map(|repeated| repeated.rerun_of.0);
        RewindLaunch { rerun_of, ..RewindLaunch::new(&run.worker, run.join) }
    });
    let parked = after.parked.values().filter(|parked| is_new(parked.id)).flat_map(|parked| {
        let launches: &[_] = match &parked.item {
            ParkedItem::Launches { launches, .. } => launches,
            ParkedItem::Message { .. } => &[],
        };
        launches.iter().map(|launch| RewindLaunch {
            parked: Some(parked.reason.clone()),
            ..RewindLaunch::new(&launch.worker, launch.join)
        })
    });
    runs.chain(parked).collect()
}

/// The messages of a cycle that follow from a worker, and the chains of runs that sent them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Followed {
    messages: BTreeSet<Number>,
    chains: BTreeSet<RunId>,
}

enum Item<'a> {
    Message(&'a MessageOfCycle),
    Run(&'a Run),
}

impl Followed {
    fn from(from: &str, runs: &[Run], messages: &[MessageOfCycle], joins: &BTreeMap<Number, &Join>) -> Self {
        let chains: BTreeMap<RunId, RunId> = runs.iter().map(|run| (run.id, run.chain())).collect();
        let items = messages.iter().map(|message| (message.number, Item::Message(message)));
        // In the order of their numbers a cause is nearly always before its effect.
        let items: BTreeMap<Number, Item<'_>> =
            items.chain(runs.iter().map(|run| (run.id, Item::Run(run)))).collect();
        let mut found = Self::default();
        loop {
            let before = (found.messages.len(), found.chains.len());
            for item in items.values() {
                match item {
                    Item::Message(message) => {
                        let chain = message.run.and_then(|run| chains.get(&run));
                        if message.worker == from || chain.is_some_and(|chain| found.chains.contains(chain)) {
                            found.messages.insert(message.number);
                        }
                    }
                    Item::Run(run) => {
                        if run.worker.name() == from || found.caused(run, joins) {
                            found.chains.insert(run.chain());
                        }
                    }
                }
            }
            if (found.messages.len(), found.chains.len()) == before {
                return found;
            }
        }
    }

    /// Return whether a run followed from one of the messages, or from a join that has counted one.
    fn caused(&self, run: &Run, joins: &BTreeMap<Number, &Join>) -> bool {
        let join = run.join.and_then(|join| joins.get(&join));
        self.messages.contains(&run.cause)
            || join.is_some_and(|join| join.received.iter().any(|message| self.messages.contains(message)))
    }

    /// Return the runs to repeat: the latest of each chain of the worker. One that followed from another is launched by its rule, and one
    /// that an earlier rewind forgot was launched again by then.
    fn repeated(
        &self,
        from: &str,
        runs: &[Run],
        joins: &BTreeMap<Number, &Join>,
        rewinds: &[(Number, Rewind)],
    ) -> Vec<RepeatedRun> {
        let mut chains: BTreeMap<RunId, Vec<&Run>> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.worker.name() == from) {
            chains.entry(run.chain()).or_default().push(run);
        }
        let mut repeated = Vec::new();
        for (origin, runs) in chains {
            if runs.first().is_some_and(|first| self.caused(first, joins)) {
                continue;
            }
            let Some(last) = runs.into_iter().rfind(|run| !is_discarded(run)) else { continue };
            if rewinds.iter().any(|(event, rewind)| last.id < *event && rewind.chains.contains(&origin)) {
                continue;
            }
            let mut worker = last.worker.clone();
            (worker.options.delay, worker.options.at, worker.location) = (None, None, None);
            repeated.push(RepeatedRun { worker, rerun_of: last.id, origin });
        }
        repeated
    }
}

fn is_discarded(run: &Run) -> bool {
    matches!(&run.stage, Stage::Ended { ending: Ending::Discarded, .. })
}

/// Return what has counted or followed from the messages and stays as it is.
fn not_rewound(
    rewind: &Rewind,
    views: &CycleViews<'_>,
    context: &ViewContext,
) -> anyhow::Result<Vec<String>> {
    let mut kept = vec!["the checklist".to_owned()];
    let Some(range) = rewind.messages.first().copied().zip(rewind.messages.last().copied()) else {
        return Ok(kept);
    };
    for Kept { item: join, closed_by } in context.history.joins_without_cycle(range)? {
        // The message that completes such a join is not among those that it has received.
        let events = [Some(join.opened_by), closed_by];
        if rewind.concerns(&join) || events.iter().flatten().any(|event| rewind.messages.contains(event)) {
            kept.push(format!("join {} {}: it counts messages without regard to cycles", join.id, join.name));
        }
    }
    let others = views.state().joins.ended().filter(|join| rewind.concerns(join) && !rewind.reopens(join));
    for join in others {
        let Some(identity) = &join.identity else { continue };
        let scope = match &identity.scope {
            NoteScope::Cycle(cycle) if *cycle != rewind.cycle => format!(" of cycle {cycle}"),
            _ => String::new(),
        };
        let end = match identity.end {
            Some(JoinEnd::TimedOut) => "overdue",
            Some(JoinEnd::Discarded | JoinEnd::Cancelled) => "discarded",
            Some(JoinEnd::Completed | JoinEnd::Released) | None => "complete",
        };
        kept.push(format!("join {} {}{scope}: it stays {end}", join.id, join.name));
    }
    for message in &rewind.messages {
        let runs = context.history.runs_caused_by(*message)?;
        for run in runs.iter().filter(|run| run.cycle.as_ref() != Some(&rewind.cycle)) {
            let of_cycle = run.cycle.as_ref().map_or("no cycle".to_owned(), |cycle| format!("cycle {cycle}"));
            kept.push(format!(
                "run {} {} of {of_cycle}: rules may launch it again",
                run.id,
                label(&run.worker)
            ));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_core::{NextWorker, Steady};

    fn run(id: u64, name: &str, cause: u64, join: Option<u64>, origin: Option<u64>) -> Run {
        Run {
            id: Number(id),
            worker: NextWorker::new(name, Vec::new()),
            cycle: None,
            cause: Number(cause),
            join: join.map(Number),
            origin: origin.map(Number),
            attempt: 1,
            retry_of: None,
            stage: Stage::Pending { due: Steady(jiff::Timestamp::UNIX_EPOCH), at: None },
            report: None,
            sent: Vec::new(),
            stop_requested: None,
            is_restored: false,
        }
    }

    fn message(number: u64, worker: &str, run: Option<u64>) -> MessageOfCycle {
        let (worker, r#type) = (worker.to_owned(), "success".to_owned());
        MessageOfCycle { number: Number(number), worker, r#type, run: run.map(Number) }
    }

    fn numbers(numbers: &BTreeSet<Number>) -> Vec<u64> {
        numbers.iter().map(|number| number.0).collect()
    }

    /// The messages, the chains and the repeated runs.
    fn found(from: &str, runs: &[Run], messages: &[MessageOfCycle]) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        found_after(from, runs, messages, &[])
    }

    fn found_after(
        from: &str,
        runs: &[Run],
        messages: &[MessageOfCycle],
        rewinds: &[(Number, Rewind)],
    ) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let join: Join = serde_json::from_value(serde_json::json!({
            "id": 30, "name": "tracks", "requires": [], "pending": [], "launch": [], "opened_by": 12,
            "received": [12, 22], "deadline": null
        }))
        .unwrap();
        let joins = BTreeMap::from([(Number(30), &join)]);
        let followed = Followed::from(from, runs, messages, &joins);
        let repeated = followed.repeated(from, runs, &joins, rewinds);
        let repeated = repeated.iter().map(|run| run.rerun_of.0).collect();
        (numbers(&followed.messages), numbers(&followed.chains), repeated)
    }

    #[test]
    fn what_followed_is_found_by_cause_by_join_and_by_chain() {
        let runs = [
            run(10, "weather", 1, None, None),
            run(13, "model", 12, None, None),
            run(20, "rivers", 1, None, None),
            run(31, "upload", 12, Some(30), None),
            // An operator repeated the model.
            run(41, "model", 40, None, Some(13)),
        ];
        let messages = [
            message(12, "weather", Some(10)),
            message(22, "rivers", Some(20)),
            message(24, "model", Some(13)),
            message(33, "upload", Some(31)),
            message(44, "model", Some(41)),
        ];
        let followed = found("weather", &runs, &messages);
        assert_eq!(followed, (vec![12, 24, 33, 44], vec![10, 13, 31], vec![10]));
        let followed = found("rivers", &runs, &messages);
        assert_eq!(followed, (vec![22, 33], vec![20, 31], vec![20]), "by the join only");
        assert_eq!(found("model", &runs, &messages), (vec![24, 44], vec![13], vec![41]), "its latest run");
    }

    #[test]
    fn a_run_that_followed_from_another_one_of_its_worker_is_not_launched_twice() {
        let runs =
            [run(10, "poll", 1, None, None), run(13, "poll", 12, None, None), run(16, "poll", 2, None, None)];
        let messages =
            [message(12, "poll", Some(10)), message(15, "poll", Some(13)), message(18, "poll", None)];
        assert_eq!(found("poll", &runs, &messages), (vec![12, 15, 18], vec![10, 13, 16], vec![10, 16]));
    }

    #[test]
    fn a_run_that_an_earlier_rewind_forgot_is_not_repeated_unless_an_operator_repeated_it_since() {
        let mut runs = vec![
            run(10, "weather", 1, None, None),
            run(13, "model", 12, None, None),
            run(21, "weather", 20, None, Some(10)),
            run(24, "model", 23, None, None),
        ];
        let messages = [message(15, "model", Some(13)), message(26, "model", Some(24))];
        let rewind = Rewind {
            cycle: Cycle::parse("a").unwrap(),
            from: "weather".to_owned(),
            seen: Number(16),
            messages: [Number(12), Number(15)].into(),
            chains: [Number(10), Number(13)].into(),
            launches: Vec::new(),
        };
        let rewinds = [(Number(20), rewind)];
        let repeated = |from, runs: &[Run]| found_after(from, runs, &messages, &rewinds).2;
        assert_eq!(repeated("model", &runs), [24]);
        assert_eq!(repeated("weather", &runs), [21]);
        runs.push(run(31, "model", 30, None, Some(13)));
        assert_eq!(repeated("model", &runs), [31, 24]);
    }
}
