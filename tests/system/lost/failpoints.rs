//! A manager that is killed between any two of its steps.
#![cfg(feature = "failpoints")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use nowcast::failpoint::{BROKER, MANAGER, MIGRATION};
use nowcast::store::History;
use nowcast::store::journal::{EventFilter, EventKind, OpenItems};
use nowcast_core::Number;

use crate::support::system::{Builder, System, system};

/// A message that completes a join, opens another one and launches two workers; a third one goes with the join.
const RULES: &str = "
local function tick(name) return NextWorker('tick', { name, '--debug' }) end
function after_tick() return {} end
function after_sleep()
  return {}, Join{ name = 'first', wait_for = { 'awaken' }, launch = { tick('three') } }
end
function after_awaken()
  return { tick('one'), tick('two') }, Join{ name = 'second', wait_for = { 'keyless' }, launch = { tick('four') } }
end
";

/// The same with joins by cycle: one counts a message that came before it, and is complete at once.
const RULES_BY_CYCLE: &str = "
local function tick(name) return NextWorker('tick', { name, '--debug' }) end
function after_tick() return {} end
function after_sleep() return {} end
function after_awaken(msg)
  assert(last('sleep', 'success', msg.cycle))
  return { tick('one'), tick('two') },
    Join{ name = 'meet', cycle = msg.cycle, wait_for = { 'sleep', 'awaken' }, launch = { tick('three'), tick('four') } }
end
";

/// Each run writes down its name and the checklist as it finds it.
const TICK: &str = "workers: {tick: {command: [sh, -c, 'grep -q \"day: 12\" checklist.yaml && echo \"$1\" >> ticks', tick]}}";

pub fn with_ticks(builder: Builder) -> Builder {
    builder.worker("tick: {success: it went well, crash: it crashed}").section(TICK)
}

/// Starts a manager that ends at a failpoint, without waiting for anything.
pub fn start_failing_manager(system: &mut System, failpoint: &str) {
    let mut command = system.command(&["manager", "nowcast.yaml"]);
    command.env("FAILPOINTS", failpoint);
    system.spawn("manager", command);
}

fn ticks(system: &System) -> Vec<String> {
    let text = fs::read_to_string(system.path("ticks")).unwrap_or_default();
    let mut ticks: Vec<String> = text.lines().map(str::to_owned).collect();
    ticks.sort();
    ticks
}

/// Sends one message to managers that die at failpoints, and to one that does not.
fn dies_at(rules: &str, point: &str, failpoints: &[&str]) {
    let mut system = with_ticks(system()).rules(rules).start();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: null, cycle: today}", 0).expect("sent");
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    let worker = system.connect();
    worker.send("{source: awaken, type: success, payload: {day: 12}, cycle: today}", 0).expect("sent");
    for failpoint in failpoints {
        start_failing_manager(&mut system, failpoint);
        let status = system.wait_for_end("manager");
        assert_eq!(status.signal(), Some(9), "{point}: {status} {}", system.describe());
    }
    let at = |point| MANAGER.iter().position(|other| *other == point);
    // Its log lines are written after the replies.
    if at(point) >= at("manager: replied") {
        assert!(
            system.log("manager").contains("received message from awaken"),
            "{point}: not about the message"
        );
    }
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack", "{point}");
    system.works();
    system.wait_for(&format!("the runs after {point}"), || {
        (ticks(&system) == ["four", "one", "three", "two"]).then_some(())
    });
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    let open = system.wait_for(&format!("the end of the runs after {point}"), || {
        let open = history.open_now().expect("what is open");
        open.runs.is_empty().then_some(open)
    });
    assert!(open.parked.is_empty() && open.joins.is_empty(), "{point}: {open:?}");
    let filter = EventFilter {
        kind: Some(EventKind::Message),
        worker: Some("awaken".into()),
        ..EventFilter::default()
    };
    assert_eq!(history.events(&filter).expect("events").len(), 1, "{point}");
    system.wait_for_checklist("{sleepyhead: {day: 12}}");
    assert_eq!(ticks(&system).len(), 4, "{point}: {}", system.describe());
}

#[test]
fn a_manager_that_dies_between_any_two_steps_loses_and_doubles_nothing() {
    for rules in [RULES, RULES_BY_CYCLE] {
        for point in MANAGER {
            dies_at(rules, point, &[&format!("{point}=return")]);
        }
    }
}

#[test]
fn a_manager_that_dies_during_a_migration_leaves_a_whole_journal() {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-version-1/journal.sqlite");
    // Each migration passes both failpoints. That to version 8 has a step that is not SQL.
    for (point, step, version) in [
        (MIGRATION[0], "return", 1),
        (MIGRATION[1], "return", 2),
        (MIGRATION[0], "1*off->return", 2),
        (MIGRATION[1], "1*off->return", 3),
        (MIGRATION[0], "6*off->return", 7),
        (MIGRATION[1], "6*off->return", 8),
        (MIGRATION[0], "7*off->return", 8),
        (MIGRATION[1], "7*off->return", 9),
    ] {
        let mut system = with_ticks(system()).rules(RULES).prepare();
        system.start_broker();
        let folder = system.path("checklist.journal");
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(&fixture, folder.join("journal.sqlite")).expect("copied");
        start_failing_manager(&mut system, &format!("{point}={step}"));
        let status = system.wait_for_end("manager");
        assert_eq!(status.signal(), Some(9), "{point}: {status} {}", system.describe());
        system.wait_for_log("manager", "INFO [manager] migrating the journal from version 1 to version ");
        let database = rusqlite::Connection::open(folder.join("journal.sqlite")).expect("the journal");
        let found: i64 =
            database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        assert_eq!(found, version, "{point}={step}");
        let check: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
        assert_eq!(check, "ok", "{point}={step}");
        let events: i64 =
            database.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("counted");
        assert_eq!(events, 13, "{point}={step}");
        drop(database);
        system.start_manager(&[]);
        system.works();
        let history = History::open(&folder).expect("the journal of this version");
        let parked = history.open_now().expect("what is open").parked;
        assert!(parked.iter().any(|parked| parked.id == Number(13)), "{point}={step}: {parked:?}");
        let cycles = history.cycles_now().expect("the notes");
        let noted = cycles.last("rivers", "success", None).expect("noted by the migration");
        assert_eq!(noted.message, Number(18), "{point}={step}");
    }
}

#[test]
fn one_that_dies_there_the_second_time_does_neither() {
    for point in ["manager: decided", "manager: kept", "manager: launching", "manager: launched"] {
        dies_at(RULES, point, &[&format!("{point}=1*off->return")]);
    }
}

#[test]
fn a_run_is_ended_whose_manager_dies_between_the_order_and_the_signal() {
    for point in [
        // The first batch that is kept says which rules are in force; nothing is to be done after it.
        "manager: kept=1*off->return",
        "manager: replied=return",
        "manager: checklist written=return",
    ] {
        let mut system = system()
            .section("workers: {awaken: {command: [sleep, '1000'], retries: 1}}")
            .rules("function after_awaken(msg) log.info('the rule heard ' .. msg.type) return {} end")
            .start();
        system.operate(&["launch", "awaken"]);
        let history = History::open(&system.path("checklist.journal")).expect("the journal");
        let run = history.open_now().expect("what is open").runs.remove(0).id;
        system.signal("manager", rustix::process::Signal::TERM);
        system.wait_for_end("manager");
        start_failing_manager(&mut system, point);
        system.wait_for_log_count("manager", "listening...", 2);
        system.operation(&["kill", &run.0.to_string()]);
        assert_eq!(system.wait_for_end("manager").signal(), Some(9), "{point}: {}", system.describe());
        assert!(!system.log("manager").contains("was killed by signal"), "{point}: {}", system.describe());
        system.start_manager(&[]);
        system.wait_for_log("manager", "was killed by signal 15 without a report");
        system.wait_for_log("manager", "the rule heard crash");
        assert!(history.open_now().expect("what is open").runs.is_empty(), "{point}: it is not tried again");
    }
}

#[test]
fn managers_that_die_while_they_adopt_runs_lose_and_double_nothing() {
    dies_at(
        RULES,
        "taking up",
        &[
            "manager: checklist written=return",
            "manager: runner started=return",
            "manager: runner started=1*off->return",
        ],
    );
    dies_at(RULES, "writing the file", &["manager: kept=return", "manager: checklist file new=return"]);
}

#[test]
fn a_first_message_whose_manager_dies_before_there_is_a_checklist_file_is_not_lost() {
    let mut system = system().prepare();
    system.start_broker();
    let worker = system.connect();
    worker.send("{source: sleep, type: success, payload: {day: 12}}", 0).expect("sent");
    start_failing_manager(&mut system, "manager: replied=return");
    system.wait_for_end("manager");
    assert!(!system.path("checklist.yaml").exists());
    system.start_manager(&[]);
    assert_eq!(system.receive(&worker).r#type, "ack");
    system.wait_for_checklist("{sleepyhead: {day: 12}}");
    assert!(!system.log("manager").contains("is gone"), "{}", system.describe());
}

#[test]
fn a_broker_that_dies_between_any_two_steps_loses_and_doubles_nothing_of_our_workers() {
    for point in BROKER {
        let mut system = system().prepare();
        let mut broker = system.command(&["broker", "nowcast.yaml"]);
        broker.env("FAILPOINTS", format!("{point}=return"));
        system.spawn("broker", broker);
        system.start_manager(&[]);
        let worker = system.command(&["worker", "sleep", "nowcast.yaml", "--sleep-time", "0"]);
        system.spawn("worker", worker);
        let status = system.wait_for_end("broker");
        assert_eq!(status.signal(), Some(9), "{point}: {status}");
        system.start_broker();
        assert!(system.wait_for_end("worker").success(), "{point}: {}", system.describe());
        system.works();
        let history = History::open(&system.path("checklist.journal")).expect("the journal");
        let filter = EventFilter {
            kind: Some(EventKind::Message),
            worker: Some("sleep".into()),
            ..EventFilter::default()
        };
        assert_eq!(history.events(&filter).expect("events").len(), 1, "{point}");
    }
}

/// The failpoints that a manager passes for an operator's command. The first batch that it keeps says which rules are in force; nothing
/// is to be done after that one.
const OF_A_COMMAND: [&str; 5] = [
    "manager: decided=1*off->return",
    "manager: committed=1*off->return",
    "manager: kept=1*off->return",
    "manager: replied=return",
    "manager: checklist written=return",
];

/// Those that follow if it launches.
const OF_ITS_LAUNCHES: [&str; 3] =
    ["manager: launching=return", "manager: runner started=return", "manager: launched=return"];

/// `tick` writes down its cycle; `awaken` runs until it is stopped.
const SHOW: &str = "workers: {tick: {command: [sh, -c, 'echo $NOWCAST_CYCLE >> cycles']}, awaken: {command: [sleep, '1000']}}";

/// A message of `sleep` makes a join; a tick follows it, and the end of `awaken`.
const RULES_OF_CYCLES: &str = "
local function tick() return worker('tick', '--debug') end
function after_tick() return {} end
function after_awaken() return { tick() } end
function after_sleep(msg)
  return {}, Join{ name = 'meet', cycle = msg.cycle, wait_for = { 'keyless' }, launch = { tick() } }
end
";

fn with_cycles() -> System {
    system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section(SHOW)
        .rules(RULES_OF_CYCLES)
        .start()
}

/// Replace the manager by one that dies at a failpoint of this command, and that by one that lives. Return whether the command was carried out; if it was
/// not, it is now.
fn is_done_though_the_manager_dies(system: &mut System, failpoint: &str, command: &[&str]) -> bool {
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    let started = system.log("manager").matches("listening...").count();
    start_failing_manager(system, failpoint);
    system.wait_for_log_count("manager", "listening...", started + 1);
    system.operation(command);
    let status = system.wait_for_end("manager");
    assert_eq!(status.signal(), Some(9), "{failpoint}: {status} {}", system.describe());
    system.start_manager(&[]);
    // What was done already is refused.
    let (status, text) = system.operation(command);
    assert!(matches!(status, Some(0 | 1)), "{failpoint}: {text}");
    status == Some(1)
}

/// The cycles in which `tick` ran.
fn cycles_of_ticks(system: &System) -> Vec<String> {
    let text = fs::read_to_string(system.path("cycles")).unwrap_or_default();
    let mut cycles: Vec<String> = text.lines().map(str::to_owned).collect();
    cycles.sort();
    cycles
}

fn open_now(system: &System) -> OpenItems {
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    history.open_now().expect("what is open")
}

#[test]
fn a_manager_that_dies_during_a_backfill_has_recorded_all_launches_or_no_launch() {
    let backfill =
        ["backfill", "tick", "--from", "2026-03-01", "--to", "2026-03-05", "--yes", "--", "--debug"];
    for point in [&OF_A_COMMAND[..], &OF_ITS_LAUNCHES].concat() {
        let mut system = with_cycles();
        let is_done = is_done_though_the_manager_dies(&mut system, point, &backfill);
        assert_eq!(is_done, !point.contains("decided"), "{point}");
        system.wait_for(&format!("the runs after {point}"), || {
            (cycles_of_ticks(&system).len() >= 5 && open_now(&system).runs.is_empty()).then_some(())
        });
        let dates = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"];
        assert_eq!(cycles_of_ticks(&system), dates, "{point}: {}", system.describe());
    }
}

#[test]
fn a_manager_that_dies_while_a_cycle_is_cancelled_or_resumed_does_all_of_it_or_nothing() {
    for point in [&OF_A_COMMAND[..], &OF_ITS_LAUNCHES].concat() {
        let mut system = with_cycles();
        system.operate(&["send", "--cycle", "today", "sleep", "success", "null"]);
        system.operate(&["launch", "--cycle", "today", "awaken"]);
        system.wait_for_log("manager", "launching NextWorker(module='awaken'");
        system.operate(&["launch", "--cycle", "today", "--delay", "10h", "tick", "--debug"]);
        let cancel = ["cycle", "cancel", "today"];
        if OF_A_COMMAND.contains(&point) {
            let is_done = is_done_though_the_manager_dies(&mut system, point, &cancel);
            assert_eq!(is_done, !point.contains("decided"), "{point}");
        } else {
            system.operate(&cancel);
        }
        // Its run is stopped, and the launch that follows the crash is parked.
        let open = system.wait_for(&format!("the end of the runs after {point}"), || {
            Some(open_now(&system)).filter(|open| open.runs.is_empty() && !open.parked.is_empty())
        });
        assert!(open.parked.len() == 1 && open.joins.is_empty(), "{point}: {open:?}");
        assert_eq!(cycles_of_ticks(&system), [""; 0], "{point}: {}", system.describe());

        let is_done = is_done_though_the_manager_dies(&mut system, point, &["cycle", "resume", "today"]);
        assert_eq!(is_done, !point.contains("decided"), "{point}");
        let open = system.wait_for(&format!("the launch after {point}"), || {
            Some(open_now(&system))
                .filter(|open| open.runs.is_empty() && !cycles_of_ticks(&system).is_empty())
        });
        assert!(open.parked.is_empty() && open.joins.len() == 1, "{point}: {open:?}");
        assert_eq!(cycles_of_ticks(&system), ["today"], "{point}: {}", system.describe());
    }
}
