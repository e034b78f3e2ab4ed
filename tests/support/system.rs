//! A nowcast system in a folder of its own, with a real broker, manager and workers.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nowcast_core::message::Message;
use pyyaml::Value;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use super::builder::{Builder, system};
pub use super::ports::free_ports;
use super::processes::processes_of_runs;
use super::wait::{DEADLINE, wait_for};

/// The binary under test.
pub const NOWCAST: &str = env!("CARGO_BIN_EXE_nowcast");

/// A system in its folder. Its daemons are stopped with it.
pub struct System {
    folder: TempDir,
    pub manager_port: u16,
    pub workers_port: u16,
    workers: String,
    pub more: String,
    python: String,
    environment: Vec<(String, String)>,
    daemons: Vec<(String, Child)>,
    pub context: zmq::Context,
}

impl System {
    /// Make the system that a [`Builder`](super::builder::Builder) describes. It does not run yet.
    pub(super) fn described(
        folder: TempDir,
        (manager_port, workers_port): (u16, u16),
        workers: String,
        more: String,
        python: String,
        environment: Vec<(String, String)>,
    ) -> Self {
        Self {
            folder,
            manager_port,
            workers_port,
            workers,
            more,
            python,
            environment,
            daemons: Vec::new(),
            context: zmq::Context::new(),
        }
    }

    /// Return a path in the system's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Return the path of the configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("nowcast.yaml")
    }

    /// Write the configuration.
    pub fn write_config(&self) {
        let logs = self.folder.path().display();
        let text = format!(
            "checklist file: {logs}/checklist.yaml
python: {python}
logging:
  version: 1
  formatters:
    simple: {{format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'}}
  handlers:
    console: {{class: logging.StreamHandler, level: DEBUG, formatter: simple, stream: ext://sys.stdout}}
    nowcast_log: {{class: logging.handlers.RotatingFileHandler, level: DEBUG, formatter: simple, filename: {logs}/nowcast.log, backupCount: 3}}
    checklist_log: {{class: logging.handlers.RotatingFileHandler, level: INFO, formatter: simple, filename: {logs}/checklist.log, backupCount: 3}}
  loggers:
    checklist: {{level: INFO, propagate: false, handlers: [checklist_log]}}
  root: {{level: DEBUG, handlers: [console, nowcast_log]}}
zmq:
  host: localhost
  ports: {{manager: {manager}, workers: {workers_port}}}
message registry:
  manager:
    ack: message acknowledged
    checklist cleared: system checklist cleared
    unregistered worker: ERROR - message received from unregistered worker
    unregistered message type: ERROR - unregistered message type received from worker
    no after_worker function: ERROR - after_worker function not found in next_workers module
  next workers module: next_workers
  workers:{workers}
{more}",
            python = self.python,
            manager = self.manager_port,
            workers_port = self.workers_port,
            workers = self.workers,
            more = self.more,
        );
        fs::write(self.config(), text).expect("the configuration is written");
    }

    /// Set an environment variable for programs that are started later.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Set the Python interpreter of the workers.
    pub fn set_python(&mut self, python: &str) {
        python.clone_into(&mut self.python);
        self.write_config();
    }

    /// Write the rules as an editor does: a new file replaces the old one.
    pub fn write_rules(&self, lua: &str) {
        let rules = self.path("rules/next_workers.lua");
        fs::create_dir_all(self.path("rules")).expect("a folder");
        fs::write(self.path("rules/next_workers.lua.new"), lua).expect("the rules are written");
        fs::rename(self.path("rules/next_workers.lua.new"), rules).expect("the rules are in place");
    }

    /// Return a nowcast command in the system's folder, with its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(NOWCAST);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // The environment of the tests may belong to another system.
        for name in ["NOWCAST_YAML", "NOWCAST_LOGS", "NOWCAST_ENV", "RUST_LOG", "LC_ALL", "LC_CTYPE"] {
            command.env_remove(name);
        }
        command.env("LANG", "C.UTF-8");
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// Start any program of the system under a name. Its output goes to `NAME.out`.
    pub fn spawn(&mut self, name: &str, mut command: Command) -> u32 {
        let out = File::options().create(true).append(true).open(self.path(&format!("{name}.out")));
        let out = out.expect("a file for the output");
        let errors = out.try_clone().expect("a second handle");
        let child = command.stdout(out).stderr(errors).spawn().expect("the program starts");
        let id = child.id();
        self.daemons.push((name.to_owned(), child));
        id
    }

    /// Start a broker and wait until its ports are bound.
    pub fn start_broker(&mut self) {
        let before = self.log("broker").matches("manager socket bound").count();
        let command = self.command(&["broker", "nowcast.yaml"]);
        self.spawn("broker", command);
        self.wait_for_log_count("broker", "manager socket bound", before + 1);
    }

    /// Start a manager and wait until it listens.
    pub fn start_manager(&mut self, options: &[&str]) {
        let before = self.log("manager").matches("listening...").count();
        let command = self.command(&[&["manager", "nowcast.yaml"], options].concat());
        self.spawn("manager", command);
        self.wait_for_log_count("manager", "listening...", before + 1);
    }

    /// Run one of our workers to its end and return its output.
    pub fn run_worker(&self, arguments: &[&str]) -> String {
        let output = self.command(&[&["worker"], arguments].concat()).output().expect("the worker runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Run an operator's command; return its exit status and output.
    pub fn operation(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().expect("the command runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    }

    /// Run an operator's command that succeeds; return its output.
    pub fn operate(&self, arguments: &[&str]) -> String {
        let (status, text) = self.operation(arguments);
        assert_eq!(status, Some(0), "{arguments:?}: {text}\n{}", self.describe());
        text
    }

    /// Run a nowcast command to its end, within the deadline; return its exit status and output. The output is a file, since
    /// runs that the command leaves behind would keep a pipe open.
    pub fn run_to_end(&mut self, arguments: &[&str]) -> (Option<i32>, String) {
        let name = arguments[0];
        let command = self.command(arguments);
        self.spawn(name, command);
        let status = self.wait_for_end(name);
        (status.code(), self.log(name))
    }

    /// Return the output of a program so far.
    pub fn log(&self, name: &str) -> String {
        let bytes = fs::read(self.path(&format!("{name}.out"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Wait until a program has written a text.
    pub fn wait_for_log(&self, name: &str, text: &str) {
        self.wait_for_log_count(name, text, 1);
    }

    /// Wait until a program has written a text `count` times.
    pub fn wait_for_log_count(&self, name: &str, text: &str, count: usize) {
        self.wait_for(&format!("{count} × {text:?} from {name}"), || {
            (self.log(name).matches(text).count() >= count).then_some(())
        });
    }

    /// Wait for any condition; after the deadline, panic with the output of the system.
    pub fn wait_for<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        wait_for(what, ask, || self.describe())
    }

    /// Return the content of the folder and the output of its programs, for failed tests.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            let _ = writeln!(text, "== {}", path.display());
            if path.extension().is_some_and(|extension| extension == "out" || extension == "yaml") {
                let content = fs::read(&path).unwrap_or_default();
                let start = content.len().saturating_sub(20_000);
                text.push_str(&String::from_utf8_lossy(&content[start..]));
            }
        }
        text
    }

    /// Connect a socket as a worker does.
    pub fn connect(&self) -> zmq::Socket {
        let socket = self.context.socket(zmq::REQ).expect("a socket");
        socket.set_rcvtimeo(i32::try_from(DEADLINE.as_millis()).expect("a small number")).expect("a timeout");
        socket.set_linger(0).expect("an option");
        socket.connect(&format!("tcp://127.0.0.1:{}", self.workers_port)).expect("a connection");
        socket
    }

    /// Send bytes as a worker would and return the reply.
    pub fn send_raw(&self, body: impl AsRef<[u8]>) -> Message {
        let socket = self.connect();
        socket.send(body.as_ref(), 0).expect("sent");
        self.receive(&socket)
    }

    /// Receive the reply that a socket waits for.
    pub fn receive(&self, socket: &zmq::Socket) -> Message {
        match socket.recv_bytes(0) {
            Ok(reply) => Message::decode(&reply).expect("a reply is a message"),
            Err(error) => panic!("no reply: {error}\n{}", self.describe()),
        }
    }

    /// Send a message of a worker; return the type of the reply.
    pub fn send(&self, source: &str, r#type: &str, payload: &str) -> String {
        self.send_raw(format!("{{source: {source}, type: {}, payload: {payload}}}", quoted(r#type))).r#type
    }

    /// Send a valid message and expect that the system works.
    pub fn works(&self) {
        assert_eq!(self.send("keyless", "success", "null"), "ack", "{}", self.describe());
    }

    /// Start the scheduler and wait until it follows its schedule.
    pub fn start_scheduler(&mut self, options: &[&str]) {
        let ready = self.log("scheduler").matches("scheduled workers: ").count() + 1;
        let mut command = self.command(&["scheduler", "nowcast.yaml"]);
        command.args(options);
        self.spawn("scheduler", command);
        self.wait_for_log_count("scheduler", "scheduled workers: ", ready);
    }

    /// Return the checklist in the file.
    pub fn checklist(&self) -> Value {
        let bytes = fs::read(self.path("checklist.yaml")).unwrap_or_default();
        pyyaml::read_bytes(&bytes).expect("the checklist file is YAML")
    }

    /// Wait until the file holds a checklist.
    pub fn wait_for_checklist(&self, yaml: &str) {
        let expected = pyyaml::read(yaml).expect("the expected checklist is YAML");
        self.wait_for(&format!("the checklist {yaml}"), || (self.checklist() == expected).then_some(()));
    }

    /// Return the process number of a program of the system.
    pub fn id(&self, name: &str) -> u32 {
        self.daemons.iter().rev().find(|(daemon, _)| daemon == name).expect("a daemon").1.id()
    }

    /// Send a signal to a program of the system.
    pub fn signal(&self, name: &str, signal: Signal) {
        kill_process(pid(self.id(name)), signal).expect("it takes the signal");
    }

    /// Wait until a program has exited.
    pub fn wait_for_end(&mut self, name: &str) -> ExitStatus {
        let at = self.daemons.iter().rposition(|(daemon, _)| daemon == name).expect("a daemon");
        let (_, mut child) = self.daemons.remove(at);
        let text = format!("the end of {name}");
        wait_for(&text, || child.try_wait().expect("it can be waited for"), || self.describe())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for (_, child) in &mut self.daemons {
            let _ = kill_process(pid(child.id()), Signal::TERM);
        }
        for (_, child) in &mut self.daemons {
            let _ = child.kill();
            let _ = child.wait();
        }
        end_runs(self.folder.path());
    }
}

/// Kill the processes that outlive their manager by design: the runners of a system, their workers, and their children.
fn end_runs(folder: &Path) {
    let end = Instant::now() + DEADLINE;
    // Repeat: a runner may start its worker meanwhile.
    while Instant::now() < end {
        let processes = processes_of_runs(folder);
        if processes.is_empty() {
            return;
        }
        for process in processes {
            let _ = kill_process(pid(process.number), Signal::KILL);
        }
    }
}

/// Convert a process number for calls of the operating system.
pub fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a small number")).expect("not 0")
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
