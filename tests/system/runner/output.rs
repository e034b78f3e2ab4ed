//! The output of a worker.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use nowcast_core::Ending;

use crate::runner::scene::Scene;

#[test]
fn the_file_and_the_copy_hold_the_lines_in_their_order() {
    let scene = Scene::new();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo out $n; echo error $n >&2; done";
    let output = scene.runner(&[], script).output().expect("it starts");
    let expected: String = (1..10).flat_map(|n| [format!("out {n}\n"), format!("error {n}\n")]).collect();
    assert_eq!(scene.read(scene.run_path("output.log")), expected);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_long_output_is_copied_to_its_end() {
    let scene = Scene::new();
    let output = scene.runner(&[], "seq 1 200000").output().expect("it starts");
    assert_eq!(output.stdout.len(), 1_288_895);
    assert_eq!(String::from_utf8_lossy(&output.stdout), scene.read(scene.run_path("output.log")));
}

#[test]
fn a_line_is_copied_while_the_worker_runs() {
    let scene = Scene::new();
    let script = "echo first; until_file go; echo second";
    let mut runner = scene.runner(&[], script).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = BufReader::new(runner.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "first\n");
    assert!(scene.run_folder().exit().is_none());
    scene.touch("go");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "second\n");
    assert!(scene.wait_for_end(&mut runner).success());
}

#[test]
fn the_copy_completes_a_line_without_a_line_end() {
    let scene = Scene::new();
    let output = scene.runner(&[], "echo one; printf half").output().expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\nhalf\n");
    assert_eq!(scene.read(scene.run_path("output.log")), "one\nhalf");
}

#[test]
fn a_closed_reader_does_not_affect_the_worker() {
    let scene = Scene::new();
    let mut runner = scene.runner(&[], "until_file go; seq 1 200000; exit 6").stdout(Stdio::piped()).spawn();
    let runner = runner.as_mut().expect("it starts");
    drop(runner.stdout.take());
    scene.touch("go");
    assert!(scene.wait_for_end(runner).success());
    assert_eq!(scene.wait_for_exit(), Ending::Status(6));
    assert!(scene.read(scene.run_path("output.log")).ends_with("\n200000\n"));
}

#[test]
fn a_worker_runs_without_a_standard_output() {
    let scene = Scene::new();
    let runner = scene.runner(&[], "echo a line; exit 6");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]).arg(runner.get_program()).args(runner.get_args());
    assert!(shell.envs(scene.environment()).status().expect("it starts").success());
    assert_eq!(scene.wait_for_exit(), Ending::Status(6));
    assert_eq!(scene.read(scene.run_path("output.log")), "a line\n");
}

#[test]
fn a_blocked_reader_delays_neither_the_worker_nor_the_record() {
    let scene = Scene::new();
    // More than a pipe holds, without a reader.
    let mut runner =
        scene.runner(&[], "seq 1 200000; exit 6").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let runner = runner.as_mut().expect("it starts");
    let stuck = runner.stdout.take();
    assert_eq!(scene.wait_for_exit(), Ending::Status(6));
    assert!(scene.wait_for_end(runner).success());
    drop(stuck);
}

#[test]
fn a_background_process_that_keeps_the_file_open_does_not_delay_the_runner() {
    let scene = Scene::new();
    let script = "(echo left; until_file go; echo later) & until_file seen; exit 0";
    let mut runner = scene.runner(&[], script).stdout(Stdio::piped()).spawn().expect("it starts");
    scene.wait_for("its line", || scene.read(scene.run_path("output.log")).contains("left").then_some(()));
    scene.touch("seen");
    assert!(scene.wait_for_end(&mut runner).success());
    scene.touch("go");
    let log = scene.run_path("output.log");
    scene.wait_for("its last line", || (scene.read(&log) == "left\nlater\n").then_some(()));
}
