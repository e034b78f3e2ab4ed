//! The runner of a program of `exec:` reports for it, once, whatever is killed.

use std::fs;
use std::process::Command;

use nowcast::launch::{ExecWorker, LaunchCommand, LaunchedRuns, Started};
use nowcast_core::Ending;

#[cfg(feature = "failpoints")]
use crate::runner::scene::end;
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

fn start(scene: &Scene, system: &System, runs: &mut LaunchedRuns) -> Started {
    let exec = ExecWorker { name: "plot".to_owned(), config: system.config() };
    let command = LaunchCommand { exec: Some(exec), ..Scene::script(PROGRAM).into() };
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
    let mut runner =
        scene.runner(&["--exec", "plot", config.to_str().expect("text")], parent).spawn().expect("it starts");
    assert!(scene.wait_for_end(&mut runner).success());
    let output = scene.read(scene.run_path("output.log"));
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.contains(&runner.id().to_string().as_str()), "{output}");
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
fn a_configuration_that_can_never_be_used_is_the_end_of_the_run() {
    let (scene, system) = (Scene::new(), receiver());
    fs::write(system.config(), "zmq: [").expect("written");
    let file = system.config();
    let options = ["--start-timeout", "1", "--exec", "plot", file.to_str().expect("text")];
    assert!(scene.runner(&options, PROGRAM).status().expect("it starts").success());
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
fn a_run_waits_for_a_configuration_that_is_half_saved() {
    let (scene, system) = (Scene::new(), receiver());
    scene.touch("go");
    let config = fs::read_to_string(system.config()).expect("readable");
    fs::write(system.config(), "zmq: [").expect("written");
    let complaints = fs::File::create(scene.path("complaints")).expect("a file");
    let mut running = runner(&scene, &system).stderr(complaints).spawn().expect("it starts");
    scene.wait_for("the complaint", || {
        scene.read("complaints").contains("its worker cannot be started").then_some(())
    });
    assert_eq!(scene.lines(), 0);
    fs::write(system.config(), config).expect("written");
    assert!(running.wait().expect("it ends").success());
    assert_eq!(scene.wait_for_exit(), Ending::Status(0));
    assert_eq!((scene.lines(), heard(&system)), (1, vec!["success twelve".to_owned()]));
}

/// A run whose program has ended and whose runner died before it reported.
#[cfg(feature = "failpoints")]
fn unreported(scene: &Scene, system: &System) {
    scene.touch("go");
    let mut runner = runner(scene, system);
    let status = runner.env("FAILPOINTS", "runner: program end noted=return").status().expect("it starts");
    assert!(!status.success());
}

/// A program that is a runner, and counts its starts in the file `attempts`.
#[cfg(feature = "failpoints")]
const COUNTED: &str = "echo attempt >> \"$HERE/attempts\"; exec \"$NOWCAST\" \"$@\"";

/// Wait for more runners than may die of a report, each of which has left the run to the next one.
#[cfg(feature = "failpoints")]
fn wait_for_attempts(scene: &Scene, runs: &mut LaunchedRuns) {
    scene.wait_for("the attempts", || {
        assert_eq!(runs.collect_ended().expect("it says"), []);
        (scene.read("attempts").lines().count() > 4).then_some(())
    });
}

#[test]
#[cfg(all(feature = "failpoints", feature = "system-tests"))]
fn a_report_is_made_after_the_disk_was_full() {
    let (scene, system) = (Scene::new(), receiver());
    let disk = crate::support::disk::Disk::mount(&scene.path("runs"), "size=1m");
    unreported(&scene, &system);
    assert!(disk.resize(disk.used()));
    let mut runs = scene.runs_by(&scene.program(COUNTED));
    start(&scene, &system, &mut runs);
    wait_for_attempts(&scene, &mut runs);
    assert_eq!(heard(&system), Vec::<String>::new());
    assert!(disk.resize(1 << 20));
    assert_eq!(scene.end_of(&mut runs), Ending::Status(0));
    assert_eq!((scene.lines(), heard(&system)), (1, vec!["success twelve".to_owned()]));
}

#[test]
#[cfg(feature = "failpoints")]
fn a_report_is_left_to_the_runner_that_is_adopting_the_run() {
    let (scene, system) = (Scene::new(), receiver());
    unreported(&scene, &system);
    // As a runner that syncs its claim to a slow disk.
    let lock = fs::File::create(scene.run_path("adoption.lock")).expect("created");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let mut runs = scene.runs_by(&scene.program(COUNTED));
    start(&scene, &system, &mut runs);
    wait_for_attempts(&scene, &mut runs);
    assert_eq!(scene.run_folder().exit(), None);
    drop(lock);
    assert_eq!(scene.end_of(&mut runs), Ending::Status(0));
    assert_eq!((scene.lines(), heard(&system)), (1, vec!["success twelve".to_owned()]));
}

#[test]
#[cfg(feature = "failpoints")]
fn a_report_is_made_once_the_configuration_can_be_used_again() {
    let (scene, system) = (Scene::new(), receiver());
    unreported(&scene, &system);
    let config = fs::read_to_string(system.config()).expect("readable");
    fs::write(system.config(), "zmq: [").expect("written");
    let mut runs = scene.runs();
    start(&scene, &system, &mut runs);
    let reason = format!("\n{}", system.config().display());
    scene.wait_for("the reason", || scene.read(scene.run_path("output.log")).contains(&reason).then_some(()));
    // It is tried again: this reason is another one.
    fs::write(system.config(), "{}").expect("written");
    scene.wait_for("the next attempt", || {
        (scene.read(scene.run_path("output.log")).matches(&reason).count() > 1).then_some(())
    });
    assert_eq!((scene.run_folder().exit(), end(&mut runs, RUN)), (None, None));
    fs::write(system.config(), config).expect("written");
    assert_eq!(scene.end_of(&mut runs), Ending::Status(0));
    assert_eq!((scene.lines(), heard(&system)), (1, vec!["success twelve".to_owned()]));
}

#[test]
fn a_report_on_which_runners_die_is_abandoned() {
    let (scene, system) = (Scene::new(), receiver());
    scene.touch("go");
    let program = scene.program(
        "echo $* | grep -q -e --adopt || exec env FAILPOINTS='runner: program end noted=return' \"$NOWCAST\" \"$@\"
        echo adopted >> \"$HERE/adopted\"; exec env FAILPOINTS='runner: claimed=return' \"$NOWCAST\" \"$@\"",
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
    let (before_record, record) = RUNNER.split_at(RUNNER.len() - 4);
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
            Started::NotEnded => scene.end_of(&mut runs),
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
        assert!(!scene.run_path("exec").exists() || *point == "runner: exit synced" || !is_noted, "{point}");
    }
}
