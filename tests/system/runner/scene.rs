//! A folder with one run, and the helpers of its tests.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nowcast::launch::{LaunchedRuns, RunFolder, RunFolderState, Started};
use nowcast::process::ProcessIdentity;
use nowcast_core::{Ending, Number, RunId};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::system::NOWCAST;
use crate::support::wait::wait_for;

/// The run of every scene, and its folder below the runs folder.
pub const RUN: RunId = Number(8812);
pub const FOLDER: &str = "2026-03-14/8812";

/// A worker that writes a line, waits for the test, and succeeds. It also exits when the scene is removed.
pub const WAITS: &str = "echo started >> \"$HERE/lines\"; until_file go";

/// A shell function that waits for a file of the scene.
const UNTIL_FILE: &str =
    "until_file() { while [ -d \"$HERE\" ] && [ ! -e \"$HERE/$1\" ]; do sleep 0.02; done; }\n";

pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("nowcast-run-").tempdir().expect("a folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the run's folder.
    pub fn run_path(&self, name: &str) -> PathBuf {
        self.path("runs").join(FOLDER).join(name)
    }

    pub fn run_folder(&self) -> RunFolder {
        RunFolder::new(self.run_path(""), RUN.0.to_string())
    }

    /// The command line of a worker that is a shell script.
    pub fn script(text: &str) -> Vec<String> {
        ["sh", "-c", &format!("{UNTIL_FILE}{text}")].map(str::to_owned).to_vec()
    }

    /// The environment of a script: the scene's folder.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        vec![("HERE".to_owned(), self.folder.path().into())]
    }

    /// The command that runs a script as the worker of this run.
    pub fn runner(&self, options: &[&str], script: &str) -> Command {
        self.runner_of(options, &Self::script(script))
    }

    pub fn runner_of(&self, options: &[&str], argv: &[String]) -> Command {
        let mut command = Command::new(NOWCAST);
        command.arg("runner").arg("--folder").arg(self.run_path("")).args(["--run", &RUN.0.to_string()]);
        command.args(options).arg("--").args(argv).envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// The open runs of a manager.
    pub fn runs(&self) -> LaunchedRuns {
        self.runs_by(Path::new(NOWCAST))
    }

    /// The open runs of a manager whose runner is another program.
    pub fn runs_by(&self, program: &Path) -> LaunchedRuns {
        LaunchedRuns::new(program.to_owned(), self.path("runs")).expect("the runs folder")
    }

    /// A program to use as the runner: a script that may `exec` nowcast as `"$NOWCAST" "$@"`.
    pub fn program(&self, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("program");
        let text = format!("#!/bin/sh\nNOWCAST='{NOWCAST}'\n{UNTIL_FILE}{text}\n");
        // Written and closed by another process: a process that another test forks meanwhile could still have the
        // file open, and a file that is open for writing cannot be executed.
        let mut child =
            Command::new("tee").arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("tee");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), text.as_bytes())
            .expect("written");
        assert!(child.wait().expect("it ends").success());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    pub fn start(&self, runs: &mut LaunchedRuns, script: &str) -> Started {
        runs.start(RUN, FOLDER, Ok(Self::script(script)), &self.environment())
    }

    /// The end of the scene's run, as a manager learns it.
    pub fn end_of(&self, runs: &mut LaunchedRuns) -> Ending {
        self.wait_for("the end of the run", || end(runs, RUN))
    }

    pub fn touch(&self, name: &str) {
        fs::write(self.path(name), "").expect("written");
    }

    pub fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap_or_default()
    }

    /// The number of lines in the file `lines`, which workers write.
    pub fn lines(&self) -> usize {
        self.read("lines").lines().count()
    }

    pub fn wait_for_lines(&self, count: usize) {
        self.wait_for(&format!("{count} lines"), || (self.lines() >= count).then_some(()));
    }

    /// Wait for a JSON file of the run.
    pub fn wait_for_json(&self, name: &str) -> serde_json::Value {
        self.wait_for(name, || serde_json::from_str(&self.read(self.run_path(name))).ok())
    }

    /// Wait for the exit record; return how the run ended.
    pub fn wait_for_exit(&self) -> Ending {
        self.wait_for("the exit record", || self.run_folder().exit()).ending()
    }

    pub fn state(&self) -> RunFolderState {
        self.run_folder().state().expect("it can be read").state
    }

    /// Wait for a file of the run that names a process.
    pub fn process(&self, name: &str) -> ProcessIdentity {
        serde_json::from_value(self.wait_for_json(name)).expect("a process")
    }

    /// Kill the runner that has claimed the run, and wait until it is dead.
    pub fn kill_runner(&self) {
        let runner = self.process("claim");
        kill_process(runner.raw().expect("a number"), Signal::KILL).expect("it is killed");
        self.wait_for("the runner's death", || (!runner.is_alive().expect("readable")).then_some(()));
    }

    pub fn wait_for<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        wait_for(what, ask, || self.describe())
    }

    pub fn wait_for_end(&self, child: &mut Child) -> ExitStatus {
        self.wait_for("the runner's end", || child.try_wait().expect("it can be waited for"))
    }

    pub fn describe(&self) -> String {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut text = String::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = fs::read(&path).unwrap_or_default();
                    let content = String::from_utf8_lossy(&content[..content.len().min(2_000)]).into_owned();
                    let _ = writeln!(text, "== {}\n{content}", path.display());
                }
            }
        }
        text
    }
}

pub fn end(runs: &mut LaunchedRuns, run: RunId) -> Option<Ending> {
    let ended = runs.collect_ended().expect("the operating system says");
    ended.into_iter().find(|(key, _)| *key == run).map(|(_, ending)| ending)
}

pub fn pid(child: &Child) -> Pid {
    crate::support::system::pid(child.id())
}
