//! How fast the whole is: `cargo bench --bench speed`.
//!
//! Prints figures, fails on nothing: what a figure means depends on the machine.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::ZonedDateTime;
use nowcast::{config, rules};
use nowcast_core::checklist::Checklist;
use nowcast_core::cycles::NoteScope;
use nowcast_core::join_identity::IdentifiedJoin;
use nowcast_core::message::Message;
use nowcast_core::notes::Note;
use nowcast_core::run::Stage;
use nowcast_core::{
    Change, Cycle, Ending, Event, Join, NextWorker, Number, Request, RequestId, Requirement, Run, State,
    TimePoint, decide,
};
use pyyaml::{Map, Value};
use support::system::{System, system};

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    for entries in [20, 100_000] {
        decide_and_rules(entries);
    }
    for cycles in [1, 1_000] {
        decide_in_a_cycle(cycles);
    }
    daemons();
    broker_alone();
    round_trips();
    hops();
}

const RULES: &str = "function after_sleep(msg, config, checklist)
    if msg.type == 'success' and checklist.sleepyhead['sleep time'] == 5 then return { NextWorker('awaken') } end
    return {}
end";

/// One message from its bytes to its effects, with a checklist of so many entries of 50 bytes.
fn decide_and_rules(entries: i64) {
    let system = system().rules(RULES).prepare();
    let (config, _) = config::load(&system.config()).expect("a good configuration");
    let file = rules::locate(&system.config(), "next_workers").expect("the rules are there");
    let engine =
        rules::Engine::load(&file, "next_workers", &rules::EngineOptions::default()).expect("good rules");
    let large: Map = (0..entries)
        .map(|number| {
            (Value::from(format!("entry {number}")), Value::from("about fifty bytes of text in each of them"))
        })
        .collect();
    let mut checklist = Checklist::default();
    checklist.update(&Value::from("sleepyhead"), large.into());
    let mut state = State::new(Arc::new(config.policy()), checklist);
    let body = b"payload: {sleep time: 5}\nsource: sleep\ntype: success\n";
    let now = ZonedDateTime::now().into();
    let count = 20_000;
    let start = Instant::now();
    for number in 0..count {
        let request = Event::Request(Request {
            id: RequestId(number),
            ticket: None,
            body: body.to_vec(),
            message: Message::decode(body),
        });
        let effects = decide(&mut state, request, &engine, &now);
        assert!(effects.len() > 3);
        // The run that was launched ends; its time is not the message's.
        let launched: Vec<_> = state.runs.keys().copied().collect();
        for run in launched {
            state.apply(&Change::Run(Arc::new(without_report(&state.runs[&run]))), &Value::Null);
        }
    }
    let each = start.elapsed() / u32::try_from(count).unwrap_or(u32::MAX);
    println!("decide and rules, checklist of {entries} entries: {each:?} a message");
}

/// One message of a cycle, in a system with so many open cycles: each has a run, a join by cycle, and the messages of a day.
fn decide_in_a_cycle(cycles: u64) {
    let system = system().rules("function after_sleep() return {} end").prepare();
    let (config, _) = config::load(&system.config()).expect("a good configuration");
    let file = rules::locate(&system.config(), "next_workers").expect("the rules are there");
    let engine =
        rules::Engine::load(&file, "next_workers", &rules::EngineOptions::default()).expect("good rules");
    let mut state = State::new(Arc::new(config.policy()), Checklist::default());
    (1..=cycles).for_each(|number| open_cycle(&mut state, number));
    let body = b"cycle: cycle-1\npayload: {sleep time: 5}\nsource: sleep\ntype: success\n";
    let now = ZonedDateTime::now().into();
    let count = 20_000;
    let mut rounds: Vec<Duration> = (0..5)
        .map(|_| {
            let start = Instant::now();
            for number in 0..count {
                let message = Message::decode(body);
                let (id, body) = (RequestId(number), body.to_vec());
                let request = Event::Request(Request { id, ticket: None, body, message });
                assert!(decide(&mut state, request, &engine, &now).len() > 3);
            }
            start.elapsed() / u32::try_from(count).unwrap_or(u32::MAX)
        })
        .collect();
    rounds.sort_unstable();
    println!(
        "decide and rules, {cycles} open cycles: {:?} a message (best of 5: {:?})",
        rounds[2], rounds[0]
    );
}

fn open_cycle(state: &mut State, number: u64) {
    let cycle = Cycle::parse(&format!("cycle-{number}")).expect("a label");
    let at = TimePoint::by_wall_clock(jiff::Timestamp::UNIX_EPOCH);
    let first = number * 1_000;
    let mut changes = vec![Change::CycleSeen { cycle: cycle.clone(), number: Number(first), at }];
    changes.extend((1..=130).map(|message| {
        Change::Noted(Note {
            message: Number(first + message),
            worker: format!("worker_{}", message % 40),
            r#type: "success".to_owned(),
            at: at.wall,
            steady: None,
            run: None,
            origin: None,
            cycle: Some(cycle.clone()),
            without_payload: false,
        })
    }));
    let wait_for = ["awaken", "rotate_logs"].map(|worker| Requirement {
        worker: worker.to_owned(),
        r#type: None,
        count: 1,
        cycle: None,
    });
    let identity = IdentifiedJoin {
        scope: NoteScope::Cycle(cycle.clone()),
        wait_for: wait_for.to_vec(),
        location: None,
        end: None,
        conflict: None,
    };
    changes.push(Change::Join(Join {
        id: Number(first + 200),
        name: "tracks".to_owned(),
        requires: wait_for.to_vec(),
        pending: Vec::new(),
        launch: Vec::new(),
        opened_by: Number(first),
        cycle: Some(cycle.clone()),
        received: Vec::new(),
        deadline: None,
        timeout: None,
        identity: Some(Box::new(identity)),
    }));
    changes.push(Change::Run(Arc::new(Run {
        id: Number(first + 300),
        worker: NextWorker::new("awaken", Vec::new()),
        cycle: Some(cycle),
        cause: Number(first),
        join: None,
        origin: None,
        attempt: 1,
        retry_of: None,
        stage: Stage::Launched { at, folder: String::new() },
        report: None,
        sent: Vec::new(),
        stop_requested: None,
        is_restored: false,
    })));
    for change in &changes {
        state.apply(change, &Value::Null);
    }
    state.last_number = first + 999;
}

/// A run that is over and of which nothing is to come.
fn without_report(run: &Run) -> Run {
    let at = TimePoint::by_wall_clock(jiff::Timestamp::UNIX_EPOCH);
    let (launched, ran, folder) = (None, None, String::new());
    let stage = Stage::Ended { launched, exited: None, at, ran, ending: Ending::Discarded, folder };
    Run { stage, ..run.clone() }
}

fn daemons() {
    let mut system = system().prepare();
    let start = Instant::now();
    system.start_broker();
    println!("broker ready after {:?} (looked at every 5 ms)", start.elapsed());
    let start = Instant::now();
    system.start_manager(&[]);
    println!("manager ready after {:?} (looked at every 5 ms)", start.elapsed());
    for _ in 0..1_000 {
        system.works();
    }
    for daemon in ["broker", "manager"] {
        println!("{daemon} resident after 1,000 messages: {} kB", resident(&system, daemon));
    }
}

fn resident(system: &System, daemon: &str) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(system.id(daemon).to_string()).join("status"));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The broker between a client with so many requests open and a manager that returns each as it came.
fn broker_alone() {
    let mut system = system().prepare();
    system.start_broker();
    let manager = system.context.socket(zmq::ROUTER).expect("a socket");
    manager.set_sndhwm(0).expect("an option");
    manager.connect(&format!("tcp://127.0.0.1:{}", system.manager_port)).expect("a connection");
    // It ends with the context.
    std::thread::spawn(move || {
        while let Ok(frames) = manager.recv_multipart(0) {
            if manager.send_multipart(frames, 0).is_err() {
                break;
            }
        }
    });
    let client = system.context.socket(zmq::DEALER).expect("a socket");
    client.connect(&format!("tcp://127.0.0.1:{}", system.workers_port)).expect("a connection");
    let request = ["", "payload: {sleep time: 5}\nsource: sleep\ntype: success\n"];
    for in_flight in [1, 64, 512] {
        for _ in 0..in_flight {
            client.send_multipart(request, 0).expect("sent");
        }
        let mut count = 0_u32;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            client.recv_multipart(0).expect("a reply");
            client.send_multipart(request, 0).expect("sent");
            count += 1;
        }
        println!(
            "broker alone, {in_flight} in flight: {:.0} acks/s",
            f64::from(count) / start.elapsed().as_secs_f64()
        );
        for _ in 0..in_flight {
            client.recv_multipart(0).expect("a reply");
        }
    }
}

fn round_trips() {
    let system = system().start();
    for in_flight in [1, 64, 512] {
        let sockets: Vec<_> = (0..in_flight).map(|_| system.connect()).collect();
        let body = "{source: sleep, type: success, payload: {sleep time: 5}}";
        let mut count = 0_u32;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            for socket in &sockets {
                socket.send(body, 0).expect("sent");
            }
            for socket in &sockets {
                system.receive(socket);
                count += 1;
            }
        }
        println!("{in_flight} in flight: {:.0} acks/s", f64::from(count) / start.elapsed().as_secs_f64());
    }
}

/// A worker ends and the next one of the chain ends: the time of one hop.
fn hops() {
    let system = system().rules("function after_awaken() return { NextWorker('awaken') } end").start();
    system.run_worker(&["awaken", "nowcast.yaml"]);
    let hops = 200;
    system.wait_for_log_count("manager", "[awaken] awoke", 10);
    let start = Instant::now();
    system.wait_for_log_count("manager", "[awaken] awoke", 10 + hops);
    println!("hop from awaken to awaken: {:?}", start.elapsed() / u32::try_from(hops).unwrap_or(u32::MAX));
    system.write_rules("function after_awaken() return {} end\nfunction after_sleep() return {} end\nfunction after_keyless() return {} end\nfunction after_clear_checklist() return {} end\nfunction after_rotate_logs() return {} end");
    let count = system.log("manager").matches("[awaken] running").count();
    system.wait_for_log_count("manager", "[awaken] shutting down", count);
}
