//! How a worker ended, and its environment.

use nowcast::process::ProcessIdentity;
use nowcast_core::Ending;

use crate::runner::scene::{RUN, Scene};

fn ending(script: &str) -> Ending {
    let scene = Scene::new();
    let status = scene.runner(&[], script).status().expect("it starts");
    assert_eq!(status.code(), Some(0), "{}", scene.describe());
    scene.run_folder().exit().expect("a record").ending()
}

#[test]
fn an_exit_status_is_recorded() {
    assert_eq!(ending("exit 0"), Ending::Status(0));
    assert_eq!(ending("exit 255"), Ending::Status(255));
}

#[test]
fn a_signal_is_recorded() {
    assert_eq!(ending("kill -9 $$"), Ending::Killed(9));
    assert_eq!(ending("kill -SEGV $$"), Ending::Killed(11));
}

#[test]
fn a_missing_program_is_named() {
    let scene = Scene::new();
    let argv = ["/nowhere/run_model".to_owned()];
    assert!(scene.runner_of(&[], &argv).status().expect("it starts").success());
    let record = scene.wait_for_json("exit");
    assert_eq!(record["not_started"], "/nowhere/run_model: No such file or directory (os error 2)");
    let Ending::NotStarted(reason) = scene.wait_for_exit() else { panic!("{record}") };
    assert!(reason.starts_with("/nowhere/run_model"));
}

#[test]
fn the_record_has_the_time() {
    let scene = Scene::new();
    let before = jiff::Timestamp::now();
    assert!(scene.runner(&[], "exit 3").status().expect("it starts").success());
    let record = scene.wait_for_json("exit");
    assert_eq!(record["status"], 3);
    let ended: jiff::Timestamp = record["ended"].as_str().expect("a text").parse().expect("RFC 3339");
    assert!(before <= ended && ended <= jiff::Timestamp::now());
}

#[test]
fn a_worker_knows_its_run_and_leads_its_own_process_group() {
    let scene = Scene::new();
    let script = "echo $NOWCAST_RUN_ID; echo $NOWCAST_RUN_FOLDER; cat; cut -d' ' -f5 /proc/$$/stat; echo $$; \
                  until_file runs/2026-03-14/8812/process; cat $NOWCAST_RUN_FOLDER/process";
    let mut runner = scene.runner(&[], script).spawn().expect("it starts");
    assert!(scene.wait_for_end(&mut runner).success());
    let output = scene.read(scene.run_path("output.log"));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], RUN.0.to_string());
    assert_eq!(std::fs::canonicalize(lines[1]).unwrap(), std::fs::canonicalize(scene.run_path("")).unwrap());
    assert_eq!(lines[2], lines[3], "{output}");
    let noted: ProcessIdentity = serde_json::from_str(lines[4]).expect("a process");
    assert_eq!(noted.pid.to_string(), lines[3]);
    assert_ne!(runner.id().to_string(), lines[3]);
}

#[test]
fn a_worker_does_not_inherit_the_signal_handlers_of_its_runner() {
    let scene = Scene::new();
    assert!(scene.runner(&[], "grep SigIgn /proc/$$/status").status().expect("it starts").success());
    let output = scene.read(scene.run_path("output.log"));
    let ignored = u64::from_str_radix(output.split_whitespace().last().expect("a mask"), 16).expect("a mask");
    for signal in [1, 2, 13, 15] {
        assert_eq!(ignored & 1 << (signal - 1), 0, "signal {signal} is ignored: {output}");
    }
}

#[test]
fn a_process_that_an_ended_run_has_left_is_not_its_worker() {
    let scene = Scene::new();
    let script = "set -m; sleep 1000 & echo $! > \"$HERE/left\"";
    assert!(scene.runner(&[], script).status().expect("it starts").success());
    let left: i32 = scene.read("left").trim().parse().expect("a number");
    let left = rustix::process::Pid::from_raw(left).expect("a process");
    assert!(rustix::process::test_kill_process(left).is_ok());
    assert_eq!(scene.run_folder().live_process().expect("readable"), None);
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("killed");
}

#[test]
fn background_processes_of_a_worker_survive_it() {
    let scene = Scene::new();
    let script = "(until_file go; echo still here >> \"$HERE/lines\") & exit 4";
    assert!(scene.runner(&[], script).status().expect("it starts").success());
    assert_eq!(scene.wait_for_exit(), Ending::Status(4));
    assert_eq!(scene.lines(), 0);
    scene.touch("go");
    scene.wait_for_lines(1);
}
