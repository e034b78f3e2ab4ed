//! A run has one runner.

use std::fs;
use std::process::Stdio;

use nowcast::launch::RunFolderState;
use nowcast::launch::runner::{ALREADY_CLAIMED, CANNOT_CLAIM};
use nowcast_core::Ending;

use crate::runner::scene::Scene;

#[test]
fn one_of_twenty_runners_starts_the_worker() {
    let scene = Scene::new();
    let mut runners: Vec<_> = (0..20)
        .map(|_| scene.runner(&[], "echo started >> \"$HERE/lines\"").spawn().expect("it starts"))
        .collect();
    let mut statuses: Vec<_> =
        runners.iter_mut().map(|runner| scene.wait_for_end(runner).code().expect("a status")).collect();
    statuses.sort_unstable();
    let mut expected = vec![i32::from(ALREADY_CLAIMED); 20];
    expected[0] = 0;
    assert_eq!(statuses, expected, "{}", scene.describe());
    assert_eq!(scene.lines(), 1);
    let mut left: Vec<_> = fs::read_dir(scene.run_path(""))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["exit", "output.log"]);
}

#[test]
fn a_claimed_run_is_left_to_its_runner_without_a_message() {
    let scene = Scene::new();
    assert!(scene.runner(&[], "exit 3").status().expect("it starts").success());
    let second = scene.runner(&[], "echo second").output().expect("it starts");
    assert_eq!(second.status.code(), Some(ALREADY_CLAIMED.into()));
    assert_eq!((second.stdout, second.stderr), (Vec::new(), Vec::new()));
    assert!(!scene.run_path("claim").exists());
    assert_eq!(scene.wait_for_exit(), Ending::Status(3));
}

#[test]
fn the_folder_of_a_run_that_ends_is_never_taken_for_a_removed_one() {
    for _ in 0..20 {
        let scene = Scene::new();
        let mark = scene.path("mark");
        let folder = scene.run_folder().with_claim_mark(&mark);
        let mut runner =
            scene.runner(&["--mark", mark.to_str().expect("text")], "true").spawn().expect("it starts");
        let ending = scene.wait_for("the end of the run", || {
            let reading = folder.state().expect("it can be read");
            assert_eq!((reading.problem, reading.is_removed), (None, false));
            match reading.state {
                RunFolderState::Ended(ending) => Some(ending),
                _ => None,
            }
        });
        assert_eq!(ending, Ending::Status(0));
        assert!(scene.wait_for_end(&mut runner).success());
    }
}

#[test]
fn nothing_is_started_without_a_writable_folder() {
    let scene = Scene::new();
    scene.touch("runs");
    let output = scene.runner(&[], "echo started >> \"$HERE/lines\"").output().expect("it starts");
    assert_eq!(output.status.code(), Some(CANNOT_CLAIM.into()));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("the worker is not started: the run's folder "), "{errors}");
    assert!(errors.contains("Not a directory"), "{errors}");
    assert_eq!(scene.lines(), 0);
}

#[test]
fn an_exit_that_cannot_be_recorded_is_recorded_when_it_can() {
    let scene = Scene::new();
    // A folder in place of the file, to which no file can be renamed.
    fs::create_dir_all(scene.run_path("exit")).expect("a folder");
    let log = fs::File::create(scene.path("errors")).expect("a file");
    let mut runner = scene.runner(&[], "exit 3").stderr(log).spawn().expect("it starts");
    scene.wait_for("the error", || scene.read("errors").contains("retrying every second").then_some(()));
    fs::remove_dir(scene.run_path("exit")).expect("removed");
    assert_eq!(scene.wait_for_exit(), Ending::Status(3));
    assert_eq!(scene.wait_for_end(&mut runner).code(), Some(0));
}

#[test]
fn a_runner_whose_folder_was_removed_exits() {
    let scene = Scene::new();
    let mut runner = scene
        .runner(&[], "until_file runs/2026-03-14/8812/process; rm -r \"$HERE/runs\"")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    assert_eq!(scene.wait_for_end(&mut runner).code(), Some(nowcast::launch::runner::END_LOST.into()));
}
