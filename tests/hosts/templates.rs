//! Launching by commands from the configuration, with a small stand-in for a queue.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::support::system::{System, pid, system};
use crate::support::wait::wait_for;

/// A queue: `run NAME COMMAND` starts a command in its own session and waits for it; `kill NAME SIGNAL`;
/// `alive NAME`. While the file `down` exists it does not answer.
const QUEUE: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
[ -e down ] && { echo "the queue is down" >&2; exit 9; }
case $1 in
run)
    echo start >> starts
    setsid sh -c 'echo $$ > "$1.pid.new"; mv "$1.pid.new" "$1.pid"; sh -c "$2"; echo $? > "$1.status"; rm -f "$1.pid"' - "$2" "$3" &
    until [ -e "$2.status" ]; do [ -e nowcast.yaml ] || exit; sleep 0.05; done
    exit $(cat "$2.status");;
kill) kill -s "$3" -- -$(cat "$2.pid");;
alive) [ -e "$2.pid" ] && kill -0 $(cat "$2.pid") 2>/dev/null && echo "$2 runs"; exit 0;;
esac
"#;

const JOB: &str =
    "echo \"$1 works\"; until [ -e go ]; do [ -e nowcast.yaml ] || exit; sleep 0.05; done; exit $(cat go)";

const RULES: &str = "function after_job(msg) log.info('the rule heard ' .. msg.type) return {} end";

const KILL_AND_ALIVE: &str = ", kill command: [sh, '{folder}/queue.sh', kill, '{name}', '{signal}'], alive command: [sh, '{folder}/queue.sh', alive, '{name}']";

struct Scene(System);

impl Scene {
    fn start(more: &str) -> Self {
        let launch = "launch command: [sh, '{folder}/queue.sh', run, '{name}', 'cd {folder} && {command}']";
        let mut system = system()
            .worker("job: {success: it went well, failure: it did not, crash: it crashed}")
            .rules(RULES)
            .section("workers: {job: {command: [sh, job.sh]}}")
            .file("queue.sh", QUEUE)
            .file("job.sh", JOB)
            .prepare();
        let _ = writeln!(system.more, "hosts: {{queue: {{{launch}{more}}}}}");
        system.write_config();
        system.start_broker();
        system.start_manager(&[]);
        Self(system)
    }

    fn launch(&self) -> String {
        let text = self.0.operate(&["launch", "--json", "--host", "queue", "job", "the job"]);
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["numbers"][0].to_string()
    }

    fn run(&self, run: &str) -> Value {
        let runs: Value = serde_json::from_str(&self.0.operate(&["runs", "--json"])).expect("JSON");
        let runs = runs.as_array().expect("a list").clone();
        let number = run.parse::<u64>().ok();
        runs.into_iter().find(|found| found["number"].as_u64() == number).unwrap_or_default()
    }

    fn wait_for_state(&self, run: &str, state: &str) -> String {
        self.wait_for(&format!("run {run} {state}"), || {
            let found = self.run(run);
            (found["state"] == state).then(|| found["ending"].as_str().unwrap_or_default().to_owned())
        })
    }

    fn folder(&self, run: &str) -> PathBuf {
        let output = self.run(run)["output"].as_str().expect("a path").to_owned();
        PathBuf::from(output).parent().expect("a folder").to_owned()
    }

    /// Wait until the job runs; return its process in the queue.
    fn wait_for_job(&self) -> u32 {
        let name = self.wait_for("the job", || {
            let files = fs::read_dir(self.0.path(".")).ok()?.flatten();
            files.map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "pid"))
        });
        fs::read_to_string(name).expect("a number").trim().parse().expect("a number")
    }

    fn go(&self, status: &str) {
        fs::write(self.0.path("go.new"), status).expect("written");
        fs::rename(self.0.path("go.new"), self.0.path("go")).expect("in place");
    }

    /// Kill the launching command.
    fn kill_launcher(&self, run: &str) {
        let path = self.folder(run).join("process");
        let process: Value =
            self.wait_for("a process", || serde_json::from_slice(&fs::read(&path).ok()?).ok());
        let number = u32::try_from(process["pid"].as_u64().expect("a number")).expect("small");
        kill_process(pid(number), Signal::KILL).expect("killed");
    }

    fn expect_one(&self, r#type: &str) {
        self.0.wait_for_log("manager", &format!("the rule heard {type}"));
        self.0.works();
        assert_eq!(self.heard(), 1, "{}", self.0.describe());
        assert_eq!(fs::read_to_string(self.0.path("starts")).expect("starts"), "start\n");
    }

    fn heard(&self) -> usize {
        self.0.log("manager").matches("the rule heard").count()
    }

    fn wait_for<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        wait_for(what, ask, || self.0.describe())
    }
}

#[test]
fn a_worker_is_launched_by_the_launch_command_and_its_status_is_known() {
    let scene = Scene::start(KILL_AND_ALIVE);
    let run = scene.launch();
    scene.wait_for_job();
    scene.go("3");
    assert_eq!(scene.wait_for_state(&run, "crashed"), "exited with status 3");
    let output = fs::read_to_string(scene.folder(&run).join("output.log")).expect("the output");
    assert_eq!(output, "the job works\n");
    scene.expect_one("crash");
}

#[test]
fn the_host_is_asked_for_a_run_also_while_it_does_not_answer() {
    let scene = Scene::start(KILL_AND_ALIVE);
    let run = scene.launch();
    scene.wait_for_job();
    fs::write(scene.0.path("down"), "").expect("written");
    scene.kill_launcher(&run);
    scene.wait_for("contact lost", || {
        scene.run(&run)["contact_lost"]
            .as_str()?
            .contains("the host does not answer (the queue is down)")
            .then_some(())
    });
    assert_eq!(scene.heard(), 0);
    fs::remove_file(scene.0.path("down")).expect("removed");
    scene.wait_for("an answer", || {
        scene.run(&run)["contact_lost"].as_str()?.contains("the run still exists (nowcast-").then_some(())
    });
    scene.go("0");
    let ending = scene.wait_for_state(&run, "crashed");
    assert!(ending.contains("contact with queue was lost (sh was killed by signal 9)"), "{ending}");
    scene.expect_one("crash");
}

#[test]
fn the_kill_command_ends_it() {
    let scene = Scene::start(KILL_AND_ALIVE);
    let run = scene.launch();
    let job = scene.wait_for_job();
    scene.0.operate(&["kill", &run]);
    scene.wait_for("the job's end", || (!PathBuf::from(format!("/proc/{job}")).exists()).then_some(()));
    // The client of the stand-in waits in vain for a status, until the grace period is over.
    scene.0.operate(&["kill", &run]);
    scene.wait_for_state(&run, "crashed");
    scene.expect_one("crash");
}

#[test]
fn without_kill_and_alive_commands_the_launch_command_is_the_run() {
    let scene = Scene::start("");
    let run = scene.launch();
    let job = scene.wait_for_job();
    scene.kill_launcher(&run);
    assert_eq!(scene.wait_for_state(&run, "crashed"), "was killed by signal 9");
    scene.expect_one("crash");
    kill_process(pid(job), Signal::KILL).expect("killed");
}
