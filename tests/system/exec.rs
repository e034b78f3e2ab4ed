//! Any command as a worker: `nowcast exec`, and `exec:` in the configuration.

use std::io::{BufRead, BufReader};

use crate::support::system::{Builder, System, system};

/// A worker `script` that runs a shell script.
fn script(text: &str) -> Builder {
    system()
        .worker("script: {checklist key: what was scripted, success: it went well, success 12: it went well at 12, failure: it failed, crash: it crashed}")
        .section("workers: {script: {exec: [sh, '{folder}/script.sh', '{worker}'], failure status: [3, 4]}}")
        .rules("function after_script(msg) log.info('rule got ' .. msg.type) return {} end\n")
        .file("script.sh", text)
}

/// Run the script and wait until its message has reached its rule; return the message type.
fn run(text: &str) -> (System, String) {
    let system = script(text).start();
    system.operate(&["launch", "script", "one", "two words"]);
    let line = system.wait_for("the rule", || {
        system
            .log("manager")
            .lines()
            .find_map(|line| line.split_once("rule got ").map(|(_, rest)| rest.to_owned()))
    });
    (system, line)
}

#[test]
fn it_reports_success_with_the_payload_of_the_command() {
    let (system, r#type) =
        run("echo \"{\\\"arguments\\\": [\\\"$1\\\", \\\"$2\\\", \\\"$3\\\"]}\" > \"$NOWCAST_PAYLOAD\"");
    assert_eq!(r#type, "success");
    let kept = system.operate(&["checklist", "get", "what was scripted"]);
    assert_eq!(kept, "arguments:\n- script\n- one\n- two words\n");
    system.wait_for("its end", || system.operate(&["runs"]).contains("succeeded").then_some(()));
}

#[test]
fn the_command_can_name_the_message_type() {
    assert_eq!(run("echo 'success 12' > \"$NOWCAST_TYPE\"").1, "success 12");
}

#[test]
fn a_command_that_names_a_failure_has_failed_although_its_status_is_0() {
    for r#type in ["failure", "crash"] {
        assert_eq!(run(&format!("echo {type} > \"$NOWCAST_TYPE\"; echo 1 > \"$NOWCAST_PAYLOAD\"")).1, r#type);
    }
}

#[test]
fn a_command_that_names_its_type_and_then_fails_has_failed() {
    assert_eq!(run("echo 'success 12' > \"$NOWCAST_TYPE\"; exit 3").1, "failure");
    assert_eq!(run(": > \"$NOWCAST_TYPE\"").1, "success");
}

#[test]
fn an_expected_status_is_a_failure_and_any_other_a_crash() {
    assert_eq!(run("exit 4").1, "failure");
    let (system, r#type) = run("echo some output; exit 1");
    assert_eq!(r#type, "crash");
    let output = system.operate(&["tail", "script"]);
    assert!(output.contains("some output\n") && output.contains("sh exited with status 1"), "{output}");
    assert_eq!(run("kill -9 $$").1, "crash");
}

/// Its payload may have what other users must not read.
#[test]
fn the_folder_for_the_payload_is_private() {
    let system = script("stat -c %a \"$(dirname \"$NOWCAST_PAYLOAD\")\" > mode").start();
    system.operate(&["exec", "script", "nowcast.yaml", "--", "sh", "script.sh"]);
    assert_eq!(std::fs::read_to_string(system.path("mode")).expect("a mode"), "700\n");
}

#[test]
fn an_invalid_payload_is_a_crash() {
    let (system, r#type) = run("echo '{a: [' > \"$NOWCAST_PAYLOAD\"");
    assert_eq!(r#type, "crash");
    let output = system.operate(&["tail", "script"]);
    assert!(output.contains("the payload that the command wrote is neither YAML nor JSON"), "{output}");
}

#[test]
fn a_pipe_in_place_of_the_payload_is_a_crash() {
    for variable in ["NOWCAST_PAYLOAD", "NOWCAST_TYPE"] {
        let (system, r#type) = run(&format!("mkfifo \"${variable}\""));
        assert_eq!(r#type, "crash");
        let output = system.operate(&["tail", "script"]);
        assert!(
            output.contains("that the command wrote cannot be used: it is not a regular file"),
            "{output}"
        );
    }
}

#[test]
fn a_missing_program_is_a_crash() {
    let system = script("").start();
    let said = system.operation(&[
        "exec",
        "script",
        system.config().to_str().expect("text"),
        "--",
        "/nowhere/program",
    ]);
    assert!(said.1.contains("cannot run /nowhere/program: No such file"), "{said:?}");
    system.wait_for_log("manager", "rule got crash");
}

#[test]
fn a_signal_is_passed_on_to_the_command_and_nothing_is_reported() {
    let text = "trap 'echo cleaned up > cleaned; exit 0' TERM; echo > begun; while :; do sleep 0.05; done";
    let system = script(text).start();
    let place = |name: &str| system.path("").join(name);
    let run = system.operate(&["launch", "--json", "script"]);
    let run: serde_json::Value = serde_json::from_str(&run).expect("JSON");
    let begun = || ["begun", "logs/begun"].iter().any(|name| place(name).exists()).then_some(());
    system.wait_for("the script", begun);
    system.operate(&["kill", &run["numbers"][0].to_string()]);
    let cleaned = || ["cleaned", "logs/cleaned"].iter().any(|name| place(name).exists()).then_some(());
    system.wait_for("the script's end", cleaned);
    // The manager reports a crash for a run that was requested to stop and did not report.
    system.wait_for_log("manager", "rule got crash");
}

#[test]
fn without_a_runner_exec_passes_the_signal_on() {
    let system = script("").start();
    let text = "trap 'echo cleaned up; exit 0' TERM; echo begun; while :; do sleep 0.05; done";
    let mut command = system.command(&["exec", "script"]);
    command.arg(system.config()).args(["--", "sh", "-c", text]).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "begun"));
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("signalled");
    assert!(lines.any(|line| line == "cleaned up"));
    assert!(child.wait().expect("ended").success());
    assert!(!system.log("manager").contains("rule got"), "nothing is reported");
}

#[test]
fn a_worker_has_command_or_exec_and_not_both() {
    let system = system().section("workers: {sleep: {exec: [a], command: [b]}}").prepare();
    let (status, text) = system.operation(&["config", "check"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("has both `command:`"), "{text}");
}

/// Wait for the end of the only run, check that `status` and `why` show it, and return it as in `runs`.
fn shown_end(system: &System, expected: &str) -> serde_json::Value {
    let run = system.wait_for("its end", || {
        let runs: serde_json::Value = serde_json::from_str(&system.operate(&["runs", "--json"])).ok()?;
        Some(runs[0].clone()).filter(|run| run["state"] == "crashed")
    });
    assert_eq!(run["ending"], expected, "{run}");
    for arguments in [&["status"][..], &["why", "script"], &["runs"]] {
        let text = system.operation(arguments).1;
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(!text.contains("status 0"), "{arguments:?}: {text}");
    }
    run
}

#[test]
fn the_end_of_the_program_is_that_of_the_run() {
    let shown = shown_end(&run("exit 7").0, "exited with status 7");
    assert_eq!((&shown["exit_status"], &shown["signal"]), (&7.into(), &serde_json::Value::Null));
    let shown = shown_end(&run("kill -SEGV $$").0, "was killed by signal 11");
    assert_eq!((&shown["exit_status"], &shown["signal"]), (&serde_json::Value::Null, &11.into()));
}

#[test]
fn one_command_shows_why_a_worker_crashed() {
    let (system, _) = run(
        "echo 'it begins'; echo 'Traceback:'; printf '\\033[31mHTTPError: 503 from gauges\\033[0m\\n' >&2; exit 1",
    );
    shown_end(&system, "exited with status 1");
    let status = system.operation(&["status"]).1;
    assert!(status.contains("\n           HTTPError: 503 from gauges\n"), "{status}");
    assert!(!status.contains("Traceback"), "the last line only: {status}");
    let why = system.operation(&["why", "script"]).1;
    assert!(why.contains("\n    it begins\n    Traceback:\n    HTTPError: 503 from gauges\n"), "{why}");
    let status: serde_json::Value =
        serde_json::from_str(&system.operation(&["status", "--json"]).1).expect("JSON");
    let output = status["attention"][0]["output"].as_array().expect("lines");
    assert_eq!(output.last(), Some(&"HTTPError: 503 from gauges".into()));
}

#[test]
fn a_program_that_cannot_be_started_is_the_end_of_the_run() {
    let system = system()
        .worker("script: {success: it went well, crash: it crashed}")
        .section("workers: {script: {exec: [/nowhere/program]}}")
        .rules("function after_script(msg) return {} end")
        .start();
    system.operate(&["launch", "script"]);
    shown_end(&system, "could not be started: /nowhere/program: No such file or directory (os error 2)");
}

#[test]
fn a_program_that_exceeds_its_timeout_is_shown_with_its_signal() {
    let system = system()
        .worker("script: {success: it went well, crash: it crashed}")
        .section("workers: {script: {exec: [sleep, '1000'], timeout: 200ms}}")
        .rules("function after_script(msg) return {} end")
        .start();
    system.operate(&["launch", "script"]);
    let run = shown_end(&system, "was killed by signal 15");
    assert_eq!(run["stop_requested"]["by"], "timeout");
}

#[test]
fn exec_within_a_worker_does_not_end_the_run() {
    let (system, r#type) =
        run("nowcast=$(readlink /proc/$PPID/exe); \"$nowcast\" exec --debug script -- false; exit 0");
    assert_eq!(r#type, "success");
    system.wait_for("its end", || system.operate(&["runs"]).contains("succeeded").then_some(()));
    let text = system.operate(&["why", "script"]);
    assert!(text.contains("exited with status 0"), "{text}");
}
