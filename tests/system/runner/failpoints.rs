//! A runner that is killed between any two of its steps.
#![cfg(feature = "failpoints")]

use nowcast::failpoint::{RUNNER, RUNNER_BEFORE_START};
use nowcast::launch::{RunFolderState, Started};
use nowcast_core::Ending;

use crate::runner::scene::{FOLDER, RUN, Scene, WAITS};

/// Points at which the run is unclaimed.
const UNCLAIMED: [&str; 2] = ["runner: before claim", "runner: claim written"];

fn killed_at(point: &str) -> String {
    format!("{point}=return")
}

/// The end of a run whose runner is killed at a point, and the number of its workers. A worker that was not started
/// between claim and start looks like one that has exited since.
fn end_after(point: &str) -> (Ending, usize) {
    let at = RUNNER.iter().position(|other| *other == point).expect("a point");
    match point {
        "runner: exit synced" | "runner: claim removed" | "runner: exit written" => (Ending::Status(5), 1),
        _ if UNCLAIMED.contains(&point) => (Ending::Status(5), 1),
        _ if at < RUNNER_BEFORE_START => (Ending::Unknown, 0),
        _ => (Ending::Unknown, 1),
    }
}

#[test]
fn a_later_manager_brings_the_run_to_its_end() {
    for point in RUNNER {
        let scene = Scene::new();
        let script = format!("{WAITS}; exit 5");
        let mut runner =
            scene.runner(&[], &script).env("FAILPOINTS", killed_at(point)).spawn().expect("started");
        let (expected, workers) = end_after(point);
        let at = RUNNER.iter().position(|other| *other == point);
        if at >= Some(RUNNER_BEFORE_START) {
            scene.wait_for_lines(1);
        }
        if at >= RUNNER.iter().position(|other| *other == "runner: worker ended") {
            scene.touch("go");
        }
        let status = scene.wait_for_end(&mut runner);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}: {status}");
        let alive = matches!(scene.state(), RunFolderState::Orphan { .. });
        assert_eq!(alive, ["runner: worker started", "runner: process written"].contains(&point), "{point}");
        let mut runs = scene.runs();
        let started = scene.start(&mut runs, &script);
        scene.touch("go");
        let ending = match started {
            Started::Ended(ending) => ending,
            Started::NotEnded => scene.end_of(&mut runs),
        };
        assert_eq!((ending, scene.lines()), (expected, workers), "{point}: {}", scene.describe());
    }
}

#[test]
fn the_same_manager_brings_the_run_to_its_end() {
    for point in RUNNER {
        let scene = Scene::new();
        let mut runs = scene.runs();
        let mut environment = scene.environment();
        environment.push(("FAILPOINTS".to_owned(), killed_at(point).into()));
        let argv = Scene::script("echo started >> \"$HERE/lines\"; exit 5");
        let started = runs.start(RUN, FOLDER, Ok(argv), &environment);
        assert_eq!(started, Started::NotEnded);
        let ending = scene.end_of(&mut runs);
        if UNCLAIMED.contains(&point) {
            // Each of the four runners is killed at the point.
            let reason = "its runner was killed by signal 9".to_owned();
            assert_eq!((ending, scene.lines()), (Ending::NotStarted(reason), 0), "{point}");
        } else {
            let expected = end_after(point);
            scene.wait_for(point, || (scene.lines() == expected.1).then_some(()));
            assert_eq!(ending, expected.0, "{point}: {}", scene.describe());
        }
    }
}
