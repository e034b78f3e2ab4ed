//! A run that is told to end.

use std::fs::File;
use std::time::{Duration, SystemTime};

use nowcast_core::Ending;
use rustix::process::{Signal, kill_process};

use crate::runner::scene::{RUN, Scene, pid};

/// It says when it is told to end, and goes on.
const STUBBORN: &str =
    "trap 'echo told >> \"$HERE/lines\"' TERM; echo ready >> \"$HERE/lines\"; until_file go";

/// The same for a group that ignores it altogether.
const DEAF: &str = "trap '' TERM; echo ready >> \"$HERE/lines\"; until_file go";

#[test]
fn sigterm_is_handed_on_and_the_worker_may_end_as_it_likes() {
    let scene = Scene::new();
    let script = "trap 'exit 7' TERM; echo ready >> \"$HERE/lines\"; until_file go";
    let mut runner = scene.runner(&["--grace", "600"], script).spawn().expect("it starts");
    scene.wait_for_lines(1);
    kill_process(pid(&runner), Signal::TERM).expect("told");
    assert_eq!(scene.wait_for_exit(), Ending::Status(7));
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn a_worker_that_ignores_sigterm_is_killed_after_the_grace() {
    for grace in ["0", "1"] {
        let scene = Scene::new();
        let mut runner = scene.runner(&["--grace", grace], DEAF).spawn().expect("it starts");
        scene.wait_for_lines(1);
        kill_process(pid(&runner), Signal::TERM).expect("told");
        assert_eq!(scene.wait_for_exit(), Ending::Killed(9));
        assert!(scene.wait_for_end(&mut runner).success());
    }
}

#[test]
fn a_second_sigterm_skips_the_grace() {
    let scene = Scene::new();
    let mut runner = scene.runner(&["--grace", "600"], STUBBORN).spawn().expect("it starts");
    scene.wait_for_lines(1);
    kill_process(pid(&runner), Signal::TERM).expect("told");
    scene.wait_for_lines(2);
    kill_process(pid(&runner), Signal::TERM).expect("told");
    assert_eq!(scene.wait_for_exit(), Ending::Killed(9));
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn the_whole_process_group_is_told() {
    let scene = Scene::new();
    let child =
        "(trap 'echo child >> \"$HERE/lines\"; exit' TERM; echo ready >> \"$HERE/lines\"; until_file go)";
    let script = &format!("trap 'wait; exit 5' TERM; {child} & wait");
    let mut runner = scene.runner(&["--grace", "600"], script).spawn().expect("it starts");
    scene.wait_for_lines(1);
    kill_process(pid(&runner), Signal::TERM).expect("told");
    assert_eq!(scene.wait_for_exit(), Ending::Status(5));
    assert_eq!(scene.read("lines"), "ready\nchild\n");
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn sigint_and_sighup_are_for_others() {
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
fn a_manager_tells_a_run_to_end() {
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
fn a_later_manager_tells_a_run_to_end() {
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
fn a_worker_without_a_runner_is_told_too() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    scene.wait_for_lines(1);
    let worker = scene.process("process");
    scene.kill_runner();
    scene.wait_for("the manager's notice", || runs.ended().expect("it says").is_empty().then_some(()));
    runs.request_stop(RUN);
    scene.wait_for_lines(2);
    assert!(worker.is_alive());
    runs.request_stop(RUN);
    assert_eq!(scene.end_of(&mut runs), Ending::Unknown);
    assert!(!worker.is_alive());
}

#[test]
fn the_grace_of_a_worker_without_a_runner_does_not_begin_anew_with_each_manager() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, STUBBORN);
    scene.wait_for_lines(1);
    let worker = scene.process("process");
    scene.kill_runner();
    scene.wait_for("the manager's notice", || runs.ended().expect("it says").is_empty().then_some(()));
    runs.request_stop(RUN);
    scene.wait_for_lines(2);
    let told = File::options().write(true).open(scene.run_path("stop-requested")).expect("a note");
    told.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("a minute ago");
    let mut later = scene.runs();
    scene.start(&mut later, STUBBORN);
    later.ensure_stop_requested(RUN);
    later.ended().expect("it says");
    scene.wait_for("the worker's death", || (!worker.is_alive()).then_some(()));
}

#[test]
fn a_runner_that_comes_first_is_told_what_the_late_one_was() {
    let scene = Scene::new();
    let slow = scene.program("echo late >> \"$HERE/late\"; until_file never; exec \"$NOWCAST\" \"$@\"");
    let mut earlier = scene.runs_by(&slow);
    scene.start(&mut earlier, STUBBORN);
    scene.wait_for("the late one", || (!scene.read("late").is_empty()).then_some(()));
    let mut later = scene.runs();
    scene.start(&mut later, STUBBORN);
    scene.wait_for_lines(1);
    earlier.request_stop(RUN);
    scene.wait_for("the word's arrival", || {
        assert_eq!(earlier.ended().expect("it says"), []);
        (scene.lines() == 2).then_some(())
    });
    later.request_stop(RUN);
    assert_eq!(scene.end_of(&mut earlier), Ending::Killed(9));
    assert_eq!(scene.end_of(&mut later), Ending::Killed(9));
}

#[test]
fn a_run_that_is_told_to_end_before_its_claim_never_begins() {
    let scene = Scene::new();
    let program = scene.program("echo runner >> \"$HERE/lines\"; until_file go; exec \"$NOWCAST\" \"$@\"");
    let mut runs = scene.runs_by(&program);
    scene.start(&mut runs, "echo worker >> \"$HERE/lines\"");
    scene.wait_for_lines(1);
    runs.request_stop(RUN);
    let ending = scene.end_of(&mut runs);
    assert_eq!(ending, Ending::NotStarted("stop requested before it started".to_owned()));
    // For every later manager too.
    assert_eq!(scene.start(&mut scene.runs(), "exit 0"), nowcast::launch::Started::Ended(ending));
    assert_eq!(scene.read("lines"), "runner\n");
}
