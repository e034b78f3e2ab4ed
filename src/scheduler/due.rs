//! [`SchedulePlan`]: which times of the schedule are due. It reads no clock and launches nothing.

use jiff::{SignedDuration, Timestamp};

use crate::config::{CatchUp, ScheduledWorker};
use crate::store::{History, JournalError};
use nowcast_core::launched_times::CATCH_UP_LIMIT;
use nowcast_core::next_worker::LOCALHOST;
use nowcast_core::{LaunchOptions, LaunchedTimes, NextWorker, Now};

/// A time that is first collected later than this was missed: NEMO_Nowcast checks once a minute.
const MISSED_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// A time that the manager has not decided for this long was missed, too.
const WAIT_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);

/// The schedule, and the progress of each entry.
#[derive(Debug, Default)]
pub(crate) struct SchedulePlan {
    entries: Vec<EntryProgress>,
}

#[derive(Debug)]
struct EntryProgress {
    scheduled: ScheduledWorker,
    /// Its times up to this moment have been collected.
    collected: Timestamp,
    /// The times that still need a launch, in their order.
    due: Vec<Timestamp>,
    launches: EarlierLaunches,
}

/// The launches of an entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct EarlierLaunches {
    /// The times for which it was launched.
    pub(crate) times: LaunchedTimes,
    /// Its last launch before the scheduler started.
    pub(crate) last: Option<LastLaunch>,
}

/// A launch for a time, and when that was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastLaunch {
    /// The scheduled time.
    pub(crate) due: Timestamp,
    /// The moment of the launch, by the wall clock as it is set now.
    pub(crate) launched_at: Timestamp,
}

impl EarlierLaunches {
    /// Return those of an entry: the journal has the last one, and `times` are those for which it was launched.
    pub(crate) fn read(
        history: &History,
        entry: &ScheduledWorker,
        times: LaunchedTimes,
        now: Now,
    ) -> Result<Self, JournalError> {
        let last = history.last_scheduled(&entry.item(), entry.name())?;
        let last = last.map(|(due, at)| LastLaunch { due, launched_at: now.wall_at(at) });
        Ok(Self { times, last })
    }
}

impl LastLaunch {
    /// Return up to which time the entry had been collected. By a clock that was ahead it was launched before its time, and says nothing
    /// about times that have come since.
    fn collected(self) -> Timestamp {
        self.due.min(self.launched_at)
    }
}

/// Times without a launch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MissedTimes {
    /// The name of the entry.
    pub(crate) item: String,
    /// The last time.
    pub(crate) last: Timestamp,
    /// The number of times.
    pub(crate) count: usize,
}

/// Return the launch of an entry for one of its times.
pub(crate) fn launch(scheduled: &ScheduledWorker, due: Timestamp) -> NextWorker {
    let host = scheduled.host.clone().unwrap_or_else(|| LOCALHOST.to_owned());
    let options = LaunchOptions { cycle: scheduled.cycle_at(due), ..LaunchOptions::default() };
    NextWorker { host, options, ..NextWorker::new(scheduled.module.clone(), scheduled.args.clone()) }
}

impl SchedulePlan {
    /// Return the plan for a schedule at the start, with the launches in the journal of each entry, or with none: each entry
    /// continues after its last launch, or starts now.
    pub(crate) fn new(scheduled: &[ScheduledWorker], launches: Vec<EarlierLaunches>, now: Timestamp) -> Self {
        let launches = launches.into_iter().chain(std::iter::repeat(EarlierLaunches::default()));
        let entry = |(scheduled, launches)| EntryProgress::new(scheduled, launches, now);
        Self { entries: scheduled.iter().zip(launches).map(entry).collect() }
    }

    /// Go on by a wall clock that was set. Times that it shows again are due again, except those with a launch. Of the times
    /// that it has left out, those before the last launch are not missed: that was made when the clock was right.
    pub(crate) fn set_clock(&mut self, from: Timestamp, to: Timestamp) {
        for entry in &mut self.entries {
            entry.set_clock(from, to);
        }
    }

    /// Replace the schedule: entries that are in both continue, and new ones start now.
    pub(crate) fn update(&mut self, scheduled: &[ScheduledWorker], now: Timestamp) {
        let mut before = std::mem::take(&mut self.entries);
        let entry = |scheduled: &ScheduledWorker| {
            let known = before.iter().position(|entry| entry.scheduled.item() == scheduled.item());
            match known.map(|at| before.swap_remove(at)) {
                Some(entry) => EntryProgress { scheduled: scheduled.clone(), ..entry },
                None => EntryProgress::new(scheduled, EarlierLaunches::default(), now),
            }
        };
        self.entries = scheduled.iter().map(entry).collect();
    }

    /// Collect the times that have become due; return those that were missed.
    pub(crate) fn collect_due(&mut self, now: Timestamp) -> Vec<MissedTimes> {
        self.entries.iter_mut().filter_map(|entry| entry.collect_due(now)).collect()
    }

    /// Return the earliest time that is due, with its entry.
    pub(crate) fn first(&self) -> Option<(&ScheduledWorker, Timestamp)> {
        let first = self.entries.iter().filter_map(|entry| Some((*entry.due.first()?, entry)));
        first.min_by_key(|(due, _)| *due).map(|(due, entry)| (&entry.scheduled, due))
    }

    /// Remove the time that [`SchedulePlan::first`] returns.
    pub(crate) fn complete_first(&mut self) {
        let due = |entry: &&mut EntryProgress| entry.due.first().copied();
        let first = self.entries.iter_mut().filter(|entry| !entry.due.is_empty()).min_by_key(due);
        if let Some(entry) = first {
            let time = entry.due.remove(0);
            let expired = entry.launches.times.expired(time);
            entry.launches.times.add(time, &expired);
        }
    }

    /// Return the next time that is not due yet.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.after(entry.collected)).min()
    }
}

impl EntryProgress {
    fn new(scheduled: &ScheduledWorker, mut launches: EarlierLaunches, now: Timestamp) -> Self {
        // Where the event of the last launch was pruned, its latest time that has come is the best known.
        let latest = |until| launches.times.last_until(until);
        let known = || latest(now).or_else(|| latest(Timestamp::MAX));
        launches.last = launches.last.or_else(|| Some(LastLaunch { due: known()?, launched_at: now }));
        let collected = launches.last.map_or(now, |last| last.collected().min(now));
        Self { scheduled: scheduled.clone(), collected, due: Vec::new(), launches }
    }

    fn set_clock(&mut self, from: Timestamp, to: Timestamp) {
        if let Some(last) = &mut self.launches.last {
            let set = last.launched_at.checked_add(to.duration_since(from));
            last.launched_at = set.unwrap_or(last.launched_at);
        }
        let last = self.launches.last.map(LastLaunch::collected);
        let is_ahead = self.collected > to;
        let was_launched = self.launches.times.last_until(Timestamp::MAX).is_some();
        self.collected =
            if is_ahead || !was_launched { to } else { last.unwrap_or(self.collected).max(self.collected) };
        self.due.retain(|time| *time <= to && last.is_none_or(|last| *time > last));
    }

    fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = moment.to_zoned_datetime(self.scheduled.zone.clone());
        self.scheduled.times.after(&moment).map(|next| next.timestamp())
    }

    fn collect_due(&mut self, now: Timestamp) -> Option<MissedTimes> {
        let waiting = std::mem::take(&mut self.due);
        let (mut missed, mut due): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|time| now.duration_since(*time) > WAIT_TIMEOUT);
        let mut at = self.collected.max(now.checked_sub(CATCH_UP_LIMIT).unwrap_or(self.collected));
        while let Some(time) = self.after(at).filter(|time| *time <= now) {
            at = time;
            if self.launches.times.contains(time) {
                continue;
            }
            if now.duration_since(time) > MISSED_AFTER { &mut missed } else { &mut due }.push(time);
        }
        // A clock that is set back a little makes no time due twice.
        self.collected = self.collected.max(now);
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
        (kept < count).then_some(MissedTimes { item, last: last?, count: count - kept })
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
        config::parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| Some(String::new()))
            .expect("a schedule")
            .0
            .scheduled
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-03-14T{text}Z").parse().expect("a time")
    }

    /// The times that are due, the earliest first.
    fn drain(plan: &mut SchedulePlan) -> Vec<String> {
        let mut due = Vec::new();
        while let Some((worker, time)) = plan.first() {
            due.push(format!("{} {}", worker.module, time.strftime("%H:%M")));
            plan.complete_first();
        }
        due
    }

    /// The launches of one entry, in their order. Those before the last one were made at their times, the last one at `launched_at`.
    fn launched_for(times: &[&str], launched_at: Timestamp) -> Vec<EarlierLaunches> {
        let times: Vec<Timestamp> = times.iter().map(|time| time.parse().expect("a time")).collect();
        let last = times.last().map(|due| LastLaunch { due: *due, launched_at });
        vec![EarlierLaunches { times: times.into_iter().collect(), last }]
    }

    /// The launches of one entry, each at its time.
    fn launched_at(times: &[&str]) -> Vec<EarlierLaunches> {
        launched_for(times, times.last().expect("a launch").parse().expect("a time"))
    }

    fn hourly(catch_up: &str) -> Vec<ScheduledWorker> {
        schedule(&format!("- a: {{every: hour, at: ':15', timezone: UTC, catch up: {catch_up}}}"))
    }

    #[test]
    fn each_time_is_due_once() {
        let mut plan = SchedulePlan::new(&hourly("none"), Vec::new(), at("05:00:00"));
        assert_eq!(plan.next(), Some(at("05:15:00")));
        assert!(plan.collect_due(at("05:14:59")).is_empty());
        assert!(drain(&mut plan).is_empty());
        assert!(plan.collect_due(at("05:15:30")).is_empty());
        assert_eq!(drain(&mut plan), ["a 05:15"]);
        plan.collect_due(at("05:15:31"));
        plan.collect_due(at("05:10:00"));
        plan.collect_due(at("05:16:00"));
        assert!(drain(&mut plan).is_empty());
        assert_eq!(plan.next(), Some(at("06:15:00")));
    }

    #[test]
    fn catch_up_says_which_missed_times_are_due() {
        let caught_up = |how| {
            let launched = launched_at(&["2026-03-14T05:15:00Z"]);
            let mut plan = SchedulePlan::new(&hourly(how), launched, at("08:15:10"));
            let missed = plan
                .collect_due(at("08:15:10"))
                .into_iter()
                .map(|missed| (missed.last, missed.count))
                .collect();
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
    fn an_entry_without_a_launch_has_missed_nothing() {
        let mut plan = SchedulePlan::new(&hourly("all"), Vec::new(), at("08:00:00"));
        assert!(plan.collect_due(at("08:00:00")).is_empty());
        assert!(drain(&mut plan).is_empty());
    }

    #[test]
    fn times_of_more_than_a_month_ago_are_not_caught_up() {
        let scheduled = hourly("all");
        let launched = launched_at(&["2020-01-01T00:15:00Z"]);
        let mut plan = SchedulePlan::new(&scheduled, launched, at("08:00:00"));
        plan.collect_due(at("08:00:00"));
        assert_eq!(drain(&mut plan).len(), 31 * 24);
    }

    #[test]
    fn times_are_due_in_their_order_and_continue_in_a_new_schedule() {
        let both = schedule(
            "- b: {every: day, at: '05:20', timezone: UTC, catch up: all}\n- a: {cron: '15 5 * * *', timezone: UTC, catch up: all}",
        );
        let mut plan = SchedulePlan::new(&both, Vec::new(), at("05:00:00"));
        plan.collect_due(at("05:30:00"));
        assert_eq!(plan.first().map(|(worker, _)| worker.module.as_str()), Some("a"));
        plan.update(&both[..1], at("05:31:00"));
        assert_eq!(drain(&mut plan), ["b 05:20"]);
        plan.update(&both, at("05:32:00"));
        plan.collect_due(at("05:33:00"));
        assert!(drain(&mut plan).is_empty());
    }

    #[test]
    fn times_that_wait_for_the_manager_keep_their_order_and_are_missed_after_an_hour() {
        let waiting = |how, until: &[&str]| {
            let mut plan = SchedulePlan::new(&hourly(how), Vec::new(), at("05:00:00"));
            plan.collect_due(at("05:15:10"));
            // Nothing is collected for some minutes: 06:15 is missed, and 05:15 has waited.
            let missed: usize =
                until.iter().flat_map(|now| plan.collect_due(at(now))).map(|missed| missed.count).sum();
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
    fn times_that_a_clock_shows_again_are_due_again_except_those_with_a_launch() {
        let scheduled = hourly("none");
        let launched = launched_at(&["2026-03-14T06:15:00Z"]);
        let mut plan = SchedulePlan::new(&scheduled, launched, at("06:20:00"));
        // Two hours ahead, for some seconds.
        plan.set_clock(at("06:20:00"), at("08:15:10"));
        plan.collect_due(at("08:15:10"));
        assert_eq!(drain(&mut plan), ["a 08:15"]);
        plan.set_clock(at("08:15:25"), at("06:20:15"));
        assert_eq!(plan.next(), Some(at("07:15:00")));
        for (now, due) in [("07:15:01", vec!["a 07:15"]), ("08:15:01", vec![]), ("09:15:01", vec!["a 09:15"])]
        {
            assert!(plan.collect_due(at(now)).is_empty(), "{now}");
            assert_eq!(drain(&mut plan), due, "{now}");
        }
    }

    #[test]
    fn times_over_which_the_clock_was_set_forward_are_missed_and_come_when_it_is_set_back() {
        let scheduled = hourly("none");
        let launched = launched_at(&["2026-03-14T05:15:00Z"]);
        let mut plan = SchedulePlan::new(&scheduled, launched, at("05:20:00"));
        plan.set_clock(at("05:20:00"), at("08:20:00"));
        let missed = plan.collect_due(at("08:20:00"));
        assert_eq!(missed.iter().map(|missed| missed.count).collect::<Vec<_>>(), [3]);
        plan.set_clock(at("08:20:15"), at("05:20:15"));
        plan.collect_due(at("06:15:01"));
        assert_eq!(drain(&mut plan), ["a 06:15"]);
    }

    #[test]
    fn a_scheduler_that_starts_with_a_wrong_clock_continues_after_the_last_launch() {
        let scheduled = hourly("all");
        let year_2020 = |text: &str| format!("2020-01-01T{text}Z").parse::<Timestamp>().expect("a time");
        // It was launched 50 minutes ago, which is a time of 2019 by the clock as it is set now.
        let launched_at = year_2020("00:10:00") - SignedDuration::from_mins(50);
        let launched = launched_for(&["2026-03-14T05:15:00Z"], launched_at);
        let mut plan = SchedulePlan::new(&scheduled, launched, year_2020("00:10:00"));
        assert_eq!(plan.next(), Some(year_2020("00:15:00")));
        plan.set_clock(year_2020("00:10:10"), at("07:20:00"));
        assert!(plan.collect_due(at("07:20:00")).is_empty());
        assert_eq!(drain(&mut plan), ["a 06:15", "a 07:15"], "and not a month of them");
    }

    #[test]
    fn an_entry_without_a_launch_has_missed_nothing_when_the_clock_is_set_forward() {
        let mut plan = SchedulePlan::new(&hourly("all"), Vec::new(), at("05:20:00"));
        plan.set_clock(at("05:20:00"), at("08:20:00"));
        assert!(plan.collect_due(at("08:20:00")).is_empty());
        assert!(drain(&mut plan).is_empty());
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_delay_the_schedule() {
        let scheduled = hourly("all");
        let launched = launched_for(&["2026-03-14T07:15:00Z", "2031-01-01T00:15:00Z"], at("07:40:00"));
        let mut plan = SchedulePlan::new(&scheduled, launched, at("08:00:00"));
        assert_eq!(plan.next(), Some(at("08:15:00")));
        plan.collect_due(at("08:15:00"));
        assert_eq!(drain(&mut plan), ["a 08:15"]);
    }

    #[test]
    fn a_right_clock_that_is_set_back_makes_no_time_due_that_was_launched() {
        let launched = || launched_at(&["2026-03-14T04:15:00Z"]);
        let mut plan = SchedulePlan::new(&hourly("all"), launched(), at("05:00:00"));
        let mut due = Vec::new();
        for now in ["05:15:01", "06:15:01", "07:15:01"] {
            plan.collect_due(at(now));
            due.extend(drain(&mut plan));
        }
        plan.set_clock(at("07:20:00"), at("05:20:00"));
        for now in ["06:15:01", "07:15:01", "08:15:01"] {
            plan.collect_due(at(now));
            due.extend(drain(&mut plan));
        }
        assert_eq!(due, ["a 05:15", "a 06:15", "a 07:15", "a 08:15"]);
    }

    #[test]
    fn a_time_that_passed_after_a_clock_was_ahead_is_caught_up_or_missed() {
        for (how, due, missed) in [("all", vec!["a 07:15"], 0), ("none", vec![], 1)] {
            // 08:15 was launched at 06:17, and nothing ran from 07:00 to 08:16.
            let launched = launched_for(&["2026-03-14T06:15:00Z", "2026-03-14T08:15:00Z"], at("06:17:00"));
            let mut plan = SchedulePlan::new(&hourly(how), launched, at("08:16:00"));
            let count: usize = plan.collect_due(at("08:16:00")).iter().map(|missed| missed.count).sum();
            assert_eq!((drain(&mut plan), count), (due.into_iter().map(str::to_owned).collect(), missed));
        }
    }

    #[test]
    fn without_the_event_of_the_last_launch_an_entry_continues_after_its_last_time() {
        let mut launched = launched_at(&["2026-03-14T05:15:00Z", "2026-03-14T06:15:00Z"]);
        launched[0].last = None;
        let mut plan = SchedulePlan::new(&hourly("all"), launched, at("08:16:00"));
        plan.collect_due(at("08:16:00"));
        assert_eq!(drain(&mut plan), ["a 07:15", "a 08:15"]);
    }
}
