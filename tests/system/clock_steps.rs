//! The wall clock is set while everything runs: spans go on, and each step is told once.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use nowcast::store::journal::{EventFilter, EventKind};
use nowcast::store::{History, Journal};
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Change, Command, Number, Record};
use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::clock::WallClock;
use crate::support::system::{Builder, System, system};

const TWO_HOURS: i64 = 7_200;

/// Back to the year 2020, in seconds.
const TO_2020: i64 = -6 * 365 * 86_400;

/// Rules that log what they hear of `awaken`.
const RULES: &str = "function after_awaken(msg) log.info('awaken: ' .. msg.type) return {} end\n";

/// A worker that runs until the test lets it succeed.
const PATIENT: &str =
    "workers: {awaken: {command: [sh, -c, 'until [ -e go ]; do sleep 0.1; done'], timeout: 1h}}";

fn json(system: &System, arguments: &[&str]) -> serde_json::Value {
    let (_, text) = system.operation(&[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The seconds for which the only run has been running, as status says.
fn seconds_running(system: &System) -> f64 {
    json(system, &["status"])["running"][0]["seconds"].as_f64().expect("a running one")
}

#[test]
fn two_hours_forward_end_no_run_and_are_logged_and_shown() {
    let clock = WallClock::new();
    let system = system().clock(&clock).section(PATIENT).rules(RULES).start();
    system.operate(&["launch", "awaken"]);
    system.wait_for_log("manager", "launching NextWorker");
    clock.set(TWO_HOURS);
    system.wait_for_log("manager", "WARNING [manager] the wall clock was set forward by 2h, from ");
    // The decision that noticed the step was one on everything that is due.
    assert!(!system.log("manager").contains("exceeded its timeout"), "{}", system.describe());
    let seconds = seconds_running(&system);
    assert!((0.0..3_600.0).contains(&seconds), "{seconds}");
    assert!(system.operate(&["status"]).contains("\nclock: the wall clock was set forward by 2h, from "));
    let step = &json(&system, &["status"])["clock_set"];
    let time = |key: &str| step[key].as_str().expect("a time").parse::<Timestamp>().expect("a time");
    let length = time("to").duration_since(time("from"));
    assert!((length - SignedDuration::from_hours(2)).abs() < SignedDuration::from_mins(1), "{step}");
    clock.set(0);
    system.wait_for_log("manager", "the wall clock was set back by 2h, from ");
    let seconds = seconds_running(&system);
    assert!((0.0..3_600.0).contains(&seconds), "{seconds}");
    fs::write(system.path("go"), "").expect("it may end");
    system.wait_for_log("manager", "awaken: crash");
    assert_eq!(system.log("manager").matches("the wall clock was set").count(), 2, "{}", system.describe());
}

#[test]
fn two_hours_back_hold_no_retry_no_delay_and_no_join() {
    let clock = WallClock::new();
    let system = system()
        .clock(&clock)
        .worker("weak: {success: yes, crash: no}")
        .section("workers: {weak: {command: ['false'], retries: 1, retry delay: 3s}, awaken: {command: ['true']}}")
        .rules(RULES)
        .rules(
            "function after_weak(msg) log.info('weak: ' .. msg.type) return {} end
             function after_keyless()
               return {}, Join{ name = 'forcing', wait_for = { 'sleep' }, launch = { NextWorker('sleep') }, timeout = '3s' }
             end",
        )
        .start();
    system.operate(&["launch", "weak"]);
    system.wait_for_log("manager", "attempt 2 of 2 follows in 3s");
    system.operate(&["launch", "--delay", "3s", "awaken"]);
    assert_eq!(system.send("keyless", "success", "null"), "ack");
    clock.set(-TWO_HOURS);
    for expected in [
        "the wall clock was set back by 2h",
        "weak: crash",
        "awaken: crash",
        "join forcing is overdue: it did not receive sleep",
    ] {
        system.wait_for_log("manager", expected);
    }
}

#[test]
fn a_manager_learns_of_a_step_that_came_while_none_was_running() {
    let clock = WallClock::new();
    let mut system = system().clock(&clock).section(PATIENT).rules(RULES).start();
    system.operate(&["launch", "awaken"]);
    system.wait_for_log("manager", "launching NextWorker");
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    clock.set(TWO_HOURS);
    system.start_manager(&[]);
    system.wait_for_log("manager", "the wall clock was set forward by 2h, from ");
    // After this one, everything that was due at the start is decided.
    system.operate(&["launch", "--delay", "3s", "sleep", "--sleep-time", "0"]);
    system.wait_for_log("manager", "received message from sleep: (success)");
    assert!(!system.log("manager").contains("exceeded its timeout"), "{}", system.describe());
    fs::write(system.path("go"), "").expect("it may end");
    system.wait_for_log("manager", "awaken: crash");
}

/// The times for which the schedule has launched.
fn launched(system: &System) -> Vec<Timestamp> {
    let history = History::open(&system.path("checklist.journal")).expect("a journal");
    let filter = EventFilter { kind: Some(EventKind::Command), ..EventFilter::default() };
    let due = |record: Record| match record.event {
        RecordedEvent::Command { command: Command::LaunchScheduled { due, .. }, answer, .. } => {
            answer.contains("is launched as run #").then_some(due)
        }
        _ => None,
    };
    history.events(&filter).expect("readable").into_iter().filter_map(due).collect()
}

#[test]
fn after_a_clock_that_was_ahead_the_schedule_goes_on_at_once_and_launches_for_no_time_twice() {
    let clock = WallClock::new();
    let mut system = system()
        .clock(&clock)
        .section("workers: {keyless: {command: ['true']}}")
        .section("scheduled workers:\n- keyless: {cron: '* * * * * *'}")
        .start();
    system.start_scheduler(&[]);
    system.wait_for("launches", || (launched(&system).len() > 1).then_some(()));
    clock.set(TWO_HOURS);
    let in_an_hour = Timestamp::now() + SignedDuration::from_hours(1);
    system.wait_for("a launch when the clock is ahead", || {
        launched(&system).iter().any(|due| *due > in_an_hour).then_some(())
    });
    system.wait_for_log("scheduler", "WARNING [scheduler] the wall clock was set forward by 2h, from ");
    system.wait_for_log("scheduler", "the clock was set forward over ");
    clock.set(0);
    let now = Timestamp::now();
    system.wait_for("launches for times that have come", || {
        (launched(&system).iter().filter(|due| **due > now && **due < in_an_hour).count() > 2).then_some(())
    });
    system.wait_for_log("scheduler", "the wall clock was set back by 2h");
    let mut times = launched(&system);
    let all = times.len();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), all, "each time once");
    assert!(!system.log("scheduler").contains("(cron * * * * * *) missed "), "{}", system.describe());
}

#[test]
fn a_clock_that_is_set_forward_and_back_over_the_same_times_launches_for_each_once() {
    let clock = WallClock::new();
    let mut system = system()
        .clock(&clock)
        .section("workers: {keyless: {command: ['true']}}")
        .section("scheduled workers:\n- keyless: {cron: '* * * * * *'}")
        .start();
    system.start_scheduler(&[]);
    let last = || launched(&system).into_iter().max();
    let wait_until = |time: Timestamp| {
        system.wait_for("a launch for a time", || last().is_some_and(|last| last >= time).then_some(()));
    };
    let in_seconds = |time: Timestamp, seconds: i64| time + SignedDuration::from_secs(seconds);
    wait_until(in_seconds(Timestamp::now(), 3));
    // A right clock is set forward, and right again: the times of that while come again.
    clock.set(10);
    wait_until(in_seconds(Timestamp::now(), 13));
    clock.set(0);
    wait_until(in_seconds(last().expect("a launch"), 2));
    // It is set back, and right again: so do the times before.
    clock.set(-6);
    wait_until(in_seconds(last().expect("a launch"), 2));
    clock.set(0);
    wait_until(in_seconds(last().expect("a launch"), 3));
    let mut times = launched(&system);
    let all = times.len();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), all, "each time once: {}", system.describe());
}

/// A record that is ten days old, and the folder of a run of that day.
fn old(system: &System, number: u64) {
    let at = &ZonedDateTime::now() - SignedDuration::from_hours(240);
    let event = RecordedEvent::RulesRefused { reason: "old".to_owned() };
    let record = Record { number: Number(number), at, event, changes: Vec::<Change>::new() };
    Journal::open(&system.path("checklist.journal")).expect("a journal").commit(&[record]).expect("kept");
    fs::create_dir_all(system.path("checklist.journal/runs/2020-01-01/1")).expect("a folder");
}

#[test]
fn after_a_stretch_in_2020_only_what_is_old_is_removed_and_what_is_new_is_listed() {
    let clock = WallClock::new();
    let mut system =
        system().clock(&clock).section("workers: {awaken: {command: [echo, ready]}}").rules(RULES).prepare();
    old(&system, 2);
    system.start_broker();
    system.start_manager(&[]);
    system.works();
    clock.set(TO_2020);
    system.wait_for_log("manager", "the wall clock was set back by ");
    for _ in 0..20 {
        system.works();
    }
    let folder = format!("checklist.journal/runs/{}", "2020");
    system.operate(&["launch", "awaken"]);
    system.wait_for_log("manager", "awaken: crash");
    clock.set(0);
    system.wait_for_log("manager", "the wall clock was set forward by ");
    system.works();
    let listed = |system: &System| {
        let messages = json(system, &["messages", "--since", "1h", "-n", "1000", "--worker", "keyless"]);
        messages.as_array().map_or_else(|| panic!("{messages}"), Vec::len)
    };
    assert_eq!(listed(&system), 22, "{}", system.describe());
    // A start removes what is older than a day.
    system.signal("manager", Signal::TERM);
    system.wait_for_end("manager");
    let config = fs::read_to_string(system.config()).expect("readable");
    fs::write(system.config(), format!("{config}\njournal: {{keep: 1d}}\n")).expect("written");
    system.start_manager(&[]);
    system.wait_for("the removal of what is old", || {
        let history = History::open(&system.path("checklist.journal")).expect("readable");
        let is_removed = history.event(Number(2)).expect("readable").is_none();
        (is_removed && !system.path("checklist.journal/runs/2020-01-01/1").exists()).then_some(())
    });
    assert_eq!(listed(&system), 22, "{}", system.describe());
    let outputs = outputs(&system.path("checklist.journal/runs"));
    assert!(outputs.iter().any(|path| path.contains("/runs/2020-")), "{folder}: {outputs:?}");
}

/// The outputs of runs below a folder.
fn outputs(runs: &Path) -> Vec<String> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let runs = entries(runs).flat_map(|day| entries(&day.path()).collect::<Vec<_>>());
    let outputs = runs.map(|run| run.path().join("output.log")).filter(|output| output.exists());
    outputs.map(|output| output.display().to_string()).collect()
}

#[test]
fn what_is_disconnected_connects_again_after_the_clock_was_set_back() {
    let clock = WallClock::new();
    let mut system = system().clock(&clock).start();
    system.works();
    system.signal("broker", Signal::KILL);
    system.wait_for_end("broker");
    clock.set(-TWO_HOURS);
    system.wait_for_log("manager", "the wall clock was set back by 2h");
    system.start_broker();
    system.works();
}

/// A system whose machine was booted again since its manager was killed, with a pending launch of `awaken`.
fn booted(clock: &WallClock, delay: &str) -> System {
    let mut system = described(clock).start();
    system.operate(&["launch", "--delay", delay, "awaken"]);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    let database = Connection::open(system.path("checklist.journal/journal.sqlite")).expect("a journal");
    let other = "UPDATE clock_readings SET body = json_set(body, '$.boot', ?1, '$.uptime', 'PT99999999S')";
    assert_eq!(database.execute(other, ["00000000000000000000000000000001"]).expect("changed"), 1);
    system
}

fn described(clock: &WallClock) -> Builder {
    system().clock(clock).section("workers: {awaken: {command: ['true']}}").rules(RULES)
}

#[test]
fn after_a_boot_the_wall_clock_counts() {
    let clock = WallClock::new();
    let mut system = booted(&clock, "1h");
    clock.set(TWO_HOURS);
    system.start_manager(&[]);
    system.wait_for_log("manager", "awaken: crash");
    assert!(!system.log("manager").contains("the wall clock was set"), "{}", system.describe());
}

#[test]
fn after_a_boot_with_a_clock_that_is_behind_a_delay_is_as_long_as_it_was() {
    let clock = WallClock::new();
    let mut system = booted(&clock, "3s");
    clock.set(-TWO_HOURS);
    system.start_manager(&[]);
    system.wait_for_log("manager", "the wall clock was set back by ");
    system.wait_for_log("manager", "awaken: crash");
}
