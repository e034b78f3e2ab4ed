//! The runner of a program of `exec:` reports for it, once, whatever is killed.

use std::fs;
use std::process::Command;

use nowcast::launch::{ExecWorker, LaunchCommand, LaunchedRuns, Started};
use nowcast_core::Ending;

use crate::runner::scene::{FOLDER, RUN, Scene};
use crate::support::system::{System, system};

/// A system that receives the reports. It has launched none of the runs.
fn receiver() -> System {
    system()
        .worker("plot: {success: it went well, crash: it crashed}")
        .rules("function after_plot(msg) log.info('the rule heard ' .. msg.type .. ' ' .. (msg.payload or '')) return {} end")
        .start()
}

const PROGRAM: &str =
    "echo started >> \"$HERE/lines\"; until_file go; echo twelve > \"$NOWCAST_PAYLOAD\"; exit 0";

fn runner(scene: &Scene, system: &System) -> Command {
    scene.runner(&["--exec", "plot", system.config().to_str().expect("text")], PROGRAM)
}

fn start(scene: &Scene, system: &System, runs: &mut LaunchedRuns<u64>) -> Started {
    let exec = ExecWorker { name: "plot".to_owned(), config: system.config() };
    let command = LaunchCommand { argv: Scene::script(PROGRAM), exec: Some(exec), remote: None };
    runs.start(RUN, FOLDER, Ok(command), &scene.environment())
}

fn heard(system: &System) -> Vec<String> {
    let log = system.log("manager");
    log.lines()
        .filter_map(|line| line.split_once("the rule heard "))
        .map(|(_, rest)| rest.to_owned())
        .collect()
}

/// Wait until everything sent before has been decided.
fn all_is_decided(system: &System) {
    system.works();
}

#[test]
fn no_process_stands_between_the_runner_and_the_program() {
    let (scene, system) = (Scene::new(), receiver());
    let parent = "cut -d' ' -f4 /proc/$$/stat; stat -c %a \"$(dirname \"$NOWCAST_PAYLOAD\")\"";
    let config = system.config();
    let mut runner = scene.runner(&["--exec", "plot", config.to_str().expect("text")], parent);
    assert!(runner.status().expect("it starts").success());
    let output = scene.read(scene.run_path("output.log"));
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.contains(&scene.process("claim").pid.to_string().as_str()), "{output}");
    assert!(lines.contains(&"700"), "only its owner reads the payload: {output}");
    assert_eq!(heard(&system), ["success "]);
}

#[test]
fn the_output_has_the_lines_of_the_program_and_of_its_worker() {
    let (scene, system) = (Scene::new(), receiver());
    scene.touch("go");
    let output = runner(&scene, &system).output().expect("it starts");
    let file = scene.read(scene.run_path("output.log"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), file, "{}", scene.describe());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let lines: Vec<&str> =
        file.lines().filter_map(|line| line.split_once("[plot] ").map(|(_, text)| text)).collect();
    let port = format!("connected to localhost port {}", system.workers_port);
    for line in [
        "running in process ",
        "read config from ",
        "writing log messages to local file system",
        "sh -c until_file()",
        "exit 0 succeeded",
        &port,
        "sent message: (success) it went well",
        "received message from manager: (ack) message acknowledged",
        "shutting down",
    ] {
        assert!(file.contains(line), "{line}: {file}");
    }
    assert!(lines[0].starts_with("running in process") && lines.last() == Some(&"shutting down"), "{file}");
    // Where the configuration says, as before.
    let log = fs::read_to_string(system.path("nowcast.log")).expect("the log");
    assert!(log.contains("[plot] sent message: (success) it went well"), "{log}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_the_end_of_the_run() {
    let (scene, system) = (Scene::new(), receiver());
    fs::write(system.config(), "zmq: [").expect("written");
    assert!(runner(&scene, &system).status().expect("it starts").success());
    let ending = scene.wait_for_exit();
    let config = system.config().display().to_string();
    assert!(
        matches!(&ending, Ending::NotStarted(reason) if reason.starts_with(&config) && !reason.contains('\n')),
        "{ending}"
    );
    assert!(scene.read(scene.run_path("output.log")).contains(&config), "{}", scene.describe());
    assert_eq!(scene.lines(), 0);
}

#[test]
fn a_report_on_which_runners_die_is_given_up() {
    let (scene, system) = (Scene::new(), receiver());
    scene.touch("go");
    let program = scene.program(
        "echo $* | grep -q -e --adopt || exec env FAILPOINTS='runner: program end noted=return' \"$NOWCAST\" \"$@\"
        echo adopted >> \"$HERE/adopted\"; kill -9 $$",
    );
    let mut runs = scene.runs_by(&program);
    start(&scene, &system, &mut runs);
    assert_eq!(scene.end_of(&mut runs), Ending::Status(0));
    assert_eq!(scene.read("adopted").lines().count(), 3);
    // The same for every later manager.
    assert_eq!(start(&scene, &system, &mut scene.runs()), Started::Ended(Ending::Status(0)));
    all_is_decided(&system);
    assert_eq!((scene.lines(), heard(&system)), (1, Vec::new()));
}

#[test]
fn a_report_that_was_requested_to_stop_is_not_made_again() {
    let (scene, system) = (Scene::new(), receiver());
    scene.touch("go");
    let failpoint = ("FAILPOINTS", "runner: program end noted=return");
    let status = runner(&scene, &system).env(failpoint.0, failpoint.1).status().expect("it starts");
    assert!(!status.success());
    scene.run_folder().note_stop_request();
    assert_eq!(start(&scene, &system, &mut scene.runs()), Started::Ended(Ending::Status(0)));
    all_is_decided(&system);
    assert_eq!(heard(&system), Vec::<String>::new());
}

#[test]
#[cfg(feature = "failpoints")]
fn a_runner_that_is_killed_between_two_steps_starts_and_reports_once() {
    use nowcast::failpoint::{RUNNER, RUNNER_BEFORE_START, RUNNER_REPORT};
    let system = receiver();
    let (before_record, record) = RUNNER.split_at(RUNNER.len() - 2);
    let points = before_record.iter().chain(&RUNNER_REPORT).chain(record);
    for (at, point) in points.enumerate() {
        let scene = Scene::new();
        let before = heard(&system).len();
        scene.touch("go");
        let mut killed = runner(&scene, &system);
        let status = killed.env("FAILPOINTS", format!("{point}=return")).status().expect("it starts");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}: {status}");
        let mut runs = scene.runs();
        let ending = match start(&scene, &system, &mut runs) {
            Started::Ended(ending) => ending,
            Started::Open => scene.end_of(&mut runs),
        };
        all_is_decided(&system);
        let heard = heard(&system).split_off(before);
        let is_unclaimed = at < 2;
        let is_noted = at >= before_record.len();
        let has_started = is_unclaimed || at >= RUNNER_BEFORE_START;
        let expected = if is_unclaimed || is_noted { Ending::Status(0) } else { Ending::Unknown };
        let reports = if expected.is_success() { vec!["success twelve".to_owned()] } else { Vec::new() };
        assert_eq!((ending, heard), (expected, reports), "{point}");
        scene.wait_for(point, || (scene.lines() == usize::from(has_started)).then_some(()));
        assert!(!scene.run_path("exec").exists() || *point == "runner: exit written" || !is_noted, "{point}");
    }
}
