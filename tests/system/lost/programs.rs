//! Programs of `exec:` whose runner, manager or broker is killed.

use std::fs;
use std::path::PathBuf;

use nowcast::process::ProcessIdentity;
use nowcast::store::History;
use nowcast_core::Run;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::system::{Builder, System, system};

/// A program that writes down its process and waits for a file; then it writes its payload and ends.
const WAITS: &str = "echo $$ >> begun\nwhile [ ! -e go ]; do sleep 0.02; done\n\
    echo '{plots: 12}' > \"$NOWCAST_PAYLOAD\"\necho $$ >> ended\n";

fn described() -> Builder {
    system()
        .worker("plot: {checklist key: plots, success: it went well, crash: it crashed}")
        .rules("function after_plot(msg) log.info('the rule heard ' .. msg.type) return {} end\n")
        .section(
            "workers: {plot: {exec: [sh, '{folder}/plot.sh'], max running: 1, retries: 1, retry delay: 0s}}",
        )
        .file("plot.sh", WAITS)
}

fn launch(system: &System) {
    system.operate(&["launch", "plot"]);
    wait_for_processes(system, "begun", 1);
}

/// The processes that programs wrote to a file, in their order.
fn wait_for_processes(system: &System, file: &str, count: usize) -> Vec<Pid> {
    let read = || {
        let text = fs::read_to_string(system.path(file)).unwrap_or_default();
        let numbers = text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?));
        numbers.collect::<Vec<_>>()
    };
    system.wait_for(&format!("{count} processes in {file}"), || Some(read()).filter(|all| all.len() >= count))
}

fn open_run(system: &System) -> Run {
    let history = History::open(&system.path("checklist.journal")).expect("the journal");
    system.wait_for("an open run", || history.open_now().expect("what is open").runs.pop())
}

/// The folder of the open run.
fn folder(system: &System) -> PathBuf {
    let run = open_run(system);
    system.path("checklist.journal/runs").join(run.folder().expect("a folder"))
}

fn process(system: &System, file: &str) -> ProcessIdentity {
    let path = folder(system).join(file);
    system.wait_for(file, || serde_json::from_slice(&fs::read(&path).ok()?).ok())
}

fn kill(process: &ProcessIdentity) {
    kill_process(process.raw().expect("a number"), Signal::KILL).expect("it is killed");
}

/// Go on with the program, and wait until its runner has noted how it ended.
fn end_program(system: &System) {
    let note = folder(system).join("program");
    fs::write(system.path("go"), "").expect("the word to go on");
    system.wait_for("the note", || note.exists().then_some(()));
}

fn kill_broker(system: &mut System) {
    system.signal("broker", Signal::KILL);
    system.wait_for_end("broker");
}

fn run(system: &System) -> serde_json::Value {
    let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).expect("JSON");
    runs[0].clone()
}

#[test]
fn a_killed_worker_is_its_program_and_leaves_nothing_behind() {
    let system = described().start();
    launch(&system);
    let (first, worker) = (folder(&system), process(&system, "process"));
    kill(&worker);
    let begun = wait_for_processes(&system, "begun", 2);
    assert_eq!(worker.raw(), Some(begun[0]));
    assert!(test_kill_process(begun[0]).is_err(), "the first program runs beside the second one");
    let left: Vec<_> =
        fs::read_dir(&first).expect("the folder").flatten().map(|entry| entry.path()).collect();
    assert!(left.iter().all(|path| path.is_file()), "{left:?}");
    fs::write(system.path("go"), "").expect("the word to go on");
    system.wait_for_log("manager", "the rule heard success");
    assert_eq!(system.operate(&["checklist", "get", "plots"]), "plots: 12\n");
}

#[test]
fn a_program_without_its_runner_ends_before_its_retry_begins() {
    let system = described().start();
    launch(&system);
    kill(&process(&system, "claim"));
    // The program is watched: it counts as the one that may run.
    system.operate(&["launch", "plot"]);
    system.works();
    assert_eq!(wait_for_processes(&system, "begun", 1).len(), 1);
    fs::write(system.path("go"), "").expect("the word to go on");
    // The retry, and the second launch.
    let ended = wait_for_processes(&system, "ended", 3);
    assert_eq!(ended, wait_for_processes(&system, "begun", 3), "each ended before the next one began");
    system.wait_for_log_count("manager", "the rule heard success", 2);
    assert!(!system.log("manager").contains("the rule heard crash"), "{}", system.describe());
}

/// A runner dies while it waits for the broker, with its report.
fn report_without_the_first_runner(is_manager_replaced: bool) {
    let mut system = described().start();
    launch(&system);
    kill_broker(&mut system);
    end_program(&system);
    if is_manager_replaced {
        system.signal("manager", Signal::KILL);
        system.wait_for_end("manager");
    }
    let runner = process(&system, "claim");
    kill(&runner);
    if is_manager_replaced {
        system.start_manager(&[]);
    }
    system.wait_for("another runner", || (process(&system, "claim") != runner).then_some(()));
    system.start_broker();
    system.wait_for_log("manager", "the rule heard success");
    assert_eq!(system.operate(&["checklist", "get", "plots"]), "plots: 12\n");
    let run = system.wait_for("its end", || Some(run(&system)).filter(|run| run["state"] == "succeeded"));
    assert_eq!(run["exit_status"], 0);
    assert_eq!(wait_for_processes(&system, "begun", 1).len(), 1);
    assert_eq!(system.log("manager").matches("the rule heard").count(), 1, "{}", system.describe());
}

#[test]
fn another_runner_reports_for_one_that_was_killed() {
    report_without_the_first_runner(false);
}

#[test]
fn another_runner_reports_after_the_manager_was_killed_too() {
    report_without_the_first_runner(true);
}

#[test]
fn a_report_outlives_broker_and_manager() {
    let mut system = described().start();
    launch(&system);
    kill_broker(&mut system);
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    end_program(&system);
    system.start_manager(&[]);
    system.start_broker();
    system.wait_for_log("manager", "the rule heard success");
    system.wait_for("its end", || (run(&system)["state"] == "succeeded").then_some(()));
}

#[test]
fn kill_ends_a_runner_that_cannot_report() {
    let mut system = described().start();
    launch(&system);
    kill_broker(&mut system);
    end_program(&system);
    let runner = process(&system, "claim");
    let folder = folder(&system);
    system.operate(&["kill", &open_run(&system).id.0.to_string()]);
    system.wait_for("the runner's end", || (!runner.is_alive().expect("readable")).then_some(()));
    let output = fs::read_to_string(folder.join("output.log")).expect("the output");
    assert!(output.contains("[plot] termination signal (SIGTERM) received"), "{output}");
    let run = system.wait_for("the run's end", || Some(run(&system)).filter(|run| run["state"] == "crashed"));
    assert_eq!((&run["exit_status"], &run["stop_requested"]["by"]), (&0.into(), &"operator".into()));
    assert_eq!(system.log("manager").matches("the rule heard crash").count(), 1, "{}", system.describe());
}
