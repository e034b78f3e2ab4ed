//! A wall clock that was set: the order of events is that of their numbers, and their age is not that of their times.

use jiff::{SignedDuration, Timestamp};
use nowcast::store::journal::{EventFilter, EventKind, Recovered, RunFilter};
use nowcast::store::{History, Journal};
use nowcast_core::{Number, Steady};
use rusqlite::Connection;

use crate::journal::day::{Day, Step};
use crate::journal::fixture::copy;
use crate::journal::recovery::{assert_recovers, tidy};

/// Six years, in hours.
const YEARS: i64 = 6 * 365 * 24;

/// A day, and the journal that it is kept in.
struct Kept {
    day: Day,
    folder: tempfile::TempDir,
    journal: Journal,
}

impl Kept {
    /// Twelve days with a message in each hour, which is the last one.
    fn twelve_days() -> Self {
        let mut day = Day::new();
        for _ in 0..12 * 24 {
            day.take(&Step::Hours(1));
            day.message("ssh", "success", "null");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("a new journal");
        let mut kept = Self { day, folder, journal };
        kept.keep(0);
        kept
    }

    fn keep(&mut self, from: usize) {
        self.journal.commit(&self.day.records[from..]).expect("kept");
    }

    /// Steps, and a message after them; return the number of the message.
    fn goes_on(&mut self, steps: &[Step]) -> Number {
        let from = self.day.records.len();
        for step in steps {
            self.day.take(step);
        }
        self.day.message("ssh", "success", "null");
        self.keep(from);
        self.day.records.last().expect("the message").number
    }

    fn messages(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Vec<Number> {
        let history = History::open(self.folder.path()).expect("readable");
        let kind = Some(EventKind::Message);
        let filter = EventFilter { kind, since, until, ..EventFilter::default() };
        history.events(&filter).expect("readable").iter().rev().map(|record| record.number).collect()
    }

    /// The present by the wall clock.
    fn wall(&self) -> Timestamp {
        self.day.time().timestamp()
    }

    /// Remove what is older than some days, as the manager does.
    fn prune(&mut self, days: i64) {
        let now = self.day.state.now(&self.day.time()).steady;
        let before = now.after(-SignedDuration::from_hours(24 * days));
        tidy(&mut self.journal, &self.day, Some(before));
    }

    /// The true ages of the events that are left, in whole days.
    fn ages(&self) -> Vec<i64> {
        let left = self.messages(None, None);
        assert!(!left.is_empty());
        left.iter().map(|number| self.true_age(*number)).collect()
    }

    fn true_age(&self, number: Number) -> i64 {
        let steady = |number| {
            let history = History::open(self.folder.path()).expect("readable");
            history.steady(&history.event(number).expect("readable").expect("known")).expect("readable")
        };
        let last = self.day.records.last().expect("a record").number;
        steady(last).since(steady(number)).as_hours() / 24
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[test]
fn messages_of_the_last_hour_are_found_whatever_the_clock_showed_when_they_came() {
    for step in [-YEARS, YEARS, -2, 2] {
        let mut kept = Kept::twelve_days();
        let before = kept.goes_on(&[Step::Hours(3)]);
        let wrong = kept.goes_on(&[Step::Hours(0), Step::SetClock(step)]);
        assert_eq!(
            kept.messages(Some(kept.wall() - HOUR), None),
            [before, wrong],
            "{step}: by the wrong clock"
        );
        let after = kept.goes_on(&[Step::SetClock(-step), Step::Hours(0)]);
        let now = kept.wall();
        assert_eq!(kept.messages(Some(now - HOUR), None), [before, wrong, after], "{step}");
        assert_eq!(kept.messages(Some(now - HOUR * 5), None).len(), 5, "{step}");
        let second = SignedDuration::from_secs(1);
        assert_eq!(kept.messages(Some(now - HOUR), Some(now)), [before, wrong], "{step}");
        assert_eq!(kept.messages(Some(now - second), Some(now + second)), [after], "{step}");
        assert_eq!(kept.messages(None, Some(now - HOUR)).len(), 12 * 24, "{step}");
    }
}

#[test]
fn a_clock_that_was_wrong_in_an_earlier_boot_is_compared_as_it_was_set_last() {
    let mut kept = Kept::twelve_days();
    let wrong = kept.goes_on(&[Step::SetClock(-YEARS), Step::Hours(3)]);
    let right = kept.goes_on(&[Step::Hours(0), Step::SetClock(YEARS)]);
    let booted = kept.goes_on(&[Step::Hours(0), Step::Boot]);
    assert_eq!(kept.messages(Some(kept.wall() - HOUR), None), [wrong, right, booted]);
    let history = History::open(kept.folder.path()).expect("readable");
    let runs = RunFilter { since: Some(kept.wall() - HOUR * 24 * 20), ..RunFilter::default() };
    assert!(history.runs(&runs).expect("readable").is_empty(), "no run at all was wanted");
}

#[test]
fn what_was_kept_while_the_clock_was_years_behind_is_removed_with_what_came_then() {
    let mut kept = Kept::twelve_days();
    let wrong = kept.goes_on(&[Step::SetClock(-YEARS), Step::Hours(0)]);
    let right = kept.goes_on(&[Step::SetClock(YEARS), Step::Hours(0)]);
    kept.prune(3);
    let left = kept.messages(None, None);
    assert!(left.contains(&wrong) && left.contains(&right), "{left:?}");
    assert_eq!(kept.ages().iter().max(), Some(&3), "by whole days");
    for _ in 0..4 * 24 {
        kept.goes_on(&[Step::Hours(1)]);
    }
    kept.prune(3);
    assert!(!kept.messages(None, None).contains(&wrong));
}

#[test]
fn a_clock_that_is_years_ahead_removes_nothing_that_is_young() {
    let mut kept = Kept::twelve_days();
    kept.goes_on(&[Step::SetClock(YEARS), Step::Hours(0)]);
    kept.prune(3);
    assert_eq!(kept.ages().iter().max(), Some(&3));
    kept.goes_on(&[Step::SetClock(-YEARS), Step::Hours(0)]);
    kept.prune(3);
    assert_eq!(kept.ages().iter().max(), Some(&3));
}

#[test]
fn after_a_boot_with_a_clock_that_is_years_ahead_the_machine_was_off_for_a_week_at_most() {
    let mut kept = Kept::twelve_days();
    kept.goes_on(&[Step::Boot, Step::SetClock(0)]);
    assert_eq!(kept.ages()[0], 11);
    kept.day.ahead = SignedDuration::from_hours(YEARS);
    kept.goes_on(&[Step::Boot]);
    assert_eq!(kept.ages()[0], 18, "as if seven days had passed");
    kept.prune(10);
    assert_eq!(kept.ages().iter().max(), Some(&10));
    assert!(kept.ages().len() > 3 * 24, "what was three days old is there");
}

#[test]
fn where_times_went_back_before_steps_were_recorded_nothing_younger_is_removed() {
    let folder = copy("journal-version-4");
    let database = Connection::open(folder.path().join("journal.sqlite")).expect("the database");
    // The clock was in the year 2020 for some events.
    let wrong = database
        .execute("UPDATE events SET at = replace(at, '2026-', '2020-') WHERE number BETWEEN 20 AND 29", [])
        .expect("changed");
    let count = |database: &Connection| {
        database.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).expect("a count")
    };
    let all = count(&database);
    assert!(wrong > 4 && all > 20, "{wrong} {all}");
    let mut journal = Journal::open(folder.path()).expect("migrated");
    let before: Timestamp = "2026-03-01T00:00:00Z".parse().expect("a moment");
    let Recovered { checklist, cycles, .. } = journal.load().expect("readable");
    let checklist = checklist.into();
    while journal.tidy(&checklist, &cycles, Some(Steady(before))).expect("done") {}
    assert_eq!(count(&database), all);
    let history = History::open(folder.path()).expect("readable");
    let since = |since: &str| {
        let since = Some(since.parse().expect("a moment"));
        history.events(&EventFilter { since, ..EventFilter::default() }).expect("readable").len()
    };
    assert_eq!(i64::try_from(since("2026-03-14T00:00:00Z")), Ok(all));
    assert_eq!(i64::try_from(since("2020-03-14T00:00:00Z")), Ok(all));
    assert_eq!(since("2027-01-01T00:00:00Z"), 0);
    let before: Timestamp = "2026-04-01T00:00:00Z".parse().expect("a moment");
    while journal.tidy(&checklist, &cycles, Some(Steady(before))).expect("done") {}
    assert!(count(&database) < all / 2, "they are removed when all of them are old");
}

#[test]
fn the_times_of_the_schedule_are_kept_and_removed_as_in_the_state() {
    let month: i64 = 31 * 24;
    let mut kept = Kept::twelve_days();
    // The clock is a year ahead for one launch, and two months pass.
    for hours in [1, 1, 8_760, -8_760, 1, month, month, 1] {
        let step = if hours.abs() == 8_760 { Step::SetClock(hours) } else { Step::Hours(hours) };
        kept.goes_on(&[step, Step::Schedule(1)]);
    }
    let times = &kept.day.state.scheduled["rivers"];
    assert_eq!(times.iter().count(), 3, "those of the last month, and that of a year ahead: {times:?}");
    assert_recovers(&kept.journal, &kept.day);
}

#[test]
fn the_last_launch_of_an_entry_is_that_of_the_last_event() {
    let mut kept = Kept::twelve_days();
    kept.goes_on(&[
        Step::Schedule(1),
        Step::SetClock(2),
        Step::Schedule(1),
        Step::SetClock(-2),
        Step::Schedule(2),
    ]);
    let history = History::open(kept.folder.path()).expect("readable");
    let last = |item: &str| history.last_scheduled(item, item).expect("readable");
    let now = history.clock().expect("readable").now(&kept.day.time());
    let (due, launched_at) = last("rivers").expect("a launch");
    assert_eq!(due.duration_since(now.wall).as_hours(), 2, "it was ahead by two hours");
    assert!(now.wall_at(launched_at).duration_since(now.wall).abs() < SignedDuration::from_mins(1));
    assert_eq!(last("ssh").map(|(due, at)| due == now.wall_at(at)), Some(true));
    assert_eq!(last("upload"), None);
}
