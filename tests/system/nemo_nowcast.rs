//! Our programs beside programs in plain Python, which use pyzmq and PyYAML as NEMO_Nowcast's workers, broker and
//! manager do.

use std::process::Command;

use crate::support::python;
use crate::support::system::{System, system};

/// A worker as in NEMO_Nowcast: a REQ socket, `yaml.dump`, `yaml.safe_load`. It prints the reply.
const WORKER: &str = r#"
import sys, yaml, zmq
port, source, type_, payload = sys.argv[1:5]
socket = zmq.Context().socket(zmq.REQ)
socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 900)
socket.connect(f"tcp://localhost:{port}")
socket.send_string(yaml.dump({"source": source, "type": type_, "payload": eval(payload, {"dt": __import__("datetime")})}))
reply = yaml.safe_load(socket.recv_string())
print(repr((reply["source"], reply["type"], reply["payload"])))
"#;

/// A broker as in NEMO_Nowcast: a ROUTER and a DEALER with a proxy between them.
const PROXY: &str = r#"
import sys, zmq
context = zmq.Context()
workers, manager = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
workers.bind(f"tcp://127.0.0.1:{sys.argv[1]}")
manager.bind(f"tcp://127.0.0.1:{sys.argv[2]}")
print("bound", flush=True)
zmq.proxy(workers, manager)
"#;

/// A manager as in NEMO_Nowcast: a REP socket that acknowledges everything.
const MANAGER: &str = r#"
import sys, yaml, zmq
socket = zmq.Context().socket(zmq.REP)
socket.connect(f"tcp://localhost:{sys.argv[1]}")
print("connected", flush=True)
while True:
    text = socket.recv_string()
    message = yaml.safe_load(text)
    print(repr(text), flush=True)
    socket.send_string(yaml.dump({"source": "manager", "type": "ack", "payload": None}))
"#;

fn script(text: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python::venv());
    command.args(["-c", text]).args(arguments);
    command
}

/// Start a manager as in NEMO_Nowcast.
pub fn start_manager(system: &mut System, name: &str) {
    let command = script(MANAGER, &[&system.manager_port.to_string()]);
    system.spawn(name, command);
    system.wait_for_log(name, "connected");
}

/// Start a broker as in NEMO_Nowcast.
pub fn start_broker(system: &mut System, name: &str) {
    let before = system.log(name).matches("bound").count();
    let command = script(PROXY, &[&system.workers_port.to_string(), &system.manager_port.to_string()]);
    system.spawn(name, command);
    system.wait_for_log_count(name, "bound", before + 1);
}

/// Run the Python worker to its end and return its output.
fn python_worker(system: &System, source: &str, r#type: &str, payload: &str) -> String {
    let port = system.workers_port.to_string();
    let output = script(WORKER, &[&port, source, r#type, payload]).output().expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", system.describe());
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn python_workers_with_our_broker_and_manager() {
    let system = system().start();
    assert_eq!(python_worker(&system, "sleep", "success", "{'sleep time': 5}"), "('manager', 'ack', None)");
    assert_eq!(
        python_worker(&system, "stranger", "success", "None"),
        "('manager', 'unregistered worker', None)"
    );
    assert_eq!(
        python_worker(&system, "sleep", "snored", "None"),
        "('manager', 'unregistered message type', None)"
    );
    assert_eq!(
        python_worker(&system, "clear_checklist", "clear checklist", "None"),
        "('manager', 'checklist cleared', None)"
    );
}

/// Every type of PyYAML, and strings that look like other types.
const PAYLOAD: &str = "{'00': '2026-03-14', 'yes': 'no', 'octal': '0123', 'clock': '12:30', 'thousands': '1_000', \
    'float': 1e16, 'small': 1.5, 'huge': 12345678901234567890123, 'none': None, 'true': True, 'bytes': b'\\x00\\xff', \
    'date': dt.date(2026, 3, 14), 'time': dt.datetime(2026, 3, 14, 5, 15, 0, 250000), \
    'aware': dt.datetime(2026, 3, 14, 5, 15, tzinfo=dt.timezone.utc), 'set': {'b', 'a'}, 1: 'one', 2.5: 'float', \
    dt.date(2026, 1, 1): 'day', 'nested': [[], {}, [{'a': [1, 'x: y', '- z', '# c', ' lead', 'trail ', 'two\\nlines\\n']}]], \
    'unicode': 'Gr\\xfc\\xdfe \\u2028 \\U0001f40b', 'tilde': '~', 'long': 'word ' * 60, 'control': '\\x07\\x1b'}";

#[test]
fn types_survive_from_payload_to_checklist_to_file_and_to_need() {
    let system = system().start();
    assert_eq!(python_worker(&system, "sleep", "success", PAYLOAD), "('manager', 'ack', None)");
    let compare = "import sys, yaml, datetime as dt\n\
                   expected = eval(sys.argv[1])\n\
                   def same(a, b):\n\
                   \x20   if type(a) is not type(b): return False\n\
                   \x20   if isinstance(a, dict): return len(a) == len(b) and all(k in b and same(v, b[k]) for k, v in a.items())\n\
                   \x20   if isinstance(a, list): return len(a) == len(b) and all(map(same, a, b))\n\
                   \x20   return a == b\n";
    let from_file = format!(
        "{compare}found = yaml.safe_load(open(sys.argv[2]))['sleepyhead']\nassert same(expected, found), found\n"
    );
    let file = system.path("checklist.yaml").display().to_string();
    system.wait_for("the checklist file", || system.checklist().get("sleepyhead").map(|_| ()));
    let output = script(&from_file, &[PAYLOAD, &file]).output().expect("Python runs");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), system.describe());

    let from_need = format!(
        "{compare}import zmq\nsocket = zmq.Context().socket(zmq.REQ)\nsocket.connect(f'tcp://localhost:{{sys.argv[2]}}')\n\
         socket.send_string(yaml.dump({{'source': 'sleep', 'type': 'need', 'payload': 'sleepyhead'}}))\n\
         found = yaml.safe_load(socket.recv_string())['payload']\nassert same(expected, found), found\n"
    );
    let port = system.workers_port.to_string();
    let output = script(&from_need, &[PAYLOAD, &port]).output().expect("Python runs");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), system.describe());
}

#[test]
fn a_python_broker_with_our_manager_and_workers() {
    let mut system = system().rules("function after_sleep() return { NextWorker('awaken') } end").prepare();
    let ports = [system.workers_port.to_string(), system.manager_port.to_string()];
    let command = script(PROXY, &[&ports[0], &ports[1]]);
    system.spawn("proxy", command);
    system.wait_for_log("proxy", "bound");
    system.start_manager(&[]);
    let log = system.run_worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
    assert!(log.contains("received message from manager: (ack) message acknowledged"), "{log}");
    assert_eq!(python_worker(&system, "keyless", "success", "None"), "('manager', 'ack', None)");
    system.wait_for_log("manager", "INFO [awaken] awoke");
    system.wait_for_checklist("{sleepyhead: {sleep time: 0, awoke: true}}");
}

#[test]
fn a_python_manager_with_our_broker_and_worker() {
    let mut system = system().prepare();
    system.start_broker();
    let command = script(MANAGER, &[&system.manager_port.to_string()]);
    system.spawn("python_manager", command);
    system.wait_for_log("python_manager", "connected");
    let log = system.run_worker(&["sleep", "nowcast.yaml", "--sleep-time", "0"]);
    assert!(log.contains("received message from manager: (ack) message acknowledged"), "{log}");
    let printed = system.log("python_manager");
    assert!(printed.contains(r"\npayload:\n  sleep time: 0\nsource: sleep\ntype: success\n'"), "{printed}");
    assert!(printed.contains("'id: "), "{printed}");
}

#[test]
fn a_hundred_python_messages_at_once_are_all_answered() {
    let system = system().start();
    let many = r#"
import sys, yaml, zmq
context, poller, sockets = zmq.Context(), zmq.Poller(), []
for number in range(100):
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://localhost:{sys.argv[1]}")
    socket.send_string(yaml.dump({"source": "sleep", "type": "success", "payload": {f"worker {number}": number}}))
    sockets.append(socket)
for socket in sockets:
    assert yaml.safe_load(socket.recv_string())["type"] == "ack"
"#;
    let output = script(many, &[&system.workers_port.to_string()]).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let count = || system.checklist().get("sleepyhead").and_then(pyyaml::Value::as_map).map(pyyaml::Map::len);
    system.wait_for("the whole checklist", || (count() == Some(100)).then_some(()));
}

#[test]
fn a_manager_of_another_program_is_shown_and_none_is_started_beside_it() {
    let mut system = system().prepare();
    system.start_broker();
    let port = system.manager_port.to_string();
    let status = |system: &System| system.operation(&["status"]);
    assert!(status(&system).1.contains("nowcast manager nowcast.yaml"), "{}", status(&system).1);
    system.spawn("other", script(MANAGER, &[&port]));
    let note = "another manager is connected to the broker and decides the messages";
    let page = system
        .wait_for("the other manager", || Some(status(&system)).filter(|(_, page)| page.contains(note)));
    assert_eq!(page.0, Some(0), "{}", page.1);
    assert!(page.1.contains("   HEALTHY   2/2 daemons   "), "{}", page.1);
    assert!(!page.1.contains("nowcast manager"), "{}", page.1);
    let json: serde_json::Value = serde_json::from_str(&system.operate(&["status", "--json"])).expect("JSON");
    assert_eq!(
        (&json["daemons"][1]["name"], &json["daemons"][1]["state"]),
        (&"manager".into(), &"replaced".into())
    );

    system.signal("other", rustix::process::Signal::KILL);
    system.wait_for_end("other");
    system
        .wait_for("its loss", || (status(&system).1.contains("nowcast manager nowcast.yaml")).then_some(()));

    // After a manager of ours has worked, another program in its place needs attention.
    system.start_manager(&[]);
    assert!(system.operate(&["status"]).contains("   HEALTHY   2/2 daemons   "));
    system.signal("manager", rustix::process::Signal::TERM);
    system.wait_for_end("manager");
    system.spawn("another", script(MANAGER, &[&port]));
    let page = system
        .wait_for("the other manager", || Some(status(&system)).filter(|(_, page)| page.contains(note)));
    assert_eq!(page.0, Some(1), "{}", page.1);
    assert!(page.1.contains("   DEGRADED   2/2 daemons   "), "{}", page.1);
    assert!(page.1.contains(&format!("→ ss -tnp 'dport = :{port}' (shows which process")), "{}", page.1);
    assert!(!page.1.contains("nowcast manager"), "{}", page.1);
}
