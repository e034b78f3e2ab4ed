//! Encrypted connections: only known keys may connect. Plain Python workers use the same key files with pyzmq.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::python;
use crate::support::system::{System, system};

/// A worker with pyzmq's certificates: folder, port, client, or no client at all. It prints the type of the reply, or `none`. With a second
/// time to wait it sends once more after its standard input has ended.
const WORKER: &str = r#"
import os, sys, yaml, zmq, zmq.auth
folder, port, client = sys.argv[1:4]
socket = zmq.Context().socket(zmq.REQ)
socket.linger = 0
if client:
    socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(os.path.join(folder, client + ".key_secret"))
    socket.curve_serverkey, _ = zmq.auth.load_certificate(os.path.join(folder, "broker.key"))
socket.connect(f"tcp://127.0.0.1:{port}")
socket.send_string(yaml.dump({"source": "sleep", "type": "success", "payload": None}))
print(yaml.safe_load(socket.recv_string())["type"] if socket.poll(int(sys.argv[4])) else "none", flush=True)
if len(sys.argv) > 5:
    sys.stdin.readline()
    socket.send_string(yaml.dump({"source": "sleep", "type": "success", "payload": None}))
    print(yaml.safe_load(socket.recv_string())["type"] if socket.poll(int(sys.argv[5])) else "none", flush=True)
"#;

/// A manager in the same way. It prints whether it got a request.
const MANAGER: &str = r#"
import os, sys, zmq, zmq.auth
folder, port, client = sys.argv[1:4]
socket = zmq.Context().socket(zmq.REP)
socket.linger = 0
if client:
    socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(os.path.join(folder, client + ".key_secret"))
    socket.curve_serverkey, _ = zmq.auth.load_certificate(os.path.join(folder, "broker.key"))
socket.connect(f"tcp://127.0.0.1:{port}")
print("request" if socket.poll(int(sys.argv[4])) else "none")
"#;

/// How long in milliseconds a worker waits whose reply must come, and one whose reply must not.
const WAIT: &str = "30000";
const SHORT_WAIT: &str = "1500";

fn keyed_system() -> System {
    let system = system().section("security: {curve: {keys: keys}}").prepare();
    system.operate(&["keys"]);
    system
}

fn python_worker(system: &System, client: &str, wait: &str) -> String {
    output_of(start_python(system, WORKER, system.workers_port, client, wait))
}

fn start_python(system: &System, program: &str, port: u16, client: &str, wait: &str) -> Child {
    let mut command = Command::new(python::venv());
    command.args(["-c", program]).arg(system.path("keys")).args([&port.to_string(), client, wait]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python runs")
}

fn output_of(program: Child) -> String {
    let output = program.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn workers_with_an_authorized_key_are_served_and_no_others() {
    let mut system = keyed_system();
    system.operate(&["keys", "--client", "colleague"]);
    system.operate(&["keys", "--client", "stranger"]);
    fs::remove_file(system.path("keys/authorized/stranger.key")).expect("removed");
    system.start_broker();
    system.start_manager(&[]);
    assert_eq!(python_worker(&system, "client", WAIT), "ack");
    assert_eq!(python_worker(&system, "colleague", WAIT), "ack");
    assert_eq!(python_worker(&system, "stranger", SHORT_WAIT), "none");
    assert_eq!(python_worker(&system, "", SHORT_WAIT), "none");
    system.wait_for_log("broker", "its key is not in the folder `authorized`");
    // Our own worker, and a question of `nowcast status`.
    assert_eq!(system.operation(&["worker", "sleep", "--sleep-time", "0"]).0, Some(0));
    let status = system.operation(&["status"]).1;
    assert!(status.contains("HEALTHY"), "{status}");
}

#[test]
fn only_a_manager_with_an_authorized_key_gets_requests() {
    let mut system = keyed_system();
    system.operate(&["keys", "--client", "stranger"]);
    fs::remove_file(system.path("keys/authorized/stranger.key")).expect("removed");
    system.start_broker();
    let mut worker = start_python(&system, WORKER, system.workers_port, "client", WAIT);
    let manager = |client, wait| start_python(&system, MANAGER, system.manager_port, client, wait);
    for refused in ["stranger", ""].map(|client| manager(client, SHORT_WAIT)) {
        assert_eq!(output_of(refused), "none");
    }
    system.wait_for_log("broker", "to the port for the manager was refused: its key is not in the folder");
    assert_eq!(output_of(manager("client", WAIT)), "request");
    worker.kill().expect("it can be ended");
    worker.wait().expect("it has ended");
}

#[test]
fn a_key_is_authorized_and_revoked_by_a_hangup_also_for_a_connection_that_is_open() {
    let mut system = keyed_system();
    system.operate(&["keys", "--client", "colleague"]);
    system.start_broker();
    system.start_manager(&[]);
    let port = system.workers_port.to_string();
    let mut open = Command::new(python::venv())
        .args(["-c", WORKER])
        .arg(system.path("keys"))
        .args([&port, "colleague", WAIT, SHORT_WAIT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    system.wait_for_log("manager", "received message from sleep: (success)");
    let key = system.path("keys/authorized/colleague.key");
    let kept = fs::read(&key).expect("the key");
    fs::remove_file(&key).expect("removed");
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", "read config from", 2);
    assert_eq!(python_worker(&system, "colleague", SHORT_WAIT), "none");
    drop(open.stdin.take());
    let output = open.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ack\nnone\n");
    assert_eq!(python_worker(&system, "client", WAIT), "ack");
    fs::write(&key, kept).expect("written");
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", "read config from", 3);
    assert_eq!(python_worker(&system, "colleague", WAIT), "ack");
}

#[test]
fn the_keys_are_made_once_and_the_command_says_what_to_configure() {
    let system = system().prepare();
    let text = system.operate(&["keys"]);
    assert!(text.contains("made ") && text.contains("keys/broker.key_secret"), "{text}");
    assert!(text.contains("security:\n  curve: {keys: "), "{text}");
    let before = fs::read(system.path("keys/client.key_secret")).expect("a key");
    let again = system.operate(&["keys"]);
    assert!(again.starts_with("all key files are in "), "{again}");
    assert_eq!(fs::read(system.path("keys/client.key_secret")).expect("a key"), before);
}

#[test]
fn daemons_whose_keys_are_missing_exposed_or_damaged_say_so_and_end() {
    let mut system = system().section("security: {curve: {keys: keys}}").prepare();
    for is_exposed in [false, true] {
        if is_exposed {
            system.operate(&["keys"]);
            for name in ["broker", "client"] {
                let secret = system.path(&format!("keys/{name}.key_secret"));
                fs::set_permissions(secret, fs::Permissions::from_mode(0o644)).expect("a mode");
            }
        }
        for daemon in ["broker", "manager"] {
            let (status, text) = system.run_to_end(&[daemon]);
            assert_eq!(status, Some(1), "{text}");
            let expected =
                if is_exposed { "can be read by others (mode 644)" } else { "cannot be read: No such file" };
            assert!(text.contains(expected), "{text}");
        }
    }
    for name in ["broker", "client"] {
        let secret = system.path(&format!("keys/{name}.key_secret"));
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    fs::write(system.path("keys/authorized/robot.key"), "no key").expect("written");
    let (status, text) = system.run_to_end(&["broker"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("authorized/robot.key has no line `public-key"), "{text}");
    let (status, text) = system.operation(&["keys", "--client", "broker"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("the keys of a server have this name; choose another"), "{text}");
}
