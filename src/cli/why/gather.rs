//! Gathers the [`Page`] of a number from the journal. It never prints.

use anyhow::bail;

use super::causes::{Causes, command_text};
use super::page::{Page, PageKind};
use crate::cli::print::yaml_text;
use crate::cli::read_only::ViewContext;
use crate::cli::times;
use crate::store::journal::{EventFilter, EventKind, Kept};
use crate::view::attention::{hints_for_parked, requirements};
use crate::view::failures::{OUTPUT_LINES, acknowledged_by, repeated_by};
use crate::view::hint::Hint;
use crate::view::message::{MessageView, spoken_by};
use crate::view::output::last_lines;
use crate::view::run::{RunView, label};
use nowcast_core::Join;
use nowcast_core::hold::Hold;
use nowcast_core::parked::{Parked, ParkedItem};
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent};
use nowcast_core::rules::Requirement;
use nowcast_core::run::Stage;
use nowcast_core::{Number, Record, RequestedLaunch, Run, State};
use pyyaml::Map;

impl Page {
    /// Gather the page of a number.
    ///
    /// # Errors
    /// If nothing has the number, or the journal cannot be read.
    pub(super) fn of(number: Number, context: &ViewContext) -> anyhow::Result<Self> {
        let mut page = Self::of_item(number, context)?;
        let logs = format!("nowcast logs --around {number}", number = number.0);
        page.hints.push(Hint::with_effect(logs, "shows what the manager logged then"));
        Ok(page)
    }

    fn of_item(number: Number, context: &ViewContext) -> anyhow::Result<Self> {
        let found = context.history.numbered(number)?;
        if let Some(run) = &found.run {
            return Self::of_run(run, context);
        }
        if let Some(hold) = &found.hold {
            return Self::of_hold(hold, context);
        }
        if let Some(join) = &found.join {
            return Self::of_join(join, found.parked.as_ref(), context);
        }
        if let (None, Some(Kept { item, closed_by })) = (&found.event, &found.parked)
            && let ParkedItem::Launches { launches, .. } = &item.item
        {
            return Self::of_parked_launches(item, launches, *closed_by, context);
        }
        let Some(record) = &found.event else {
            bail!("nothing has the number {number}; \"nowcast runs\" and \"nowcast messages\" show numbers");
        };
        match &record.event {
            RecordedEvent::Message(message) => {
                Self::of_message(record, message, found.parked.as_ref(), context)
            }
            _ => Self::of_event(record, context),
        }
    }

    /// Gather the page of a run.
    pub(super) fn of_run(run: &Run, context: &ViewContext) -> anyhow::Result<Self> {
        let view = RunView::new(run, context);
        let now = &context.now;
        let mut facts = Vec::new();
        let mut hints = Vec::new();
        if let Some(started) = view.started {
            facts.push(format!("launched at {}", times::second(started, now)));
        }
        facts.push(match view.ended {
            Some(ended) => format!("{}, at {}", view.description(now), times::second(ended, now)),
            None => view.description(now),
        });
        if let Some(acknowledgement) = context.history.acknowledged_since(run.id)?.remove(&run.id) {
            facts.push(acknowledged_by(&acknowledgement, now));
        }
        facts.extend(view.cycle.as_ref().map(|cycle| format!("cycle {cycle}")));
        if let Some(before) = view.retry_of {
            facts.push(format!("attempt {}: #{before} failed", view.attempt));
        }
        if matches!(run.stage, Stage::Pending { .. }) {
            let history = &context.history;
            let state = context.state(&history.open_now()?, Map::new(), history.cycles_now()?);
            facts.extend(state.blocked_by(run).map(|blocker| format!("blocked by {blocker}")));
            hints.extend(hints_for_pending(run, &state, context));
        }
        if run.is_running() {
            if let Some(usual) = context.history.usual_duration(run.worker.name(), &run.worker.args)? {
                facts.push(format!("usual duration {}", times::span(usual)));
            }
            let abandon = "; a second kill abandons it if the host does not respond";
            let abandon = view.contact_lost.as_ref().map(|_| abandon).unwrap_or_default();
            hints.push(Hint::with_effect(format!("nowcast kill {}", run.id.0), format!("stops it{abandon}")));
        }
        if let Some(record) = context.history.message_of_run(run)?
            && let Some(message) = MessageView::of(&record, context)?
        {
            facts.push(format!("reported as #{} {}", message.number, message.label()));
            facts.extend(outcome(&record, context)?);
        }
        if let Some(output) = &view.output {
            facts.push(format!("output {}", output.display()));
            if run.has_succeeded() == Some(false) {
                facts.extend(last_lines(output, OUTPUT_LINES).into_iter().map(|line| format!("  {line}")));
            }
            hints.push(Hint::with_effect(format!("nowcast tail {}", run.id.0), "shows its output"));
        }
        if run.has_succeeded() == Some(false) && run.is_closed() {
            match repeated_by(context, run)? {
                Some(later) => {
                    let state = RunView::new(&later, context).description(now);
                    facts.push(format!("run again as {}: {state}", later.id));
                    if later.is_closed() && later.has_succeeded() == Some(false) {
                        hints.push(Hint::with_effect(
                            format!("nowcast rerun {}", later.id.0),
                            "runs it again",
                        ));
                    }
                }
                None => hints.push(Hint::with_effect(format!("nowcast rerun {}", run.id.0), "runs it again")),
            }
        }
        Ok(Self {
            number: run.id.0,
            kind: PageKind::Run,
            title: format!("run {} of {}", run.id, view.label()),
            facts,
            run: Some(view),
            causes: Causes::of_run(run, context)?,
            hints,
            ..Self::default()
        })
    }

    fn of_message(
        record: &Record,
        message: &MessageRecord,
        parked: Option<&Kept<Parked>>,
        context: &ViewContext,
    ) -> anyhow::Result<Self> {
        let view = MessageView::new(record, message, context)?;
        let mut facts = vec![format!("came at {}", times::second(view.time, &context.now))];
        let spoken = spoken_by(message.speaker);
        if !spoken.is_empty() {
            facts.push(spoken.to_owned());
        }
        facts.extend(view.cycle.as_ref().map(|cycle| format!("cycle {cycle}")));
        facts.push(format!("reply {:?}", view.reply));
        let payload = message.message.as_ref().map(|message| &message.payload);
        facts.extend(payload.filter(|payload| !payload.is_null()).map(|payload| {
            let shown: Vec<String> = yaml_text(payload).lines().map(|line| format!("  {line}")).collect();
            format!("payload\n{}", shown.join("\n"))
        }));
        facts.extend(view.rule_text());
        facts.extend(outcome(record, context)?);
        let mut hints = Vec::new();
        match parked.map(|parked| (parked.closed_by, &parked.item.item)) {
            Some((None, item)) => {
                let (fact, effect) = if matches!(item, ParkedItem::Message { undecided: Some(_), .. }) {
                    (
                        "parked undecided: its payload is not in the checklist, and it launched nothing",
                        "decides it, which may make the manager exit again",
                    )
                } else {
                    (
                        "parked: its rule failed or is missing, so it launched nothing",
                        "decides it again, once the rule is repaired",
                    )
                };
                facts.push(fact.to_owned());
                let number = record.number.0;
                hints.push(Hint::with_effect(format!("nowcast retry {number}"), effect));
                hints.push(Hint::with_effect(format!("nowcast discard {number}"), "discards it"));
            }
            Some((Some(by), _)) => facts.push(format!("parked until {by}")),
            None => {}
        }
        Ok(Self {
            number: record.number.0,
            kind: PageKind::Message,
            title: format!("message {} from {}", record.number, view.label()),
            facts,
            message: Some(view),
            causes: Causes::of_message(record, context)?,
            hints,
            ..Self::default()
        })
    }

    fn of_join(
        join: &Kept<Join>,
        parked: Option<&Kept<Parked>>,
        context: &ViewContext,
    ) -> anyhow::Result<Self> {
        let Kept { item: what, closed_by } = join;
        let number = what.id.0;
        let mut facts = Vec::new();
        let mut hints = Vec::new();
        if closed_by.is_none() {
            facts.push(requirements(what));
            for requirement in &what.requires {
                let effect = match came_before(requirement, what, context)? {
                    Some(fact) => {
                        facts.push(fact);
                        "shows whether it comes again"
                    }
                    None => "shows why it has not come",
                };
                hints.push(Hint::with_effect(format!("nowcast why {}", requirement.worker), effect));
            }
            hints.push(Hint::with_effect(
                format!("nowcast release {number}"),
                "launches the waiting workers at once",
            ));
            hints.push(Hint::with_effect(format!("nowcast discard {number}"), "discards it"));
        }
        if let Some(deadline) = what.deadline {
            facts.push(format!(
                "overdue at {}",
                times::second(context.present.wall_at(deadline), &context.now)
            ));
        }
        for counted in &what.received {
            facts.push(format!("received {}", message_label(*counted, context)?));
        }
        for launch in what.launches() {
            facts.push(format!("waiting launch of {}, caused by {}", label(&launch.worker), launch.cause));
        }
        if let Some(by) = closed_by {
            facts.push(format!("ended with {}", message_label(*by, context)?));
        }
        if let Some(Kept { item: parked, closed_by }) = parked {
            facts.push(format!(
                "launches parked at {}: {}",
                times::second(parked.at.timestamp(), &context.now),
                parked.reason
            ));
            match closed_by {
                None => hints.extend(hints_for_parked(parked)),
                Some(by) => facts.push(format!("parked until {}", message_label(*by, context)?)),
            }
        }
        Ok(Self {
            number,
            kind: PageKind::Join,
            title: format!("join {} of {}", what.id, what.name),
            facts,
            causes: Causes::from_event(what.opened_by, context)?,
            hints,
            ..Self::default()
        })
    }

    /// Gather the page of launches that no join parked: their cycle is cancelled.
    fn of_parked_launches(
        parked: &Parked,
        launches: &[RequestedLaunch],
        closed_by: Option<Number>,
        context: &ViewContext,
    ) -> anyhow::Result<Self> {
        let named: Vec<String> = launches.iter().map(|launch| label(&launch.worker)).collect();
        let at = times::second(parked.at.timestamp(), &context.now);
        let mut facts = vec![format!("parked at {at}: {}", parked.reason)];
        if let Some(by) = closed_by {
            facts.push(format!("parked until {}", message_label(by, context)?));
        }
        let cause = launches.first().map(|launch| launch.cause);
        Ok(Self {
            number: parked.id.0,
            kind: PageKind::Parked,
            title: format!("parked launch {} of {}", parked.id, named.join(", ")),
            facts,
            causes: cause.map_or(Ok(Causes::default()), |cause| Causes::from_event(cause, context))?,
            hints: if closed_by.is_none() { hints_for_parked(parked) } else { Vec::new() },
            ..Self::default()
        })
    }

    fn of_hold(hold: &Kept<Hold>, context: &ViewContext) -> anyhow::Result<Self> {
        let Kept { item: what, closed_by } = hold;
        let mut facts = vec![format!("created by {}", what.user)];
        facts.extend(what.reason.as_ref().map(|reason| format!("reason: {reason}")));
        facts.extend(
            what.end(context.present)
                .map(|end| context.present.wall_at(end))
                .map(|end| format!("until {}", times::second(end, &context.now))),
        );
        let mut hints = Vec::new();
        if let Some(by) = closed_by {
            facts.push(format!("ended with {}", message_label(*by, context)?));
        } else {
            let open = context.history.open_now()?;
            let waits = open.runs.iter().filter(|run| matches!(run.stage, Stage::Pending { .. }));
            let held = waits.filter(|run| what.holds(&run.worker, run.cycle.as_ref()));
            facts.extend(held.map(|run| format!("holds {} {}", run.id, label(&run.worker))));
            hints.push(Hint::with_effect(format!("nowcast release {}", what.id.0), "ends it"));
        }
        let made_in = context.history.event_until(what.id)?;
        Ok(Self {
            number: what.id.0,
            kind: PageKind::Hold,
            title: format!("hold {} of {}", what.id, what.target),
            facts,
            causes: made_in
                .map_or(Ok(Causes::default()), |event| Causes::from_event(event.number, context))?,
            hints,
            ..Self::default()
        })
    }

    fn of_event(record: &Record, context: &ViewContext) -> anyhow::Result<Self> {
        let mut facts = vec![format!("at {}", times::second(record.at.timestamp(), &context.now))];
        let (kind, title) = match &record.event {
            RecordedEvent::Command { user, command, answer } => {
                facts.push(answer.clone());
                (PageKind::Command, format!("command {} of {user}: {}", record.number, command_text(command)))
            }
            RecordedEvent::RunEnded { run } => {
                (PageKind::Event, format!("event {}: run {run} ended", record.number))
            }
            RecordedEvent::RulesLoaded { generation, hash } => {
                facts.push(format!("hash {hash}"));
                (PageKind::Event, format!("event {}: rules generation {generation}", record.number))
            }
            RecordedEvent::RulesRefused { reason } => {
                facts.push(reason.clone());
                (PageKind::Event, format!("event {}: rules refused", record.number))
            }
            RecordedEvent::ChecklistRead { why } => {
                facts.push(why.clone());
                (PageKind::Event, format!("event {}: checklist read from its file", record.number))
            }
            RecordedEvent::ClockSet { from, to } => {
                let [from, to] = [from, to].map(|time| times::second(*time, &context.now));
                facts.push(format!("from {from} to {to}"));
                (PageKind::Event, format!("event {}: the wall clock was set", record.number))
            }
            RecordedEvent::Forecast => {
                (PageKind::Event, format!("event {}: a forecast changed what is at risk", record.number))
            }
            RecordedEvent::Due | RecordedEvent::Message(_) => {
                (PageKind::Event, format!("event {}: a timer was due", record.number))
            }
        };
        let runs = context.history.runs_caused_by(record.number)?;
        facts.extend(runs.iter().map(|run| format!("launched {} {}", run.id, label(&run.worker))));
        Ok(Self { number: record.number.0, kind, title, facts, ..Self::default() })
    }
}

/// Return the commands that help a pending launch.
pub(super) fn hints_for_pending(run: &Run, state: &State, context: &ViewContext) -> Vec<Hint> {
    let is_early = run.due(context.present).is_some_and(|due| due > context.present.steady);
    let release = match state.holds.values().find(|hold| hold.holds(&run.worker, run.cycle.as_ref())) {
        Some(hold) => Some(Hint::with_effect(format!("nowcast release {}", hold.id.0), "ends the hold")),
        None => {
            is_early.then(|| Hint::with_effect(format!("nowcast release {}", run.id.0), "launches it now"))
        }
    };
    let discard = Hint::with_effect(format!("nowcast discard {}", run.id.0), "discards it");
    release.into_iter().chain([discard]).collect()
}

/// Describe the last message of a requirement if it came before the join was opened, and so does not count.
fn came_before(
    requirement: &Requirement,
    join: &Join,
    context: &ViewContext,
) -> anyhow::Result<Option<String>> {
    let last = context.history.events(&EventFilter {
        worker: Some(requirement.worker.clone()),
        r#type: requirement.r#type.clone(),
        kind: Some(EventKind::Message),
        limit: Some(1),
        ..EventFilter::default()
    })?;
    let Some(record) = last.first().filter(|record| record.number < join.opened_by) else { return Ok(None) };
    let came = times::second(record.at.timestamp(), &context.now);
    let label = message_label(record.number, context)?;
    Ok(Some(format!("{label} came at {came}, before the join was opened, so it does not count")))
}

/// Return an event's number with a short description.
fn message_label(number: Number, context: &ViewContext) -> anyhow::Result<String> {
    let record = context.history.event(number)?;
    let text = match record.as_ref().map(|record| &record.event) {
        Some(RecordedEvent::Message(message)) => message
            .message
            .as_ref()
            .map_or_else(|| "a message".to_owned(), |said| format!("{} ({})", said.source, said.r#type)),
        Some(RecordedEvent::Command { user, command, .. }) => format!("{user}: {}", command_text(command)),
        _ => String::new(),
    };
    Ok(format!("{number} {text}").trim_end().to_owned())
}

/// Describe the outcome of a message, one fact a line.
pub(super) fn outcome(record: &Record, context: &ViewContext) -> anyhow::Result<Vec<String>> {
    let RecordedEvent::Message(message) = &record.event else { return Ok(Vec::new()) };
    let number = record.number;
    let mut lines = Vec::new();
    match &message.outcome {
        Outcome::RuleFailed(why) => lines.push(format!("its rule failed: {why}")),
        Outcome::NoFunction(why) => lines.push(format!("it has no rule: {why}")),
        Outcome::Refused(why) => lines.push(format!("it was refused: {why}")),
        Outcome::Undecided(why) => lines.push(format!("it was not decided: {why}")),
        Outcome::Retried(run) => {
            lines.push(format!("its run is retried as {run}, so its rule was not called"));
        }
        Outcome::Cleared => lines.push("it cleared the checklist".to_owned()),
        Outcome::Answered | Outcome::Ruled => {}
    }
    let runs = context.history.runs_caused_by(number)?;
    lines.extend(runs.iter().map(|run| format!("it launched {} {}", run.id, label(&run.worker))));
    let joins = context.history.joins_of(number)?;
    for Kept { item: join, closed_by } in &joins {
        let (id, name) = (join.id, &join.name);
        if join.opened_by == number {
            lines.push(format!("it opened the join {id} of {name}"));
        }
        // The message that completes a join is removed from it.
        if join.received.contains(&number) || (*closed_by == Some(number) && join.opened_by != number) {
            let completed = if *closed_by == Some(number) { " and completed it" } else { "" };
            lines.push(format!("it counted in the join {id} of {name}{completed}"));
        }
        let waits = join.pending.iter().filter(|launch| launch.cause == number && closed_by.is_none());
        lines.extend(
            waits.map(|launch| format!("{} waits in the join {id} of {name}", label(&launch.worker))),
        );
    }
    let parked = context.history.open_now()?.parked;
    for parked in &parked {
        if let ParkedItem::Launches { join, launches } = &parked.item {
            let own = launches.iter().filter(|launch| launch.cause == number);
            lines.extend(own.map(|launch| {
                let with = join.as_ref().map_or_else(
                    || format!(" as {}: {}", parked.id, parked.reason),
                    |join| format!(" with the join {} of {join}", parked.id),
                );
                format!("{} is parked{with}", label(&launch.worker))
            }));
        }
    }
    if message.outcome == Outcome::Ruled && lines.is_empty() {
        let ended = ended_join(record, message, context)?;
        lines.push(ended.unwrap_or_else(|| "its rule returned no launches".to_owned()));
    }
    Ok(lines)
}

/// Describe the join that a message's rule returned, if it had ended before.
fn ended_join(
    record: &Record,
    message: &MessageRecord,
    context: &ViewContext,
) -> anyhow::Result<Option<String>> {
    let (Some(request), Some(said)) = (&message.join_request, &message.message) else { return Ok(None) };
    let name = request.name.as_ref().unwrap_or(&said.source);
    for join in context.history.open_now()?.ended_joins {
        let Some(identity) = &join.identity else { continue };
        if join.name != *name || Some(&identity.scope) != request.scope.as_ref() {
            continue;
        }
        // A join that ended later was open then.
        let closed_by = context.history.join(join.id)?.and_then(|kept| kept.closed_by);
        if let Some(end) =
            identity.end.filter(|_| closed_by.is_some_and(|closed_by| closed_by < record.number))
        {
            let (id, remedy) = (join.id, identity.remedy(said));
            return Ok(Some(format!(
                "its rule returned the join {id} of {name}, which {end} and opens only once{remedy}"
            )));
        }
    }
    Ok(None)
}
