//! Which times of the schedule are due. It reads no clock and launches nothing.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::config::{CatchUp, ScheduledWorker};

/// A time that is longer past was missed: the peer looks once in a minute.
const LATE: SignedDuration = SignedDuration::from_mins(1);

/// What was missed before that is not caught up: who comes back after a month does not want it.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The schedule, and how far it has been followed.
#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    scheduled: ScheduledWorker,
    /// Its times up to here have been looked at.
    seen: Timestamp,
    /// The times for which it is still to be launched.
    due: VecDeque<Timestamp>,
}

/// Times that nobody will launch for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// What names the entry.
    pub(super) item: String,
    /// The last of them.
    pub(super) last: Timestamp,
    /// How many there are.
    pub(super) count: usize,
}

impl Plan {
    /// The plan for a schedule. An entry that `before` has goes on from there, any other from its last launch that the
    /// manager knows of, or else from now on.
    pub(super) fn new(
        scheduled: &[ScheduledWorker],
        launched: &BTreeMap<String, Timestamp>,
        before: Self,
        now: Timestamp,
    ) -> Self {
        let mut before: Vec<Entry> = before.entries;
        let entry = |scheduled: &ScheduledWorker| {
            let known = before.iter().position(|entry| entry.scheduled.item() == scheduled.item());
            let (seen, due) = match known.map(|at| before.swap_remove(at)) {
                Some(entry) => (entry.seen, entry.due),
                None => (launched.get(&scheduled.item()).copied().unwrap_or(now), VecDeque::new()),
            };
            Entry { scheduled: scheduled.clone(), seen, due }
        };
        Self { entries: scheduled.iter().map(entry).collect() }
    }

    /// Takes up what has become due by now; answers what was missed.
    pub(super) fn look(&mut self, now: Timestamp) -> Vec<Missed> {
        self.entries.iter_mut().filter_map(|entry| entry.look(now)).collect()
    }

    /// The time that is due and the longest past, with its worker.
    pub(super) fn first(&self) -> Option<(&ScheduledWorker, Timestamp)> {
        let due = |entry: &'_ Entry| entry.due.front().copied();
        let first =
            self.entries.iter().filter(|entry| due(entry).is_some()).min_by_key(|entry| due(entry))?;
        Some((&first.scheduled, due(first)?))
    }

    /// What [`Plan::first`] answered is done.
    pub(super) fn done(&mut self) {
        let due = |entry: &Entry| entry.due.front().copied();
        let first =
            self.entries.iter_mut().filter(|entry| due(entry).is_some()).min_by_key(|entry| due(entry));
        if let Some(entry) = first {
            entry.due.pop_front();
        }
    }

    /// When the next time comes that is not due yet.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.after(entry.seen)).min()
    }
}

impl Entry {
    fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = moment.to_zoned_datetime(self.scheduled.zone.clone());
        self.scheduled.times.after(&moment).map(|next| next.timestamp())
    }

    fn look(&mut self, now: Timestamp) -> Option<Missed> {
        let mut missed = VecDeque::new();
        let mut at = self.seen.max(now.checked_sub(FORGOTTEN).unwrap_or(self.seen));
        while let Some(time) = self.after(at).filter(|time| *time <= now) {
            let is_missed = now.duration_since(time) > LATE;
            if is_missed { &mut missed } else { &mut self.due }.push_back(time);
            at = time;
        }
        // A clock that was set back brings nothing a second time.
        self.seen = self.seen.max(now);
        let last = *missed.back()?;
        let count = missed.len();
        let kept = match self.scheduled.catch_up {
            CatchUp::All => count,
            CatchUp::Latest => 1,
            CatchUp::None => 0,
        };
        for time in missed.into_iter().rev().take(kept) {
            self.due.push_front(time);
        }
        let item = self.scheduled.item();
        (kept < count).then_some(Missed { item, last, count: count - kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::path::Path;

    const CONFIG: &str = "
checklist file: checklist.yaml
logging: {version: 1}
zmq: {host: localhost, ports: {manager: 4343, workers: 4344}}
message registry: {next workers module: next_workers, workers: {}}
scheduled workers:
";

    fn schedule(entries: &str) -> Vec<ScheduledWorker> {
        let text = format!("{CONFIG}{entries}");
        config::parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| None).expect("a schedule").0.scheduled
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-03-14T{text}Z").parse().expect("a time")
    }

    /// What is due, the longest past first.
    fn drain(plan: &mut Plan) -> Vec<String> {
        let mut due = Vec::new();
        while let Some((worker, time)) = plan.first() {
            due.push(format!("{} {}", worker.module, time.strftime("%H:%M")));
            plan.done();
        }
        due
    }

    fn hourly(catch_up: &str) -> Vec<ScheduledWorker> {
        schedule(&format!("- a: {{every: hour, at: ':15', timezone: UTC, catch up: {catch_up}}}"))
    }

    #[test]
    fn each_time_is_due_once_when_it_has_come() {
        let mut plan = Plan::new(&hourly("none"), &BTreeMap::new(), Plan::default(), at("05:00:00"));
        assert_eq!(plan.next(), Some(at("05:15:00")));
        assert!(plan.look(at("05:14:59")).is_empty());
        assert!(drain(&mut plan).is_empty());
        assert!(plan.look(at("05:15:30")).is_empty());
        assert_eq!(drain(&mut plan), ["a 05:15"]);
        plan.look(at("05:15:31"));
        plan.look(at("05:10:00"));
        plan.look(at("05:16:00"));
        assert!(drain(&mut plan).is_empty());
        assert_eq!(plan.next(), Some(at("06:15:00")));
    }

    #[test]
    fn what_was_missed_is_lost_or_caught_up_as_it_is_said() {
        let launched =
            |scheduled: &[ScheduledWorker]| BTreeMap::from([(scheduled[0].item(), at("05:15:00"))]);
        let caught_up = |how| {
            let scheduled = hourly(how);
            let mut plan = Plan::new(&scheduled, &launched(&scheduled), Plan::default(), at("08:15:10"));
            let missed =
                plan.look(at("08:15:10")).into_iter().map(|missed| (missed.last, missed.count)).collect();
            (drain(&mut plan), missed)
        };
        let lost = |time, count| vec![(at(time), count)];
        assert_eq!(caught_up("none"), (vec!["a 08:15".into()], lost("07:15:00", 2)));
        assert_eq!(caught_up("latest"), (vec!["a 07:15".into(), "a 08:15".into()], lost("07:15:00", 1)));
        assert_eq!(
            caught_up("all"),
            (vec!["a 06:15".into(), "a 07:15".into(), "a 08:15".into()], Vec::new())
        );
    }

    #[test]
    fn a_worker_that_was_never_launched_has_missed_nothing() {
        let mut plan = Plan::new(&hourly("all"), &BTreeMap::new(), Plan::default(), at("08:00:00"));
        assert!(plan.look(at("08:00:00")).is_empty());
        assert!(drain(&mut plan).is_empty());
    }

    #[test]
    fn what_was_missed_long_ago_is_forgotten() {
        let scheduled = hourly("all");
        let launched =
            BTreeMap::from([(scheduled[0].item(), "2020-01-01T00:15:00Z".parse().expect("a time"))]);
        let mut plan = Plan::new(&scheduled, &launched, Plan::default(), at("08:00:00"));
        plan.look(at("08:00:00"));
        assert_eq!(drain(&mut plan).len(), 31 * 24);
    }

    #[test]
    fn several_are_taken_in_the_order_of_their_times_and_a_new_schedule_goes_on() {
        let both = schedule(
            "- b: {every: day, at: '05:20', timezone: UTC, catch up: all}\n- a: {cron: '15 5 * * *', timezone: UTC, catch up: all}",
        );
        let mut plan = Plan::new(&both, &BTreeMap::new(), Plan::default(), at("05:00:00"));
        plan.look(at("05:30:00"));
        assert_eq!(plan.first().map(|(worker, _)| worker.module.as_str()), Some("a"));
        let mut plan = Plan::new(&both[..1], &BTreeMap::new(), plan, at("05:31:00"));
        assert_eq!(drain(&mut plan), ["b 05:20"]);
        let mut plan = Plan::new(&both, &BTreeMap::new(), plan, at("05:32:00"));
        plan.look(at("05:33:00"));
        assert!(drain(&mut plan).is_empty());
    }
}
