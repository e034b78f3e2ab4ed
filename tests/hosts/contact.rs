//! Lost contact: no crash is reported and nothing is restarted until the host reports that the run is gone.

use crate::scene::Scene;
use rustix::process::{Signal, kill_process};

#[test]
fn the_death_of_the_ssh_client_is_not_that_of_the_worker() {
    let scene = Scene::start(true);
    let run = scene.launch("one");
    Scene::kill(scene.launcher(&run));
    let found = scene.wait_for_state(&run, "contact_lost");
    let text = found["contact_lost"].as_str().unwrap_or_default();
    assert!(text.contains("contact with robot is lost (ssh was killed by signal 9)"), "{text}");
    assert!(text.contains("the host reports that the run still exists (process "), "{text}");
    // Status lists it under attention.
    let (_, status) = scene.system.operation(&["status"]);
    let line = format!("CRITICAL [runs] run {run}: contact with robot is lost (ssh was killed by signal 9)");
    scene.system.wait_for_log("manager", &line);
    assert!(status.contains("CONTACT") && status.contains("contact with robot is lost"), "{status}");
    let why = scene.system.operate(&["why", &run]);
    assert!(why.contains("contact with robot is lost") && why.contains("nowcast kill"), "{why}");
    let output = scene.system.operate(&["tail", &run]);
    assert!(output.contains("nowcast runner: contact with robot is lost"), "{output}");
    assert_eq!(scene.heard(), 0);
    scene.go("one", "0 report");
    let found = scene.wait_for_state(&run, "succeeded");
    let expected = "ended on its host: contact with robot was lost (ssh was killed by signal 9), and the host \
                    reports that the run is gone";
    assert_eq!(found["ending"], expected);
    scene.expect_one("success");
    assert_eq!(scene.starts(), 1);
}

#[test]
fn after_a_cut_connection_the_host_is_asked_until_the_worker_is_gone() {
    // Without marks, the process is found by its command line.
    let scene = Scene::start(false);
    let run = scene.launch("one");
    let worker = scene.wait_for_worker("one");
    scene.sshd.cut();
    scene.wait_for_contact(&run, "the run still exists");
    assert_eq!(scene.heard(), 0);
    Scene::kill(worker);
    let found = scene.wait_for_state(&run, "crashed");
    let ending = found["ending"].as_str().unwrap_or_default();
    assert!(ending.contains("contact with robot was lost (ssh exited with status 255)"), "{ending}");
    scene.expect_one("crash");
    assert_eq!(scene.starts(), 1);
}

#[test]
fn a_host_that_is_down_is_asked_again_until_it_is_back() {
    let mut scene = Scene::start(true);
    let run = scene.launch("one");
    scene.sshd.down();
    scene.wait_for_contact(&run, "the host does not answer (ssh: connect to host 127.0.0.1");
    // Also across a restart of the manager.
    scene.system.signal("manager", Signal::KILL);
    scene.system.wait_for_end("manager");
    scene.system.start_manager(&[]);
    scene.wait_for_contact(&run, "the host does not answer");
    assert_eq!(scene.heard(), 0);
    scene.sshd.up();
    scene.wait_for_contact(&run, "the run still exists");
    scene.go("one", "0 report");
    scene.wait_for_state(&run, "succeeded");
    scene.expect_one("success");
    assert_eq!(scene.starts(), 1);
}

#[test]
fn after_a_report_a_host_that_is_down_is_not_asked() {
    let mut scene = Scene::start(true);
    let run = scene.launch("one");
    scene.sshd.down();
    scene.wait_for_contact(&run, "the host does not answer");
    scene.go("one", "0 report stay");
    let found = scene.wait_for_state(&run, "succeeded");
    let expected = "ended on its host: contact with robot was lost, and the worker has reported";
    assert_eq!(found["ending"], expected);
    scene.expect_one("success");
    Scene::kill(scene.wait_for_worker("one"));
}

#[test]
fn after_a_message_during_the_run_the_host_is_still_asked() {
    let mut scene = Scene::start(true);
    let run = scene.launch("one");
    scene.sshd.down();
    scene.wait_for_contact(&run, "the host does not answer");
    scene.go("one", "0 halfway stay");
    scene.wait_for("its message", || Some(()).filter(|()| scene.heard() == 1));
    scene.sshd.up();
    scene.wait_for_contact(&run, "the run still exists");
    let worker = scene.wait_for_worker("one");
    assert!(Scene::is_alive(worker));
    Scene::kill(worker);
    scene.wait_for_state(&run, "succeeded");
}

#[test]
fn a_runner_that_is_killed_is_replaced_by_one_that_asks_the_host() {
    let scene = Scene::start(true);
    let run = scene.launch("one");
    let before = scene.process(&run, "claim");
    Scene::kill(before);
    let after = scene
        .wait_for("another runner", || Some(scene.process(&run, "claim")).filter(|runner| *runner != before));
    // The launching command is killed, too.
    Scene::kill(after);
    Scene::kill(scene.launcher(&run));
    scene.wait_for_contact(&run, "the run still exists");
    assert_eq!((scene.heard(), scene.starts()), (0, 1));
    scene.go("one", "0 report");
    scene.wait_for_state(&run, "succeeded");
    scene.expect_one("success");
}

#[test]
fn the_death_of_all_local_processes_is_not_a_crash() {
    let mut scene = Scene::start(true);
    let run = scene.launch("one");
    scene.system.signal("manager", Signal::KILL);
    scene.system.wait_for_end("manager");
    kill_process(scene.process(&run, "claim"), Signal::KILL).expect("killed");
    kill_process(scene.launcher(&run), Signal::KILL).expect("killed");
    scene.system.start_manager(&[]);
    scene.wait_for_contact(&run, "the run still exists");
    assert_eq!((scene.heard(), scene.starts()), (0, 1));
    Scene::kill(scene.wait_for_worker("one"));
    scene.wait_for_state(&run, "crashed");
    scene.expect_one("crash");
}
