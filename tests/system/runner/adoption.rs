//! Adoption by a later manager or after the death of a runner: the run continues, and its end is known.

use std::fs;

use nowcast::launch::{RunFolderState, Started};
use nowcast_core::{Ending, Number};

use crate::runner::scene::{FOLDER, RUN, Scene, WAITS, end};

const LINE: &str = "echo started >> \"$HERE/lines\"; exit 3";

#[test]
fn a_run_is_started_and_its_end_returned_once() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    assert_eq!(scene.start(&mut runs, LINE), Started::NotEnded);
    assert_eq!(scene.end_of(&mut runs), Ending::Status(3));
    assert_eq!(runs.collect_ended().expect("it says"), []);
    assert_eq!(scene.start(&mut runs, LINE), Started::Ended(Ending::Status(3)));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_run_that_cannot_be_started_ends_with_the_reason() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    let argv = vec!["/nowhere/run_model".to_owned()];
    let started = runs.start(RUN, FOLDER, Ok(argv), &[]);
    assert_eq!(started, Started::NotEnded);
    let text = "could not be started: /nowhere/run_model: No such file or directory (os error 2)";
    assert_eq!(scene.end_of(&mut runs).to_string(), text);
}

#[test]
fn a_second_start_of_the_same_run_starts_nothing() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    for _ in 0..3 {
        assert_eq!(scene.start(&mut runs, WAITS), Started::NotEnded);
    }
    scene.wait_for_lines(1);
    scene.touch("go");
    assert_eq!(scene.end_of(&mut runs), Ending::Status(0));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_later_manager_adopts_an_open_run() {
    let scene = Scene::new();
    scene.start(&mut scene.runs(), &format!("{WAITS}; exit 5"));
    scene.wait_for_lines(1);
    let mut later = scene.runs();
    assert_eq!(scene.start(&mut later, "exit 0"), Started::NotEnded);
    assert_eq!(later.collect_ended().expect("it says"), []);
    scene.touch("go");
    assert_eq!(scene.end_of(&mut later), Ending::Status(5));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_later_manager_learns_the_end_of_a_past_run() {
    let scene = Scene::new();
    scene.start(&mut scene.runs(), LINE);
    scene.wait_for_exit();
    assert_eq!(scene.start(&mut scene.runs(), LINE), Started::Ended(Ending::Status(3)));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_later_manager_starts_an_unclaimed_run() {
    let scene = Scene::new();
    fs::create_dir_all(scene.run_path("")).expect("a folder");
    fs::write(scene.run_path("claim.77.0.new"), "{\"pid\":").expect("left by a runner that was killed");
    let mut runs = scene.runs();
    assert_eq!(scene.start(&mut runs, LINE), Started::NotEnded);
    assert_eq!(scene.end_of(&mut runs), Ending::Status(3));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_late_runner_leaves_the_run_to_the_first_one() {
    let scene = Scene::new();
    let slow = scene.program("until_file late; exec \"$NOWCAST\" \"$@\"");
    let mut earlier = scene.runs_by(&slow);
    assert_eq!(scene.start(&mut earlier, WAITS), Started::NotEnded);
    let mut later = scene.runs();
    assert_eq!(scene.start(&mut later, WAITS), Started::NotEnded);
    scene.wait_for_lines(1);
    scene.touch("late");
    // Both managers now watch the same runner.
    scene.wait_for("the late runner's end", || {
        assert_eq!(earlier.collect_ended().expect("it says"), []);
        format!("{earlier:?}").contains("watching: Runner").then_some(())
    });
    scene.touch("go");
    assert_eq!(scene.end_of(&mut later), Ending::Status(0));
    assert_eq!(scene.end_of(&mut earlier), Ending::Status(0));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_worker_outlives_its_runner_and_its_exit_is_seen() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, WAITS);
    scene.wait_for_lines(1);
    let worker = scene.process("process");
    scene.kill_runner();
    assert_eq!(scene.state(), RunFolderState::Orphan { worker: worker.clone() });
    assert_eq!(runs.collect_ended().expect("it says"), []);
    let mut later = scene.runs();
    assert_eq!(scene.start(&mut later, WAITS), Started::NotEnded);
    scene.touch("go");
    assert_eq!(scene.end_of(&mut runs), Ending::Unknown);
    assert_eq!(scene.end_of(&mut later), Ending::Unknown);
    assert!(!worker.is_alive().expect("readable"));
    assert_eq!(scene.start(&mut scene.runs(), WAITS), Started::Ended(Ending::Unknown));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_worker_that_its_runner_did_not_record_is_found() {
    let scene = Scene::new();
    // A background process in a session of its own has the same environment, and is not the worker.
    let script =
        format!("setsid sh -c 'echo background >> \"$HERE/lines\"; exec sleep 600' & {WAITS}; kill -9 $!");
    scene.start(&mut scene.runs(), &script);
    scene.wait_for_lines(2);
    let worker = scene.process("process");
    fs::remove_file(scene.run_path("process")).expect("removed");
    scene.kill_runner();
    assert_eq!(scene.state(), RunFolderState::Orphan { worker: worker.clone() });
    fs::write(scene.run_path("process"), "{\"pid\": 7").expect("damaged");
    let reading = scene.run_folder().state().expect("it can be read");
    assert_eq!(reading.state, RunFolderState::Orphan { worker });
    assert!(reading.problem.expect("a problem").contains("process is damaged"));
    scene.touch("go");
    scene.wait_for("the end", || (scene.state() == RunFolderState::Ended(Ending::Unknown)).then_some(()));
}

#[test]
fn a_runner_that_dies_before_its_claim_is_started_again() {
    let scene = Scene::new();
    let program =
        scene.program("echo runner >> \"$HERE/lines\"; [ $(wc -l < \"$HERE/lines\") -gt 3 ] || kill -9 $$; exec \"$NOWCAST\" \"$@\"");
    let mut runs = scene.runs_by(&program);
    scene.start(&mut runs, "echo worker >> \"$HERE/lines\"");
    assert_eq!(scene.end_of(&mut runs), Ending::Status(0));
    assert_eq!(scene.read("lines"), "runner\nrunner\nrunner\nrunner\nworker\n");
}

#[test]
fn a_run_whose_runners_die_before_their_claim_is_abandoned() {
    let scene = Scene::new();
    let program = scene.program("echo runner >> \"$HERE/lines\"; kill -9 $$");
    let mut runs = scene.runs_by(&program);
    scene.start(&mut runs, LINE);
    let ending = scene.end_of(&mut runs);
    assert_eq!(ending, Ending::NotStarted("its runner was killed by signal 9".to_owned()));
    assert_eq!(scene.lines(), 4);
    // A later manager, which does not know of it, does not start it.
    assert_eq!(scene.start(&mut scene.runs(), LINE), Started::Ended(ending));
}

#[test]
fn a_run_is_not_started_again_when_its_folder_is_removed() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(
        &mut runs,
        "until_file runs/2026-03-14/8812/process; echo started >> \"$HERE/lines\"; rm -r \"$HERE/runs\"",
    );
    assert_eq!(scene.end_of(&mut runs), Ending::Unknown);
    assert_eq!(scene.lines(), 1);
}

#[test]
fn a_later_manager_does_not_start_a_run_whose_folder_was_removed() {
    for is_over in [false, true] {
        let scene = Scene::new();
        scene.start(&mut scene.runs(), WAITS);
        scene.wait_for_lines(1);
        let runner = scene.process("claim");
        fs::remove_dir_all(scene.path("runs")).expect("removed");
        if is_over {
            scene.touch("go");
            scene.wait_for("its end", || (!runner.is_alive().expect("readable")).then_some(()));
        }
        let mut later = scene.runs();
        let started = scene.start(&mut later, WAITS);
        if is_over {
            assert_eq!(started, Started::Ended(Ending::Unknown));
        } else {
            assert_eq!(started, Started::NotEnded);
            scene.touch("go");
            assert_eq!(scene.end_of(&mut later), Ending::Unknown);
        }
        assert_eq!(scene.lines(), 1);
        assert!(scene.path("claims/8812").exists());
        later.remove_claim_mark(RUN);
        assert!(!scene.path("claims/8812").exists());
    }
}

#[test]
fn claim_marks_of_past_runs_are_removed() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.start(&mut runs, LINE);
    scene.end_of(&mut runs);
    scene.runs().retain_marks([RUN]);
    assert!(scene.path("claims/8812").exists());
    scene.runs().retain_marks([8, 88, 12].map(Number));
    assert!(!scene.path("claims/8812").exists());
}

#[test]
fn many_simultaneous_runs_end_independently() {
    let scene = Scene::new();
    let mut runs =
        nowcast::launch::LaunchedRuns::new(crate::support::system::NOWCAST.into(), scene.path("runs"))
            .expect("runs");
    let mut open: Vec<_> = (1..=30).map(Number).collect();
    for run in &open {
        // The worker sees the number without its sign.
        let argv = Scene::script("exit $NOWCAST_RUN_ID");
        let started = runs.start(*run, &format!("2026-03-14/{}", run.0), Ok(argv.clone()), &[]);
        assert_eq!(started, Started::NotEnded);
    }
    scene.wait_for("all ends", || {
        for (run, ending) in runs.collect_ended().expect("it says") {
            assert_eq!(ending, Ending::Status(i32::try_from(run.0).expect("small")));
            open.retain(|other| *other != run);
        }
        open.is_empty().then_some(())
    });
    assert_eq!(end(&mut runs, Number(1)), None);
}
