//! A run that is requested to stop stops on its host.

use crate::scene::Scene;

#[test]
fn kill_ends_the_remote_process_with_or_without_marks() {
    for marks in [true, false] {
        let scene = Scene::start(marks);
        let run = scene.launch("one");
        let worker = scene.wait_for_worker("one");
        scene.system.operate(&["kill", &run]);
        scene.wait_for_death(worker);
        scene.wait_for_state(&run, "crashed");
        scene.expect_one("crash");
    }
}

#[test]
fn a_run_that_ignores_sigterm_is_killed_by_a_second_command() {
    let scene = Scene::start(true);
    let run = scene.launch("stubborn");
    let worker = scene.wait_for_worker("stubborn");
    scene.system.operate(&["kill", &run]);
    scene.wait_for_state(&run, "stopping");
    scene.system.operate(&["kill", &run]);
    scene.wait_for_death(worker);
    scene.wait_for_state(&run, "crashed");
}

#[test]
fn a_timeout_ends_the_remote_process() {
    let scene = Scene::with(true, "workers: {remote: {timeout: 1s}}");
    let run = scene.launch("stubborn");
    let worker = scene.wait_for_worker("stubborn");
    // After the grace period.
    scene.wait_for_death(worker);
    let found = scene.wait_for_state(&run, "crashed");
    assert_eq!(found["stop_requested"]["by"], "timeout");
    scene.expect_one("crash");
}

#[test]
fn only_one_of_two_equal_runs_is_stopped() {
    let scene = Scene::start(true);
    let first = scene.launch("one");
    let worker = scene.wait_for_worker("one");
    std::fs::remove_file(scene.system.path("one.pid")).expect("removed");
    let second = scene.launch("one");
    let other = scene.wait_for_worker("one");
    scene.system.operate(&["kill", &second]);
    scene.wait_for_death(other);
    scene.wait_for_state(&second, "crashed");
    assert!(Scene::is_alive(worker));
    // The host is asked only for that run.
    Scene::kill(scene.launcher(&first));
    scene.wait_for_contact(&first, "the run still exists");
    scene.go("one", "0 report");
    scene.wait_for_state(&first, "succeeded");
}

#[test]
fn a_run_without_contact_stops_when_the_host_is_back() {
    let mut scene = Scene::start(true);
    let run = scene.launch("one");
    let worker = scene.wait_for_worker("one");
    scene.sshd.down();
    scene.wait_for_contact(&run, "the host does not answer");
    scene.system.operate(&["kill", &run]);
    scene.wait_for_state(&run, "stopping");
    assert!(Scene::is_alive(worker));
    scene.sshd.up();
    scene.wait_for_death(worker);
    scene.wait_for_state(&run, "crashed");
    scene.expect_one("crash");
}

#[test]
fn while_the_host_is_down_a_second_kill_abandons_the_run() {
    let mut scene = Scene::start(true);
    let run = scene.launch("one");
    scene.sshd.down();
    scene.wait_for_contact(&run, "the host does not answer");
    scene.system.operate(&["kill", &run]);
    scene.wait_for_state(&run, "stopping");
    scene.system.operate(&["kill", &run]);
    let found = scene.wait_for_state(&run, "crashed");
    let ending = found["ending"].as_str().unwrap_or_default();
    assert!(ending.contains("stop requested twice, and robot does not answer"), "{ending}");
    Scene::kill(scene.wait_for_worker("one"));
}
