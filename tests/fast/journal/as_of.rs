//! What was open before an earlier event.

use jiff::SignedDuration;
use nowcast::store::journal::OpenItems;
use nowcast::store::{History, Journal};
use nowcast_core::cycles::NoteScope;
use nowcast_core::parked::Parked;
use nowcast_core::{Join, Number, Record, State};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::journal::day::{Day, Names, Step, steps};

/// A day, and the state before the first record of each of its steps.
struct Recorded {
    day: Day,
    before: Vec<(Number, State)>,
}

/// A day on which no two steps have the same time.
fn recorded(steps: &[Step]) -> Recorded {
    let (mut day, mut before) = (Day::new(), Vec::new());
    for step in steps {
        day.now = day.now.checked_add(SignedDuration::from_secs(1)).expect("a moment");
        let (state, count) = (day.state.clone(), day.records.len());
        day.take(step);
        before.extend(day.records.get(count).map(|record| (record.number, state)));
    }
    Recorded { day, before }
}

/// Joins with their requirements in any order: one that was met since comes last. Only the last conflict of a join is kept.
fn joins<'a>(joins: impl IntoIterator<Item = &'a Join>) -> Vec<Join> {
    let mut joins: Vec<Join> = joins.into_iter().cloned().collect();
    for join in &mut joins {
        join.requires.sort_by(|one, other| one.worker.cmp(&other.worker));
        join.identity.iter_mut().for_each(|identity| identity.conflict = None);
    }
    joins
}

fn parked<'a>(parked: impl IntoIterator<Item = &'a Parked>) -> Vec<(Number, String)> {
    // The reason is that of the last time.
    let shown = |parked: &Parked| (parked.id, parked.at.to_string());
    parked.into_iter().map(shown).collect()
}

/// The open joins of a state. One since a moment counts by the clock of the last event: the manager does so again with the next message only,
/// and the clock may have been set.
fn open_joins(state: &State, last_event: Option<&Record>) -> Vec<Join> {
    let mut open: Vec<Join> = state.joins.open().cloned().collect();
    let Some(last_event) = last_event else { return open };
    let now = state.now(&last_event.at.clone().into());
    for join in &mut open {
        if let Some(identity) =
            join.identity.as_ref().filter(|known| matches!(known.scope, NoteScope::Since(_)))
        {
            (join.requires, join.received) = identity.evaluate(&state.cycles, now);
        }
    }
    open
}

fn assert_is(open: OpenItems, state: &State, event: Number) {
    assert_eq!(open.runs, state.runs.values().cloned().collect::<Vec<_>>(), "before {event}");
    assert_eq!(joins(&open.joins), joins(&open_joins(state, open.last_event.as_ref())), "before {event}");
    assert_eq!(joins(&open.ended_joins), joins(state.joins.ended()), "before {event}");
    assert_eq!(parked(&open.parked), parked(state.parked.values()), "before {event}");
    assert_eq!(open.holds, state.holds.values().cloned().collect::<Vec<_>>(), "before {event}");
    assert_eq!(open.clock, state.clock, "before {event}");
    let rules = open.rules.map(|rules| (rules.generation, rules.hash)).unwrap_or_default();
    assert_eq!(rules, state.rules, "before {event}");
}

/// Check what is known before each event of a day.
fn assert_is_known(steps: &[Step]) {
    let Recorded { day, before } = recorded(steps);
    let folder = tempfile::tempdir().expect("a folder");
    Journal::open(folder.path()).expect("a new journal").commit(&day.records).expect("kept");
    let history = History::open(folder.path()).expect("readable");
    for (event, state) in &before {
        let cycles = history.cycles_before(*event).expect("readable").expect("known");
        let open = history.open_before(*event, &day.state.policy, &cycles).expect("readable");
        assert_is(open, state, *event);
    }
}

fn success(worker: usize, payload: usize) -> Step {
    Step::Message { worker, r#type: 0, payload, names: Names::None }
}

/// The rule of `later` launches ssh and upload in two hours.
const LATER: usize = 4;
const LAUNCH_TODAY: usize = 12;
const MEET_TODAY: usize = 15;
/// The rule opens a join since midnight.
const MEET: usize = 16;

#[test]
fn a_launch_that_was_released_and_still_held_was_due_since_then() {
    let hold = Step::Hold { worker: 2, hours: None };
    // The hold is #2, and the launches that the third event requests are #4 and #5.
    assert_is_known(&[
        hold,
        success(0, LATER),
        Step::Release(4),
        Step::RulesRefused,
        Step::Release(2),
        Step::Clear,
    ]);
}

#[test]
fn a_join_of_a_cycle_that_was_forgotten_is_not_known_when_the_label_returns() {
    let ends = Step::RunEnds { which: 0, status: 0 };
    let meet = [success(0, MEET_TODAY), success(1, MEET_TODAY), success(3, 0), ends];
    let forget = [Step::Hours(3), Step::Hours(3)];
    assert_is_known(&[&meet[..], &forget, &[success(0, LAUNCH_TODAY), Step::Clear]].concat());
}

#[test]
fn a_join_since_a_moment_that_a_set_clock_has_moved_counts_by_the_new_clock() {
    let message = |payload| success(0, payload);
    let [ahead, back, again] = [Step::SetClock(-3), Step::SetClock(-2), Step::SetClock(-1)];
    assert_is_known(&[message(0), ahead, message(0), back, Step::Hours(1), message(MEET), again, message(0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/journal_as_of.txt")))), ..ProptestConfig::default() })]

    #[test]
    fn what_was_open_before_each_event_of_a_day_is_known_afterwards(steps in steps()) {
        assert_is_known(&steps);
    }
}
