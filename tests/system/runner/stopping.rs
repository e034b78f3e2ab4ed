//! Stopping a run.

use jiff::SignedDuration;
use nowcast_core::{BootTime, Ending};
use rustix::process::{Signal, kill_process};

use crate::runner::scene::{RUN, Scene, pid};

/// A worker that writes a line at SIGTERM and continues.
const STUBBORN: &str =
    "trap 'echo stopping >> \"$HERE/lines\"' TERM; echo ready >> \"$HERE/lines\"; until_file go";

/// A process group that ignores SIGTERM.
const DEAF: &str = "trap '' TERM; echo ready >> \"$HERE/lines\"; until_file go";

#[test]
fn sigterm_is_passed_on_to_the_worker() {
    let scene = Scene::new();
    let script = "trap 'exit 7' TERM; echo ready >> \"$HERE/lines\"; until_file go";
    let mut runner = scene.runner(&["--grace", "600"], script).spawn().expect("it starts");
    scene.wait_for_lines(1);
    kill_process(pid(&runner), Signal::TERM).expect("signalled");
    assert_eq!(scene.wait_for_exit(), Ending::Status(7));
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn a_worker_that_ignores_sigterm_is_killed_after_the_grace_period() {
    for grace in ["0", "1"] {
        let scene = Scene::new();
        let mut runner = scene.runner(&["--grace", grace], DEAF).spawn().expect("it starts");
        scene.wait_for_lines(1);
        kill_process(pid(&runner), Signal::TERM).expect("signalled");
        assert_eq!(scene.wait_for_exit(), Ending::Killed(9));
        assert!(scene.wait_for_end(&mut runner).success());
    }
}

#[test]
fn a_second_sigterm_skips_the_grace_period() {
    let scene = Scene::new();
    let mut runner = scene.runner(&["--grace", "600"], STUBBORN).spawn().expect("it starts");
    scene.wait_for_lines(1);
    kill_process(pid(&runner), Signal::TERM).expect("signalled");
    scene.wait_for_lines(2);
    kill_process(pid(&runner), Signal::TERM).expect("signalled");
    assert_eq!(scene.wait_for_exit(), Ending::Killed(9));
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn the_whole_process_group_is_signalled() {
    let scene = Scene::new();
    let child =
        "(trap 'echo child >> \"$HERE/lines\"; exit' TERM; echo ready >> \"$HERE/lines\"; until_file go)";
    let script = &format!("trap 'wait; exit 5' TERM; {child} & wait");
    let mut runner = scene.runner(&["--grace", "600"], script).spawn().expect("it starts");
    scene.wait_for_lines(1);
    kill_process(pid(&runner), Signal::TERM).expect("signalled");
    assert_eq!(scene.wait_for_exit(), Ending::Status(5));
    assert_eq!(scene.read("lines"), "ready\nchild\n");
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn sigint_and_sighup_are_ignored() {
    let scene = Scene::new();
    let mut runner = scene.runner(&[], crate::runner::scene::WAITS).spawn().expect("it starts");
    scene.wait_for_lines(1);
    for signal in [Signal::INT, Signal::HUP, Signal::INT, Signal::HUP] {
        kill_process(pid(&runner), signal).expect("sent");
    }
    scene.touch("go");
    assert!(scene.wait_for_end(&mut runner).success());
    assert_eq!(scene.wait_for_exit(), Ending::Status(0));
}

#[test]
fn a_manager_requests_a_run_to_stop() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    scene.wait_for_lines(1);
    runs.request_stop(RUN);
    scene.wait_for_lines(2);
    runs.request_stop(RUN);
    assert_eq!(scene.end_of(&mut runs), Ending::Killed(9));
}

#[test]
fn a_later_manager_requests_a_run_to_stop() {
    let scene = Scene::new();
    scene.start(&mut scene.runs(), STUBBORN);
    scene.wait_for_lines(1);
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    runs.request_stop(RUN);
    scene.wait_for_lines(2);
    runs.request_stop(RUN);
    assert_eq!(scene.end_of(&mut runs), Ending::Killed(9));
    assert_eq!(scene.wait_for_exit(), Ending::Killed(9));
}

#[test]
fn a_second_request_ends_a_worker_whose_runner_does_not_act() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    scene.wait_for_lines(1);
    let (runner, worker) = (scene.process("claim"), scene.process("process"));
    kill_process(runner.raw().expect("a number"), Signal::STOP).expect("stopped");
    runs.request_stop(RUN);
    assert_eq!(runs.collect_ended().expect("it says"), []);
    assert_eq!(scene.lines(), 1, "only the runner passes SIGTERM on");
    runs.request_stop(RUN);
    assert_eq!(scene.end_of(&mut runs), Ending::Killed(9));
    assert!(!worker.is_alive().expect("readable") && !runner.is_alive().expect("readable"));
}

#[test]
fn a_worker_without_a_runner_is_signalled() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    scene.wait_for_lines(1);
    let worker = scene.process("process");
    scene.kill_runner();
    scene
        .wait_for("the manager's notice", || runs.collect_ended().expect("it says").is_empty().then_some(()));
    runs.request_stop(RUN);
    scene.wait_for_lines(2);
    assert!(worker.is_alive().expect("readable"));
    runs.request_stop(RUN);
    assert_eq!(scene.end_of(&mut runs), Ending::Unknown);
    assert!(!worker.is_alive().expect("readable"));
}

/// Note that the run was requested to stop a minute earlier.
fn set_stop_request_back(scene: &Scene) {
    let path = scene.run_path("stop-requested");
    let note = std::fs::read_to_string(&path).expect("readable");
    let mut note: BootTime = serde_json::from_str(&note).expect("a note");
    note.uptime -= SignedDuration::from_secs(60);
    std::fs::write(path, serde_json::to_string(&note).expect("JSON")).expect("a minute ago");
}

#[test]
fn the_grace_period_of_a_worker_without_a_runner_starts_once_for_all_managers() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    scene.wait_for_lines(1);
    let worker = scene.process("process");
    scene.kill_runner();
    scene
        .wait_for("the manager's notice", || runs.collect_ended().expect("it says").is_empty().then_some(()));
    runs.request_stop(RUN);
    scene.wait_for_lines(2);
    set_stop_request_back(&scene);
    let mut later = scene.runs();
    scene.start(&mut later, STUBBORN);
    later.ensure_stop_requested(RUN);
    later.collect_ended().expect("it says");
    scene.wait_for("the worker's death", || (!worker.is_alive().expect("readable")).then_some(()));
}

#[test]
fn a_stop_request_to_a_late_runner_is_repeated_to_the_first_one() {
    let scene = Scene::new();
    let slow = scene.program("echo late >> \"$HERE/late\"; until_file never; exec \"$NOWCAST\" \"$@\"");
    let mut earlier = scene.runs_by(&slow);
    scene.start(&mut earlier, STUBBORN);
    scene.wait_for("the late one", || (!scene.read("late").is_empty()).then_some(()));
    let mut later = scene.runs();
    scene.start(&mut later, STUBBORN);
    scene.wait_for_lines(1);
    earlier.request_stop(RUN);
    scene.wait_for("the repeated request", || {
        assert_eq!(earlier.collect_ended().expect("it says"), []);
        (scene.lines() == 2).then_some(())
    });
    later.request_stop(RUN);
    assert_eq!(scene.end_of(&mut earlier), Ending::Killed(9));
    assert_eq!(scene.end_of(&mut later), Ending::Killed(9));
}

#[test]
fn a_run_that_is_requested_to_stop_before_its_claim_never_starts() {
    let scene = Scene::new();
    let program = scene.program("echo runner >> \"$HERE/lines\"; until_file go; exec \"$NOWCAST\" \"$@\"");
    let mut runs = scene.runs_by(&program);
    scene.start(&mut runs, "echo worker >> \"$HERE/lines\"");
    scene.wait_for_lines(1);
    runs.request_stop(RUN);
    let ending = scene.end_of(&mut runs);
    assert_eq!(ending, Ending::NotStarted("stop requested before it started".to_owned()));
    // The same for every later manager.
    assert_eq!(scene.start(&mut scene.runs(), "exit 0"), nowcast::launch::Started::Ended(ending));
    assert_eq!(scene.read("lines"), "runner\n");
}

#[test]
#[cfg(feature = "failpoints")]
fn a_runner_that_is_requested_to_stop_before_its_first_attempt_starts_nothing() {
    let scene = Scene::new();
    let mut command = scene.runner(&[], "echo started >> \"$HERE/lines\"");
    // The request comes between the claim and the start.
    let mut runner = command.env("FAILPOINTS", "runner: claimed=sleep(2000)").spawn().expect("it starts");
    scene.process("claim");
    kill_process(pid(&runner), Signal::TERM).expect("signalled");
    assert!(scene.wait_for_end(&mut runner).success());
    let ending = Ending::NotStarted("stop requested before it started".to_owned());
    assert_eq!((scene.wait_for_exit(), scene.lines()), (ending, 0));
}

/// A run whose runner is stopped, and the runner.
fn with_stopped_runner(scene: &Scene, runs: &mut nowcast::launch::LaunchedRuns) {
    scene.start(runs, STUBBORN);
    scene.wait_for_lines(1);
    scene.process("process");
    kill_process(scene.process("claim").raw().expect("a number"), Signal::STOP).expect("stopped");
}

#[test]
fn one_request_ends_a_run_whose_runner_is_stopped_after_the_grace_period() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    with_stopped_runner(&scene, &mut runs);
    runs.request_stop(RUN);
    assert_eq!(scene.end_of(&mut runs), Ending::Killed(9));
}

#[test]
fn the_grace_period_of_a_stopped_runner_starts_once_for_all_managers() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    with_stopped_runner(&scene, &mut runs);
    runs.request_stop(RUN);
    set_stop_request_back(&scene);
    let mut later = scene.runs();
    scene.start(&mut later, STUBBORN);
    later.ensure_stop_requested(RUN);
    let worker = scene.process("process");
    scene.wait_for("the worker's death", || {
        later.collect_ended().expect("it says");
        (!worker.is_alive().expect("readable")).then_some(())
    });
}
