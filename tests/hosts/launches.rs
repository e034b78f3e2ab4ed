//! What is known of a launch by ssh without asking.

use std::fs;

use crate::scene::Scene;

#[test]
fn a_worker_runs_on_the_host_and_its_output_and_status_come_back() {
    let scene = Scene::start(true);
    let run = scene.launch("one");
    scene.go("one", "0 report");
    let found = scene.wait_for_state(&run, "succeeded");
    assert_eq!(found["ending"], "ended with status 0");
    let output = scene.output(&run);
    assert!(output.ends_with("modules loaded\none works\n"), "{output}");
    scene.expect_one("success");
    let run = scene.launch("two");
    scene.go("two", "3");
    assert_eq!(scene.wait_for_state(&run, "crashed")["ending"], "ended with status 3");
    scene.system.wait_for_log("manager", "the rule heard crash");
    assert!(!scene.run_path(&run, "contact-lost").exists());
}

#[test]
fn the_status_of_an_exec_worker_is_that_of_its_program() {
    let scene = Scene::with(true, "workers: {far: {exec: [sh, '{folder}/program.sh']}}");
    let program = "printf 'half a line'; [ $1 = killed ] && kill -9 $$; exit $1";
    fs::write(scene.system.path("program.sh"), program).expect("written");
    for (argument, state, ending) in [
        ("3", "crashed", "ended with status 3"),
        ("killed", "crashed", "was killed by signal 9"),
        ("0", "succeeded", "ended with status 0"),
    ] {
        let run = scene.launch_on("robot", argument);
        assert_eq!(scene.wait_for_state(&run, state)["ending"], ending, "{}", scene.output(&run));
    }
}

#[test]
fn one_that_never_reached_the_host_is_not_started_and_its_crash_is_made() {
    let mut scene = Scene::start(true);
    for (host, why) in [
        ("nowhere", "nowhere was not reached: ssh: Could not resolve hostname nowhere.invalid"),
        ("locked", "Permission denied (publickey"),
    ] {
        let run = scene.launch_on(host, host);
        let ending = scene.wait_for_state(&run, "crashed")["ending"].as_str().unwrap_or_default().to_owned();
        assert!(ending.starts_with("could not be started") && ending.contains(why), "{ending}");
    }
    scene.sshd.down();
    let run = scene.launch_on("robot", "three");
    let ending = scene.wait_for_state(&run, "crashed")["ending"].as_str().unwrap_or_default().to_owned();
    assert!(ending.contains("robot was not reached: ssh: connect to host 127.0.0.1 port"), "{ending}");
    scene.system.wait_for_log_count("manager", "the rule heard crash", 3);
    scene.system.wait_for_log("manager", "CRITICAL [manager] could not launch NextWorker(module='far'");
    let (status, text) = scene.system.operation(&["launch", "--host", "unknown", "far", "four"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("the host \"unknown\" is not in `run: enabled hosts:`"), "{text}");
    assert_eq!(scene.starts(), 0);
    scene.system.works();
}

#[test]
fn what_a_host_lacks_is_an_error_when_something_is_launched_there() {
    let scene = Scene::with(true, "    bare: {shared storage: true}");
    scene.system.works();
    let run = scene.launch_on("bare", "one");
    let ending = scene.wait_for_state(&run, "crashed")["ending"].as_str().unwrap_or_default().to_owned();
    assert!(ending.contains("the host bare has no `envvars:` in `run: enabled hosts: bare:`"), "{ending}");
    assert!(fs::read_to_string(scene.system.path("starts")).is_err());
    scene.expect_one("crash");
}
