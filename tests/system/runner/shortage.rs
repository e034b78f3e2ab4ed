//! A runner for which the operating system has no process, thread or descriptor. Before its claim it leaves the run to the
//! manager, and afterwards it tries again.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use nowcast::launch::{LaunchedRuns, Started};
use nowcast_core::{Ending, Number};
use rustix::process::{Signal, getuid, kill_process};

use crate::runner::scene::{RUN, Scene, WAITS, end, pid};
use crate::support::system::system;

/// A user without processes: for root, the limit of processes does not hold.
const USER: &str = "54321";

/// The words that begin a command of this user.
fn as_user() -> Vec<&'static str> {
    if getuid().is_root() {
        vec!["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
    } else {
        vec!["env"]
    }
}

fn command_as_user(words: &[&str]) -> Command {
    let mut command = Command::new(as_user()[0]);
    command.args(&as_user()[1..]).args(words);
    command
}

/// Return a runner's command as this user.
fn runner_as_user(runner: &Command) -> Command {
    let mut command = command_as_user(&[]);
    command.arg(runner.get_program()).args(runner.get_args());
    command.envs(runner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Let this user write into a folder and what is in it.
fn open_to_user(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("allowed");
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let mode = if entry.path().is_dir() { 0o777 } else { 0o666 };
        fs::set_permissions(entry.path(), Permissions::from_mode(mode)).expect("allowed");
    }
}

/// Limit the processes and threads of the user, for one process of theirs.
fn limit(runner: &Child, processes: u32) {
    let (process, limit) = (runner.id().to_string(), format!("--nproc={processes}:200"));
    let status = command_as_user(&["prlimit", "--pid", &process, &limit]).status();
    assert!(status.expect("it starts").success());
}

/// A runner that has claimed its run when the processes run out. Its output is a pipe, which it opens after the claim and
/// before it starts the worker, and which blocks it until there is a reader.
struct Interrupted {
    runner: Child,
    _output: File,
}

fn interrupted(scene: &Scene, command: &Command) -> Interrupted {
    fs::create_dir_all(scene.run_path("")).expect("a folder");
    let pipe = scene.run_path("output.log");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it starts").success());
    for folder in ["", "runs", "runs/2026-03-14", "runs/2026-03-14/8812"] {
        open_to_user(&scene.path(folder));
    }
    let errors = File::create(scene.path("errors")).expect("a file");
    let runner = runner_as_user(command).stderr(errors).spawn().expect("it starts");
    scene.process("claim");
    limit(&runner, 1);
    let output = File::options().read(true).write(true).open(&pipe).expect("a reader");
    scene.wait_for("an attempt", || scene.read("errors").contains("trying again").then_some(()));
    Interrupted { runner, _output: output }
}

#[test]
fn the_manager_starts_a_run_once_there_are_processes_for_it() {
    let scene = Scene::new();
    open_to_user(&scene.path(""));
    let words = as_user().join(" ");
    let limited = format!("{words} prlimit --nproc=1:1");
    let program = scene.program(&format!(
        "echo . >> \"$HERE/attempts\"; [ -e \"$HERE/enough\" ] && limited= || limited='{limited}'
        exec $limited \"$NOWCAST\" \"$@\""
    ));
    let mut runs = scene.runs_by(&program);
    assert_eq!(scene.start(&mut runs, "echo started >> \"$HERE/lines\"; exit 3"), Started::NotEnded);
    // More attempts than for runners that die.
    let mut is_refused = false;
    scene.wait_for("the attempts", || {
        assert_eq!(end(&mut runs, RUN), None);
        // It is logged once, not at each attempt.
        let is_refused_now = runs.retry_due().is_some();
        assert!(is_refused_now || !is_refused);
        is_refused = is_refused_now;
        (scene.read("attempts").lines().count() > 5).then_some(())
    });
    assert_eq!((scene.lines(), scene.run_path("claim").exists()), (0, false));
    scene.touch("enough");
    assert_eq!(scene.end_of(&mut runs), Ending::Status(3));
    assert_eq!(scene.lines(), 1);
}

#[test]
fn many_refused_runs_are_tried_one_at_a_time_and_start_a_few_at_a_time() {
    let scene = Scene::new();
    open_to_user(&scene.path(""));
    let words = as_user().join(" ");
    let program = scene.program(&format!(
        "[ -e \"$HERE/enough\" ] && limited= || limited='{words} prlimit --nproc=1:1'
        exec $limited \"$NOWCAST\" \"$@\""
    ));
    let mut runs = scene.runs_by(&program);
    let mut open: Vec<_> = (1..=60).map(Number).collect();
    for run in &open {
        let argv = Scene::script("echo started >> \"$HERE/lines\"; exit 3");
        let started = runs.start(*run, &format!("2026-03-14/{}", run.0), Ok(argv), &scene.environment());
        assert_eq!(started, Started::NotEnded);
    }
    // How many runs have a runner that has not ended.
    let started = |runs: &LaunchedRuns| format!("{runs:?}").matches("watching: StartedRunner").count();
    scene.wait_for("all to be refused", || {
        assert_eq!(runs.collect_ended().expect("it says"), []);
        (started(&runs) == 0).then_some(())
    });
    let mut attempts = 0;
    scene.wait_for("some attempts", || {
        let before = started(&runs);
        assert_eq!(runs.collect_ended().expect("it says"), []);
        assert!(started(&runs) <= 1, "one at a time");
        attempts += started(&runs).saturating_sub(before);
        (attempts > 2).then_some(())
    });
    scene.touch("enough");
    scene.wait_for("all ends", || {
        let before = started(&runs);
        for (run, ending) in runs.collect_ended().expect("it says") {
            assert_eq!(ending, Ending::Status(3));
            open.retain(|other| *other != run);
        }
        assert!(started(&runs) <= before + 20, "a few at a time");
        open.is_empty().then_some(())
    });
    assert_eq!((scene.lines(), runs.retry_due()), (60, None));
}

#[test]
fn a_worker_starts_once_there_is_a_process_for_it() {
    let scene = Scene::new();
    let mut interrupted = interrupted(&scene, &scene.runner(&[], &format!("{WAITS}; exit 3")));
    let errors = scene.read("errors");
    assert!(errors.contains("run 8812: its worker cannot be started: sh: Resource temporarily"), "{errors}");
    assert_eq!((scene.lines(), scene.run_folder().exit()), (0, None));
    limit(&interrupted.runner, 200);
    scene.wait_for_lines(1);
    scene.touch("go");
    assert!(scene.wait_for_end(&mut interrupted.runner).success());
    assert_eq!((scene.wait_for_exit(), scene.lines()), (Ending::Status(3), 1));
}

#[test]
#[cfg(feature = "failpoints")]
fn a_claimed_run_starts_once_there_are_descriptors_again() {
    let scene = Scene::new();
    let mut command = scene.runner(&[], "echo started >> \"$HERE/lines\"; exit 3");
    // The descriptors end between the claim and the start.
    let mut runner = command.env("FAILPOINTS", "runner: claimed=sleep(2000)").spawn().expect("it starts");
    scene.process("claim");
    let limit = |files: u32| {
        let (process, limit) = (runner.id().to_string(), format!("--nofile={files}:1000"));
        assert!(
            Command::new("prlimit").args(["--pid", &process, &limit]).status().expect("it starts").success()
        );
    };
    // Now it cannot even wait for a signal.
    limit(0);
    let process = format!("/proc/{}/status", runner.id());
    let switches = || {
        let status = fs::read_to_string(&process).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("the runner has not ended")
    };
    let before = switches();
    scene.wait_for("some attempts", || (switches() > before + 4).then_some(()));
    assert_eq!((scene.lines(), scene.run_folder().exit()), (0, None));
    limit(100);
    assert!(scene.wait_for_end(&mut runner).success(), "{}", scene.describe());
    assert_eq!((scene.wait_for_exit(), scene.lines()), (Ending::Status(3), 1));
}

#[test]
fn a_worker_without_a_process_is_abandoned_after_the_timeout() {
    let scene = Scene::new();
    let mut interrupted = interrupted(&scene, &scene.runner(&["--start-timeout", "1"], WAITS));
    assert!(scene.wait_for_end(&mut interrupted.runner).success());
    let ending = scene.wait_for_exit().to_string();
    assert!(ending.starts_with("could not be started: sh: Resource temporarily unavailable"), "{ending}");
    assert!(ending.ends_with("; tried for 1 s"), "{ending}");
    assert_eq!(scene.lines(), 0);
}

#[test]
fn a_stop_request_ends_the_attempts() {
    let scene = Scene::new();
    let mut interrupted = interrupted(&scene, &scene.runner(&[], WAITS));
    kill_process(pid(&interrupted.runner), Signal::TERM).expect("signalled");
    assert!(scene.wait_for_end(&mut interrupted.runner).success());
    let ending = Ending::NotStarted("stop requested before it started".to_owned());
    assert_eq!((scene.wait_for_exit(), scene.lines()), (ending, 0));
}

#[test]
fn wherever_the_descriptors_end_a_worker_starts_once_or_not_at_all() {
    let mut started = 0;
    for limit in 3..50 {
        let scene = Scene::new();
        let runner = scene.runner(&["--start-timeout", "0"], "echo started >> \"$HERE/lines\"");
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg("--").arg(runner.get_program()).args(runner.get_args());
        let output = command.envs(scene.environment()).output().expect("it starts");
        if scene.run_path("claim").exists() || scene.run_path("exit").exists() {
            assert_eq!((scene.wait_for_exit(), scene.lines()), (Ending::Status(0), 1), "{limit}: {output:?}");
            started += 1;
        } else {
            // The manager starts another runner.
            assert_eq!(scene.lines(), 0, "{limit}: {output:?}");
        }
    }
    assert!((1..40).contains(&started), "the limits are not those at which a runner can start: {started}");
}

#[test]
fn a_program_of_exec_starts_and_is_reported_once_there_are_threads() {
    let scene = Scene::new();
    let system = system()
        .worker("plot: {success: it went well, crash: it crashed}")
        .rules("function after_plot(msg) log.info('the rule heard ' .. msg.type) return {} end")
        .start();
    open_to_user(&system.path(""));
    // The program takes the processes away again, before its report.
    let program = "echo started >> \"$HERE/lines\"; prlimit --pid $PPID --nproc=1:200; exit 0";
    let config = system.config();
    let command = scene.runner(&["--exec", "plot", config.to_str().expect("text")], program);
    let mut interrupted = interrupted(&scene, &command);
    assert_eq!(scene.lines(), 0);
    limit(&interrupted.runner, 200);
    scene.wait_for("the report", || {
        scene.read("errors").contains("its report cannot be sent: Resource temporarily").then_some(())
    });
    system.works();
    assert!(!system.log("manager").contains("the rule heard"));
    limit(&interrupted.runner, 200);
    assert!(scene.wait_for_end(&mut interrupted.runner).success(), "{}", scene.describe());
    assert_eq!((scene.wait_for_exit(), scene.lines()), (Ending::Status(0), 1));
    system.wait_for_log("manager", "the rule heard success");
}
