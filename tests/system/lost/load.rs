//! A load that can be counted: numbered messages, a numbered run for each, and joins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use nowcast::store::History;
use nowcast::store::journal::{EventFilter, EventKind};
use nowcast_core::record::RecordedEvent;

use crate::support::system::{Builder, System, system};

/// How many workers send at once.
pub const WORKERS: usize = 8;

/// Two more messages of each worker, which complete what still waits and open no join.
const LAST: [u64; 2] = [100_000, 100_001];

/// The length of a line that a worker writes for each reply.
const LINE: u64 = 2;

/// A plain worker like NEMO_Nowcast's: one message after the other until a stop is requested.
pub const PLAIN: &str = r#"
import os, sys, yaml, zmq
port, worker = sys.argv[1], int(sys.argv[2])
socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"tcp://localhost:{port}")
acks = os.open("acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
number = 0
while not os.path.exists("stop"):
    payload = {"n": number, f"m{number}": True}
    socket.send_string(yaml.dump({"source": f"w{worker}", "type": "success", "payload": payload}))
    reply = yaml.safe_load(socket.recv_string())
    assert reply["type"] == "ack", reply
    os.write(acks, b"a\n")
    number += 1
with open(f"sent.{worker}.new", "w") as file:
    file.write(str(number))
os.rename(f"sent.{worker}.new", f"sent.{worker}")
"#;

/// A system whose rules launch `tick` for each message, and open a join at every tenth one, which the next two
/// workers' next messages complete.
pub fn counting() -> Builder {
    let mut rules = format!(
        "local function decide(worker, msg)
           local name = worker .. '-' .. msg.payload.n
           local launches = {{ NextWorker('tick', {{ 'm' .. name, '--debug' }}) }}
           if msg.payload.n % 10 ~= 5 then return launches end
           local function other(step) return 'w' .. (worker + step) % {WORKERS} end
           return launches, Join{{ name = 'j' .. name, wait_for = {{ other(1), other(2) }},
                                  launch = {{ NextWorker('tick', {{ 'j' .. name, '--debug' }}) }} }}
         end
         function after_tick() return {{}} end\n"
    );
    let mut builder = system();
    for worker in 0..WORKERS {
        let _ = writeln!(rules, "function after_w{worker}(msg) return decide({worker}, msg) end");
        builder = builder.worker(&format!(
            "w{worker}: {{checklist key: w{worker}, success: it went well, crash: it crashed}}"
        ));
    }
    builder
        .worker("tick: {success: it went well, crash: it crashed}")
        .section("workers: {tick: {command: [sh, -c, 'echo \"$1\" >> ticks', tick]}}")
        .rules(&rules)
}

/// How many replies the workers have got.
pub fn acks(system: &System) -> u64 {
    fs::metadata(system.path("acks")).map_or(0, |metadata| metadata.len() / LINE)
}

/// Waits until everything has come to rest and counts: each message and each run once, nothing parked.
/// `sent` is how many messages each worker sent.
pub fn expect_all_once(system: &System, sent: &[u64]) {
    for number in LAST {
        for worker in 0..sent.len() {
            let payload = format!("{{n: {number}, m{number}: true}}");
            assert_eq!(system.send(&format!("w{worker}"), "success", &payload), "ack");
        }
    }
    let numbers = |sent: u64| (0..sent).chain(LAST);
    let mut ticks = BTreeSet::new();
    for (worker, sent) in sent.iter().enumerate() {
        for number in numbers(*sent) {
            ticks.insert(format!("m{worker}-{number}"));
            if number % 10 == 5 {
                ticks.insert(format!("j{worker}-{number}"));
            }
        }
    }
    let history = || History::open(&system.path("checklist.journal")).expect("the journal");
    system.wait_for("all runs and joins to be over", || {
        let open = history().open_now().expect("what is open");
        (open.runs.is_empty() && open.joins.is_empty()).then_some(())
    });
    let parked = history().open_now().expect("what is open").parked;
    assert!(parked.is_empty(), "{parked:?}\n{}", system.describe());
    let text = fs::read_to_string(system.path("ticks")).expect("the runs' file");
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        *count.entry(line).or_default() += 1;
    }
    let doubled: Vec<_> = count.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "runs that came twice: {doubled:?}\n{}", system.describe());
    let lost: Vec<_> = ticks.iter().filter(|tick| !count.contains_key(tick.as_str())).collect();
    assert!(lost.is_empty(), "runs that never came: {lost:?}\n{}", system.describe());
    assert_eq!(count.len(), ticks.len());
    messages_once(system, &history(), sent, &numbers);
}

fn messages_once<Numbers: Iterator<Item = u64>>(
    system: &System,
    history: &History,
    sent: &[u64],
    numbers: &dyn Fn(u64) -> Numbers,
) {
    let filter = EventFilter { kind: Some(EventKind::Message), ..EventFilter::default() };
    let mut kept: Vec<Vec<u64>> = vec![Vec::new(); sent.len()];
    for record in history.events(&filter).expect("the messages") {
        let RecordedEvent::Message(kept_message) = record.event else { continue };
        let message = kept_message.message.expect("a message");
        let worker = message.source.strip_prefix('w').and_then(|worker| worker.parse::<usize>().ok());
        let number = message.payload.get("n").and_then(pyyaml::Value::as_int);
        let (Some(worker), Some(number)) = (worker, number) else { panic!("{message:?}") };
        kept[worker].push(number.to_string().parse().expect("a number"));
    }
    for (worker, kept) in kept.iter_mut().enumerate() {
        kept.sort_unstable();
        let expected: Vec<u64> = numbers(sent[worker]).collect();
        assert_eq!(*kept, expected, "w{worker} in the journal");
        system.wait_for(&format!("every payload of w{worker} in the checklist"), || {
            let checklist = system.checklist();
            let entry = checklist.get(&format!("w{worker}"))?;
            expected.iter().all(|number| entry.get(&format!("m{number}")).is_some()).then_some(())
        });
    }
}
