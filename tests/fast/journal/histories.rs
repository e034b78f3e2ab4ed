//! What operators ask of the history.

use jiff::SignedDuration;
use nowcast::store::journal::{CallHistory, EventFilter, EventKind, HistoricalCall, RunFilter, RunState};
use nowcast::store::{History, Journal};
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Cycle, Ending, Event, Number, Run};

use crate::journal::day::{Day, Step, text};

struct Kept {
    day: Day,
    history: History,
    journal: Journal,
    _folder: tempfile::TempDir,
}

/// A day in the journal, of which the history is asked while the manager has it open.
fn kept(day: Day) -> Kept {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path()).expect("a new journal");
    journal.commit(&day.records).expect("kept");
    let history = History::open(folder.path()).expect("readable");
    Kept { day, history, journal, _folder: folder }
}

impl Day {
    fn only_running(&self) -> Run {
        let mut running = self.state.runs.values().filter(|run| run.is_running());
        let run = running.next().expect("one runs").clone();
        assert!(running.next().is_none(), "only one runs");
        run
    }

    fn passes(&mut self, span: SignedDuration) {
        self.now = self.now.checked_add(span).expect("a moment");
    }

    /// `rivers` is launched, runs for so long, reports and ends.
    fn rivers_run(&mut self, minutes: i64, r#type: &str, status: i32) -> Number {
        self.message("weather", "success", "{rule: launch}");
        let run = self.only_running().id;
        self.passes(SignedDuration::from_mins(minutes));
        self.message("rivers", r#type, "null");
        self.happens(Event::RunEnded { run, ending: Ending::Status(status), ended_at: None });
        run
    }
}

#[test]
fn a_run_has_its_cause_its_message_and_its_usual_duration() {
    let mut day = Day::new();
    let runs: Vec<Number> =
        [5, 7, 60, 6].into_iter().map(|minutes| day.rivers_run(minutes, "success", 0)).collect();
    let failed = day.rivers_run(30, "success", 3);
    let Kept { history, .. } = kept(day);
    let args = ["12".to_owned()];
    assert_eq!(
        history.usual_duration("rivers", &args).expect("readable"),
        Some(SignedDuration::from_mins(7))
    );
    assert_eq!(history.usual_duration("rivers", &[]).expect("readable"), None);
    assert_eq!(history.last_success("rivers").expect("readable").map(|run| run.id), Some(runs[3]));
    assert_eq!(history.last_success("weather").expect("readable"), None);

    let run = history.run(runs[1]).expect("readable").expect("known");
    let caused = history.runs_caused_by(run.cause).expect("readable");
    assert_eq!(caused, std::slice::from_ref(&run));
    let launched = history.launched_by(&[run.cause, Number(run.cause.0 - 1), run.cause]).expect("readable");
    assert_eq!(launched, [vec![run.id], vec![], vec![run.id]]);
    let message = history.message_of_run(&run).expect("readable").expect("it reported");
    assert!(
        matches!(&message.event, RecordedEvent::Message(kept) if kept.run == Some(run.id) && kept.reply == "ack")
    );
    let cause = history.event(run.cause).expect("readable").expect("known");
    assert!(
        matches!(&cause.event, RecordedEvent::Message(kept) if kept.rule_location.as_deref() == Some("next_workers.lua:12"))
    );

    let ids = |filter: RunFilter| -> Vec<Number> {
        history.runs(&filter).expect("readable").iter().map(|run| run.id).collect()
    };
    let of_rivers = RunFilter { worker: Some("rivers".into()), ..RunFilter::default() };
    assert_eq!(ids(RunFilter { limit: Some(2), ..of_rivers.clone() }), [failed, runs[3]]);
    let next = RunFilter { limit: Some(2), before: Some(runs[3]), ..of_rivers.clone() };
    assert_eq!(ids(next), [runs[2], runs[1]]);
    assert_eq!(ids(RunFilter { state: RunState::Failed, ..of_rivers.clone() }), [failed]);
    assert_eq!(
        ids(RunFilter { since: Some(message.at.timestamp()), ..of_rivers }),
        [failed, runs[3], runs[2]]
    );
    assert_eq!(ids(RunFilter { state: RunState::Open, ..RunFilter::default() }), []);
    assert!(history.numbered(Number(9_999)).expect("readable").is_empty());
    assert_eq!(history.numbered(failed).expect("readable").run.map(|run| run.id), Some(failed));
}

#[test]
fn the_files_of_each_generation_are_there() {
    let mut day = Day::new();
    for which in [2, 1, 2] {
        day.take(&Step::RulesLoaded(which));
    }
    let Kept { history, .. } = kept(day);
    let files = |generation| {
        let files = history.rule_files(generation).expect("readable");
        files.into_iter().map(|file| format!("{}: {}", file.name, file.text)).collect::<Vec<_>>()
    };
    assert_eq!(files(2), ["next_workers.lua: -- 1", "a/rivers.lua: -- 1"]);
    assert_eq!(files(1), files(3));
    assert_eq!(files(3)[0], "next_workers.lua: -- 2");
    assert!(files(4).is_empty());
}

#[test]
fn events_are_found_by_worker_type_kind_and_time() {
    let mut day = Day::new();
    day.message("weather", "success", "{rule: launch}");
    day.passes(SignedDuration::from_hours(1));
    let hour_two = day.now.timestamp();
    day.message("weather", "failure", "null");
    day.take(&Step::RulesLoaded(1));
    day.passes(SignedDuration::from_hours(1));
    let hour_three = day.now.timestamp();
    day.message("ssh", "success", "null");
    day.take(&Step::Set { payload: 1 });
    let Kept { history, .. } = kept(day);
    let kinds = |filter: EventFilter| -> Vec<String> {
        let name = |record: nowcast_core::Record| match record.event {
            RecordedEvent::Message(kept) => kept
                .message
                .map_or_else(String::new, |message| format!("{} {}", message.source, message.r#type)),
            RecordedEvent::RulesLoaded { hash, .. } => hash,
            RecordedEvent::Command { user, .. } => user,
            other => format!("{other:?}"),
        };
        history.events(&filter).expect("readable").into_iter().map(name).collect()
    };
    let all = ["ana", "ssh success", "hash 1", "weather failure", "weather success"];
    assert_eq!(kinds(EventFilter::default()), all);
    assert_eq!(kinds(EventFilter { limit: Some(2), ..EventFilter::default() }), all[..2]);
    let second = history.events(&EventFilter::default()).expect("readable")[1].number;
    let next = EventFilter { limit: Some(2), before: Some(second), ..EventFilter::default() };
    assert_eq!(kinds(next), all[2..4]);
    assert_eq!(kinds(EventFilter { since: Some(hour_two), ..EventFilter::default() }), all[..4]);
    assert_eq!(kinds(EventFilter { until: Some(hour_two), ..EventFilter::default() }), all[4..]);
    let between = EventFilter { since: Some(hour_two), until: Some(hour_three), ..EventFilter::default() };
    assert_eq!(kinds(between), all[2..4]);
    assert_eq!(kinds(EventFilter { worker: Some("weather".into()), ..EventFilter::default() }), all[3..]);
    assert_eq!(
        kinds(EventFilter { r#type: Some("success".into()), ..EventFilter::default() }),
        [all[1], all[4]]
    );
    assert_eq!(kinds(EventFilter { kind: Some(EventKind::Command), ..EventFilter::default() }), ["ana"]);
    let later =
        EventFilter { since: Some(hour_three + SignedDuration::from_secs(1)), ..EventFilter::default() };
    assert_eq!(kinds(later), Vec::<String>::new());
}

#[test]
fn the_outcome_of_a_join_a_parked_message_and_a_hold_is_still_known() {
    let mut day = Day::new();
    day.take(&Step::Hold { worker: 1, hours: None });
    let hold = *day.state.holds.keys().next().expect("a hold");
    day.message("weather", "success", "{rule: join}");
    let join = day.state.joins.open().next().expect("a join").id;
    for worker in ["rivers", "ssh", "rivers"] {
        day.message(worker, "success", "null");
    }
    assert!(day.state.joins.is_empty());
    let last = day.records.last().expect("some").number;
    day.message("weather", "success", "{rule: fail}");
    let parked = *day.state.parked.keys().next().expect("parked");
    let Kept { history, mut journal, mut day, _folder } = kept(day);

    let found = history.numbered(join).expect("readable").join.expect("known");
    assert_eq!((found.item.id, found.closed_by), (join, Some(last)));
    assert_eq!(history.join(join).expect("readable"), Some(found));
    let found = history.numbered(parked).expect("readable");
    assert!(found.event.is_some() && found.parked.is_some_and(|parked| parked.closed_by.is_none()));
    assert!(history.numbered(hold).expect("readable").hold.is_some_and(|hold| hold.closed_by.is_none()));

    // What the manager commits is seen at once.
    let kept = day.records.len();
    day.take(&Step::Release(usize::try_from(hold.0).expect("small")));
    day.take(&Step::RetryAll);
    day.take(&Step::Drop(usize::try_from(parked.0).expect("small")));
    journal.commit(&day.records[kept..]).expect("kept");
    let hold = history.numbered(hold).expect("readable").hold.expect("known");
    assert_eq!(hold.closed_by, Some(day.records[kept].number));
    let parked = history.numbered(parked).expect("readable").parked.expect("known");
    // Its rule failed again, so the retry left it where it was.
    assert_eq!(parked.closed_by, day.records.last().map(|record| record.number));
    assert_eq!(text(&history.checklist_now().expect("readable")), day.checklist());
}

#[test]
fn the_rules_in_force_and_the_last_refusal_are_found() {
    let mut day = Day::new();
    day.take(&Step::RulesRefused);
    let Kept { history, mut journal, mut day, _folder } = kept(day);
    let rules = || history.open_now().expect("readable").rules.expect("told");
    assert_eq!((rules().generation, rules().loaded_at), (0, None));
    assert_eq!(rules().refused, Some((day.records[0].number, "next_workers.lua:7: no".to_owned())));
    day.take(&Step::RulesLoaded(1));
    journal.commit(&day.records[1..]).expect("kept");
    let found = rules();
    assert_eq!((found.generation, &*found.hash, found.refused), (1, "hash 1", None));
    assert_eq!((found.loaded_by, found.loaded_at), (day.records[1].number, Some(day.records[1].at.clone())));
    day.take(&Step::RulesRefused);
    journal.commit(&day.records[2..]).expect("kept");
    assert_eq!(rules().refused.map(|(number, _)| number), Some(day.records[2].number));
}

#[test]
fn the_cycles_and_notes_before_each_event_are_known() {
    let mut day = Day::new();
    let of_cycle = "{rule: launch, cycle: today}";
    day.message("weather", "success", of_cycle);
    let run = day.only_running().id;
    day.message("rivers", "success", "{2026-03-13: [a, b]}");
    day.happens(Event::RunEnded { run, ending: Ending::Status(0), ended_at: None });
    day.take(&Step::Hours(5));
    let today = Cycle::parse("today").expect("a label");
    assert!(day.state.cycles.is_forgotten(&today));
    day.message("weather", "failure", "{cycle: today}");
    let Kept { day, history, .. } = kept(day);
    assert_eq!(day.cycles_before.len(), 5);
    for (number, cycles) in &day.cycles_before {
        assert_eq!(history.cycles_before(*number).expect("readable").as_ref(), Some(cycles), "{number}");
    }
    let now = history.cycles_now().expect("readable");
    assert_eq!(now, day.state.cycles);
    let last = day.records.last().expect("a record");
    assert_eq!(now.get(&today).map(|kept| kept.begun), Some(last.number), "it began again");
    let noted = now.last("rivers", "success", None).expect("noted");
    assert_eq!(noted.payload, Some(pyyaml::read("{2026-03-13: [a, b]}").expect("YAML")));

    // What a reader of one event sees of its changes.
    let changes = history.event(last.number).expect("readable").expect("known").changes;
    assert_eq!(changes.iter().filter(|change| change.is_of_notes()).count(), 2, "{changes:?}");
}

#[test]
fn what_rules_saw_of_the_notes_is_read_again() {
    let mut day = Day::new();
    day.message("weather", "success", "{rule: launch, cycle: today}");
    day.message("weather", "success", "{rule: fail, cycle: tomorrow}");
    day.take(&Step::RetryAll);
    day.message("ssh", "success", "null");
    let Kept { day, history, .. } = kept(day);
    let mut seen = Vec::new();
    let mut visit = |_: &CallHistory<'_>, call: &HistoricalCall<'_>| {
        let cycles = call.given.as_ref().expect("known").cycles.clone().expect("known");
        let last = |source| cycles.last(source, "success", None).map(|last| last.message);
        seen.push((call.number, last("weather"), last("ssh"), cycles.kept().len()));
        Ok(())
    };
    history.calls(None, None, &mut visit).expect("readable");
    let messages = day.records.iter().filter(|record| matches!(record.event, RecordedEvent::Message(_)));
    let [first, second, again, third] = messages.map(|record| record.number).collect::<Vec<_>>()[..] else {
        panic!("not four messages: {:?}", day.records)
    };
    assert_eq!(
        seen,
        [
            (first, Some(first), None, 1),
            (second, Some(second), None, 2),
            (again, Some(second), None, 2),
            (third, Some(second), Some(third), 2),
        ]
    );
}

#[test]
fn it_is_readable_without_a_manager() {
    let mut day = Day::new();
    day.message("weather", "success", "{rule: launch}");
    let folder = tempfile::tempdir().expect("a folder");
    Journal::open(folder.path()).expect("a new journal").commit(&day.records).expect("kept");
    for _ in 0..2 {
        let history = History::open(folder.path()).expect("readable");
        assert_eq!(history.open_now().expect("readable").runs.len(), 1);
        assert_eq!(text(&history.checklist_before(Number(1)).expect("known")), "{}\n");
    }
    // And a manager can begin while it is read.
    let history = History::open(folder.path()).expect("readable");
    let mut journal = Journal::open(folder.path()).expect("the same journal");
    let kept = day.records.len();
    day.message("ssh", "success", "null");
    journal.commit(&day.records[kept..]).expect("kept");
    drop(journal);
    let last = history.open_now().expect("readable").last_event.expect("some").number;
    assert_eq!(last, day.records.last().expect("some").number);
}
