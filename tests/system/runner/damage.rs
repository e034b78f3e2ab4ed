//! Damaged files of runs, as after a full disk or a power cut, and files of an earlier boot.

use std::fs;

use nowcast::launch::{RunFolderState, Started};
use nowcast::process::ProcessIdentity;
use nowcast_core::{Ending, Number};

use crate::runner::scene::Scene;

/// A run's folder with these files.
fn folder(files: &[(&str, &str)]) -> Scene {
    let scene = Scene::new();
    fs::create_dir_all(scene.run_path("")).expect("a folder");
    for (name, content) in files {
        fs::write(scene.run_path(name), content).expect("written");
    }
    scene
}

/// The state of a run with these files, and the problem.
fn state_of(files: &[(&str, &str)]) -> (RunFolderState, Option<String>) {
    let scene = folder(files);
    let reading = scene.run_folder().state().expect("it can be read");
    if let RunFolderState::Ended(ending) = &reading.state {
        // And no manager starts it.
        assert_eq!(scene.start(&mut scene.runs(), "exit 0"), Started::Ended(ending.clone()));
    }
    (reading.state, reading.problem)
}

fn me() -> ProcessIdentity {
    ProcessIdentity::of_self().expect("this process")
}

fn json(process: &ProcessIdentity) -> String {
    serde_json::to_string(process).expect("JSON")
}

const UNKNOWN: RunFolderState = RunFolderState::Ended(Ending::Unknown);

#[test]
fn an_exit_record_takes_precedence() {
    let files = [("exit", "{\"signal\":9,\"ended\":\"2026-03-14T04:40:00Z\"}"), ("claim", "")];
    assert_eq!(state_of(&files), (RunFolderState::Ended(Ending::Killed(9)), None));
}

#[test]
fn a_run_with_a_damaged_exit_record_has_ended() {
    for content in
        ["", "{\"status\":", "\0\0\0\0", "[]", "{\"status\":\"3\",\"ended\":\"2026-03-14T04:40:00Z\"}"]
    {
        let (state, problem) = state_of(&[("claim", &json(&me())), ("exit", content)]);
        assert_eq!(state, UNKNOWN, "{content:?}");
        let problem = problem.expect("a problem");
        assert!(problem.contains("/exit is ") && problem.contains("exit status is lost"), "{problem}");
    }
}

#[test]
fn a_run_with_a_damaged_claim_is_claimed() {
    for content in ["", "{\"pid\":12", "{\"pid\":99999999999,\"start_time\":1,\"boot_id\":\"\"}", "\u{fffd}"]
    {
        let (state, problem) = state_of(&[("claim", content)]);
        assert_eq!(state, UNKNOWN, "{content:?}");
        let problem = problem.expect("a problem");
        assert!(
            problem.contains("/claim is ") && problem.contains("assuming that a runner claimed the run"),
            "{problem}"
        );
    }
}

#[test]
fn the_worker_of_a_damaged_claim_is_found() {
    let (state, problem) = state_of(&[("claim", ""), ("process", &json(&me()))]);
    assert_eq!(state, RunFolderState::Orphan { worker: me() });
    assert!(problem.is_some());
}

#[test]
fn a_process_of_an_earlier_boot_is_dead() {
    let other = ProcessIdentity { boot_id: "00000000-0000-0000-0000-000000000000".to_owned(), ..me() };
    assert_eq!(state_of(&[("claim", &json(&other))]), (UNKNOWN, None));
    assert_eq!(state_of(&[("claim", &json(&other)), ("process", &json(&other))]), (UNKNOWN, None));
}

#[test]
fn a_reused_process_number_is_another_process() {
    let other = ProcessIdentity { start_time: me().start_time - 1, ..me() };
    assert_eq!(state_of(&[("claim", &json(&other)), ("process", &json(&other))]), (UNKNOWN, None));
}

#[test]
fn a_file_that_cannot_be_read_does_not_end_the_run() {
    let dead = ProcessIdentity { start_time: me().start_time - 1, ..me() };
    for name in ["exit", "claim", "program", "process", "remote"] {
        let scene = folder(&[("claim", &json(&dead)), ("process", &json(&dead))]);
        // A folder in the place of the file exists, and cannot be read.
        let _ = fs::remove_file(scene.run_path(name));
        fs::create_dir(scene.run_path(name)).expect("a folder");
        let error = scene.run_folder().state().expect_err(name).to_string();
        assert!(error.contains(&format!("/{name} cannot be read: ")), "{error}");
        let mut runs = scene.runs();
        assert_eq!(scene.start(&mut runs, "exit 0"), Started::NotEnded, "{name}");
        assert!(runs.retry_due().is_some(), "{name}: it is read again");
    }
}

#[test]
fn an_invalid_process_number_is_dead() {
    for pid in [0, -1, i32::MIN] {
        let other = ProcessIdentity { pid, ..me() };
        assert_eq!(state_of(&[("claim", &json(&other)), ("process", &json(&other))]), (UNKNOWN, None));
    }
}

#[test]
fn a_run_whose_folder_cannot_be_read_is_started_when_it_can() {
    let scene = Scene::new();
    let mut runs = scene.runs();
    scene.touch("runs/2026-03-14");
    assert_eq!(scene.start(&mut runs, "echo started >> \"$HERE/lines\"; exit 7"), Started::NotEnded);
    assert!(runs.retry_due().is_some());
    assert_eq!(runs.collect_ended().expect("it says"), []);
    std::fs::remove_file(scene.path("runs/2026-03-14")).expect("removed");
    assert_eq!(scene.end_of(&mut runs), Ending::Status(7));
    assert_eq!((scene.lines(), runs.retry_due()), (1, None));
}

#[test]
fn a_run_whose_folder_cannot_be_created_is_started_when_it_can() {
    let scene = Scene::new();
    // The link can be read, but a folder cannot be created at its missing target.
    std::os::unix::fs::symlink(scene.path("nowhere"), scene.path("runs")).expect("a link");
    std::fs::create_dir(scene.path("nowhere")).expect("a folder");
    let mut runs = scene.runs();
    std::fs::remove_dir(scene.path("nowhere")).expect("removed");
    assert_eq!(scene.start(&mut runs, "echo started >> \"$HERE/lines\"; exit 7"), Started::NotEnded);
    scene.wait_for("the runner to fail", || {
        assert_eq!(runs.collect_ended().expect("it says"), []);
        runs.retry_due()
    });
    std::fs::create_dir(scene.path("nowhere")).expect("a folder");
    assert_eq!(scene.end_of(&mut runs), Ending::Status(7));
    assert_eq!((scene.lines(), runs.retry_due()), (1, None));
}

#[test]
fn a_run_without_a_command_is_adopted_and_not_started() {
    let scene = Scene::new();
    let none = || Err::<Vec<String>, _>("its host is gone".to_owned());
    let mut earlier = scene.runs();
    assert_eq!(scene.start(&mut earlier, crate::runner::scene::WAITS), Started::NotEnded);
    scene.process("claim");
    let mut later = scene.runs();
    assert_eq!(
        later.start(crate::runner::scene::RUN, crate::runner::scene::FOLDER, none(), &[]),
        Started::NotEnded
    );
    scene.touch("go");
    assert_eq!(scene.end_of(&mut later), Ending::Status(0));
    let ending = Started::Ended(Ending::NotStarted("its host is gone".to_owned()));
    assert_eq!(later.start(Number(7), "2026-03-14/7", none(), &[]), ending);
    // A later manager that has a command does not start it either.
    let argv = Scene::script("echo started >> \"$HERE/lines\"");
    assert_eq!(scene.runs().start(Number(7), "2026-03-14/7", Ok(argv), &[]), ending);
}
