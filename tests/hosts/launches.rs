//! Launches by ssh whose result is known without asking the host.

use std::fs;

use crate::scene::Scene;

#[test]
fn a_worker_runs_on_the_host_and_its_output_and_status_are_returned() {
    let scene = Scene::start(true);
    let run = scene.launch("one");
    scene.go("one", "0 report");
    let found = scene.wait_for_state(&run, "succeeded");
    assert_eq!(found["ending"], "exited with status 0");
    let output = scene.output(&run);
    assert!(output.ends_with("modules loaded\none works\n"), "{output}");
    scene.expect_one("success");
    let run = scene.launch("two");
    scene.go("two", "3");
    assert_eq!(scene.wait_for_state(&run, "crashed")["ending"], "exited with status 3");
    scene.system.wait_for_log("manager", "the rule heard crash");
    assert!(!scene.run_path(&run, "contact-lost").exists());
}

#[test]
fn the_status_of_an_exec_worker_is_that_of_its_program() {
    let scene = Scene::with(true, "workers: {remote: {exec: [sh, '{folder}/program.sh']}}");
    let program = "printf 'half a line'; [ $1 = killed ] && kill -9 $$; exit $1";
    fs::write(scene.system.path("program.sh"), program).expect("written");
    for (argument, state, ending) in [
        ("3", "crashed", "exited with status 3"),
        ("killed", "crashed", "was killed by signal 9"),
        ("0", "succeeded", "exited with status 0"),
    ] {
        let run = scene.launch_on("robot", argument);
        assert_eq!(scene.wait_for_state(&run, state)["ending"], ending, "{}", scene.output(&run));
    }
}

/// A rule may pass on any text of a message. Each of these would do something in a shell.
#[test]
fn any_text_stays_one_argument_on_the_host_and_its_process_is_found() {
    let scene = Scene::start(true);
    let mark = scene.system.path("injected").display().to_string();
    let texts = [
        format!("2026-03-14; touch {mark}"),
        format!("$(touch {mark})"),
        format!("`touch {mark}`"),
        format!("a\ntouch {mark}"),
        format!("a | touch {mark}"),
        format!("a & touch {mark}"),
        format!("a > {mark}"),
        format!("it's; touch {mark}"),
        "~ * $HOME".to_owned(),
        "two words".to_owned(),
        "a\n".to_owned(),
        String::new(),
    ];
    for (number, text) in texts.iter().enumerate() {
        let name = format!("worker{number}");
        let run = scene.launch_with("robot", &[&name, text]);
        let worker = scene.wait_for_worker(&name);
        let words =
            fs::read_to_string(format!("/proc/{}/cmdline", worker.as_raw_nonzero())).expect("it runs");
        assert!(words.ends_with(&format!("\0{name}\0{text}\0")), "{words:?}");
        scene.system.operate(&["kill", &run]);
        scene.wait_for_death(worker);
        scene.wait_for_state(&run, "crashed");
    }
    assert!(!scene.system.path("injected").exists(), "{}", scene.describe());
}

#[test]
fn a_launch_that_does_not_reach_the_host_is_a_crash() {
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
    scene.system.wait_for_log("manager", "CRITICAL [manager] could not launch NextWorker(module='remote'");
    let (status, text) = scene.system.operation(&["launch", "--host", "unknown", "remote", "four"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("the host \"unknown\" is not in `run: enabled hosts:`"), "{text}");
    assert_eq!(scene.starts(), 0);
    scene.system.works();
}

#[test]
fn a_missing_setting_of_a_host_is_an_error_at_a_launch() {
    let scene = Scene::with(true, "    bare: {shared storage: true}");
    scene.system.works();
    let run = scene.launch_on("bare", "one");
    let ending = scene.wait_for_state(&run, "crashed")["ending"].as_str().unwrap_or_default().to_owned();
    assert!(ending.contains("the host bare has no `envvars:` in `run: enabled hosts: bare:`"), "{ending}");
    assert!(fs::read_to_string(scene.system.path("starts")).is_err());
    scene.expect_one("crash");
}
