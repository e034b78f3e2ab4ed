//! A system whose workers run on a remote host, and the helpers of its tests.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sshd::Sshd;
use crate::support::python;
use crate::support::system::{NOWCAST, System, pid, system};

/// A worker on the host: records its process and waits for a file `NAME.go`. It sends a message or reports if the file
/// says so, and exits with the status in the file.
const WORKER: &str = r#"
import os, signal, sys, time, yaml, zmq
config, name = sys.argv[1], sys.argv[2]
if "stubborn" in name:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.chdir(os.environ["REMOTE_FOLDER"])
with open("starts", "a") as file:
    file.write(f"{name}\n")
with open(f"{name}.pid.new", "w") as file:
    file.write(str(os.getpid()))
os.rename(f"{name}.pid.new", f"{name}.pid")
print(f"{name} works", flush=True)
while not os.path.exists(f"{name}.go"):
    if not os.path.exists(config):
        sys.exit()
    time.sleep(0.02)
words = open(f"{name}.go").read().split()
for type in [type for word, type in (("halfway", "halfway"), ("report", "success")) if word in words]:
    socket = zmq.Context().socket(zmq.REQ)
    socket.connect("tcp://localhost:" + os.environ["REMOTE_PORT"])
    socket.send_string(yaml.dump({"source": "remote", "type": type, "payload": None}))
    socket.recv_string()
    open(f"{name}.reported", "w").close()
if "stay" in words:
    time.sleep(1000)
sys.exit(int(words[0]))
"#;

const RULES: &str = "function after_remote(msg) log.info('the rule heard ' .. msg.type) return {} end";

pub struct Scene {
    pub system: System,
    pub sshd: Sshd,
}

impl Scene {
    pub fn start(marks: bool) -> Self {
        Self::with(marks, "")
    }

    /// With more sections in the configuration.
    pub fn with(marks: bool, more: &str) -> Self {
        let sshd = Sshd::start(marks);
        let mut system = system()
            .worker(
                "remote: {success: it went well, halfway: it goes well, failure: it did not, crash: it crashed}",
            )
            .rules(RULES)
            .env("PATH", &sshd.search_path())
            .file("remote/remote.py", WORKER)
            .prepare();
        let (python, here) = (python::venv(), system.path("."));
        let here = here.canonicalize().expect("a folder");
        // The environment file writes a line, as some do, and defines the variables that the settings expand.
        let environment = format!(
            "echo modules loaded\nexport PYTHONPATH={0}/remote REMOTE_FOLDER={0} REMOTE_PORT={1} PATH={2}:$PATH\n",
            here.display(),
            system.workers_port,
            Path::new(NOWCAST).parent().expect("a folder").display()
        );
        fs::write(system.path("env.sh"), environment).expect("written");
        let mut hosts = String::new();
        for host in ["robot", "locked", "nowhere"] {
            let _ = writeln!(
                hosts,
                "    {host}: {{envvars: {0}/env.sh, python: {1}, config file: $REMOTE_FOLDER/nowcast.yaml}}",
                here.display(),
                python.display()
            );
        }
        system.more = format!("run:\n  enabled hosts:\n{hosts}{more}\n");
        system.write_config();
        system.start_broker();
        system.start_manager(&[]);
        Self { system, sshd }
    }

    /// Launch a worker on the host and wait until it runs; return the run's number.
    pub fn launch(&self, name: &str) -> String {
        let run = self.launch_on("robot", name);
        self.wait_for_worker(name);
        run
    }

    pub fn launch_on(&self, host: &str, name: &str) -> String {
        self.launch_with(host, &[name])
    }

    /// Launch a worker with these arguments; return the run's number.
    pub fn launch_with(&self, host: &str, arguments: &[&str]) -> String {
        let words = ["launch", "--json", "--host", host, "remote"];
        let text = self.system.operate(&[&words, arguments].concat());
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["numbers"][0].to_string()
    }

    pub fn wait_for_worker(&self, name: &str) -> Pid {
        let path = self.system.path(&format!("{name}.pid"));
        let text = self.wait_for(&format!("the worker {name}"), || fs::read_to_string(&path).ok());
        pid(text.parse().expect("a number"))
    }

    /// Let a worker continue, with words like `0 report`.
    pub fn go(&self, name: &str, words: &str) {
        let path = self.system.path(&format!("{name}.go"));
        fs::write(path.with_extension("new"), words).expect("written");
        fs::rename(path.with_extension("new"), path).expect("in place");
    }

    /// Return a run as in `nowcast runs --json`.
    pub fn run(&self, run: &str) -> Value {
        let runs: Value = serde_json::from_str(&self.system.operate(&["runs", "--json"])).expect("JSON");
        let runs = runs.as_array().expect("a list").clone();
        let number = run.parse::<u64>().ok();
        runs.into_iter().find(|found| found["number"].as_u64() == number).unwrap_or_default()
    }

    /// Wait until a run is in a state; return the run.
    pub fn wait_for_state(&self, run: &str, state: &str) -> Value {
        self.wait_for(&format!("run {run} {state}"), || {
            let found = self.run(run);
            (found["state"] == state).then_some(found)
        })
    }

    /// Wait until contact with a run's host is lost, with this text in the answer.
    pub fn wait_for_contact(&self, run: &str, said: &str) {
        self.wait_for(&format!("contact lost: {said}"), || {
            self.run(run)["contact_lost"].as_str().is_some_and(|contact| contact.contains(said)).then_some(())
        });
    }

    /// The local process of a run: ssh.
    pub fn launcher(&self, run: &str) -> Pid {
        self.process(run, "process")
    }

    /// Return the process that a file in the run's folder names.
    pub fn process(&self, run: &str, file: &str) -> Pid {
        let path = self.run_path(run, file);
        let process: Value = self.wait_for(file, || serde_json::from_slice(&fs::read(&path).ok()?).ok());
        pid(u32::try_from(process["pid"].as_u64().expect("a number")).expect("a small number"))
    }

    pub fn run_path(&self, run: &str, file: &str) -> std::path::PathBuf {
        let output = self.run(run)["output"].as_str().expect("a path").to_owned();
        std::path::Path::new(&output).with_file_name(file)
    }

    /// Return the run's output.
    pub fn output(&self, run: &str) -> String {
        fs::read_to_string(self.run_path(run, "output.log")).unwrap_or_default()
    }

    pub fn kill(process: Pid) {
        kill_process(process, Signal::KILL).expect("it is killed");
    }

    pub fn is_alive(process: Pid) -> bool {
        let path = format!("/proc/{}/stat", process.as_raw_nonzero());
        fs::read_to_string(path).is_ok_and(|stat| !stat.contains(") Z "))
    }

    pub fn wait_for_death(&self, process: Pid) {
        self.wait_for("the end of the remote process", || (!Self::is_alive(process)).then_some(()));
    }

    /// Check that the rule received this one report and no other.
    pub fn expect_one(&self, r#type: &str) {
        self.system.wait_for_log("manager", &format!("the rule heard {type}"));
        self.system.works();
        assert_eq!(self.heard(), 1, "{}", self.describe());
    }

    /// The number of messages that the rule received.
    pub fn heard(&self) -> usize {
        self.system.log("manager").matches("the rule heard").count()
    }

    /// How many times workers were started on the host.
    pub fn starts(&self) -> usize {
        fs::read_to_string(self.system.path("starts")).unwrap_or_default().lines().count()
    }

    pub fn wait_for<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        crate::support::wait::wait_for(what, ask, || self.describe())
    }

    pub fn describe(&self) -> String {
        format!("{}\n== sshd\n{}", self.system.describe(), self.sshd.describe())
    }
}
