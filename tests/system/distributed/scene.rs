//! Systems whose programs publish their log messages, and Python programs beside them.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use regex::Regex;

use crate::support::ports::free_ports;
use crate::support::python::venv;
use crate::support::system::{System, system};
use crate::support::wait::DEADLINE;

/// The ports of a system.
#[derive(Debug, Clone)]
pub struct Ports {
    pub broker: u16,
    pub manager: u16,
    pub pool: Vec<u16>,
}

/// Prepare a system with distributed logging. All lines are shown on the consoles too.
pub fn distributed(rules: &str, pool: usize) -> (System, Ports) {
    let system = system().rules(rules).prepare();
    let (broker, manager) = free_ports();
    let ports = Ports { broker, manager, pool: (0..pool).map(|_| free_ports().0).collect() };
    let pool = format!("{:?}", ports.pool);
    write_logging(&system, &ports, &pool, "");
    (system, ports)
}

/// Write distributed logging into a system's configuration. `email` is a handler `email` of the aggregator's root.
pub fn write_logging(system: &System, ports: &Ports, pool: &str, email: &str) {
    system.write_config();
    let text = fs::read_to_string(system.config()).expect("a configuration");
    let (before, rest) = text.split_once("logging:\n").expect("a logging section");
    let (_, after) = rest.split_once("zmq:\n").expect("a zmq section");
    let logs = system.path("").display().to_string();
    let listed = if email.is_empty() { "" } else { ", email" };
    let logging = format!(
        "logging:
  aggregator:
    version: 1
    disable_existing_loggers: False
    formatters:
      simple: {{format: '%(asctime)s %(levelname)s [%(logger_name)s] %(message)s'}}
      full: {{format: '%(levelname)s|%(name)s|%(logger_name)s|%(message)s'}}
    handlers:
      info_text: {{class: logging.handlers.RotatingFileHandler, level: INFO, formatter: simple, filename: {logs}nowcast.log, backupCount: 7}}
      debug_text: {{class: logging.handlers.RotatingFileHandler, level: DEBUG, formatter: simple, filename: {logs}nowcast.debug.log, backupCount: 7}}
      console: {{class: logging.StreamHandler, level: DEBUG, formatter: full, stream: ext://sys.stdout}}
      {email}
    root: {{level: DEBUG, handlers: [info_text, debug_text, console{listed}]}}
  publisher:
    version: 1
    disable_existing_loggers: False
    formatters:
      simple: {{format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'}}
    handlers:
      console: {{class: logging.StreamHandler, level: DEBUG, formatter: simple, stream: ext://sys.stdout}}
      zmq_pub: {{class: zmq.log.handlers.PUBHandler, level: DEBUG, formatter: simple}}
      checklist: {{class: logging.handlers.RotatingFileHandler, level: INFO, formatter: simple, filename: {logs}checklist.log, backupCount: 7}}
    loggers:
      checklist: {{qualname: checklist, level: INFO, propagate: False, handlers: [checklist]}}
      PIL: {{qualname: PIL, level: WARNING, formatter: simple}}
    root: {{propagate: False, level: DEBUG, handlers: [console, zmq_pub]}}
"
    );
    let (manager, workers) = (system.manager_port, system.workers_port);
    let old = format!("  ports: {{manager: {manager}, workers: {workers}}}");
    let new = format!(
        "  ports:\n    manager: {manager}\n    workers: {workers}\n    logging: {{message_broker: {}, manager: {}, workers: {pool}}}",
        ports.broker, ports.manager
    );
    let after = after.replace(&old, &new);
    assert!(after.contains("message_broker: "), "{after}");
    fs::write(system.config(), format!("{before}{logging}zmq:\n{after}"))
        .expect("the configuration is written");
}

/// Start the aggregator and wait until it has subscribed to all publishers.
pub fn start_aggregator(system: &mut System) {
    let before = system.log("aggregator").matches("all messages from workers").count();
    let command = system.command(&["log-aggregator", "nowcast.yaml"]);
    system.spawn("aggregator", command);
    system.wait_for_log_count("aggregator", "all messages from workers", before + 1);
}

/// Return the text of a log file without times.
pub fn without_times(text: &str) -> String {
    let time = Regex::new(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ").expect("a pattern");
    time.replace_all(text, "").into_owned()
}

/// A Python program with line-based input and output. It is killed with its handle.
pub struct Python {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Python {
    pub fn start(script: &str, arguments: &[String]) -> Self {
        let mut command = Command::new(venv());
        command.args(["-X", "utf8", "-u", "-c", script]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let stdin = child.stdin.take().expect("its input");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, stdin, lines }
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("python listens");
    }

    /// Return the next line; the script exits by itself after a timeout.
    pub fn line(&mut self) -> String {
        self.lines.next().expect("python says something").expect("text")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A real pyzmq SUB: each message as a JSON list of its frames.
pub struct Subscriber(Python);

impl Subscriber {
    pub fn connect(ports: &[u16]) -> Self {
        const SCRIPT: &str = r#"
import json, sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt_string(zmq.SUBSCRIBE, "")
socket.setsockopt(zmq.RCVTIMEO, int(sys.argv[1]))
for port in sys.argv[2:]:
    socket.connect(f"tcp://127.0.0.1:{port}")
print("ready")
while True:
    print(json.dumps([frame.decode() for frame in socket.recv_multipart()]))
"#;
        let mut arguments = vec![DEADLINE.as_millis().to_string()];
        arguments.extend(ports.iter().map(ToString::to_string));
        let mut python = Python::start(SCRIPT, &arguments);
        assert_eq!(python.line(), "ready");
        Self(python)
    }

    pub fn frames(&mut self) -> Vec<String> {
        serde_json::from_str(&self.0.line()).expect("JSON")
    }

    /// Return the messages up to the one with that text.
    pub fn until(&mut self, text: &str) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        loop {
            let frames = self.frames();
            let is_last = frames.last().is_some_and(|last| last.contains(text));
            all.push(frames);
            if is_last {
                return all;
            }
        }
    }
}

/// Return the frames that a real pyzmq `PUBHandler`, set up as in NEMO_Nowcast, makes of lines with a level and a text.
pub fn frames_of_pubhandler(name: &str, lines: &[(String, String)]) -> Vec<Vec<String>> {
    const SCRIPT: &str = r#"
import json, logging, sys, zmq, zmq.log.handlers
context = zmq.Context()
publisher = context.socket(zmq.PUB)
publisher.bind("inproc://log")
subscriber = context.socket(zmq.SUB)
subscriber.setsockopt_string(zmq.SUBSCRIBE, "")
subscriber.connect("inproc://log")
handler = zmq.log.handlers.PUBHandler(publisher)
handler.root_topic = sys.argv[1]
handler.formatters = {level: logging.Formatter("%(message)s\n") for level in (10, 20, 30, 40, 50)}
logger = logging.getLogger("any")
logger.setLevel(1)
logger.addHandler(handler)
# The subscription is on its way.
poller = zmq.Poller()
poller.register(subscriber, zmq.POLLIN)
while not poller.poll(10):
    publisher.send_multipart([b"first", b""])
while poller.poll(100):
    subscriber.recv_multipart()
for level, text in json.loads(sys.argv[2]):
    logger.log(getattr(logging, level), text)
    print(json.dumps([frame.decode() for frame in subscriber.recv_multipart()]))
"#;
    let lines = serde_json::to_string(lines).expect("JSON");
    let output =
        Command::new(venv()).args(["-X", "utf8", "-c", SCRIPT, name, &lines]).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Return the lines of a console, `TIME LEVEL [name] text`, as level and text; a line without a time continues the previous one.
pub fn console_lines(console: &str, name: &str) -> Vec<(String, String)> {
    lines(console, name, true)
}

/// Return the same for the console of several programs: only the first line of each text.
pub fn first_lines(console: &str, name: &str) -> Vec<(String, String)> {
    lines(console, name, false)
}

fn lines(console: &str, name: &str, whole: bool) -> Vec<(String, String)> {
    let head = Regex::new(&format!(r"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}} ([A-Z]+) \[{name}\] (.*)$"))
        .expect("a pattern");
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in console.lines() {
        if let Some(found) = head.captures(line) {
            lines.push((found[1].to_owned(), found[2].to_owned()));
        } else if let Some((_, text)) = lines.last_mut().filter(|_| whole) {
            text.push('\n');
            text.push_str(line);
        }
    }
    lines
}

/// Return a file's text; it is empty if there is no file.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
