//! Which times of the schedule are due. It reads no clock and launches nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::config::{CatchUp, ScheduledWorker};
use nowcast_core::command::is_ahead;

/// A time that is longer past when it is first looked at was missed: the peer looks once in a minute.
const LATE: SignedDuration = SignedDuration::from_mins(1);

/// A time that has waited longer for the manager was missed, too.
const WAITED: SignedDuration = SignedDuration::from_hours(1);

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
    /// The times for which it is still to be launched, in their order.
    due: Vec<Timestamp>,
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
    /// The plan for a schedule at the start: each entry goes on from the last launch that the manager knows of, or
    /// begins now.
    pub(super) fn new(
        scheduled: &[ScheduledWorker],
        launched: &BTreeMap<String, Timestamp>,
        now: Timestamp,
    ) -> Self {
        let entry = |scheduled: &ScheduledWorker| {
            let last = launched.get(&scheduled.item()).filter(|last| !is_ahead(**last, now));
            Entry { scheduled: scheduled.clone(), seen: last.copied().unwrap_or(now), due: Vec::new() }
        };
        Self { entries: scheduled.iter().map(entry).collect() }
    }

    /// Follows another schedule: what stands in both goes on, and what is new begins now.
    pub(super) fn follow(&mut self, scheduled: &[ScheduledWorker], now: Timestamp) {
        let mut before = std::mem::take(&mut self.entries);
        let entry = |scheduled: &ScheduledWorker| {
            let known = before.iter().position(|entry| entry.scheduled.item() == scheduled.item());
            let (seen, due) = known.map_or((now, Vec::new()), |at| {
                let entry = before.swap_remove(at);
                (entry.seen, entry.due)
            });
            Entry { scheduled: scheduled.clone(), seen, due }
        };
        self.entries = scheduled.iter().map(entry).collect();
    }

    /// Takes up what has become due by now; answers what was missed.
    pub(super) fn look(&mut self, now: Timestamp) -> Vec<Missed> {
        self.entries.iter_mut().filter_map(|entry| entry.look(now)).collect()
    }

    /// The time that is due and the longest past, with its worker.
    pub(super) fn first(&self) -> Option<(&ScheduledWorker, Timestamp)> {
        let first = self.entries.iter().filter_map(|entry| Some((*entry.due.first()?, entry)));
        first.min_by_key(|(due, _)| *due).map(|(due, entry)| (&entry.scheduled, due))
    }

    /// What [`Plan::first`] answered is done.
    pub(super) fn done(&mut self) {
        let due = |entry: &&mut Entry| entry.due.first().copied();
        let first = self.entries.iter_mut().filter(|entry| !entry.due.is_empty()).min_by_key(due);
        if let Some(entry) = first {
            entry.due.remove(0);
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
        if is_ahead(self.seen, now) {
            self.seen = now;
        }
        let waits = std::mem::take(&mut self.due);
        let (mut missed, mut due): (Vec<_>, Vec<_>) =
            waits.into_iter().partition(|time| now.duration_since(*time) > WAITED);
        let mut at = self.seen.max(now.checked_sub(FORGOTTEN).unwrap_or(self.seen));
        while let Some(time) = self.after(at).filter(|time| *time <= now) {
            if now.duration_since(time) > LATE { &mut missed } else { &mut due }.push(time);
            at = time;
        }
        // A clock that was set back brings nothing a second time.
        self.seen = self.seen.max(now);
        missed.sort_unstable();
        let (last, count) = (missed.last().copied(), missed.len());
        let kept = match self.scheduled.catch_up {
            CatchUp::All => count,
            CatchUp::Latest => count.min(1),
            CatchUp::None => 0,
        };
        due.extend_from_slice(&missed[count - kept..]);
        due.sort_unstable();
        self.due = due;
        let item = self.scheduled.item();
        (kept < count).then_some(Missed { item, last: last?, count: count - kept })
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
        let mut plan = Plan::new(&hourly("none"), &BTreeMap::new(), at("05:00:00"));
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
            let mut plan = Plan::new(&scheduled, &launched(&scheduled), at("08:15:10"));
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
        let mut plan = Plan::new(&hourly("all"), &BTreeMap::new(), at("08:00:00"));
        assert!(plan.look(at("08:00:00")).is_empty());
        assert!(drain(&mut plan).is_empty());
    }

    #[test]
    fn what_was_missed_long_ago_is_forgotten() {
        let scheduled = hourly("all");
        let launched =
            BTreeMap::from([(scheduled[0].item(), "2020-01-01T00:15:00Z".parse().expect("a time"))]);
        let mut plan = Plan::new(&scheduled, &launched, at("08:00:00"));
        plan.look(at("08:00:00"));
        assert_eq!(drain(&mut plan).len(), 31 * 24);
    }

    #[test]
    fn several_are_taken_in_the_order_of_their_times_and_a_new_schedule_goes_on() {
        let both = schedule(
            "- b: {every: day, at: '05:20', timezone: UTC, catch up: all}\n- a: {cron: '15 5 * * *', timezone: UTC, catch up: all}",
        );
        let mut plan = Plan::new(&both, &BTreeMap::new(), at("05:00:00"));
        plan.look(at("05:30:00"));
        assert_eq!(plan.first().map(|(worker, _)| worker.module.as_str()), Some("a"));
        plan.follow(&both[..1], at("05:31:00"));
        assert_eq!(drain(&mut plan), ["b 05:20"]);
        plan.follow(&both, at("05:32:00"));
        plan.look(at("05:33:00"));
        assert!(drain(&mut plan).is_empty());
    }

    #[test]
    fn what_waits_for_the_manager_keeps_its_order_and_is_missed_after_an_hour() {
        let waiting = |how, until: &[&str]| {
            let mut plan = Plan::new(&hourly(how), &BTreeMap::new(), at("05:00:00"));
            plan.look(at("05:15:10"));
            // Nobody looks for some minutes: 06:15 is missed, and 05:15 has waited.
            let missed: usize =
                until.iter().flat_map(|now| plan.look(at(now))).map(|missed| missed.count).sum();
            (drain(&mut plan), missed)
        };
        let due = |times: &[&str]| times.iter().map(|time| format!("a {time}")).collect::<Vec<_>>();
        assert_eq!(waiting("all", &["06:17:00"]), (due(&["05:15", "06:15"]), 0));
        assert_eq!(waiting("latest", &["06:17:00"]), (due(&["06:15"]), 1));
        assert_eq!(waiting("none", &["06:17:00"]), (due(&[]), 2));
        assert_eq!(waiting("none", &["05:50:00"]), (due(&["05:15"]), 0));
        assert_eq!(waiting("latest", &["06:15:10", "07:15:10", "08:15:10"]), (due(&["07:15", "08:15"]), 2));
    }

    #[test]
    fn a_clock_that_was_far_ahead_does_not_keep_the_schedule_back() {
        let scheduled = hourly("all");
        let launched =
            BTreeMap::from([(scheduled[0].item(), "2031-01-01T00:15:00Z".parse().expect("a time"))]);
        let mut plan = Plan::new(&scheduled, &launched, at("08:00:00"));
        plan.look("2031-01-01T01:00:00Z".parse().expect("a time"));
        drain(&mut plan);
        plan.look(at("08:00:00"));
        assert_eq!(plan.next(), Some(at("08:15:00")));
    }
}
