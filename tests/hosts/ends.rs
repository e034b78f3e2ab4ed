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
fn one_that_does_not_want_to_end_is_killed_by_a_second_command() {
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
    let scene = Scene::with(true, "workers: {far: {timeout: 1s}}");
    let run = scene.launch("stubborn");
    let worker = scene.wait_for_worker("stubborn");
    // After the grace.
    scene.wait_for_death(worker);
    let found = scene.wait_for_state(&run, "crashed");
    assert_eq!(found["stop_requested"]["by"], "timeout");
    scene.expect_one("crash");
}

#[test]
fn of_two_with_the_same_words_only_the_one_that_is_meant_ends() {
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
    // And only that is asked for.
    Scene::kill(scene.launcher(&first));
    scene.wait_for_contact(&first, "the run still exists");
    scene.go("one", "0 report");
    scene.wait_for_state(&first, "succeeded");
}

#[test]
fn with_contact_lost_it_ends_as_soon_as_the_host_is_back() {
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
fn with_the_host_down_a_second_kill_gives_the_run_up() {
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
