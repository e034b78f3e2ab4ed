//! The scheduler launches once for each time of the schedule.

use std::collections::BTreeMap;

use nowcast::store::History;
use nowcast::store::journal::{EventFilter, EventKind};
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Command, CycleOption, Record};
use rustix::process::Signal;

use crate::support::system::{Builder, System, system};

/// A worker that is scheduled for every second.
pub fn each_second(settings: &str) -> Builder {
    system()
        .section("workers: {keyless: {command: [sh, -c, 'echo ran >> ran; exit 1']}}")
        .section(&format!("scheduled workers:\n- keyless: {{cron: '* * * * * *'{settings}}}"))
}

/// The launches of the schedule, in their order: time, cycle and answer of each.
fn requested(system: &System) -> Vec<(jiff::Timestamp, Option<CycleOption>, String)> {
    let history = History::open(&system.path("checklist.journal")).expect("a journal");
    let filter = EventFilter { kind: Some(EventKind::Command), ..EventFilter::default() };
    let requested = |record: Record| match record.event {
        RecordedEvent::Command { user, command: Command::LaunchScheduled { due, worker, .. }, answer } => {
            assert_eq!(user, "scheduler");
            Some((due, worker.options.cycle, answer))
        }
        _ => None,
    };
    history.events(&filter).expect("readable").into_iter().rev().filter_map(requested).collect()
}

/// The times for which the schedule launched, with the number of runs for each.
pub fn launched(system: &System) -> BTreeMap<String, usize> {
    let mut launched = BTreeMap::new();
    for (due, _, answer) in requested(system) {
        *launched.entry(due.to_string()).or_default() += usize::from(answer.contains("is launched as run #"));
    }
    launched
}

#[test]
fn each_time_is_launched_once_whichever_process_is_killed() {
    let mut system = each_second(", catch up: all").start();
    system.start_scheduler(&[]);
    system.wait_for("launches", || (launched(&system).len() > 2).then_some(()));
    for _ in 0..3 {
        system.signal("scheduler", Signal::KILL);
        system.wait_for_end("scheduler");
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
        system.start_scheduler(&[]);
        system.wait_for_log("scheduler", "is due and waits until the manager can be asked");
        let before = launched(&system).len();
        system.start_manager(&[]);
        system.wait_for("launches", || (launched(&system).len() > before + 2).then_some(()));
    }
    let launched = launched(&system);
    assert!(launched.values().all(|runs| *runs == 1), "{launched:?}");
    // All times, also those at which no process was running.
    let seconds: Vec<i64> =
        launched.keys().map(|due| due.parse::<jiff::Timestamp>().expect("a time").as_second()).collect();
    assert!(seconds.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{launched:?}");
    let log = system.log("manager");
    assert!(log.contains("scheduler: keyless is launched as run #"), "{log}");
}

#[test]
fn a_manager_that_has_launched_for_a_time_does_not_launch_for_it_again() {
    let mut system = system().start();
    let worker = nowcast_core::NextWorker::new("sleep", vec!["--sleep-time".to_owned(), "0".to_owned()]);
    let ask = |system: &System, due: &str| {
        let due = due.parse().expect("a time");
        let command =
            Command::LaunchScheduled { item: "sleep (every day)".to_owned(), due, worker: worker.clone() };
        let call = nowcast::control::Call { user: "scheduler".to_owned(), command: Some(command) };
        let answer =
            nowcast::control::call::call(&system.path("checklist.journal"), &call).expect("an answer");
        (answer.done, answer.numbers.len())
    };
    assert_eq!(ask(&system, "2026-03-14T05:15:00Z"), (true, 1));
    assert_eq!(ask(&system, "2026-03-14T05:15:00Z"), (true, 0));
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    assert_eq!(ask(&system, "2026-03-14T05:15:00Z"), (true, 0));
    assert_eq!(ask(&system, "2026-03-14T05:14:00Z"), (true, 1), "an earlier one is another time");
    assert_eq!(ask(&system, "2026-03-15T05:15:00Z"), (true, 1));
}

#[test]
fn times_after_a_launch_that_was_ahead_of_its_time_are_launched_after_a_restart() {
    let mut system = each_second("").start();
    let now = jiff::Timestamp::now().as_second();
    let [asked, ahead] = [now, now + 4].map(|second| jiff::Timestamp::from_second(second).expect("a time"));
    // As a scheduler asks whose clock is ahead.
    let worker = nowcast_core::NextWorker::new("keyless", Vec::new());
    let item = "keyless (cron * * * * * *)".to_owned();
    let command = Command::LaunchScheduled { item, due: ahead, worker };
    let call = nowcast::control::Call { user: "scheduler".to_owned(), command: Some(command) };
    assert!(nowcast::control::call::call(&system.path("checklist.journal"), &call).expect("an answer").done);
    system.wait_for("that time", || (jiff::Timestamp::now() > ahead).then_some(()));
    system.start_scheduler(&[]);
    let is_later = |due: &String| due.parse::<jiff::Timestamp>().expect("a time") > ahead;
    system.wait_for("a later launch", || launched(&system).keys().any(is_later).then_some(()));
    let launched = launched(&system);
    assert!(launched.values().all(|runs| *runs == 1), "{launched:?}");
    let seconds = launched.keys().map(|due| due.parse::<jiff::Timestamp>().expect("a time").as_second());
    let between = seconds.filter(|second| (asked.as_second() + 2..ahead.as_second()).contains(second));
    assert_eq!(between.count(), 2, "{launched:?}");
}

#[test]
fn beside_nemo_nowcasts_manager_it_launches_itself_with_the_same_lines() {
    let mut system = each_second(", cmd line opts: '12  --debug'").prepare();
    system.start_scheduler(&[]);
    system.wait_for("runs", || {
        Some(std::fs::read_to_string(system.path("ran")).ok()?.lines().count() > 1).filter(|is| *is)
    });
    let log = system.log("scheduler");
    for line in [
        "INFO [scheduler] running in process ",
        "INFO [scheduler] read config from nowcast.yaml",
        "INFO [scheduler] writing logging messages to local file system",
        "INFO [scheduler] launching NextWorker(module='keyless', args=['12', '--debug'], host='localhost')",
        "DEBUG [scheduler] cmd = ['sh', '-c', 'echo ran >> ran; exit 1', '12', '--debug']",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    system.signal("scheduler", Signal::TERM);
    assert!(system.wait_for_end("scheduler").success());
    assert!(system.log("scheduler").contains("termination signal (SIGTERM) received; shutting down"));
}

#[test]
fn alone_it_launches_without_the_manager() {
    let mut system = each_second("").start();
    system.start_scheduler(&["--alone"]);
    system.wait_for_log("scheduler", "launching NextWorker(module='keyless'");
    assert!(launched(&system).is_empty());
}

#[test]
fn a_scheduler_that_launches_itself_ignores_launches_in_the_journal() {
    let mut system = system()
        .section("workers: {keyless: {command: ['true']}}")
        .section("scheduled workers:\n- keyless: {every: minute, at: ':30', catch up: all}")
        .start();
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let worker = nowcast_core::NextWorker::new("keyless", Vec::new());
    let item = "keyless (every minute at :30)".to_owned();
    let command = Command::LaunchScheduled { item, due: yesterday, worker };
    let call = nowcast::control::Call { user: "scheduler".to_owned(), command: Some(command) };
    assert!(nowcast::control::call::call(&system.path("checklist.journal"), &call).expect("an answer").done);
    system.start_scheduler(&["--alone"]);
    system.signal("scheduler", Signal::TERM);
    system.wait_for_end("scheduler");
    // At most the time that came meanwhile.
    assert!(system.log("scheduler").matches("launching NextWorker").count() <= 1, "{}", system.describe());
}

#[test]
fn a_refused_launch_is_logged_and_the_next_one_follows() {
    let mut system = each_second(", host: nowhere").start();
    system.start_scheduler(&[]);
    system.wait_for_log_count("scheduler", "CRITICAL [scheduler] keyless on nowhere (cron * * * * * *) was not launched: the host \"nowhere\" is not in", 2);
}

#[test]
fn an_edited_schedule_is_loaded_on_sighup_and_an_invalid_one_refused() {
    let mut system = system().start();
    system.start_scheduler(&[]);
    let write = |text: &str| {
        let config = std::fs::read_to_string(system.config()).expect("readable");
        std::fs::write(system.config(), format!("{config}\n{text}")).expect("written");
        system.signal("scheduler", Signal::HUP);
    };
    write("scheduled workers: [sleep: {every: dya, at: '05:15'}]");
    system.wait_for_log("scheduler", "the new configuration is refused, the old one stays");
    system.write_config();
    write("scheduled workers: [sleep: {cron: '* * * * * *', cmd line opts: --sleep-time 0}]");
    system.wait_for_log("manager", "launching NextWorker(module='sleep', args=['--sleep-time', '0']");
}

#[test]
fn status_shows_the_next_launch_and_a_missing_scheduler() {
    let mut system = system()
        .section("scheduled workers:\n- sleep: {every: hour, at: ':15', cmd line opts: --sleep-time 1}")
        .start();
    let (status, text) = system.operation(&["status"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("   DOWN   2/3 daemons   "), "{text}");
    assert!(text.contains("✖ DAEMON  scheduler  it is not running: scheduled workers are not launched\n           → nowcast scheduler nowcast.yaml\n"), "{text}");
    system.start_scheduler(&[]);
    let text = system.wait_for("a healthy system", || {
        let (status, text) = system.operation(&["status"]);
        (status == Some(0)).then_some(text)
    });
    assert!(text.contains("   HEALTHY   3/3 daemons   "), "{text}");
    let due = text.lines().find(|line| line.starts_with("NEXT  ")).expect("what is due");
    assert!(due.ends_with(":15 sleep --sleep-time 1"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&system.operate(&["status", "--json"])).expect("JSON");
    assert_eq!(
        json["daemons"][2],
        serde_json::json!({"name": "scheduler", "state": "running", "reason": null})
    );
    assert_eq!(json["schedule"][0]["item"], "sleep --sleep-time 1 (every hour at :15)");
}

#[test]
fn up_starts_the_scheduler_if_there_is_a_schedule() {
    let mut system = each_second("").prepare();
    let up = system.command(&["up"]);
    system.spawn("up", up);
    system.wait_for_log("up", "[scheduler] keyless is launched as run #");
}

#[test]
fn an_error_in_a_schedule_is_reported_with_its_line() {
    let system = system().prepare();
    let config = std::fs::read_to_string(system.config()).expect("readable");
    let line = config.lines().count() + 2;
    for (entry, expected) in [
        (
            "{every: day, at: 16:15}",
            "sleep: at: must be text, not an integer; put it in quotes, as in at: '05:15'",
        ),
        (
            "{every: day}",
            "sleep: needs `every:` and `at:` (`every: day`, `at: '05:15'`), or `cron:` (`cron: '15 5 * * *'`)",
        ),
        (
            "{every: dya, at: '05:15'}",
            "sleep: every: must be minute, hour, day or a day of the week (monday), not \"dya\"",
        ),
        ("{cron: '61 5 * * *'}", "sleep: cron: \"61 5 * * *\" is not a time that comes: "),
        ("{cron: '0 0 30 2 *'}", "sleep: cron: \"0 0 30 2 *\" never comes: no month has such a day"),
        (
            "{cron: '0 0 * * *', every: day}",
            "sleep: cron: takes the place of `every` and `at`; write either of them",
        ),
        (
            "{every: day, at: '05:15', timezone: America/Vancover}",
            "sleep: timezone: this machine knows no time zone `America/Vancover`; did you mean `America/Vancouver`?",
        ),
        (
            "{every: day, at: '05:15', catch up: some}",
            "sleep: catch up: invalid value `some`; known: `none`, `latest`, `all`",
        ),
    ] {
        std::fs::write(system.config(), format!("{config}\nscheduled workers:\n- sleep: {entry}\n"))
            .expect("written");
        let (status, text) = system.operation(&["config", "check"]);
        assert_eq!(status, Some(2), "{text}");
        assert!(
            text.contains(&format!("line {}, scheduled workers: entry 1: {expected}", line + 1)),
            "{entry}: {text}"
        );
    }
    std::fs::write(
        system.config(),
        format!("{config}\nscheduled workers:\n- sleep: {{every: day, at: '05:15', cmd line opt: x}}\n"),
    )
    .expect("written");
    let text = system.operate(&["config", "check"]);
    assert!(text.contains("cmd line opt: means nothing here; did you mean `cmd line opts`?"), "{text}");
    let twice = "sleep: {every: day, at: '05:15', host: nowhere}";
    std::fs::write(system.config(), format!("{config}\nscheduled workers:\n- {twice}\n- {twice}\n"))
        .expect("written");
    let text = system.operate(&["config", "check"]);
    assert!(text.contains("entry 1: sleep: host: there is no host `nowhere`; known: localhost"), "{text}");
    assert!(
        text.contains(
            "entry 2: sleep: stands twice with the same times; it is launched once for each of them"
        ),
        "{text}"
    );
    let entry = "a.keyles: {every: day, at: '05:15'}";
    std::fs::write(system.config(), format!("{config}\nscheduled workers:\n- {entry}\n")).expect("written");
    let text = system.operate(&["config", "check"]);
    assert!(
        text.contains("a.keyles: no worker of that name is in the message registry; did you mean `keyless`?"),
        "{text}"
    );
}

#[test]
fn an_entry_names_the_cycle_of_the_time_that_it_is_for() {
    let system = system()
        .section("workers: {keyless: {command: [sh, -c, 'echo $NOWCAST_CYCLE >> cycles; exit 1']}}")
        .section(
            "scheduled workers:
- keyless: {cron: '* * * * * *', timezone: UTC, cycle: '%Y-%m-%dT%H:%M:%S', shift: 1d}",
        );
    let mut system = system.start();
    system.start_scheduler(&[]);
    let cycles = || std::fs::read_to_string(system.path("cycles")).unwrap_or_default();
    system.wait_for("two runs", || (cycles().lines().count() > 1).then_some(()));
    let due: Vec<jiff::Timestamp> =
        launched(&system).keys().map(|due| due.parse().expect("a time")).collect();
    for cycle in cycles().lines().take(2) {
        let named: jiff::civil::DateTime = cycle.parse().expect("a time");
        let named = named.to_zoned_datetime(jiff::tz::TimeZone::UTC).expect("a time").timestamp();
        let day = jiff::SignedDuration::from_hours(24);
        assert!(due.contains(&(named - day)), "{cycle} of {due:?}");
    }
    // Its failures degrade the system.
    let (_, status) = system.operation(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let entry = &status["schedule"][0];
    assert!(entry["cycle"].as_str().is_some_and(|cycle| cycle.len() == 19), "{entry}");
}

/// Wait for a launch after a time whose cycle has a format, and return its time.
fn wait_for_format(system: &System, format: &str, after: jiff::Timestamp) -> jiff::Timestamp {
    let is_of = |cycle: &CycleOption| matches!(cycle, CycleOption::Label(label) if label.as_str().starts_with(format));
    system.wait_for(&format!("a launch in a cycle {format}"), || {
        let (due, cycle, _) = requested(system).pop()?;
        (due > after && cycle.as_ref().is_some_and(is_of)).then_some(due)
    })
}

fn edit_config(system: &System, from: &str, to: &str) {
    let config = std::fs::read_to_string(system.config()).expect("readable");
    std::fs::write(system.config(), config.replace(from, to)).expect("written");
}

#[test]
fn missed_times_have_the_cycles_of_those_times_and_an_edited_format_is_for_later_ones() {
    let entry =
        "{cron: '*/5 * * * * *', timezone: UTC, catch up: all, cycle: 'first-%Y-%m-%dT%H.%M.%S', shift: 1d}";
    let mut system = system().section(&format!("scheduled workers: [keyless: {entry}]")).start();
    system.operate(&["hold", "--all"]);
    // As a scheduler that was killed two minutes ago.
    let now = jiff::Timestamp::now();
    let due = jiff::Timestamp::from_second(now.as_second() / 5 * 5 - 120).expect("a time");
    let worker = nowcast_core::NextWorker::new("keyless", Vec::new());
    let item = "keyless (cron */5 * * * * * UTC)".to_owned();
    let command = Command::LaunchScheduled { item, due, worker };
    let call = nowcast::control::Call { user: "scheduler".to_owned(), command: Some(command) };
    assert!(nowcast::control::call::call(&system.path("checklist.journal"), &call).expect("an answer").done);
    system.start_scheduler(&[]);
    let last = wait_for_format(&system, "first-", now);
    system.signal("scheduler", Signal::KILL);
    system.wait_for_end("scheduler");
    edit_config(&system, "first-", "second-");
    let next = last + jiff::SignedDuration::from_secs(5);
    system.wait_for("a time that is missed", || (jiff::Timestamp::now() > next).then_some(()));
    system.start_scheduler(&[]);
    let last = wait_for_format(&system, "second-", next);
    edit_config(&system, "second-", "third-");
    system.signal("scheduler", Signal::HUP);
    wait_for_format(&system, "third-", last);

    let requested = requested(&system);
    assert_eq!(requested[0].0, due);
    assert!(requested.len() > 26, "{requested:?}");
    for pair in requested.windows(2) {
        assert_eq!(pair[1].0.duration_since(pair[0].0), jiff::SignedDuration::from_secs(5), "{pair:?}");
    }
    let mut formats = Vec::new();
    for (due, cycle, _) in &requested[1..] {
        let Some(CycleOption::Label(cycle)) = cycle else { panic!("{due} has no cycle") };
        let (format, label) = cycle.as_str().split_once('-').expect("a format");
        let tomorrow = *due + jiff::SignedDuration::from_hours(24);
        assert_eq!(label, tomorrow.strftime("%Y-%m-%dT%H.%M.%S").to_string(), "{due}");
        formats.push(format);
    }
    formats.dedup();
    assert_eq!(formats, ["first", "second", "third"]);
    // The launches that wait keep their cycles.
    let open: serde_json::Value =
        serde_json::from_str(&system.operate(&["runs", "--open", "-n", "1000", "--json"])).expect("JSON");
    let of_first = open
        .as_array()
        .expect("a list")
        .iter()
        .filter(|run| run["cycle"].as_str().is_some_and(|cycle| cycle.starts_with("first-")));
    assert!(of_first.count() > 22, "{open}");
}
