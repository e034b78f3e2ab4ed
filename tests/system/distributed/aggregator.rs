//! The log aggregator beside the real pyzmq.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::distributed::scene::{Python, distributed, read, start_aggregator, without_times, write_logging};

/// A real `PUBHandler` on a socket that reports subscriptions, set up as in NEMO_Nowcast. It logs the JSON lists of a level
/// and a text that it reads, and prints what NEMO_Nowcast's aggregator would log.
const PUBLISHER: &str = r#"
import json, logging, sys, zmq, zmq.log.handlers
name = sys.argv[2]
socket = zmq.Context().socket(zmq.XPUB)
socket.bind(f"tcp://127.0.0.1:{sys.argv[1]}")
socket.setsockopt(zmq.RCVTIMEO, 30_000)
print("bound")
assert socket.recv() == b"\x01"
handler = zmq.log.handlers.PUBHandler(socket)
handler.root_topic = name
handler.formatters = {level: logging.Formatter("%(message)s\n") for level in (10, 20, 30, 40, 50)}
logger = logging.getLogger("worker")
logger.setLevel(1)
logger.addHandler(handler)

class Rule(logging.Handler):
    def emit(self, record):
        topic = f"{name}.{record.levelname}"
        logger_name, level = topic.split(".")
        text = handler.formatters[record.levelno].format(record).strip()
        aggregator.log(getattr(logging, level), text, extra={"logger_name": logger_name})

logger.addHandler(Rule())
aggregator = logging.getLogger("log_aggregator")
aggregator.setLevel(1)
shown = logging.StreamHandler(sys.stderr)
shown.setFormatter(logging.Formatter("%(levelname)s [%(logger_name)s] %(message)s"))
lines = []
shown.emit = lambda record: lines.append(shown.format(record))
aggregator.addHandler(shown)
print("subscribed")
for line in sys.stdin:
    level, text = json.loads(line)
    if level == "crash":
        try:
            raise ValueError(text)
        except ValueError:
            logger.critical("unhandled exception:", exc_info=True)
    else:
        logger.log(getattr(logging, level), text)
    print(json.dumps(lines.pop()))
"#;

#[test]
fn it_logs_messages_of_a_real_pubhandler_as_nemo_nowcast_does() {
    let (mut system, ports) = distributed("", 2);
    let mut publisher = Python::start(PUBLISHER, &[ports.pool[1].to_string(), "download_weather".to_owned()]);
    assert_eq!(publisher.line(), "bound");
    start_aggregator(&mut system);
    assert_eq!(publisher.line(), "subscribed");
    let mut expected = String::new();
    for (level, text) in [
        ("INFO", "running in process 15974"),
        ("DEBUG", "  größer – 海 🌊 \t"),
        ("WARNING", "checklist:\n{'a': 1,\n 'b': 2}\n\n"),
        ("ERROR", ""),
        ("INFO", "100 %s {done} $now %(name)s \u{1f}"),
        ("crash", "it did not work"),
        ("CRITICAL", "the last"),
    ] {
        publisher.say(&serde_json::to_string(&(level, text)).expect("JSON"));
        let line: String = serde_json::from_str(&publisher.line()).expect("JSON");
        // A line of another program must not look like a record.
        expected = expected + &line.replace('\n', "\n  ").replace('\u{1f}', "\\x1f") + "\n";
    }
    assert!(expected.contains("Traceback (most recent call last)"), "{expected}");
    system.wait_for("the last line", || {
        read(&system.path("nowcast.debug.log")).contains("the last").then_some(())
    });
    let log = without_times(&read(&system.path("nowcast.debug.log")));
    assert!(log.ends_with(&expected), "{log}\n--- expected:\n{expected}");
    system.wait_for_log("aggregator", "CRITICAL|log_aggregator|download_weather|the last");

    // NEMO_Nowcast's aggregator exits at this.
    publisher.say(r#"["INFO", "std::io::Error: no"]"#);
    publisher.line();
    system.wait_for_log("aggregator", "INFO|log_aggregator|download_weather|std::io::Error: no");
}

#[test]
fn its_own_lines_are_those_of_nemo_nowcast() {
    let (mut system, ports) = distributed("", 1);
    write_logging(
        &system,
        &ports,
        &format!("[{}], run_NEMO: ['salish.example:1', '127.0.0.1:1']", ports.pool[0]),
        "",
    );
    let command = system.command(&["log-aggregator", "nowcast.yaml"]);
    let process = system.spawn("aggregator", command);
    let said = |ports: &crate::distributed::scene::Ports| {
        let line = |host: &str, port: u16, name: &str| {
            format!("INFO [log_aggregator] subscribed to {host} port {port} for all messages from {name}\n")
        };
        format!(
            "INFO [log_aggregator] running in process {process}\nINFO [log_aggregator] read config from nowcast.yaml\n"
        ) + &line("localhost", ports.broker, "message_broker")
            + &line("localhost", ports.manager, "manager")
            + &line("localhost", ports.pool[0], "workers")
    };
    let of_others = "INFO [log_aggregator] subscribed to salish.example port 1 for all messages from run_NEMO\n\
                     INFO [log_aggregator] subscribed to 127.0.0.1 port 1 for all messages from run_NEMO\n";
    system.wait_for_log("aggregator", "127.0.0.1 port 1 for all messages from run_NEMO");

    let mut moved = ports.clone();
    moved.manager = crate::support::ports::free_ports().0;
    write_logging(&system, &moved, &format!("{:?}", moved.pool), "");
    system.signal("aggregator", Signal::HUP);
    system.wait_for_log_count("aggregator", "all messages from workers", 2);
    let good = fs::read_to_string(system.config()).expect("a configuration");
    fs::write(system.config(), good.replace("aggregator:", "agregator:")).expect("written");
    system.signal("aggregator", Signal::HUP);
    system.wait_for_log("aggregator", "the new configuration is refused, the old one stays:");
    system.signal("aggregator", Signal::TERM);
    assert_eq!(system.wait_for_end("aggregator").code(), Some(0));

    let hangup = "INFO [log_aggregator] hangup signal (SIGHUP) received; reloading configuration\n";
    let log = without_times(&read(&system.path("nowcast.log")));
    assert!(log.starts_with(&(said(&ports) + of_others + hangup + &said(&moved) + hangup)), "{log}");
    assert!(
        log.ends_with("INFO [log_aggregator] termination signal (SIGTERM) received; shutting down\n"),
        "{log}"
    );

    fs::write(system.config(), good).expect("written");
    let mut publisher = Python::start(PUBLISHER, &[moved.manager.to_string(), "manager".to_owned()]);
    assert_eq!(publisher.line(), "bound");
    start_aggregator(&mut system);
    assert_eq!(publisher.line(), "subscribed");
    system.signal("aggregator", Signal::INT);
    assert_eq!(system.wait_for_end("aggregator").code(), Some(0));
    let log = read(&system.path("nowcast.log"));
    assert!(log.contains("interrupt signal (SIGINT or Ctrl-C) received; shutting down"), "{log}");
}

#[test]
fn invalid_messages_are_counted_and_skipped() {
    let (mut system, ports) = distributed("", 1);
    let socket = system.context.socket(zmq::XPUB).expect("a socket");
    socket.bind(&format!("tcp://127.0.0.1:{}", ports.pool[0])).expect("the port");
    socket.set_rcvtimeo(30_000).expect("a timeout");
    start_aggregator(&mut system);
    assert_eq!(socket.recv_bytes(0).expect("a subscription"), b"\x01");
    let (zeros, ones) = (vec![0; 100_000], vec![255; 100_000]);
    let messages: [&[&[u8]]; 11] = [
        &[b""],
        &[b"sleep.INFO"],
        &[b"", b""],
        &[b"\xff\xfe.INFO", b"x"],
        &[b"sleep.loud", b"x"],
        &[b"sleep", b"x"],
        &[b"..INFO.INFO", b"valid, though odd"],
        &[b"sleep.INFO", b"x", b"y"],
        &[b"a\nb.INFO", b"x"],
        &[b"INFO", b"x"],
        &[&zeros, &ones],
    ];
    for frames in messages {
        socket.send_multipart(frames, 0).expect("sent");
    }
    socket.send_multipart([&b"sleep.INFO"[..], b"still here \xff\n"], 0).expect("sent");
    system.wait_for_log("aggregator", "INFO|log_aggregator|sleep|still here \u{fffd}");
    system.wait_for_log("aggregator", "invalid log messages were received and skipped; so far: 10.");
    let warnings = system.log("aggregator").matches("received and skipped; so far:").count();
    assert!(warnings <= 2, "{}", system.log("aggregator"));
    system.signal("aggregator", Signal::TERM);
    assert_eq!(system.wait_for_end("aggregator").code(), Some(0));
}

#[test]
fn it_stops_though_a_publisher_goes_on() {
    let (mut system, ports) = distributed("", 1);
    let socket = system.context.socket(zmq::PUB).expect("a socket");
    socket.bind(&format!("tcp://127.0.0.1:{}", ports.pool[0])).expect("the port");
    start_aggregator(&mut system);
    let test = Arc::new(());
    let still = Arc::clone(&test);
    let chatter = std::thread::spawn(move || {
        while Arc::strong_count(&still) > 1 {
            socket.send_multipart(["chatter.DEBUG", "on and on"], 0).expect("sent");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    system.wait_for_log("aggregator", "DEBUG|log_aggregator|chatter|on and on");
    system.signal("aggregator", Signal::TERM);
    assert_eq!(system.wait_for_end("aggregator").code(), Some(0));
    drop(test);
    chatter.join().expect("it went on to the end");
}

#[test]
fn lines_published_while_it_is_stopped_come_after_its_restart() {
    let (mut system, ports) = distributed("", 1);
    system.start_broker();
    start_aggregator(&mut system);
    let has = |system: &crate::support::system::System, text: &str, count: usize| {
        system.wait_for(text, || {
            (read(&system.path("nowcast.log")).matches(text).count() >= count).then_some(())
        });
    };
    has(&system, "[message_broker] running in process", 1);
    system.signal("aggregator", Signal::TERM);
    system.wait_for_end("aggregator");
    // The broker reads the end of the subscription before the end of the connection.
    system.wait_for("the end of the connection", || (!is_connected(ports.broker)).then_some(()));
    system.signal("broker", Signal::HUP);
    system.wait_for_log_count("broker", "publishing logging messages to", 2);
    start_aggregator(&mut system);
    has(&system, "[message_broker] running in process", 2);
    has(&system, "[message_broker] publishing logging messages to", 2);
}

/// Whether a program with this local TCP port has a connection there that it has not closed.
fn is_connected(port: u16) -> bool {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
    table.lines().skip(1).any(|line| {
        // Its number, the local and the remote address in hexadecimal, the state.
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&format!(":{port:04X}")) && [ESTABLISHED, CLOSE_WAIT].contains(&fields[3])
    })
}

#[test]
fn it_unsubscribes_before_it_disconnects() {
    let (mut system, ports) = distributed("", 1);
    let listener = TcpListener::bind(("127.0.0.1", ports.pool[0])).expect("the port");
    let publisher = system.context.socket(zmq::XPUB).expect("a socket");
    publisher.set_rcvtimeo(30_000).expect("a timeout");
    publisher.bind("tcp://127.0.0.1:*").expect("a port");
    let endpoint = publisher.get_last_endpoint().expect("an address").expect("text");
    // What the aggregator sends to the publisher, up to the end of its connection.
    let relay = std::thread::spawn(move || {
        let (mut aggregator, _) = listener.accept().expect("the aggregator");
        let mut publisher = TcpStream::connect(endpoint.trim_start_matches("tcp://")).expect("the publisher");
        let [mut to_aggregator, mut from_publisher] =
            [&aggregator, &publisher].map(|stream| stream.try_clone().expect("a second handle"));
        std::thread::spawn(move || std::io::copy(&mut from_publisher, &mut to_aggregator));
        let (mut sent, mut bytes) = (Vec::new(), [0; 1_000]);
        while let Ok(count @ 1..) = aggregator.read(&mut bytes) {
            sent.extend_from_slice(&bytes[..count]);
            publisher.write_all(&bytes[..count]).expect("the publisher reads");
        }
        sent
    });
    start_aggregator(&mut system);
    assert_eq!(publisher.recv_bytes(0).expect("a subscription"), b"\x01");
    system.signal("aggregator", Signal::TERM);
    assert_eq!(system.wait_for_end("aggregator").code(), Some(0));
    let sent = relay.join().expect("no panic");
    // A frame: no flags, a length of 1, the end of the subscription to everything.
    assert!(sent.ends_with(&[0, 1, 0]), "{sent:?}");
}

#[test]
fn without_its_section_or_ports_it_logs_why_and_exits_with_status_2() {
    let (system, _) = distributed("", 1);
    let text = fs::read_to_string(system.config()).expect("a configuration");
    for (changed, why) in [
        (
            text.replace("  aggregator:", "  agregator:"),
            "the section has no aggregator (logging: aggregator)",
        ),
        (
            text.replace("    logging: {message_broker", "    loging: {message_broker"),
            "zmq: ports: logging: is missing",
        ),
    ] {
        fs::write(system.config(), changed).expect("written");
        let (status, said) = system.operation(&["log-aggregator", "nowcast.yaml"]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
