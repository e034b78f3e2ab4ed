//! Runs whose manager, runner or worker is killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nowcast::process::ProcessIdentity;
use nowcast::store::History;
use nowcast_core::Run;
use rustix::process::{Signal, kill_process};

use crate::support::system::{System, system};

/// A worker that goes on when a file appears.
const WAITS: &str = "workers: {tick: {command: [sh, -c, 'echo \"$1\" >> begun; while [ ! -e go ]; do sleep 0.05; done; echo \"$1\" >> ticks; exit 3', tick]}}";

const RULES: &str = "
function after_keyless(msg)
  local launches = {}
  for number = 1, msg.payload do add(launches, NextWorker('tick', { tostring(number) })) end
  return launches
end
function after_tick(msg) log.info('the rule heard ' .. msg.type) return {} end
";

fn start() -> System {
    system().worker("tick: {success: it went well, crash: it crashed}").section(WAITS).rules(RULES).start()
}

fn replace_manager(system: &mut System) {
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    let command = system.command(&["manager", "nowcast.yaml"]);
    system.spawn("manager", command);
}

fn open_runs(system: &System) -> Vec<Run> {
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    history.open_now().expect("what is open").runs
}

fn wait_for_lines(system: &System, name: &str, count: usize) -> Vec<String> {
    let lines = || fs::read_to_string(system.path(name)).unwrap_or_default();
    system.wait_for(&format!("{count} lines in {name}"), || (lines().lines().count() >= count).then_some(()));
    lines().lines().map(str::to_owned).collect()
}

/// A process that a file of the only open run names.
fn process(system: &System, file: &str) -> ProcessIdentity {
    let run = system.wait_for("the run", || open_runs(system).pop());
    let folder = run.folder().expect("a folder").to_owned();
    let path = PathBuf::from("checklist.journal/runs").join(folder).join(file);
    system
        .wait_for(file, || serde_json::from_slice(&fs::read(system.path(&path.to_string_lossy())).ok()?).ok())
}

fn kill(process: &ProcessIdentity) {
    kill_process(process.raw().expect("a number"), Signal::KILL).expect("it is killed");
}

fn heard(system: &System) -> usize {
    system.log("manager").matches("the rule heard").count()
}

#[test]
fn twenty_two_runs_over_twenty_deaths_of_the_manager_happen_once_and_are_reported_once() {
    const RUNS: usize = 22;
    let mut system = start();
    assert_eq!(system.send("keyless", "success", "22"), "ack");
    for number in 0..20 {
        // Each time a little later in their lives.
        wait_for_lines(&system, "begun", RUNS.min(2 * number));
        replace_manager(&mut system);
    }
    fs::write(system.path("go"), "").expect("the word to go on");
    replace_manager(&mut system);
    wait_for_lines(&system, "ticks", 5);
    replace_manager(&mut system);
    for name in ["begun", "ticks"] {
        let lines = wait_for_lines(&system, name, RUNS);
        assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), RUNS, "{lines:?}");
        assert_eq!(lines.len(), RUNS, "{lines:?}");
    }
    system.wait_for("their crashes to be heard", || open_runs(&system).is_empty().then_some(()));
    system.wait_for_log_count("manager", "the rule heard crash", RUNS);
    assert_eq!(system.send("keyless", "success", "0"), "ack");
    assert_eq!(heard(&system), RUNS, "{}", system.describe());
    let log = system.log("manager");
    assert_eq!(log.matches("exited with status 3 without a report").count(), RUNS, "{log}");
}

#[test]
fn a_worker_whose_runner_is_killed_is_watched_to_its_own_end() {
    let mut system = start();
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    wait_for_lines(&system, "begun", 1);
    let (runner, worker) = (process(&system, "claim"), process(&system, "process"));
    kill(&runner);
    for _ in 0..2 {
        assert_eq!(system.send("keyless", "success", "0"), "ack");
        assert!(worker.is_alive().expect("readable"));
        assert_eq!((open_runs(&system).len(), heard(&system)), (1, 0), "{}", system.describe());
        replace_manager(&mut system);
    }
    fs::write(system.path("go"), "").expect("the word to go on");
    system.wait_for_log("manager", "the rule heard crash");
    assert_eq!(system.send("keyless", "success", "0"), "ack");
    assert_eq!(heard(&system), 1);
    assert_eq!(wait_for_lines(&system, "ticks", 1).len(), 1);
    assert_eq!(wait_for_lines(&system, "begun", 1).len(), 1);
}

#[test]
fn a_run_whose_processes_are_all_killed_is_reported_once() {
    let mut system = start();
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    wait_for_lines(&system, "begun", 1);
    let (runner, worker) = (process(&system, "claim"), process(&system, "process"));
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    kill(&runner);
    kill(&worker);
    system.start_manager(&[]);
    system.wait_for_log("manager", "the rule heard crash");
    replace_manager(&mut system);
    assert_eq!(system.send("keyless", "success", "0"), "ack");
    assert_eq!(heard(&system), 1);
    assert_eq!(wait_for_lines(&system, "begun", 1).len(), 1);
}

#[test]
fn a_run_whose_folder_is_removed_is_not_started_again_by_the_next_manager() {
    let mut system = start();
    system.send("keyless", "success", "1");
    wait_for_lines(&system, "begun", 1);
    fs::remove_dir_all(system.path("checklist.journal/runs")).expect("removed");
    replace_manager(&mut system);
    system.wait_for_log("manager", "CRITICAL [runs] run ");
    assert!(system.log("manager").contains("was removed; the run's output and exit status are lost"));
    fs::write(system.path("go"), "").expect("written");
    system.wait_for("its crash", || (heard(&system) == 1).then_some(()));
    assert_eq!(wait_for_lines(&system, "begun", 1).len(), 1);
    assert_eq!(wait_for_lines(&system, "ticks", 1).len(), 1);
    assert_eq!(fs::read_dir(system.path("checklist.journal/claims")).expect("a folder").count(), 0);
}

#[test]
fn a_run_that_cannot_be_started_now_is_started_as_soon_as_it_can() {
    let system = start();
    // A file in the place of the day's folder: no runner can make its own there.
    let runs = system.path("checklist.journal/runs");
    fs::remove_dir(&runs).expect("empty");
    fs::write(&runs, "").expect("a file");
    assert_eq!(system.send("keyless", "success", "3"), "ack");
    system.wait_for_log("manager", "such runs are tried again until they can be");
    assert_eq!(system.send("keyless", "success", "0"), "ack");
    fs::remove_file(&runs).expect("removed");
    let begun = wait_for_lines(&system, "begun", 3);
    system.wait_for_log("manager", "runs can be started and watched again");
    assert_eq!(begun.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(
        system.log("manager").matches("tried again until they can be").count(),
        1,
        "{}",
        system.describe()
    );
    assert_eq!(heard(&system), 0);
}

#[test]
#[cfg(feature = "failpoints")]
fn a_run_that_was_killed_before_it_could_start_is_not_started_by_the_next_manager() {
    let mut system = start();
    let runs = system.path("checklist.journal/runs");
    fs::remove_dir(&runs).expect("empty");
    fs::write(&runs, "").expect("a file");
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    system.wait_for_log("manager", "such runs are tried again until they can be");
    let run = open_runs(&system).pop().expect("the run").id;
    system.operate(&["kill", &run.0.to_string()]);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    fs::remove_file(&runs).expect("removed");
    // The runner would have time to start the worker.
    system.set_env("FAILPOINTS", "manager: launched=sleep(2000)");
    system.start_manager(&[]);
    system.wait_for("its crash", || (heard(&system) == 1).then_some(()));
    assert!(!system.path("begun").exists(), "{}", system.describe());
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    let run = format!("{:?}", history.run(run).expect("readable"));
    assert!(run.contains("NotStarted(\"stop requested before it started"), "{run}");
}

#[test]
fn a_run_goes_on_though_the_configuration_has_no_command_for_it_any_more() {
    let mut system = start();
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    wait_for_lines(&system, "begun", 1);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.more = "workers: {}".to_owned();
    system.set_python("''");
    system.start_manager(&[]);
    assert_eq!(system.send("keyless", "success", "0"), "ack");
    assert_eq!((open_runs(&system).len(), heard(&system)), (1, 0), "{}", system.describe());
    fs::write(system.path("go"), "").expect("the word to go on");
    system.wait_for_log("manager", "exited with status 3 without a report");
}

#[test]
fn kill_twice_ends_a_run_whose_runner_is_stopped() {
    let system = start();
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    wait_for_lines(&system, "begun", 1);
    let (runner, worker) = (process(&system, "claim"), process(&system, "process"));
    let run = open_runs(&system)[0].id.0.to_string();
    kill_process(runner.raw().expect("a number"), Signal::STOP).expect("stopped");
    system.operate(&["kill", &run]);
    assert!(worker.is_alive().expect("readable"));
    system.operate(&["kill", &run]);
    system.wait_for_log("manager", "the rule heard crash");
    assert!(!worker.is_alive().expect("readable"));
    system.wait_for("the run's end", || open_runs(&system).is_empty().then_some(()));
}

/// A worker that ignores SIGTERM is killed by an operator, and its runner dies before the grace is over.
fn killed_without_its_runner(is_manager_replaced: bool) {
    let script = "trap \"\" TERM; echo deaf >> begun; while :; do sleep 0.2; done";
    let mut system = system()
        .worker("tick: {success: it went well, crash: it crashed}")
        .section(&format!("workers: {{tick: {{command: [sh, -c, '{script}']}}}}"))
        .rules(RULES)
        .start();
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    wait_for_lines(&system, "begun", 1);
    let (runner, worker) = (process(&system, "claim"), process(&system, "process"));
    let run = open_runs(&system)[0].id.0.to_string();
    system.operate(&["kill", &run]);
    kill(&runner);
    if is_manager_replaced {
        replace_manager(&mut system);
    }
    system.wait_for("the worker's end", || (!worker.is_alive().expect("readable")).then_some(()));
    system.wait_for_log("manager", "the rule heard crash");
    assert_eq!(heard(&system), 1, "{}", system.describe());
    assert_eq!(wait_for_lines(&system, "begun", 1).len(), 1);
}

#[test]
fn a_deaf_worker_without_a_runner_is_killed_after_the_grace() {
    killed_without_its_runner(false);
}

#[test]
fn a_deaf_worker_without_a_runner_is_killed_by_another_manager_too() {
    killed_without_its_runner(true);
}

#[test]
fn a_run_that_ends_while_no_manager_runs_ended_when_its_runner_noted_it() {
    let mut system = start();
    assert_eq!(system.send("keyless", "success", "1"), "ack");
    wait_for_lines(&system, "begun", 1);
    let run = open_runs(&system).pop().expect("an open run");
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    fs::write(system.path("go"), "").expect("written");
    let exit = system.path("checklist.journal/runs").join(run.folder().expect("a folder")).join("exit");
    let noted: serde_json::Value =
        system.wait_for("the end of the run", || serde_json::from_slice(&fs::read(&exit).ok()?).ok());
    system.start_manager(&[]);
    system.wait_for_log("manager", "the rule heard crash");
    let shown: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    let run = shown["runs"].as_array().or(shown.as_array()).expect("runs")[0].clone();
    assert_eq!(run["ended"], noted["ended"], "{run:#}");
}
